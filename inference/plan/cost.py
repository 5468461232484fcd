"""What a thousand replies cost on GPUs of one's own, and at which load that is less than a hosted offer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from inference.catalog import Model, Offer
from inference.plan.question import Reply

#: Shares of full load that are told; 1 is the floor of the price, 0.3 what a service sees that is awake by day.
LOADS = (0.3, 0.6, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A hosted offer beside one's own GPUs."""

    provider: str
    model: str
    #: USD for a thousand of the same replies.
    per_1000: float
    #: Share of full load above which the own GPUs are cheaper; None: not even at full load.
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

    #: For all GPUs and an hour.
    per_hour: float
    #: By share of full load.
    per_1000: tuple[tuple[float, float], ...]
    #: Cheapest first.
    rivals: tuple[Rival, ...]


def own(per_hour: float, replies_per_s: float, load: float) -> float:
    """Return the cost of a thousand replies at a share of full load."""
    return 1000 * per_hour / (3600 * replies_per_s * load)


def hosted(offer: Offer, reply: Reply) -> float:
    """Return what a thousand replies cost at a hosted offer; without a price for cached tokens they cost as others do."""
    cached_price = offer.tokens_in if offer.tokens_cached is None else offer.tokens_cached
    cached = reply.tokens_in - reply.uncached
    return (reply.uncached * offer.tokens_in + cached * cached_price + reply.tokens_out * offer.tokens_out) / 1000


def work_out(model: Model, rivals: Iterable[Model], *, per_hour: float, replies_per_s: float, reply: Reply, today: date) -> Cost:
    """Work out the own cost, and the load at which it beats each offer that is not retired."""
    full = own(per_hour, replies_per_s, 1)
    rows = {rival.key: rival for rival in (*rivals, model)}
    compared = [
        _compare(offer, rival.key == model.key, full, replies_per_s, reply)
        for rival in rows.values()
        if not rival.is_retired(today)
        for offer in rival.offers
        if offer.retired_on is None or offer.retired_on > today
    ]
    return Cost(
        per_hour=per_hour,
        per_1000=tuple((load, own(per_hour, replies_per_s, load)) for load in LOADS),
        rivals=tuple(sorted(compared, key=lambda rival: (rival.per_1000, rival.provider, rival.model))),
    )


def _compare(offer: Offer, same_model: bool, full: float, replies_per_s: float, reply: Reply) -> Rival:  # noqa: FBT001 - private, two lines above its only use
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
