"""What a message says in a prompt: its words, and before them what it refers to and what came with it. Pure.

What others wrote stands in JSON strings: it is data, and cannot end its brackets. Later turns tell a message in the same form, by said() in
bots/storage/sql/words.sql where messages were changed or taken back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from bots.storage.claims import ClaimedMessage, Reference

#: Content that the model cannot open, by the platforms' names, when it comes with words.
UNOPENED = frozenset({"document", "video", "audio", "voice", "file", "reel", "ig_reel"})
#: A message without words that needs an answer all the same, such as the button that opens a chat.
_NO_WORDS = "(sent without words)"
#: In characters: what others wrote must leave room for the person's own words.
_LONGEST_REFERENCE, _LONGEST_REFERENCES = 500, 4000
_MORE = "(and more, which is not shown)"


def is_unopened(message: ClaimedMessage) -> bool:
    """Whether a message has words, and beside them something that cannot be opened."""
    return message.content_type in UNOPENED and not message.media and bool((message.text or "").strip())


def words(message: ClaimedMessage, marks: Sequence[str] = ()) -> str:
    """A message as the prompt repeats it, with a mark for each of its pictures."""
    lines = [] if message.quoted is None else [f"(in reply to: {_string(message.quoted)})"]
    lines += _references(message.refers or [])
    lines += marks
    if is_unopened(message):
        lines.append(f"(attached, but you cannot open it and need not mention it: {message.content_type})")
    if (message.text or "").strip():
        lines.append(message.text or "")
    elif not marks:
        lines.append(_NO_WORDS)
    return "\n".join(lines)


def _references(refers: Sequence[Reference]) -> Iterator[str]:
    left = _LONGEST_REFERENCES
    for one in refers:
        line = f"(refers to {_string(one.name)}: {_string(_cut(one.text))})"
        left -= len(line)
        if left < 0:
            yield _MORE
            return
        yield line


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_REFERENCE else text[: _LONGEST_REFERENCE - 1] + "…"


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
