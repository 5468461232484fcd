"""What a call took and what that costs. Pure but for the given counter: tokens and a price in, counted tokens and USD out.

Guarantee: a call that gave a text never counts as nothing. Where the server's counts are missing, zero or impossible, the tokens are counted
here and marked as estimated. Prices are for a million tokens. Cached tokens are part of the prompt's tokens, and have a price of their own where
the endpoint names one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from inference.prompt_style import for_endpoint
from inference.types import Endpoint, Message, Price, Usage

_MILLION = 1_000_000
#: Twice the longest context of any model (10 million tokens): a larger number is no count. Sums of such counts fit the database.
_MOST_TOKENS = 20_000_000
#: What a chat template adds to each message (at most 5 tokens in the families of the catalog), and once to a prompt.
_PER_MESSAGE, _PER_PROMPT = 6, 8


def counted(usage: Usage | None, *, endpoint: Endpoint, messages: Sequence[Message], text: str, count: Callable[[str], int]) -> Usage:
    """Return what a call took: as its server counted, and by `count` where that cannot be true. `text` is all that the model wrote."""
    given = usage or Usage()
    tokens_in, tokens_out = _believed(given.tokens_in), _believed(given.tokens_out)
    is_ours = tokens_in == 0 or (tokens_out == 0 and text != "")
    tokens_in = tokens_in or _prompt_tokens(endpoint, messages, count)
    tokens_out = tokens_out or (count(text) if text else 0)
    return Usage(
        tokens_in=min(tokens_in, _MOST_TOKENS),
        # Servers report more cached tokens than the prompt has, too.
        tokens_cached=min(max(given.tokens_cached, 0), _believed(given.tokens_in)),
        tokens_out=min(tokens_out, _MOST_TOKENS),
        estimated=given.estimated or is_ours,
    )


def cost_of(price: Price | None, usage: Usage) -> float | None:
    """Return what a call cost in USD, 0 or more; None where the endpoint has no price."""
    if price is None:
        return None
    cached = min(max(usage.tokens_cached, 0), max(usage.tokens_in, 0))
    fresh = max(usage.tokens_in, 0) - cached
    cached_price = price.tokens_in if price.tokens_cached is None else price.tokens_cached
    cost = (fresh * price.tokens_in + cached * cached_price + max(usage.tokens_out, 0) * price.tokens_out) / _MILLION
    return cost if math.isfinite(cost) and cost >= 0 else None


def per_thousand(price: Price, reply: Usage) -> float:
    """Return what a thousand replies of this size cost in USD."""
    return 1000 * (cost_of(price, reply) or 0.0)


def _believed(tokens: int) -> int:
    """A server's count, or 0 where it is none."""
    return tokens if 0 < tokens <= _MOST_TOKENS else 0


def _prompt_tokens(endpoint: Endpoint, messages: Sequence[Message], count: Callable[[str], int]) -> int:
    """Count the prompt as this endpoint was given it, in one piece: a tokenizer is asked once."""
    shown = for_endpoint(messages, endpoint.traits)
    pictures = sum(image.tokens for message in shown for image in message.images)
    return count("\n".join(message.content for message in shown)) + pictures + _PER_MESSAGE * len(shown) + _PER_PROMPT
