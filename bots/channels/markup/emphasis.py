"""Which signs are emphasis: CommonMark's rules but for those in docs/decisions/0022.

Signs inside a word are text; a format may end after punctuation in front of a letter; scripts without spaces have no word borders.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Literal

from markdown_it.rules_inline.state_inline import Delimiter, StateInline

_Kind = Literal["space", "punctuation", "letter", "digit", "unspaced"]
_CLOSING = frozenset(".,;:!?…·%、。，．；：！？")
_ENDS = frozenset(".:!?…")
#: Punctuation inside of paths, names and formulas.
_JOINING = frozenset("/\\.-=&#@+%?$^:")
_SPACED_ENDS = frozenset(":：.!?,;")
_MARKS = frozenset(_CLOSING | set("%€$£¥"))
_MARKERS = "*_~"
_FACE = 3
_EYES = frozenset("^<>-=;~")
#: How many signs are looked back at.
_FEW = 64


def tokenize(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - markdown-it calls it
    """Read a run of signs as one that may begin or end a format."""
    sign = state.src[state.pos]
    if silent or sign not in _MARKERS:
        return False
    start, end = state.pos, state.pos
    while end < state.posMax and state.src[end] == sign:
        end += 1
    length, width = end - start, 2 if sign == "~" else 1
    if length < width:
        return False
    if length % width:
        state.push("text", "", 0).content = sign
    run = _Run(state.src, start, end)
    opens, closes, meta = run.opens, run.closes, {"run": run}
    if closes and run.may_be_rating and not _has_single(state.delimiters):
        closes = False
    for _ in range(length // width):
        token = state.push("text", "", 0)
        token.content, token.meta = sign * width, meta
        state.delimiters.append(
            Delimiter(
                marker=ord(sign),
                # Without a length, the rule about multiples of three does not apply.
                length=length if width == 1 else 0,
                token=len(state.tokens) - 1,
                end=-1,
                open=opens,
                close=closes,
            )
        )
    state.pos = end
    return True


def _has_single(delimiters: list[Delimiter]) -> bool:
    """Whether a single sign is open: `5*` ends only what such a one began, so that `**5* hotel**` is bold."""
    return any(one.marker == ord("*") and one.length != len("**") and one.open for one in delimiters[-_FEW:])


def part_pairs(state: StateInline) -> None:
    """Undo the pairs that are inside a word on both sides, and pair `**Total: **` where its end found no beginning."""
    for delimiters in (state.delimiters, *(meta["delimiters"] for meta in state.tokens_meta if meta and "delimiters" in meta)):
        for opener in delimiters:
            if opener.end < 0:
                continue
            first, last = _run_of(state, opener), _run_of(state, delimiters[opener.end])
            if _is_inside_word(first, last) or _is_face(first, last):
                opener.end = -1
        _pair_spaced(state, delimiters)


def _run_of(state: StateInline, delimiter: Delimiter) -> _Run:
    return state.tokens[delimiter.token].meta["run"]


def _is_inside_word(first: _Run, last: _Run) -> bool:
    return first.is_joined_before and last.is_joined_after and not _is_part_of_a_word(first, last)


def _is_face(first: _Run, last: _Run) -> bool:
    """Whether single signs are around nothing but punctuation, as in `*-*` and `*.*`."""
    inside = first.text[first.end : last.start]
    return first.is_single and last.is_single and len(inside) <= _FACE and all(unicodedata.category(sign)[0] == "P" for sign in inside)


def _is_part_of_a_word(first: _Run, last: _Run) -> bool:
    """Whether two or more signs each are around a part of a word, as in `un**believ**able`, and not between the letters of a formula."""
    if first.end - first.start < len("**") or last.end - last.start < len("**"):
        return False
    text = first.text
    before, inside, after = text[max(0, first.start - 2) : first.start], text[first.end : last.start], text[last.end : last.end + 2]
    return all(piece[0].isalpha() and piece[-1].isalpha() for piece in (before[-1:], inside, after[:1])) and any(
        len(piece) > 1 and piece.isalpha() for piece in (before, inside, after)
    )


def _pair_spaced(state: StateInline, delimiters: list[Delimiter]) -> None:
    paired = {opener.end for opener in delimiters}
    waiting = -1
    place = 0
    while place + 1 < len(delimiters):
        one = delimiters[place]
        if one.end >= 0 or place in paired or one.marker != ord("*") or one.length != len("**"):
            waiting = -1
            place += 1
            continue
        run = _run_of(state, one)
        if waiting >= 0 and run.is_spaced:
            delimiters[waiting].end, delimiters[waiting + 1].end = place + 1, place
            waiting = -1
        elif one.open and not run.is_joined_before:
            waiting = place
        place += 2


class _Run:
    """A run of one sign, with what is before and after it."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.text, self.start, self.end = text, start, end
        self._sign, self.is_single = text[start], end - start == 1
        self._before = text[start - 1] if start else " "
        self._after = text[end] if end < len(text) else " "
        self._further = text[end + 1] if end + 1 < len(text) else " "
        self._earlier = text[start - 2] if start > 1 else " "
        self._left, self._right = _kind(self._before), _kind(self._after)

    @property
    def opens(self) -> bool:
        """Whether a format can begin here."""
        if self._right == "space" or self._is_between_digits() or self._is_pattern() or self._is_single_star_beside(left=True):
            return False
        if self._is_in_face() or (self.is_single and self._before in ")]}" and self._right == "digit"):
            return False
        if self._sign == "_":
            return self._left == "space" or (self._left == "punctuation" and self._before not in _JOINING)
        return (
            self._right != "punctuation"
            or self._left in {"space", "punctuation"}
            or self._is_around_mark
            or (self._left == "unspaced" and self._after not in _CLOSING and unicodedata.category(self._after) not in {"Pe", "Pf"})
        )

    @property
    def closes(self) -> bool:
        """Whether a format can end here."""
        if self._left == "space" or self._is_between_digits() or self._is_single_star_beside(left=False) or self._is_in_code():
            return False
        if self._is_in_face():
            return False
        if self._sign == "_":
            return self._right == "space" or (self._right == "punctuation" and not self.is_joined_after)
        if self._left != "punctuation" or self._right in {"space", "punctuation", "unspaced"}:
            return True
        if self.is_single:
            return self._before in _ENDS
        return unicodedata.category(self._before) not in {"Ps", "Pi"}

    @property
    def is_spaced(self) -> bool:
        """Whether this is the end of `**Total: **45`."""
        return self._before == " " and self._earlier in _SPACED_ENDS and self._right != "space"

    @property
    def may_be_rating(self) -> bool:
        """Whether this is a star after a number, as hotels and footnotes have them."""
        return self.is_single and self._sign == "*" and self._left == "digit"

    def _is_pattern(self) -> bool:
        """Whether this is a star of `*.pdf`, `**/a` or `a/*b`."""
        if self.is_single and (self._before == "/" or (self._after == "." and self._further.isalnum())):
            return self._sign == "*"
        return self._sign == "*" and self._after == "/"

    @property
    def _is_around_mark(self) -> bool:
        """Whether one mark alone is in bold: `Total**:** 45`."""
        return not self.is_single and self._after in _MARKS and self.text.startswith(self._sign * 2, self.end + 1)

    def _is_in_face(self) -> bool:
        """Whether this is the mouth of `^_^`, `>_<` or `-_-`."""
        return self.is_single and self._sign == "_" and self._before in _EYES and self._after in _EYES

    def _is_in_code(self) -> bool:
        """Whether this is a star of a phone code in front of what has to be filled in: `*21*<number>#`."""
        return self.is_single and self._sign == "*" and self._left == "digit" and self._after in "<[{("

    def _is_between_digits(self) -> bool:
        return self._left == "digit" == self._right and self._sign == "*"

    def _is_single_star_beside(self, *, left: bool) -> bool:
        return self.is_single and self._sign == "*" and (self._left if left else self._right) in {"letter", "digit"}

    @property
    def is_joined_before(self) -> bool:
        """Whether what is before belongs to the same word, formula or path."""
        return self._left in {"letter", "digit"} or self._before in ")]}" or (self.is_single and self._before in _JOINING)

    @property
    def is_joined_after(self) -> bool:
        """Whether what is after belongs to the same word, formula or path."""
        if self._right in {"letter", "digit"}:
            return True
        if self._after in "([{":
            return _kind(self._further) != "space"
        is_joint = self._after == "/" or (self._after in _JOINING and _kind(self._further) in {"letter", "digit"})
        return is_joint and (self.is_single or self._sign == "_")


@lru_cache(maxsize=4096)
def _kind(sign: str) -> _Kind:
    if sign.isspace():
        return "space"
    category = unicodedata.category(sign)
    if category[0] in "PS":
        return "punctuation"
    # Chinese, Japanese and Korean are wide; Thai, Lao, Tibetan, Burmese and Khmer write without spaces, too.
    if unicodedata.east_asian_width(sign) in "WFH" or "\u0e00" <= sign <= "\u109f" or "\u1780" <= sign <= "\u17ff":
        return "unspaced"
    return "digit" if category[0] == "N" else "letter"
