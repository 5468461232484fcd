"""What a message looks for, in ten languages: small talk, whose words, when, and which days."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.recall.question import read
from bots.recall.vocabulary import languages, vocabulary
from bots.sought import Sought

#: A Wednesday.
_TODAY = date(2026, 6, 10)


def _read(text: str, language: str) -> Sought | None:
    return read(text, language=language, today=_TODAY)


def _asked(text: str, language: str) -> Sought:
    found = _read(text, language)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Hi there!"),
        ("en", "Thanks a lot, have a nice day 🙂"),
        ("en", "Good morning, how are you?"),
        ("en", "ok 👍"),
        ("en", "?!"),
        ("es", "¡Hola, buenos días!"),
        ("es", "Muchas gracias"),
        ("pt", "Oi, tudo bem?"),
        ("pt", "muito obrigada!"),
        ("fr", "Salut, ça va ?"),
        ("fr", "D'accord, merci beaucoup"),
        ("de", "Guten Morgen! Wie geht's?"),
        ("de", "Alles klar, vielen Dank"),
        ("it", "Ciao, come stai?"),
        ("it", "va bene, grazie mille"),
        ("hi", "नमस्ते, आप कैसे हैं?"),
        ("hi", "theek hai, dhanyawad"),
        ("ar", "السلام عليكم"),
        ("ar", "شكرا جزيلا"),
        ("ar", "marhaba, shukran"),
        ("id", "Selamat pagi, apa kabar?"),
        ("id", "oke, terima kasih banyak"),
        ("tr", "Merhaba, nasılsın?"),
        ("tr", "Tamam, çok teşekkürler"),
        ("fr", "ok thanks"),
    ],
)
def test_small_talk_looks_for_nothing(language: str, text: str) -> None:
    assert _read(text, language) is None


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Hi, is the good dentist open?"),
        ("es", "Hola, ¿y mi perro?"),
        ("fr", "Bonjour, et mon chien ?"),
        ("de", "Hallo, und mein Hund?"),
        ("hi", "नमस्ते, मेरा कुत्ता?"),
        ("tr", "Merhaba, köpeğim?"),
    ],
)
def test_a_greeting_before_a_question_is_no_small_talk(language: str, text: str) -> None:
    assert _read(text, language) is not None


@pytest.mark.parametrize(
    ("language", "contact", "answers", "neither"),
    [
        ("en", "Where did I park my car?", "What did you recommend?", "Which soup is good?"),
        ("es", "¿Dónde aparqué mi coche?", "¿Qué dijiste de la sopa?", "¿Qué sopa es buena?"),
        ("pt", "Onde está o meu carro?", "O que você recomendou?", "Qual sopa é boa?"),
        ("fr", "Où est ma voiture ?", "Qu'as-tu recommandé ?", "Quelle soupe est bonne ?"),
        ("de", "Wo steht mein Auto?", "Was hast du empfohlen?", "Welche Suppe ist gut?"),
        ("it", "Dov'è la mia macchina?", "Cosa hai consigliato tu?", "Quale zuppa è buona?"),
        ("hi", "मेरी गाड़ी कहाँ है?", "आपने क्या बताया था?", "कौन सा सूप अच्छा है?"),
        ("ar", "ماذا عندي اليوم", "ماذا قلت أنت", "أي حساء جيد"),
        ("id", "Di mana mobil saya?", "Apa yang kamu sarankan?", "Sup mana yang enak?"),
        ("tr", "Benim arabam nerede?", "Sen ne önerdin?", "Hangi çorba güzel?"),
    ],
)
def test_whose_words_are_asked_for(language: str, contact: str, answers: str, neither: str) -> None:
    assert [_asked(text, language).side for text in (contact, answers, neither)] == ["contact", "answers", None]


def test_both_sides_are_neither() -> None:
    assert _asked("What did you tell me about the soup?", "en").side is None


@pytest.mark.parametrize(
    ("language", "text", "months", "day", "year"),
    [
        ("en", "What happened on 3rd May 2025?", (5,), 3, 2025),
        ("en", "What did I do in May?", (5,), None, None),
        ("en", "What may I eat in the march of time?", (), None, None),
        ("en", "What did I do from the 30th of October until November", (10, 11), 30, None),
        ("es", "¿Qué pasó el 3 de mayo?", (5,), 3, None),
        ("pt", "O que fiz em março de 2024?", (3,), None, 2024),
        ("fr", "Que s'est-il passé le 14 juillet ?", (7,), 14, None),
        ("de", "Was war am 3. März?", (3,), 3, None),
        ("it", "Cosa è successo il 2 giugno 2025?", (6,), 2, 2025),
        ("hi", "15 अगस्त को क्या हुआ?", (8,), 15, None),
        ("hi", "15 august ko kya hua?", (8,), 15, None),
        ("ar", "ماذا حدث في 5 مارس؟", (3,), 5, None),
        ("ar", "ماذا حدث في كانون الثاني؟", (1,), None, None),
        ("id", "Apa yang terjadi pada 17 Agustus?", (8,), 17, None),
        ("tr", "23 Nisan 2026'da ne oldu?", (4,), 23, 2026),
    ],
)
def test_dates_that_are_named(language: str, text: str, months: tuple[int, ...], day: int | None, year: int | None) -> None:
    found = _asked(text, language)

    assert (found.months, found.day, found.year) == (months, day, year)


@pytest.mark.parametrize(
    ("language", "text", "since", "until"),
    [
        ("en", "What did I tell you yesterday?", date(2026, 6, 9), _TODAY),
        ("en", "what did we say last week", date(2026, 6, 1), date(2026, 6, 8)),
        ("en", "what did we say last month", date(2026, 5, 1), date(2026, 6, 1)),
        ("en", "what did I buy on Monday?", date(2026, 6, 8), date(2026, 6, 9)),
        ("en", "what did I buy on Wednesday?", date(2026, 6, 3), date(2026, 6, 4)),
        ("en", "what was on 2026-02-28?", date(2026, 2, 28), date(2026, 3, 1)),
        ("en", "what was on 2026-02-31?", None, None),
        ("es", "¿Qué te dije ayer?", date(2026, 6, 9), _TODAY),
        ("pt", "O que eu disse na semana passada?", date(2026, 6, 1), date(2026, 6, 8)),
        ("fr", "Qu'ai-je dit hier ?", date(2026, 6, 9), _TODAY),
        ("fr", "qu'ai-je dit aujourd'hui ?", _TODAY, _TODAY),
        ("de", "Was habe ich letzten Monat gesagt?", date(2026, 5, 1), date(2026, 6, 1)),
        ("it", "Cosa ho detto l'anno scorso?", date(2025, 1, 1), date(2026, 1, 1)),
        ("hi", "पिछले हफ्ते मैंने क्या कहा?", date(2026, 6, 1), date(2026, 6, 8)),
        ("ar", "ماذا قلت أمس؟", date(2026, 6, 9), _TODAY),
        ("id", "Apa yang saya bilang kemarin?", date(2026, 6, 9), _TODAY),
        ("tr", "Dün ne dedim?", date(2026, 6, 9), _TODAY),
        ("tr", "Cuma ne dedim?", date(2026, 6, 5), date(2026, 6, 6)),
    ],
)
def test_days_that_are_named_from_todays(language: str, text: str, since: date | None, until: date | None) -> None:
    found = _asked(text, language)

    assert (found.since, found.until) == (since, until)


@pytest.mark.parametrize(
    ("language", "text", "may_be_ahead"),
    [
        ("en", "Are you open on Friday?", True),
        ("en", "Which day is it today?", True),
        ("es", "¿Abren el lunes?", True),
        ("de", "Kann ich am Dienstag kommen?", True),
        ("en", "Are you open in May?", True),
        ("en", "Is there a concert on the 3rd of March?", True),
        ("es", "¿Abren en agosto?", True),
        ("de", "Kann man im Juli baden?", True),
        ("tr", "Temmuzda açık mısınız?", True),
        ("en", "What did I tell you yesterday?", False),
        ("en", "what did i buy on monday", False),
        ("en", "What did I do in May?", False),
        ("en", "who was in Lund in March?", False),
        ("en", "What is there from May 2025?", False),
        ("es", "¿Qué hice en marzo?", False),
        ("es", "¿De qué hablamos el lunes?", False),
        ("pt", "O que comprei em abril?", False),
        ("fr", "Qu'ai-je dit la semaine dernière ?", False),
        ("fr", "Qu'ai-je fait en mars ?", False),
        ("de", "Was war im März?", False),
        ("it", "Cosa ho fatto a giugno?", False),
        ("hi", "मार्च में क्या हुआ?", False),
        ("hi", "march mein kya hua", False),
        ("ar", "ماذا حدث في مارس؟", False),
        ("id", "Apa yang terjadi pada bulan Maret?", False),
        ("tr", "Mart ayında ne oldu?", False),
        ("tr", "nisanda ne konuştuk", False),
        ("en", "what was on 2026-02-28?", False),
    ],
)
def test_a_day_or_a_month_that_may_be_ahead_is_no_question_about_the_past(language: str, text: str, *, may_be_ahead: bool) -> None:
    assert _asked(text, language).may_be_ahead is may_be_ahead


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "March was hard"),
        ("en", "In March I was in hospital"),
        ("en", "May I come at nine? It was cold in May."),
        ("en", "I went home yesterday"),
        ("en", "See you on Monday"),
        ("es", "Marzo fue duro"),
        ("es", "En abril me operaron"),
        ("pt", "Março foi difícil"),
        ("fr", "Mars était dur, je suis resté au lit"),
        ("de", "Der März war hart"),
        ("it", "A giugno ero in ospedale"),
        ("hi", "मार्च बहुत मुश्किल था"),
        ("ar", "كان مارس صعبا"),
        ("id", "Bulan Maret saya sakit"),
        ("tr", "Mart zordu"),
    ],
)
def test_who_tells_of_a_day_or_a_month_does_not_ask_what_was_said_then(language: str, text: str) -> None:
    found = _asked(text, language)

    assert (found.months, found.since) == ((), None)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "When did I move?"),
        ("en", "How long was I in Lund?"),
        ("es", "¿Cuándo me mudé?"),
        ("pt", "Quando me mudei?"),
        ("fr", "Depuis quand j'habite ici ?"),
        ("de", "Seit wann wohne ich hier?"),
        ("it", "Da quando abito qui?"),
        ("hi", "मैं कब गया था?"),
        ("hi", "main kab gaya tha?"),
        ("ar", "متى انتقلت؟"),
        ("id", "Kapan saya pindah?"),
        ("tr", "Ne zaman taşındım?"),
    ],
)
def test_who_asks_for_a_time(language: str, text: str) -> None:
    assert _asked(text, language).when


def test_names_stand_for_whom_they_name_and_are_not_looked_for() -> None:
    found = read(
        "When did Anne-Marie's dog bark at O'Neil?", language="en", today=_TODAY, names={"Anne-Marie": "contact", "Bot": "answers"}
    )

    assert found is not None
    assert found.side == "contact"
    assert found.words == "When did dog bark at O'Neil?"


def test_every_language_has_all_of_its_months_and_days_once() -> None:
    for language in languages():
        known = vocabulary(language)
        assert known is not None
        assert set(known.months.values()) == set(range(1, 13)), language
        assert set(known.weekdays.values()) == set(range(7)), language
        assert known.first.isdisjoint(known.second), language


@given(st.text(max_size=300), st.sampled_from([*languages(), "", "xx"]))
def test_any_text_can_be_read(text: str, language: str) -> None:
    found = _read(text, language)

    assert found is None or (found.since is None) == (found.until is None)
