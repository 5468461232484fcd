"""Vectors for the scripted /v1/embeddings. The same text has the same vector, texts that share words are close, and faults come on demand."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import sqrt
from typing import Any, Literal

Fault = Literal["none", "shuffled", "nan", "null", "zero", "unnormalised", "narrow", "missing", "doubled"]


def vector(text: str, dimensions: int) -> list[float]:
    """Return a vector of length one, in which each word changes a few numbers that its digest selects."""
    values = [0.0] * dimensions
    for word in text.lower().split() or [""]:
        digest = blake2b(word.encode("utf-8", "replace"), digest_size=16).digest()
        for n in range(0, 16, 4):
            values[int.from_bytes(digest[n : n + 3], "big") % dimensions] += 1.0 if digest[n + 3] & 1 else -1.0
    length = sqrt(sum(value * value for value in values))
    if length == 0:
        # The words cancel each other out.
        values[0] = length = 1.0
    return [value / length for value in values]


def rows(texts: Sequence[str], dimensions: int, fault: Fault) -> list[dict[str, Any]]:
    """Return the `data` of a response."""
    found: list[dict[str, Any]] = [
        {"object": "embedding", "index": n, "embedding": _spoilt(vector(text, dimensions), fault)} for n, text in enumerate(texts)
    ]
    if fault == "shuffled":
        found.reverse()
    elif fault == "missing":
        found.pop()
    elif fault == "doubled":
        found[-1] = found[0]
    return found


def _spoilt(values: list[float], fault: Fault) -> list[Any]:
    if fault == "zero":
        return [0.0] * len(values)
    if fault == "unnormalised":
        return [value * 7.5 for value in values]
    if fault == "narrow":
        return values[:-1]
    # JSON has no NaN: Python writes NaN all the same, others write null. The server inserts NaN afterwards.
    return [None, *values[1:]] if fault in {"nan", "null"} else list(values)
