"""What tokens cost. Pure: a price and counted tokens in, USD out.

Prices are for a million tokens. Cached tokens are part of the prompt's tokens, and have a price of their own where the endpoint names one.
"""

from __future__ import annotations

from inference.types import Price, Usage

_MILLION = 1_000_000


def cost_of(price: Price | None, usage: Usage) -> float | None:
    """Return what a call cost in USD; None where the endpoint has no price."""
    if price is None:
        return None
    # A server may report more cached tokens than the prompt has; that must not lower the sum below the cached price.
    cached = min(max(usage.tokens_cached, 0), max(usage.tokens_in, 0))
    fresh = max(usage.tokens_in, 0) - cached
    cached_price = price.tokens_in if price.tokens_cached is None else price.tokens_cached
    return (fresh * price.tokens_in + cached * cached_price + max(usage.tokens_out, 0) * price.tokens_out) / _MILLION


def per_thousand(price: Price, reply: Usage) -> float:
    """Return what a thousand replies of this size cost in USD."""
    return 1000 * (cost_of(price, reply) or 0.0)
