"""Commands are whole messages, and what the service says itself comes in three languages."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.commands import Command, is_command, parse_command
from bots.domain import Memory
from bots.extract import commands

_WHEN = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
_LANGUAGES = ("en", "es", "pt")


def _a_memory(kind: str, text: str) -> Memory:
    return Memory(id=uuid4(), kind=kind, text=text, source_inbox_id=UUID(int=1), created_at=_WHEN)


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
        "/hélp",
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
        command = parse_command(candidate)
        assert command is None or commands.chosen(command, [_a_memory("likes", "tea")]) is not None


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/forget", ""),
        ("/forget all", ""),
        ("/forget TODO", ""),
        ("/forget 2", "Marta, tea ceremonies"),
        ("/forget tea", "Marta, tea ceremonies"),
        ("/forget cerem", "Marta, tea"),
        *((text, "Marta, tea, tea ceremonies") for text in ("/forget 0", "/forget 9", "/forget ²", "/forget coffee")),
    ],
)
def test_forget_means_a_number_a_word_or_everything(text: str, left: str) -> None:
    memories = [_a_memory("name", "Marta"), _a_memory("likes", "tea"), _a_memory("likes", "tea ceremonies")]
    command = parse_command(text)
    assert command is not None

    gone = {memory.id for memory in commands.chosen(command, memories)}

    assert left == ", ".join(memory.text for memory in memories if memory.id not in gone)


def test_memory_lists_what_forget_counts() -> None:
    text = commands.memory_text([_a_memory("name", "Marta"), _a_memory("place", "Porto")], "en")

    assert "1. your name is Marta\n2. you live in Porto" in text


def test_why_tells_the_memory_the_message_and_the_day() -> None:
    text = commands.why_text([("Marta", "name", "My name is\nMarta {x}", _WHEN)], "en")

    assert '1. your name is Marta - you wrote on 2026-11-24 09:30 UTC: "My name is Marta {x}"' in text


@pytest.mark.parametrize("language", [*_LANGUAGES, "pt-BR", "xx", ""])
def test_every_text_exists_in_every_language(language: str) -> None:
    memories = [
        _a_memory(kind, "{value}") for kind in ("name", "place", "language", "likes", "dislikes", "occupation", "family", "pet", "new")
    ]
    texts = [
        commands.help_text(language),
        commands.reset_text(language),
        commands.stopped_text(language),
        commands.started_text(language),
        commands.memory_text([], language),
        commands.memory_text(memories, language),
        *(commands.forgotten_text(count, language) for count in (0, 1, 2)),
        commands.why_text([], language),
        commands.why_text([("Marta", "name", "x" * 900, _WHEN)], language),
        *(commands.unsupported_text(kind, language) for kind in ("image", "audio", "poll")),
    ]

    assert all(text and len(text) < 4096 for text in texts)
    assert commands.memory_text(memories, language).count("{value}") == 9


def test_the_languages_say_it_differently() -> None:
    assert len({commands.unsupported_text("image", language) for language in _LANGUAGES}) == 3


@pytest.mark.parametrize(
    ("text", "code"), [("Spanish", "es"), ("español y catalán", "es"), ("Português", "pt"), ("Portuguese, English", "pt"), ("Dutch", "en")]
)
def test_the_language_follows_what_the_contact_told(text: str, code: str) -> None:
    assert code == commands.language_of([_a_memory("name", "Marta"), _a_memory("language", text)])


def test_where_no_language_is_known_the_default_is_spoken() -> None:
    assert commands.language_of([_a_memory("name", "Marta")], default="pt-BR") == "pt-BR"
    assert commands.help_text("pt-BR") == commands.help_text("pt")
    assert commands.language_of([_a_memory("language", "Spanish")], default="pt") == "es"
