"""Where a text that broke off may end: after its last whole sentence, item of a list, row of a table, line of a verse or block of code.

A full stop behind an abbreviation, an initial, a number at the end of the text, an ordinal or the mark of a list ends nothing. In a text with capitals
a mark before a small letter ends nothing either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

#: Marks of scripts that put no space behind them, or need none.
_ENDS_ALONE = "\u3002\uff01\uff1f\uff61\u061f\u06d4\u0964\u0965\u0589\u1362\u1367\u104b\u17d4\u1803\u2e2e\u203d"
_CLOSERS = "\"'\u2019\u201d\u00bb\u203a)\\]}\u300d\u300f\uff09\u3011*_~`"
_END = re.compile(rf"(?:(?P<alone>[{_ENDS_ALONE}]+)[{_CLOSERS}]*|(?P<mark>[.!?\u2026]+)[{_CLOSERS}]*(?=\s|\Z))")
_LIST_MARK = re.compile(r"[ \t>]*(?:[-*+\u2022\u2013\u00b7]|\d{1,4}[.)]|[A-Za-z][.)])[ \t]+")
_BARE_MARK = re.compile(r"(?:\A|\n)[ \t>]*(?:[-*+\u2022\u2013\u00b7]|\d{1,4}[.)]?|[A-Za-z][.)])?[ \t]*\Z")
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[^\n]*$", re.MULTILINE)
_RULE_OF_TABLE = re.compile(r"[ \t]*\|[-:| \t]+\Z")
#: What an open end must not show before its dots.
_OPEN_END = " \t\r\n,.;:-\u2013\u2014([{*_~`#>|\"'\u00ab\u201c\u2018"

#: Titles and words that stand before a capital, in the languages of most answers; one letter with a full stop needs no list.
_ABBREVIATIONS = frozenset(
    ["dr", "dra", "mr", "mrs", "ms", "prof", "profa", "sr", "sra", "srta", "st", "sta", "sto", "ste", "mt", "ft", "hr", "fr", "ud", "uds", "vd", "vds", "gen",
     "capt", "lt", "sgt", "rev", "hon", "ing", "lic", "arq", "exmo", "exma", "mme", "mlle", "mgr", "dott", "sig", "vs", "approx", "aprox", "ca", "bzw", "evtl",
     "inkl", "exkl", "ggf", "vgl", "bspw", "sog", "geb", "ej", "ex", "av", "avda", "str", "std", "abs"]
)  # fmt: skip
#: These are abbreviations only before a number: "No. 5", but "No. That is all."
_BEFORE_NUMBER = frozenset(
    ["no", "nr", "num", "núm", "nº", "art", "fig", "vol", "pp", "pag", "pág", "cap", "sec", "tel", "apt", "apto", "ch", "ver"]
)
#: A number behind one of these is an ordinal where a full stop follows: "am 3. Mai", "den 2. juni".
_BEFORE_ORDINAL = frozenset(["am", "vom", "zum", "zur", "der", "die", "das", "dem", "den", "des", "im", "beim", "ab", "bis", "seit", "und"])
#: How far around a mark is looked, in characters.
_LOOK = 80
#: What may stand before the first letter of a word.
_OPENERS = "\"'\u2018\u201c\u00ab([{*_~`\u00bf\u00a1"


def whole_part(text: str) -> str:
    """Return a text that broke off up to its last whole sentence or item; without one, its whole words and an ellipsis."""
    text, is_code, is_at_word = _without_broken_block(text.strip())
    if is_code:
        return text
    end = sentence_end(text)
    return _balanced(text[:end].rstrip()) if end else _open_end(text, drops_last=not is_at_word)


def sentence_end(text: str) -> int | None:
    """Where the last whole sentence or item of a text that broke off ends; None when there is none in it."""
    blocks = _blocks(text)
    prose = _without(text, blocks)
    lines = max([0, *(end for _, end in blocks), *_line_ends(prose)])
    for strict in (True, False):
        end = max(_sentence_ends(prose, strict=strict), default=0)
        if max(end, lines):
            return max(end, lines)
    return None


def _sentence_ends(text: str, *, strict: bool) -> Iterator[int]:
    for found in _END.finditer(text):
        if found["alone"] or _ends_sentence(text, found, strict=strict):
            yield found.end()


def _ends_sentence(text: str, found: re.Match[str], *, strict: bool) -> bool:
    after = text[found.end() : found.end() + _LOOK].lstrip()
    if strict and after[:1].islower():
        return False
    if found["mark"] != ".":
        return found.start() > 0
    before = text[max(0, found.start() - _LOOK) : found.start()].rpartition("\n")[2].split()
    word = before[-1].lstrip(_OPENERS).lower() if before else ""
    last = word.rpartition(".")[2]
    if not last or last[-1] in "/\\":
        return False
    if last[-1].isdigit():
        # "3." may be the beginning of "3.5", and at the start of a line it is the mark of an item.
        is_ordinal = last.isdigit() and len(last) <= 2 and len(before) > 1 and before[-2].lower() in _BEFORE_ORDINAL
        return bool(after) and len(before) > 1 and not is_ordinal
    is_initial = len(last) == 1 and last.isascii()
    return not is_initial and last not in _ABBREVIATIONS and not (word in _BEFORE_NUMBER and after[:1].isdigit())


def _line_ends(text: str) -> Iterator[int]:
    """Where a whole line ends that is a unit of its own. The last line is never known to be whole."""
    end, before = -1, ""
    lines = text.split("\n")
    for line, following in pairwise(lines):
        end += len(line) + 1
        plain = line.strip()
        if plain.startswith("|"):
            is_unit = before.startswith("|") and not _RULE_OF_TABLE.fullmatch(line)
        elif plain.endswith((":", "\uff1a", ",")) or plain.startswith("#"):
            is_unit = False
        else:
            # A first line may be a heading, and a line before a small letter goes on.
            is_unit = _LIST_MARK.match(line) is not None or bool(plain and before and not following.lstrip()[:1].islower())
        if is_unit:
            yield end
        before = plain


def _without_broken_block(text: str) -> tuple[str, bool, bool]:
    """Close the block of code that the text broke off in, or leave it out. Returns the text, whether code ends it, and whether its last word is whole."""
    fences = list(_FENCE.finditer(text))
    if len(fences) % 2 == 0:
        return text, False, False
    opening = fences[-1]
    code = text[opening.end() + 1 :]
    whole = code.rpartition("\n")[0]
    if whole.strip():
        mark = opening[0].strip()[:3]
        return f"{text[: opening.end()]}\n{whole}\n{mark}", True, True
    before = text[: opening.start()].rstrip()
    return (before, False, True) if before else (text, False, False)


def _blocks(text: str) -> list[tuple[int, int]]:
    """Where the closed blocks of code begin and end."""
    fences = list(_FENCE.finditer(text))
    return [(opening.start(), closing.end()) for opening, closing in zip(fences[::2], fences[1::2], strict=False)]


def _without(text: str, blocks: Sequence[tuple[int, int]]) -> str:
    """The text with its blocks of code blanked out: a full stop in a program ends no sentence."""
    kept, at = list[str](), 0
    for begin, end in blocks:
        kept += [text[at:begin], re.sub(r"[^\n]", " ", text[begin:end])]
        at = end
    return "".join([*kept, text[at:]])


def _balanced(text: str) -> str:
    """Close the bold that was cut."""
    return text + "**" if text.count("**") % 2 else text


def _open_end(text: str, *, drops_last: bool) -> str:
    """The words so far and an ellipsis; the last word may be half of one."""
    words = text.rsplit(maxsplit=1)
    if drops_last and len(words) > 1:
        text = text[: -len(words[1])]
    text = _BARE_MARK.sub("", text.rstrip()) or text
    return _balanced(text.rstrip(_OPEN_END)) + "\u2026"
