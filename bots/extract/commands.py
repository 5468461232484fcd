"""All texts that the service itself sends, in the contact's language: what answers commands, and what is said in place of the model.

The texts are data in texts.toml. An unknown language is answered in English.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from bots.commands import Command
from bots.domain import Memory
from bots.extract.words import fold

_MAX_SOURCE_CHARACTERS = 200
_LANGUAGES = {"es": ("spanish", "espanol", "castellano", "castelhano", "espanhol"), "pt": ("portuguese", "portugues", "brazilian")}

#: A memory's text and kind, the message it came from, and when that was written.
WhyRow = tuple[str, str, str, datetime]


class Told(Protocol):
    """Anything with a kind of fact and the fact."""

    @property
    def kind(self) -> str:
        """The kind of fact."""
        ...

    @property
    def text(self) -> str:
        """The fact."""
        ...


def chosen(command: Command, memories: Sequence[Memory]) -> tuple[Memory, ...]:
    """The memories that a `/forget` means, out of those that `/memory` lists in this order; all of them without an argument."""
    if command.argument is None or command.is_everything:
        return tuple(memories)
    if command.number is not None:
        return tuple(memories[command.number - 1 : command.number]) if command.number else ()
    wanted = command.argument.casefold()
    exact = tuple(memory for memory in memories if memory.text.casefold() == wanted)
    return exact or tuple(memory for memory in memories if wanted in memory.text.casefold())


def language_of(memories: Sequence[Told], *, default: str = "en") -> str:
    """The language for these texts, from what the contact has said about their language; the default when nothing is known."""
    for memory in memories:
        if memory.kind == "language":
            first = fold(memory.text).split(" ")[0].rstrip(",")
            return next((code for code, names in _LANGUAGES.items() if first in names), "en")
    return default


def help_text(language: str = "en") -> str:
    """The list of commands."""
    return str(_texts(language)["help"]).strip()


def reset_text(language: str = "en") -> str:
    """A new conversation has begun."""
    return str(_texts(language)["reset"])


def stopped_text(language: str = "en") -> str:
    """The contact has opted out."""
    return str(_texts(language)["stopped"])


def started_text(language: str = "en") -> str:
    """The contact wants answers again."""
    return str(_texts(language)["started"])


def memory_text(memories: Sequence[Memory], language: str = "en") -> str:
    """What is remembered, numbered for `/forget`."""
    texts = _texts(language)
    if not memories:
        return str(texts["memory_none"])
    rows = [f"{number}. {_say(texts, memory.kind, memory.text)}" for number, memory in enumerate(memories, start=1)]
    return "\n".join([str(texts["memory"]), *rows, str(texts["memory_end"])])


def forgotten_text(count: int, language: str = "en") -> str:
    """How many memories were forgotten."""
    texts = _texts(language)
    if count == 0:
        return str(texts["forgotten_none"])
    return str(texts["forgotten_one"]) if count == 1 else str(texts["forgotten_many"]).format(count=count)


def why_text(rows: Sequence[WhyRow], language: str = "en") -> str:
    """Which memories were in the prompt of the last answer, each with the contact's own words it came from."""
    texts = _texts(language)
    if not rows:
        return str(texts["why_none"])
    lines = [
        f"{number}. "
        + str(texts["why_row"]).format(fact=_say(texts, kind, text), when=when.strftime("%Y-%m-%d %H:%M %Z").strip(), source=_short(source))
        for number, (text, kind, source, when) in enumerate(rows, start=1)
    ]
    return "\n".join([str(texts["why"]), *lines])


def picture_lost_text(language: str = "en") -> str:
    """One polite sentence for a picture that could not be opened."""
    return str(_texts(language)["picture_lost"])


def unsupported_text(content_type: str, language: str = "en") -> str:
    """One polite sentence for a kind of content that cannot be read yet."""
    texts = _texts(language)
    contents = cast("dict[str, str]", texts["contents"])
    return str(texts["unsupported"]).format(what=contents.get(content_type, contents["other"]))


def unopened_text(content_type: str, language: str = "en") -> str:
    """One polite sentence for a file whose words are answered, though it cannot be opened."""
    texts = _texts(language)
    contents = cast("dict[str, str]", texts["contents"])
    return str(texts["unopened"]).format(what=contents.get(content_type, contents["other"]))


def filtered_text(language: str = "en") -> str:
    """One polite sentence for words that the model server will not answer."""
    return str(_texts(language)["filtered"])


def budget_day_text(language: str = "en") -> str:
    """The contact has used up what one contact may cost in a day."""
    return str(_texts(language)["budget_day"])


def budget_month_text(language: str = "en") -> str:
    """The bot has spent what it may spend in a month."""
    return str(_texts(language)["budget_month"])


def _say(texts: dict[str, Any], kind: str, text: str) -> str:
    phrase = cast("dict[str, str]", texts["facts"]).get(kind)
    return phrase.replace("{}", text) if phrase else text


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_SOURCE_CHARACTERS else line[: _MAX_SOURCE_CHARACTERS - 1] + "…"


def _texts(language: str) -> dict[str, Any]:
    table = _table()
    return table.get(language[:2].lower(), table["en"])


@cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads((Path(__file__).parent / "texts.toml").read_text("utf-8"))
