"""A command is a whole message: with a slash in any of the languages, or a wish to stop in plain words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.commands import Command, is_command, keeps_out, objection, parse_command
from bots.phrases.book import Named


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/help", Command(name="help")),
        ("  /HELP  ", Command(name="help")),
        ("/Reset\n", Command(name="reset")),
        ("/stop", Command(name="stop")),
        ("/start ", Command(name="start")),
        ("/memory", Command(name="memory")),
        ("/why", Command(name="why")),
        ("/forget", Command(name="forget")),
        ("/forget all", Command(name="forget", argument="all")),
        ("/FORGET  2", Command(name="forget", argument="2")),
        ("/forget detective novels ", Command(name="forget", argument="detective novels")),
    ],
)
def test_a_command_is_the_whole_message(text: str, command: Command) -> None:
    assert command == parse_command(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "help",
        "/helpme",
        "/ help",
        "please /help",
        "/help me",
        "/unknown",
        "//help",
        "/help /stop",
        "/memory\n/stop",
        "/forget\n\nall\nx",
        "/forget " + "x" * 400,
        "/héllo",
        "/olvidar-todo",
    ],
)
def test_anything_else_is_a_message(text: str) -> None:
    assert None is parse_command(text)


#: Nothing but a wish to stop, in every language that the service speaks.
_WISHES = [
    "STOP",
    "Stop",
    "stop.",
    "Stop!!",
    "stop stop stop",
    "Please stop",
    "stop, thanks",
    "unsubscribe",
    "Unsubscribe me, please",
    "opt-out",
    "Don't message me again",
    "Don’t text me",
    "Stop sending me messages",
    "Stop promotions",
    "Stop all messages",
    "STOP TEXTING",
    "Don’t message me anymore!",
    "un-subscribe",
    "No me escribáis más",
    "Parem de me escrever",
    "Baja",
    "BAJA POR FAVOR",
    "Hola, quiero darme de baja. Gracias",
    "Quiero darme de baja ya",
    "Cancelar suscripción",
    "No más mensajes",
    "Deja de escribirme",
    "Take me off your list!",
    "Parar",
    "PARE!",
    "Sair",
    "Descadastrar",
    "Cancelar inscrição",
    "Não quero mais mensagens",
    "/stop please",
    "/stop it",
    "/stop sending me messages",
    "/stop por favor",
    "/stop, obrigado",
    "/stop\nthanks for everything",
    "please /stop",
    "/ stop",
    "/baja",
    "Abmelden, bitte",
    "Je ne veux plus recevoir de messages",
    "Non scrivermi più",
    "Jangan kirim saya pesan lagi",
    "Mesaj istemiyorum",
    "मुझे मैसेज मत भेजो",
    "لا أريد رسائل",
    "/arrête",
]
#: They hold a word to stop, or could be an answer or a question.
_NO_WISHES = [
    "Stop 12 is where I wait for the bus",
    "stop it",
    "The bus stop",
    "non-stop",
    "Stop by tomorrow",
    "Stop smoking",
    "How do I stop?",
    "Stop?",
    "¿Baja?",
    "para",
    "Para, por favor",
    "no",
    "No, gracias",
    "cancel",
    "Cancelar",
    "end",
    "quit",
    "salir",
    "parada",
    "de baja",
    "Quiero la baja",
    "Quítame de la lista",
    "Baja el volumen",
    "Ya baja",
    "Ok, ya baja, gracias",
    "Baja ahora",
    "Sair agora",
    "Me di de baja ayer",
    "cancelar mi suscripción al gimnasio",
    "Parar o tratamento",
    "Sair de casa",
    "Pare na esquina",
    "thanks",
    "/stop-motion",
    "/stops",
    "/stop what does it do?",
    "/stop /start",
    "/stop " + "word " * 7,
    "stop " * 30,
    "Basta",
    "Halt",
    "I want you to stop",
    "Melde mich morgen",
    "توقف",
]


@pytest.mark.parametrize("text", _WISHES)
def test_a_message_that_is_nothing_but_a_wish_to_stop_stops(text: str) -> None:
    assert parse_command(text) == Command(name="stop")
    assert is_command(text), "it is answered at once"


@pytest.mark.parametrize("text", _NO_WISHES)
def test_a_sentence_that_merely_holds_the_word_does_not_stop(text: str) -> None:
    assert parse_command(text) is None
    assert not is_command(text)


_UNSEEN = ["\u200b", "\u200e", "\u200f", "\u2060", "\ufeff", "\u00ad", "\u202a", "\ufe0f"]
_AROUND = [
    "",
    " ",
    "\u00a0",
    "\u3000",
    "\n",
    ".",
    "!",
    "…",
    "。",
    "！",
    '"',
    "“",
    "”",
    "«",
    "»",
    "'",
    "`",
    "*",
    "_",
    "~",
    "(",
    ")",
    "🙏",
    "🛑 ",
    "❤️",
]


@given(
    st.sampled_from(["/stop", "/STOP", "／stop", "／ＳＴＯＰ", "STOP", "Baja", "Parar", "sair"]),
    st.lists(st.sampled_from(_AROUND + _UNSEEN), max_size=3),
    st.lists(st.sampled_from(_AROUND + _UNSEEN), max_size=3),
    st.sampled_from(["", *_UNSEEN]),
)
def test_what_stands_around_a_wish_or_is_unseen_in_it_changes_nothing(wish: str, before: list[str], after: list[str], unseen: str) -> None:
    text = "".join(before) + wish[:2] + unseen + wish[2:] + "".join(after)

    assert parse_command(text) == Command(name="stop")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/help!", Command(name="help")),
        ("/memory please", Command(name="memory")),
        ("\u200b/reset.", Command(name="reset")),
        ("“/why”", Command(name="why")),
        ("／forget\u00a02", Command(name="forget", argument="2")),
        ("/forget 2.", Command(name="forget", argument="2")),
        ('/forget "St. Ives"', Command(name="forget", argument="St. Ives")),
        ("/forget C++", Command(name="forget", argument="C++")),
        ("/forget all!", Command(name="forget", argument="all")),
        ("/start, por favor", Command(name="start")),
        ("/hélp", Command(name="help")),
        ("/oublie tout", Command(name="forget", argument="tout")),
        ("/Mémoire !", Command(name="memory")),
        ("/memoire", Command(name="memory")),
        ("/vergiss, bitte", Command(name="forget", argument="bitte")),
        ("/gedaechtnis bitte", Command(name="memory")),
        ("/unut 3", Command(name="forget", argument="3")),
        ("/भूलो सब", Command(name="forget", argument="सब")),
        ("/انسَ الكل", Command(name="forget", argument="الكل")),
        ("/memory off", Command(name="memory_off")),
        ("/memória ligar", Command(name="memory_on")),
        ("/gedächtnis aus", Command(name="memory_off")),
        ("/forget nombre", Command(name="forget", argument="nombre", kinds=(Named("name", "es"),))),
    ],
)
def test_every_command_is_read_with_the_same_patience(text: str, command: Command) -> None:
    assert parse_command(text) == command


@pytest.mark.parametrize("text", ["START", "Start please", "unstop", "Alta", "Começar", "/start"])
def test_plain_words_to_start_count_only_for_a_person_who_stopped(text: str) -> None:
    assert parse_command(text, stopped=True) == Command(name="start")
    assert (parse_command(text) is None) == (not text.startswith("/"))


@pytest.mark.parametrize("text", ["Hello again", "alta o baja", "start the engine", "Start?"])
def test_other_words_of_a_person_who_stopped_start_nothing(text: str) -> None:
    assert parse_command(text, stopped=True) is None


@given(st.text())
def test_any_text_is_a_command_or_none(text: str) -> None:
    for candidate in (text, "/" + text, "/forget " + text):
        assert parse_command(candidate) is None or is_command(candidate)
        assert objection(candidate) is None or not is_command(candidate)
        assert keeps_out(candidate) in (True, False)
