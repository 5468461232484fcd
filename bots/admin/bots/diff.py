"""What changed between two wordings: by lines, and by words within a line that was reworded. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Literal

Kind = Literal["same", "ins", "del"]

_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
#: Comparing costs the product of the lengths; larger passages are shown as replaced.
_MOST_WORDS = 600


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text that is unchanged, added or removed."""

    kind: Kind
    text: str


def compare(old: str, new: str) -> list[Piece]:
    """Return the pieces of both wordings in order: "same" and "ins" make up the new one, "same" and "del" the old one."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    pieces: list[Piece] = []
    for tag, a, b, c, d in SequenceMatcher(None, before, after).get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", "".join(before[a:b])))
        else:
            pieces += _words("".join(before[a:b]), "".join(after[c:d]))
    return list(_joined(pieces))


def _words(old: str, new: str) -> Iterator[Piece]:
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    if max(len(before), len(after)) > _MOST_WORDS:
        yield from _both(before, after)
        return
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            yield Piece("same", "".join(before[a:b]))
        else:
            yield from _both(before[a:b], after[c:d])


def _both(old: Sequence[str], new: Sequence[str]) -> Iterator[Piece]:
    if old:
        yield Piece("del", "".join(old))
    if new:
        yield Piece("ins", "".join(new))


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    for kind, run in groupby(pieces, key=_kind):
        yield Piece(kind, "".join(piece.text for piece in run))


def _kind(piece: Piece) -> Kind:
    return piece.kind
