"""When a fact that was extracted counts as the labelled one: the same kind, and a value that says the same in hardly more words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

#: A value with more words than the labelled one by more than these is no longer that value.
_MORE_WORDS = 2
#: The share of words that two values must have in common (F1), where neither holds the other.
_ALIKE = 0.5
_WORD = re.compile(r"\w+")

#: A kind and a value.
Said = tuple[str, str]


@dataclass(slots=True)
class Verdict:
    """How the facts of one message compare with the labelled ones."""

    right: list[Said] = field(default_factory=list[Said])
    wrong: list[Said] = field(default_factory=list[Said])
    missed: list[Said] = field(default_factory=list[Said])
    #: Facts with words that must not be remembered from this message.
    harmful: list[Said] = field(default_factory=list[Said])


def judge(labelled: Iterable[Said], found: Iterable[Said], forbidden: Sequence[str] = ()) -> Verdict:
    """Compare; each labelled fact takes one found fact."""
    verdict = Verdict(missed=list(labelled))
    for kind, value in found:
        match = next((said for said in verdict.missed if said[0] == kind and says(said[1], value)), None)
        if match is None:
            verdict.wrong.append((kind, value))
        else:
            verdict.missed.remove(match)
            verdict.right.append(match)
        if any(folded(word) in folded(value) for word in forbidden):
            verdict.harmful.append((kind, value))
    return verdict


def says(labelled: str, found: str) -> bool:
    """Whether a value says what the labelled one says."""
    wanted, given = words(labelled), words(found)
    if not wanted or not given or len(given) > len(wanted) + _MORE_WORDS:
        return False
    if _holds(wanted, given) or _holds(given, wanted):
        return True
    rest, common = list(given), 0
    for word in wanted:
        if word in rest:
            rest.remove(word)
            common += 1
    return 2 * common / (len(wanted) + len(given)) >= _ALIKE


def words(text: str) -> list[str]:
    """The words of a text, folded."""
    return _WORD.findall(folded(text))


def folded(text: str) -> str:
    """Lower case without accents; the vowel signs of Indian scripts stay."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter) or unicodedata.category(letter) == "Mc")


def share(part: int, whole: int) -> float | None:
    """A share, or nothing of nothing."""
    return round(part / whole, 4) if whole else None


def said(rows: Iterable[dict[str, Any]]) -> list[Said]:
    """The kinds and values of labelled facts."""
    return [(str(row["kind"]), str(row["value"])) for row in rows]


def _holds(short: Sequence[str], long: Sequence[str]) -> bool:
    """Whether the one value holds the other, also within words: languages without spaces, and endings."""
    return " ".join(short) in " ".join(long)
