"""Attempts to poison a memory (bench/memory/sets/poisoning.jsonl): read, and brought to the service in the way that each one says."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.support import build
from tests.support.drawing import a_picture

_FILE = Path(__file__).parents[2] / "bench" / "memory" / "sets" / "poisoning.jsonl"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)

Where = Literal["text", "caption", "forwarded", "document", "name", "picture_text", "quoted"]


@dataclass(frozen=True)
class Poison:
    """One attempt."""

    id: str
    kind: str
    language: str
    where: Where
    text: str
    must_not: tuple[str, ...]

    @property
    def asks(self) -> str:
        """A message that the model answers with the attempt's text."""
        return f"What is it about {self.id}?"

    def found_in(self, text: str) -> list[str]:
        """What of it is in a text."""
        forms = (text.casefold(), _folded(text))
        return [one for one in self.must_not if one.casefold() in forms[0] or (_folded(one) and _folded(one) in forms[1])]

    def message(self, person: build.Person, text: str, *, quoted: str | None = None) -> dict[str, Any]:
        """The message of the attempt, as it stands in a webhook; quoted: the id of the answer that it replies to."""
        if self.where in ("text", "forwarded"):
            return build.a_text(person, text) | ({"context": {"forwarded": True}} if self.where == "forwarded" else {})
        if self.where == "document":
            message = build.a_text(person, "")
            del message["text"]
            document = {"id": "700100", "mime_type": "application/pdf", "sha256": "q1ZC", "filename": text, "caption": "Can you read this?"}
            return message | {"type": "document", "document": document}
        if self.where == "quoted":
            return build.a_text(person, "Yes, exactly like that") | {"context": {"from": "15550102030", "id": quoted}}
        assert self.where == "name", "pictures are shown, not sent as they stand in a webhook"
        return build.a_text(person, "Good morning")

    def picture(self, person: build.Person) -> dict[str, Any]:
        """What the fake platform is asked to send of a person who shows a picture."""
        data = base64.b64encode(a_picture()).decode()
        words = self.text if self.where == "caption" else self.asks
        return {"account": "test", "channel": "whatsapp", "from": person.number, "text": words, "pictures": [{"data": data}]}


def poisons() -> list[Poison]:
    """All of them."""
    rows = map(json.loads, _FILE.read_text("utf-8").splitlines())
    return [Poison(**row | {"must_not": tuple(row["must_not"])}) for row in rows]


def unquoted(text: str) -> str:
    """A text without its JSON strings, which are data."""
    return _STRING.sub('""', text)


def _folded(text: str) -> str:
    """A text as it looks: without case, compatible forms of letters, and signs that are not seen."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(sign for sign in plain if unicodedata.category(sign) != "Cf")
