"""A wish to forget hits exactly what it names: whole words, the exact value first, kinds and people by their names in every language."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from bots.commands import parse_command
from bots.domain import Memory
from bots.extract import commands

_WHEN = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def a_memory(kind: str, text: str) -> Memory:
    """A memory of a message."""
    return Memory(id=uuid4(), kind=kind, text=text, source_inbox_id=UUID(int=1), said_at=_WHEN, created_at=_WHEN)


_PERSON = [
    ("name", "Marta"),
    ("place", "Porto"),
    ("allergy", "peanuts"),
    ("condition", "type 1 diabetic"),
    ("family", "sister Anna"),
    ("family", "cousin Anna Maria"),
    ("family", "Tochter Amelie"),
    ("pet", "dog Biscuit"),
    ("pet", "Katze Mimi"),
    ("likes", "oat biscuits"),
    ("likes", "tea"),
    ("likes", "tea ceremonies"),
    ("likes", "Biscuits de Reims"),
]


def _gone(text: str) -> set[str]:
    memories = commands.in_order([a_memory(kind, value) for kind, value in _PERSON])
    command = parse_command(text)
    assert command is not None
    return {memory.text for memory in commands.chosen(command, memories)}


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("/forget Biscuit", {"dog Biscuit"}),
        ("/forget biscuit", {"dog Biscuit"}),
        ("/forget biscuits", {"oat biscuits", "Biscuits de Reims"}),
        ("/forget bisc", set[str]()),
        ("/forget tea", {"tea"}),
        ("/forget ceremonies", {"tea ceremonies"}),
        ("/forget Anna", {"sister Anna"}),
        ("/forget Anna Maria", {"cousin Anna Maria"}),
        ("/forget Maria", {"cousin Anna Maria"}),
        ("/forget Ann", set[str]()),
        ("/forget coffee", set[str]()),
        ("/forget 0", set[str]()),
        ("/forget 99", set[str]()),
        ("/forget ²", set[str]()),
        ("/forget 1", {"Marta"}),
        ("/forget 2", {"Porto"}),
        ("/forget name", {"Marta"}),
        ("/forget nombre", {"Marta"}),
        ("/forget my sister", {"sister Anna"}),
        ("/forget मेरा नाम", {"Marta"}),
        ("/forget Hund", {"dog Biscuit"}),
        ("/oublie ma fille", {"Tochter Amelie"}),
        ("/olvida la dirección", {"Porto"}),
        ("/forget health", {"peanuts", "type 1 diabetic"}),
        ("/forget all", {value for _, value in _PERSON}),
        ("/FORGET TODO", {value for _, value in _PERSON}),
        *(
            (f"/forget {word}", {value for _, value in _PERSON})
            for word in ("tout", "alles", "tudo", "tutto", "hepsi", "semua", "सब", "كل", "الكل")
        ),
        ("/forget", {value for _, value in _PERSON}),
        ("Forget my address", {"Porto"}),
        ("Forget my dog", {"dog Biscuit"}),
        ("forget my dog Biscuit", {"dog Biscuit"}),
        ("forget my dog Rex", set[str]()),
        ("vergiss meinen Hund", {"dog Biscuit"}),
        ("Vergiss meine Katze Mimi", {"Katze Mimi"}),
        ("Vergiss meine Katze nicht", set[str]()),
        ("köpeğimi unut", {"dog Biscuit"}),
        ("lupakan anjing saya", {"dog Biscuit"}),
        ("मेरे कुत्ते को भूल जाओ", {"dog Biscuit"}),
        ("انس كلبي", {"dog Biscuit"}),
        ("forget my sister Anna", {"sister Anna"}),
        ("forget my dog's name", {"dog Biscuit"}),
        ("olvida el nombre de mi perro", {"dog Biscuit"}),
        ("oublie le nom de mon chien", {"dog Biscuit"}),
        ("vergiss den Namen meiner Katze", {"Katze Mimi"}),
        ("forget my name tag", set[str]()),
        ("forget my dog's food", set[str]()),
        ("forget my family", {"sister Anna", "cousin Anna Maria", "Tochter Amelie"}),
        ("forget my allergy to peanuts", {"peanuts"}),
        ("forget my allergy to nuts", set[str]()),
        ("forget my health", {"peanuts", "type 1 diabetic"}),
        ("forget that I live in Porto", {"Porto"}),
        ("forget that I am allergic to peanuts", {"peanuts"}),
        ("olvida que vivo en Porto", {"Porto"}),
        ("vergiss, dass ich in Porto wohne", {"Porto"}),
        ("oublie que j'habite à Porto", {"Porto"}),
        ("forget that I live in Portofino", set[str]()),
        ("remove my name from the waiting list", set[str]()),
    ],
)
def test_a_wish_to_forget_means_exactly_what_it_names(text: str, gone: set[str]) -> None:
    assert _gone(text) == gone


def test_one_of_a_hundred_and_one_is_hit_alone() -> None:
    memories = [a_memory("likes", f"thing {n}") for n in range(101)]

    for n in (1, 10, 100):
        command = parse_command(f"/forget thing {n}")
        assert command is not None
        assert [memory.text for memory in commands.chosen(command, memories)] == [f"thing {n}"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Spanish", "es"),
        ("español y catalán", "es"),
        ("Português", "pt"),
        ("Portuguese, English", "pt"),
        ("français", "fr"),
        ("francese", "fr"),
        ("Deutsch", "de"),
        ("हिन्दी", "hi"),
        ("العربية", "ar"),
        ("Bahasa Indonesia", "id"),
        ("Türkçe", "tr"),
        ("italiano", "it"),
        ("Dutch", "en"),
    ],
)
def test_the_language_follows_what_the_contact_says_that_they_speak(text: str, code: str) -> None:
    assert commands.language_of([a_memory("name", "Marta"), a_memory("language", text)]) == code


def test_the_language_is_that_of_the_newest_words_that_show_one() -> None:
    speaks = [a_memory("language", "Spanish")]

    assert commands.language_of(speaks, said=["ok", "Wo ist die Bäckerei und wann macht sie auf?", "Where is the bakery?"]) == "de"
    assert commands.language_of(speaks, said=["ok"], default="pt") == "es"
    assert commands.language_of([], said=["ok"], default="pt-BR") == "pt-BR"
