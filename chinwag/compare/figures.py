"""What the replies of an endpoint come to: length, time, tokens, and what a thousand of them cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from chinwag.compare.replay import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One endpoint in numbers; None where it never answered, or where a figure is not known."""

    endpoint: str
    model: str
    asked: int
    #: Replies that a person would have seen.
    answered: int
    #: Of those, not whole.
    cut: int
    words: float | None
    first_token_ms: float | None
    total_ms: float | None
    #: 95 of 100 replies were whole by then.
    slow_ms: float | None
    #: Means of a reply.
    tokens_in: float | None
    tokens_cached: float | None
    tokens_out: float | None
    #: In USD.
    cost_per_1000: float | None


def of(replies: Sequence[Reply]) -> Figures:
    """Sum up one endpoint's replies."""
    seen = [reply for reply in replies if reply.text is not None]
    timed = sorted(reply.total_ms for reply in replies if reply.total_ms is not None)
    first = [reply.first_token_ms for reply in replies if reply.first_token_ms is not None]
    counted = [reply for reply in replies if reply.total_ms is not None]
    costs = [reply.cost for reply in counted if reply.cost is not None]
    return Figures(
        endpoint=replies[0].endpoint,
        model=replies[0].model,
        asked=len(replies),
        answered=len(seen),
        cut=sum(reply.fault is not None for reply in seen),
        words=fmean(len((reply.text or "").split()) for reply in seen) if seen else None,
        first_token_ms=median(first) if first else None,
        total_ms=median(timed) if timed else None,
        slow_ms=timed[min(len(timed) - 1, int(len(timed) * 0.95))] if timed else None,
        tokens_in=fmean(reply.usage.tokens_in for reply in counted) if counted else None,
        tokens_cached=fmean(reply.usage.tokens_cached for reply in counted) if counted else None,
        tokens_out=fmean(reply.usage.tokens_out for reply in counted) if counted else None,
        # What was paid for and could not be shown is paid for all the same: a thousand replies are a thousand that people saw.
        cost_per_1000=1000 * sum(costs) / len(seen) if costs and seen and len(costs) == len(counted) else None,
    )
