"""Whether two engines computed the same: greedy tokens exactly, log-probabilities within a tolerance."""

from __future__ import annotations

from collections.abc import Sequence

from tests.engine.serving import Answer


def token_differences(expected: Sequence[tuple[int, ...]], found: Sequence[tuple[int, ...]]) -> list[str]:
    """Name each prompt whose greedy tokens differ, and the first position where they do."""
    return [
        f"prompt {number}: token {_first_difference(one, other)} of {len(one)}"
        for number, (one, other) in enumerate(zip(expected, found, strict=True))
        if one != other
    ]


def probability_differences(expected: Sequence[Answer], found: Sequence[Answer], *, tolerance: float) -> list[str]:
    """Name each prompt with a likely token whose two log-probabilities differ by more than the tolerance.

    Compared up to and including the first position where the chosen tokens differ: after it the two continue different texts.
    """
    found_apart: list[str] = []
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        end = _first_difference(one.tokens, other.tokens) + 1
        apart = max(map(_distance, one.likeliest[:end], other.likeliest[:end]))
        if apart > tolerance:
            found_apart.append(f"prompt {number}: {apart:.4f}")
    return found_apart


def _distance(one: dict[str, float], other: dict[str, float]) -> float:
    """The largest difference over the tokens of both lists; a token missing from one is at most as likely as the last in it."""
    last_of_one, last_of_other = min(one.values()), min(other.values())
    return max(abs(one.get(token, last_of_one) - other.get(token, last_of_other)) for token in one.keys() | other.keys())


def _first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    """The first position where they differ; their length if they do not."""
    return next((at for at, (left, right) in enumerate(zip(one, other, strict=True)) if left != right), len(one))
