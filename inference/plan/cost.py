"""What a thousand replies cost on your own GPUs, and from which load on that is less than a hosted offer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from inference.catalog import Model, Offer
from inference.plan.question import Reply
from inference.plan.throughput import Speed
from inference.types import Price, Usage
from inference.usage import per_thousand

#: Shares of full load for which costs are shown: 1 gives the lowest price, 0.3 is typical of a service that people use by day.
LOADS = (0.3, 0.6, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A hosted offer, compared with your own GPUs."""

    provider: str
    model: str
    #: USD for a thousand of the same replies.
    per_1000: float
    #: Share of full load above which your own GPUs are cheaper; None: not even at full load.
    break_even: float | None
    #: Replies a day at that load.
    replies_a_day: float | None
    #: The hosted offer is for the planned model itself.
    same_model: bool
    priced_on: date
    #: When the offer ends, if that is known.
    ends_on: date | None
    unconfirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """USD for a thousand replies."""

    #: For all GPUs in one hour.
    per_hour: float
    #: By share of full load.
    per_1000: tuple[tuple[float, float], ...]
    #: For a million tokens, by share of full load: the price to give an endpoint on these GPUs. Cached tokens take no time.
    per_million: tuple[tuple[float, Price], ...]
    #: Cheapest first.
    rivals: tuple[Rival, ...]


def own(per_hour: float, replies_per_s: float, load: float) -> float:
    """Return the cost of a thousand replies at a share of full load."""
    return 1000 * per_hour / (3600 * replies_per_s * load)


def own_price(per_hour: float, speed: Speed, load: float) -> Price:
    """Return the cost of a million tokens at a share of full load: each token uses the whole machine for a fraction of a second."""
    second = per_hour / 3600 / load
    return Price(tokens_in=1e6 * second / speed.prefill_tokens_per_s, tokens_cached=0.0, tokens_out=1e6 * second / speed.tokens_per_s)


def hosted(offer: Offer, reply: Reply) -> float:
    """Return what a thousand replies cost at a hosted offer."""
    price = Price(tokens_in=offer.tokens_in, tokens_cached=offer.tokens_cached, tokens_out=offer.tokens_out)
    return per_thousand(
        price, Usage(tokens_in=reply.tokens_in, tokens_cached=round(reply.tokens_in * reply.cached), tokens_out=reply.tokens_out)
    )


def work_out(model: Model, rivals: Iterable[Model], *, per_hour: float, speed: Speed, reply: Reply, today: date) -> Cost:
    """Work out the cost of your own GPUs, and the load at which it beats each offer that is not retired."""
    full = own(per_hour, speed.replies_per_s, 1)
    rows = {rival.key: rival for rival in (*rivals, model)}
    compared = [
        _compare(offer, rival.key == model.key, full, speed.replies_per_s, reply)
        for rival in rows.values()
        if not rival.is_retired(today)
        for offer in rival.offers
        if offer.retired_on is None or offer.retired_on > today
    ]
    return Cost(
        per_hour=per_hour,
        per_1000=tuple((load, own(per_hour, speed.replies_per_s, load)) for load in LOADS),
        per_million=tuple((load, own_price(per_hour, speed, load)) for load in LOADS),
        rivals=tuple(sorted(compared, key=lambda rival: (rival.per_1000, rival.provider, rival.model))),
    )


def _compare(offer: Offer, same_model: bool, full: float, replies_per_s: float, reply: Reply) -> Rival:  # noqa: FBT001 - private, with one caller
    price = hosted(offer, reply)
    load = full / price if price > full else None
    return Rival(
        provider=offer.provider,
        model=offer.model,
        per_1000=price,
        break_even=load,
        replies_a_day=None if load is None else load * replies_per_s * 86_400,
        same_model=same_model,
        priced_on=offer.date,
        ends_on=offer.retired_on,
        unconfirmed=offer.unconfirmed,
    )
