"""Signs that are text, on a platform that would take them for a format.

WhatsApp formats what stands between two equal signs at the borders of words, within one line, and has no escape character.
What people copy is never changed to prevent that.
"""

from __future__ import annotations

import re
from itertools import pairwise

from bots.channels.markup.dialects import KEEP_APART, Dialect
from bots.channels.markup.marks import CODE_LINE, CODE_SPAN, without
from bots.channels.markup.verbatim import as_sign, is_hidden

_FENCE = re.compile(r"`{3,}")
_CODE_SPAN = re.compile(CODE_SPAN)
_SIGN = re.compile("[*_~`\ufdd0-\ufdd2]")
_RUN = re.compile("[*\ufdd0]+|[_\ufdd1]+|[~\ufdd2]+|`+")
#: How much of a word is looked at, on each side.
_WORD = 60
_COPIED = re.compile(r"[\d/\\@=#+&{}$^<>|\ufdd0-\ufdd6]|[.:(\[]\w")


def keep_literal(text: str, dialect: Dialect) -> str:
    """Make sure that only the dialect's own formats format.

    Where a sign is text and could be taken for a format, formats of the same sign are left out of that line; a second one is kept apart
    from its word by an invisible character. Struck-out text always stays marked.
    """
    if not dialect.fence or not _SIGN.search(text):
        return text
    lines = text.split("\n")
    for place, line in enumerate(lines):
        if _SIGN.search(line) and not line.startswith(CODE_LINE):
            lines[place] = _literal(line, dialect)
    return "\n".join(lines)


def _literal(line: str, dialect: Dialect) -> str:
    for sign in (dialect.code, dialect.bold, dialect.italic, dialect.strike):
        opening, closing = _borders(line, sign)
        if not opening and not closing:
            continue
        strikes = sign == dialect.strike and without(line, sign) != line
        if not strikes:
            line = without(line, sign)
            opening, closing = _borders(line, sign)
        last = len(line) if strikes else closing[-1] if closing else 0
        apart = [place for place in opening if place < last and not is_hidden(line[place - 1]) and (strikes or not _is_copied(line, place))]
        line = KEEP_APART.join(line[start:end] for start, end in pairwise((0, *apart, len(line))))
    return _FENCE.sub(lambda found: KEEP_APART.join(found[0]), line)


def _borders(line: str, sign: str) -> tuple[list[int], list[int]]:
    """Return where signs that are text could begin a format: the place after them; and where they could end one: their own place."""
    opening: list[int] = []
    closing: list[int] = []
    line = _CODE_SPAN.sub(lambda found: "." * len(found[0]), line)
    for found in _RUN.finditer(line):
        if as_sign(found[0][0]) != sign:
            continue
        start, end = found.span()
        before, after = line[start - 1] if start else " ", line[end] if end < len(line) else " "
        if not before.isalnum() and not after.isspace():
            opening.append(end)
        if not before.isspace() and not after.isalnum():
            closing.append(start)
    return opening, closing


def _is_copied(line: str, place: int) -> bool:
    """Whether a sign is in something that people may copy: a name of a file, a formula, a number."""
    before, after = line[max(0, place - _WORD) : place].split(), line[place : place + _WORD].split()
    return _COPIED.search(before[-1] + after[0]) is not None
