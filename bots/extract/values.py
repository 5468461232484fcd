"""Gets a value from the words of a match: where it begins and ends, and whether it is a name, a place or a thing at all."""

from __future__ import annotations

from dataclasses import dataclass

from bots.extract.clauses import Clauses
from bots.extract.matching import Span
from bots.extract.rules import Rule, Shape
from bots.extract.shapes import SHAPES
from bots.extract.spans import SEVERAL, begin, bound, is_taken_back, without_ending


@dataclass(frozen=True, slots=True)
class Found:
    """Values of a match, and where they end."""

    values: tuple[str, ...]
    start: int
    end: int


def values(found: Clauses, rule: Rule, span: Span, taken: int) -> Found | None:
    """The values of a rule in this span. taken: where the statement before it ended, behind which a value must begin."""
    shape = rule.shape
    if shape is None:
        return None
    # What is presupposed holds whatever is denied of it: "our rabbit Flocke doesn't eat".
    may_fail = not (rule.asked and rule.anywhere)
    if span.start != span.end:
        return _values(found, shape, span, span.start, may_fail=may_fail)
    if not (rule.anywhere or _begins(found, begin(found, span.start, taken, several=False), taken)):
        return None
    several = shape.shape in SEVERAL
    return _values(found, shape, span, begin(found, span.start, taken, several=several), may_fail=may_fail) or (
        _values(found, shape, span, begin(found, span.start, taken, several=False), may_fail=may_fail) if several else None
    )


def _begins(found: Clauses, at: int, taken: int) -> bool:
    """Whether a statement may begin here: at the beginning of a clause or behind "me". "She has a nut allergy" is about somebody else."""
    if at in found.starts or at in found.gaps or at - 1 in found.starts or found.has("stops", at - 1):
        return True
    # Where verbs come last, a statement ends with its verb, and the next may follow without a mark.
    return at == taken and "hearsay_whole" in found.language.lists


def _values(found: Clauses, shape: Shape, span: Span, start: int, *, may_fail: bool) -> Found | None:
    limit = span.end
    bounded = bound(found, shape, start, limit)
    if bounded is None:
        return None
    items, end = bounded
    if limit is not None and end != limit:
        return None
    if span.ending:
        items = without_ending(found, items, span.ending)
    if not items or len(items[0].words) < shape.least:
        return None
    made, end = SHAPES[shape.shape](found, shape, items)
    if not made or _is_object(found, shape, end):
        return None
    return None if limit is None and may_fail and is_taken_back(found, shape, end) else Found(made, start, end)


def _is_object(found: Clauses, shape: Shape, end: int) -> bool:
    """Whether the verb behind a value shows that it is a thing: where no capitals show a name, "my mother eggs not eats" has none."""
    at = end
    while at < len(found.words) and found.has("negations", at):
        at += found.signals[at]["negations"]
    return at < len(found.words) and shape.not_before.length(found.words, at) > 0
