"""Signs that are text, on a platform that would take them for a format.

WhatsApp formats what stands between two equal signs at the borders of words, within one line, and has no escape character.
What people copy is never changed to prevent that.
"""

from __future__ import annotations

import re

from bots.channels.markup.dialects import KEEP_APART, Dialect
from bots.channels.markup.marks import CODE_LINE, CODE_SPAN, without
from bots.channels.markup.verbatim import as_sign, is_hidden

_FENCE = re.compile(r"`{3,}")
_CODE_SPAN = re.compile(CODE_SPAN)
_SIGN = re.compile("[*_~`\ufdd0-\ufdd2]")


def keep_literal(text: str, dialect: Dialect) -> str:
    """Make sure that only the dialect's own formats format.

    Where a sign is text and could be taken for a format, formats of the same sign are left out of that line; a second one is kept apart
    from its word by an invisible character. Struck-out text always stays marked.
    """
    if not dialect.fence or not _SIGN.search(text):
        return text
    lines = text.split("\n")
    for place, line in enumerate(lines):
        if _SIGN.search(line) and not line.startswith(CODE_LINE) and line.strip() != dialect.fence:
            lines[place] = _literal(line, dialect)
    return "\n".join(lines)


def _literal(line: str, dialect: Dialect) -> str:
    for sign in (dialect.bold, dialect.italic, dialect.strike, dialect.code):
        opening, closing = _borders(line, sign)
        if not opening and not closing:
            continue
        if sign != dialect.strike:
            line = without(line, sign)
            opening, closing = _borders(line, sign)
        for place in reversed(opening):
            is_copied = is_hidden(line[place]) or (sign != dialect.strike and line[place + 1] in "0123456789#+")
            if not is_copied and (sign == dialect.strike or (closing and closing[-1] > place + 1)):
                line = line[: place + 1] + KEEP_APART + line[place + 1 :]
    return _FENCE.sub(lambda found: KEEP_APART.join(found[0]), line)


def _borders(line: str, sign: str) -> tuple[list[int], list[int]]:
    """Return where a sign that is text could begin a format, and where it could end one."""
    opening: list[int] = []
    closing: list[int] = []
    code = [found.span() for found in _CODE_SPAN.finditer(line)]
    for found in _SIGN.finditer(line):
        place = found.start()
        if as_sign(found[0]) != sign or any(start < place < end for start, end in code):
            continue
        before, after = line[place - 1] if place else " ", line[place + 1] if place + 1 < len(line) else " "
        if not before.isalnum() and not after.isspace() and as_sign(after) != sign:
            opening.append(place)
        if not before.isspace() and not after.isalnum() and as_sign(before) != sign:
            closing.append(place)
    return opening, closing
