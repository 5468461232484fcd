"""The figures of an endpoint's replies: length, time, tokens, and the cost of a thousand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isinf
from statistics import fmean, median

from chinwag.compare.replay import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one endpoint; None when it never answered, or when a figure is not known."""

    endpoint: str
    model: str
    asked: int
    #: Replies that a person would have seen.
    answered: int
    #: Those of them that were cut.
    cut: int
    words: float | None
    first_token_ms: float | None
    total_ms: float | None
    #: The time within which 95 of 100 turns had their answer; None when more than 5 had none at all.
    slow_ms: float | None
    #: Means of the replies that were not cut, whose tokens are known.
    tokens_in: float | None
    tokens_cached: float | None
    tokens_out: float | None
    #: In USD.
    cost_per_1000: float | None
    #: Whether any of these tokens were counted or estimated here, since the server did not count them.
    estimated: bool = False


def of(replies: Sequence[Reply]) -> Figures:
    """Sum up one endpoint's replies."""
    seen = [reply for reply in replies if reply.text is not None]
    timed = [reply.total_ms for reply in replies if reply.total_ms is not None]
    first = [reply.first_token_ms for reply in replies if reply.first_token_ms is not None]
    usages = [reply.usage for reply in replies if reply.usage is not None]
    return Figures(
        endpoint=replies[0].endpoint,
        model=replies[0].model,
        asked=len(replies),
        answered=len(seen),
        cut=sum(reply.fault is not None for reply in seen),
        words=fmean(len((reply.text or "").split()) for reply in seen) if seen else None,
        first_token_ms=median(first) if first else None,
        total_ms=median(timed) if timed else None,
        slow_ms=_slow(replies),
        tokens_in=fmean(usage.tokens_in for usage in usages) if usages else None,
        tokens_cached=fmean(usage.tokens_cached for usage in usages) if usages else None,
        tokens_out=fmean(usage.tokens_out for usage in usages) if usages else None,
        cost_per_1000=_cost_per_1000(replies),
        estimated=any(usage.estimated for usage in usages),
    )


def _slow(replies: Sequence[Reply]) -> float | None:
    """A turn without an answer counts as an endless wait: an endpoint does not get faster by answering fewer."""
    waited = sorted(reply.total_ms if reply.text is not None and reply.total_ms is not None else inf for reply in replies)
    slow = waited[min(len(waited) - 1, int(len(waited) * 0.95))]
    return None if isinf(slow) else slow


def _cost_per_1000(replies: Sequence[Reply]) -> float | None:
    """Replies that could not be shown are paid for too: the cost is that of a thousand replies that people saw.

    A reply that was cut has no token count and is left out of both sums: it would make an endpoint that is too slow look cheap.
    """
    counted = [reply for reply in replies if reply.usage is not None]
    costs = [reply.cost for reply in counted if reply.cost is not None]
    seen = sum(reply.text is not None for reply in counted)
    return 1000 * sum(costs) / seen if seen and len(costs) == len(counted) else None
