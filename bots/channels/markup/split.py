"""Splits long texts: at a paragraph, else a line, a sentence or a word; never inside a grapheme, and never leaving a format open.

Bounded: for each part, at most the limit's number of characters is read.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from bots.channels.markup.marks import CLOSING, CODE_LINE, beside_marks, has_marks, open_at_end, without

_FENCE = "```"
_OPEN, _CLOSE = _FENCE + "\n", "\n" + _FENCE
_SMALLEST_LIMIT = 32
#: A grapheme longer than this (a letter with very many combining marks) is cut nevertheless.
_LONGEST_GRAPHEME = 64
#: For the marks that close what a cut leaves open.
_ROOM_FOR_MARKS = 6
_SENTENCE = re.compile(rf"[.!?…。！？](?:['\"»”’)\]]|{CLOSING})*(?=\s)|[。！？]")
_FENCE_NEXT = re.compile(rf"\s*{CODE_LINE}?{_FENCE}")
_BEFORE_TEXT = re.compile(r"(?:[ \t]*\n)+|\s+")
_SPACE = re.compile(r"\s")
_JOINER = "\u200d"


def split(text: str, limit: int, *, fences: bool = True) -> tuple[str, ...]:
    """Cut a text into parts of at most `limit` characters, each with its formats closed; `fences`: three backticks mean a block of code."""
    return _split(text, limit, _characters, fences=fences)


def split_bytes(text: str, limit: int, *, fences: bool = True) -> tuple[str, ...]:
    """Cut a text into parts of at most `limit` bytes of UTF-8, each with its formats closed."""
    return _split(text, limit, _bytes, fences=fences)


def _split(text: str, limit: int, fitting: Callable[[str, int], int], *, fences: bool) -> tuple[str, ...]:
    if limit < _SMALLEST_LIMIT:
        raise ValueError(f"a part needs room for at least {_SMALLEST_LIMIT} characters")
    rest = text.strip()
    if len(rest) <= fitting(rest, limit):
        # Also where something is open: what somebody typed goes out as typed.
        return (rest,) if rest else ()
    reserved = _ROOM_FOR_MARKS if has_marks(rest) else 0
    parts: list[str] = []
    prefix = ""
    while rest:
        room = fitting(rest, limit - len(prefix))
        if len(rest) <= room and not (fences and _is_open(prefix + rest)):
            parts.append(prefix + rest)
            break
        to_close = max(reserved, len(_CLOSE) if fences and _FENCE in prefix + rest[:limit] else 0)
        if to_close:
            room = fitting(rest, limit - len(prefix) - to_close)
        cut = len(rest) if len(rest) <= room else beside_marks(rest, _cut(rest, room, prefix if fences else None))
        body, rest = rest[:cut].rstrip(), rest[cut:]
        goes_on = fences and _is_open(prefix + body)
        closing, opening = ("", "") if goes_on else open_at_end(prefix + body)
        if without(body).strip():
            parts.append(prefix + body + (_CLOSE if goes_on else closing))
        if goes_on and (ended := _FENCE_NEXT.match(rest)):
            # The block ends right here, and our closing mark has closed it.
            goes_on, rest = False, rest[ended.end() :]
        prefix = _OPEN if goes_on else opening
        rest = rest.lstrip("\n") if goes_on else _BEFORE_TEXT.sub("", rest, count=1) if rest[:1].isspace() else rest
    return tuple(parts)


def _characters(_: str, limit: int) -> int:
    return limit


def _bytes(text: str, limit: int) -> int:
    """How many of a text's first characters fit into `limit` bytes; `limit` where all of them do."""
    used = 0
    for count, sign in enumerate(text[:limit]):
        used += 1 if sign < "\x80" else 2 if sign < "\u0800" else 3 if sign < "\U00010000" else 4
        if used > limit:
            return count
    return limit


def _is_open(text: str) -> bool:
    return text.count(_FENCE) % 2 == 1


def _cut(text: str, room: int, prefix: str | None) -> int:
    """Return where to cut a text that is longer than the room, at the most natural border; without a prefix, there are no code blocks."""
    window = text[: room + 1]
    least = room // 4
    for border in ("\n\n", "\n"):
        cut = _outside(window, border, least, room, prefix)
        if cut:
            return cut
    cut = window.rfind("\n", least, room + 1)
    if cut > 0 and prefix is not None and _is_open(prefix + window[:cut]):
        return cut
    sentences = [found.end() for found in _SENTENCE.finditer(window, least) if found.end() <= room]
    if sentences:
        return sentences[-1]
    words = [found.start() for found in _SPACE.finditer(window, 1)]
    if words:
        return words[-1]
    return _grapheme_border(text, room)


def _outside(window: str, border: str, least: int, room: int, prefix: str | None) -> int:
    """Return the last such border outside of a code block, or 0."""
    end = room + len(border)
    for _ in range(8):
        cut = window.rfind(border, least, end)
        if cut <= 0:
            return 0
        if prefix is None or not _is_open(prefix + window[:cut]):
            return cut
        # Inside a block: continue before the block's beginning.
        end = window.rfind(_FENCE, 0, cut)
    return 0


def _grapheme_border(text: str, room: int) -> int:
    for cut in range(room, max(room - _LONGEST_GRAPHEME, 0), -1):
        if not _is_joined(text, cut):
            return cut
    return room


def _is_joined(text: str, cut: int) -> bool:
    """Whether the characters before and after a position belong to one grapheme, or to one code mark."""
    before, after = text[cut - 1], text[cut]
    if before == "`" == after or (before == "\r" and after == "\n"):
        return True
    if _JOINER in (before, after) or unicodedata.category(after)[0] == "M":
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True
    if "\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff":
        return True
    if _is_flag(before) and _is_flag(after):
        start = cut
        while start > max(0, cut - _LONGEST_GRAPHEME) and _is_flag(text[start - 1]):
            start -= 1
        return (cut - start) % 2 == 1
    return _is_hangul(before) and "\u1160" <= after <= "\u11ff"


def _is_flag(sign: str) -> bool:
    return "\U0001f1e6" <= sign <= "\U0001f1ff"


def _is_hangul(sign: str) -> bool:
    return "\u1100" <= sign <= "\u11ff" or "\uac00" <= sign <= "\ud7a3"
