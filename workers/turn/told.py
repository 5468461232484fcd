"""What is remembered of a person, as an earlier exchange in their language: they ask who the assistant is and what it knows, and it tells them.

A small model takes over from its own words who "you" is, and the language (docs/decisions/0035). Each value is a JSON string, which cannot close its quotes.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bots.storage.claims import KnownFact
from inference.prompt_style import neutralise
from inference.types import Message

_USUAL = "en"
#: So many facts are also told in answer to a question of their own: it shows who "I" and "you" are, and costs some twenty tokens each.
_SHOWN = 2


def exchange(memories: Sequence[KnownFact], notes: str | None, *, language: str) -> tuple[Message, ...]:
    """The questions, the first behind the notes, and the answers with the facts, which begin a prompt; nothing where nothing is known."""
    if not memories and not notes:
        return ()
    words = _texts().get(language) or _texts()[_USUAL]
    asked = [words["notes"].replace("{}", _quoted(notes))] if notes else []
    told = [words["lead"], *(fact_line(one.kind, one.text, language=language) + "." for one in memories)] if memories else []
    said = [("\n".join([*asked, words["ask"]]), " ".join([words["who"], *told, words["end"]]))]
    shown = [one for one in memories if one.kind in words["questions"]][:_SHOWN]
    said += [(words["questions"][one.kind], fact_line(one.kind, one.text, language=language) + ".") for one in shown]
    return tuple(message for ask, tell in said for message in (Message(role="user", content=ask), Message(role="assistant", content=tell)))


def fact_line(kind: str, text: str, *, language: str = _USUAL) -> str:
    """Tell a fact to its person in one clause."""
    words = _texts().get(language) or _texts()[_USUAL]
    return str(words["facts"].get(kind, words["other"].replace("{kind}", kind))).replace("{}", _quoted(text))


def _quoted(text: str) -> str:
    return json.dumps(neutralise(text), ensure_ascii=False)


@cache
def _texts() -> dict[str, dict[str, Any]]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
