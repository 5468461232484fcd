"""Whether two engines computed the same: greedy tokens exactly, log-probabilities within a tolerance."""

from __future__ import annotations

from collections.abc import Sequence

from tests.engine.serving import Answer


def token_differences(expected: Sequence[tuple[int, ...]], found: Sequence[tuple[int, ...]]) -> list[str]:
    """Name each prompt whose greedy tokens differ, and where they first do."""
    return [
        f"prompt {number}: token {_parting(one, other)} of {len(one)}"
        for number, (one, other) in enumerate(zip(expected, found, strict=True))
        if one != other
    ]


def probability_differences(expected: Sequence[Answer], found: Sequence[Answer], *, tolerance: float) -> list[str]:
    """Name each prompt with a token, likely in both, whose log-probabilities are further apart than the tolerance.

    Compared up to and with the first position at which the chosen tokens part: beyond it the two have different texts before them.
    """
    told: list[str] = []
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        end = _parting(one.tokens, other.tokens) + 1
        apart = max(map(_distance, one.likeliest[:end], other.likeliest[:end]))
        if apart > tolerance:
            told.append(f"prompt {number}: {apart:.4f}")
    return told


def _distance(one: dict[str, float], other: dict[str, float]) -> float:
    """The largest difference over the tokens of either list; what is missing in one is at most as likely as its last."""
    last_of_one, last_of_other = min(one.values()), min(other.values())
    return max(abs(one.get(token, last_of_one) - other.get(token, last_of_other)) for token in one.keys() | other.keys())


def _parting(one: Sequence[int], other: Sequence[int]) -> int:
    """The first position at which they differ; their length where they do not."""
    return next((at for at, (left, right) in enumerate(zip(one, other, strict=True)) if left != right), len(one))
