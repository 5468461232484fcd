"""Shortens what is too long for a prompt: beginning and end stay, the middle is left out and says so. The question often stands last, the order first."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

#: A message that has to be shortened keeps at least so many characters, else the messages are shortened as one text.
_LEAST_SHARE = 300
#: How far from the middle a line or a word may end so that the text is cut there.
_LINE_WITHIN, _WORD_WITHIN = 300, 60
_NOTICE = "[... {} characters left out ...]"
#: More than a notice of any text and its two line breaks.
_NOTICE_ROOM = 48


def joined(texts: Sequence[str], room: int) -> str:
    """Join messages line by line in at most so many characters. Short ones stay whole, long ones share the rest; the order stays."""
    whole = "\n".join(texts)
    if len(whole) <= room:
        return whole
    share = _share([len(text) for text in texts], room - len(texts) + 1)
    if share < _LEAST_SHARE:
        return without_middle(whole, room)
    return "\n".join(without_middle(text, share) for text in texts)


def without_middle(text: str, room: int) -> str:
    """Return a text of at most so many characters: where it is longer, its first and last ones around a notice."""
    if len(text) <= room:
        return text
    half = max(0, room - _NOTICE_ROOM) // 2
    head, tail = _head_end(text, half), _tail_begin(text, len(text) - half)
    notice = _NOTICE.format(f"{tail - head:,}")
    return f"{text[:head].rstrip()}\n{notice}\n{text[tail:].lstrip()}".strip()


def _share(lengths: Sequence[int], room: int) -> int:
    """How long each text may be so that all fit, when shorter ones leave the longer ones what they do not need."""
    waiting = len(lengths)
    for length in sorted(lengths):
        if length * waiting > room:
            break
        room, waiting = room - length, waiting - 1
    return room // max(1, waiting)


def _head_end(text: str, at: int) -> int:
    """Where the beginning ends: with a line or a word if one ends nearby."""
    for border, within in (("\n", _LINE_WITHIN), (" ", _WORD_WITHIN)):
        found = text.rfind(border, max(0, at - min(within, at // 2)), at + 1)
        if found > 0:
            return found
    while 0 < at < len(text) and _continues(text[at]):
        at -= 1
    return at


def _tail_begin(text: str, at: int) -> int:
    """Where the end begins: with a line or a word if one begins nearby."""
    left = len(text) - at
    for border, within in (("\n", _LINE_WITHIN), (" ", _WORD_WITHIN)):
        found = text.find(border, max(0, at - 1), at + min(within, left // 2))
        if found >= 0:
            return found + 1
    while at < len(text) and _continues(text[at]):
        at += 1
    return at


def _continues(sign: str) -> bool:
    """Whether a character belongs to the one before it."""
    return unicodedata.category(sign) in {"Mn", "Mc", "Me", "Cf"} or "\U0001f3fb" <= sign <= "\U0001f3ff"
