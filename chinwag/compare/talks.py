"""The conversations to compare on: lines in the formats of batch files, with the same checks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bots.batch_lines import BadLine, Line, LineReader
from inference.prompt_style import neutralise
from inference.types import Message

_LINE_BYTES = 4 * 1024 * 1024
_PIECE = 256 * 1024
#: Enough to fix a file; more would scroll the first ones away.
_MOST_TOLD = 5


class BadTalks(ValueError):
    """A file of conversations is invalid; the message says why, by line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn to ask: what a person said, with what was said before."""

    talk: str
    #: Which turn of the conversation, from 1.
    number: int
    messages: tuple[Message, ...]
    #: The answer at that time; None when the file has none.
    recorded: str | None

    @property
    def asked(self) -> str:
        """What the person said in this turn."""
        return self.messages[-1].content


def read(file: Path, *, persona: str = "") -> list[Turn]:
    """Return the turns of a file's conversations, in order. Raises BadTalks, OSError.

    persona is put before conversations without a system text of their own.
    """
    reader = LineReader(line_bytes=_LINE_BYTES)
    found: list[Turn] = []
    bad: list[str] = []
    for line in _lines(file, reader):
        if isinstance(line, BadLine):
            bad.append(f"line {line.n}: {line.reason}" if line.n else line.reason)
            continue
        turns = list(_turns(line, persona))
        if not turns:
            bad.append(f"line {line.n}: it has no message with the role user")
        found += turns
    if bad:
        more = f"; and {len(bad) - _MOST_TOLD} more" if len(bad) > _MOST_TOLD else ""
        raise BadTalks(f"{file}: {'; '.join(bad[:_MOST_TOLD])}{more}")
    return found


def _lines(file: Path, reader: LineReader) -> Iterator[Line | BadLine]:
    with file.open("rb") as source:
        while piece := source.read(_PIECE):
            yield from reader.feed(piece)
    yield from reader.end()


def _turns(line: Line, persona: str) -> Iterator[Turn]:
    request: dict[str, Any] = json.loads(line.request)
    said: Sequence[dict[str, str]] = request.get("messages") or [{"role": "user", "content": request.get("text", "")}]
    before: list[Message] = []
    if persona and said[0]["role"] != "system":
        before.append(Message(role="system", content=persona))
    number = 0
    for place, one in enumerate(said):
        message = Message(role=one["role"], content=neutralise(one["content"]))  # pyright: ignore[reportArgumentType] - checked by the reader
        before.append(message)
        if message.role != "user":
            continue
        number += 1
        after = said[place + 1] if place + 1 < len(said) else None
        recorded = after["content"] if after is not None and after["role"] == "assistant" else None
        if after is None or after["role"] != "user":
            yield Turn(talk=line.custom_id, number=number, messages=tuple(before), recorded=recorded)
