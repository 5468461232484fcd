"""Places conversations on the engines that hold their prefixes, at dispatch: the dispatcher's part of the affinity (the other is the router's).

A conversation stays with its engine. One that has none, or whose engine is gone, is placed by rendezvous hashing; from an engine with more than
its share the newest due go on to others. What is in somebody's hands is never moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Engine

from bots.storage import placing
from bots.storage.placing import Spot, home_of, is_engines
from inference.affinity import bound, preference

#: As many conversations of a queue are placed in one tick; the rest in the next.
_MOST = 500


def place(engine: Engine) -> int:
    """Place what is to be placed and return how many conversations moved. Raises StorageUnavailable."""
    spots = placing.spots(engine)
    wanted = to_look_at(spots)
    if not wanted:
        return 0
    moves = decide(spots, placing.waiting(engine, wanted))
    return placing.move(engine, moves) if moves else 0


def to_look_at(spots: Sequence[Spot]) -> Mapping[str, int]:
    """Say from which queues conversations have to go, and how many of each."""
    wanted: dict[str, int] = {}
    for home, engines in _by_home(spots).items():
        homeless = [spot for spot in spots if home_of(spot.queue) == home and spot.due and not spot.slots]
        if not engines:
            # Nobody is there to take them in: those of engines that are gone wait for the profile's other workers.
            homeless = [spot for spot in homeless if is_engines(spot.queue)]
        wanted |= {spot.queue: min(spot.due, _MOST) for spot in homeless}
        limits = _limits(engines, sum(min(spot.due, _MOST) for spot in homeless))
        excess = {spot.queue: min(spot.due, _load(spot) - limits[spot.queue], _MOST) for spot in engines}
        if any(_load(spot) < limits[spot.queue] for spot in engines):
            wanted |= {queue: n for queue, n in excess.items() if n > 0}
    return wanted


def decide(spots: Sequence[Spot], found: Mapping[str, Sequence[UUID]]) -> list[tuple[UUID, str, str]]:
    """Return which conversation goes from which queue to which."""
    moves: list[tuple[UUID, str, str]] = []
    for home, engines in _by_home(spots).items():
        coming = [(queue, one) for queue, ones in found.items() if home_of(queue) == home for one in ones]
        leaving = {spot.queue: len(found.get(spot.queue, ())) for spot in engines}
        loads = {spot.queue: _load(spot) - leaving[spot.queue] for spot in engines}
        limits = _limits(engines, sum(queue not in loads for queue, _ in coming))
        for queue, one in coming:
            target = _target(one, loads, limits) if engines else home
            if target in loads:
                loads[target] += 1
            if target != queue:
                moves.append((one, queue, target))
    return moves


def _target(conversation: UUID, loads: Mapping[str, int], limits: Mapping[str, int]) -> str:
    liked = preference(conversation.bytes, loads)
    return next((queue for queue in liked if loads[queue] < limits[queue]), liked[0])


def _limits(engines: Sequence[Spot], coming: int) -> Mapping[str, int]:
    """How much each engine may have, by its share of the slots; one with a free slot is never too full."""
    slots = sum(spot.slots for spot in engines)
    total = sum(map(_load, engines)) + coming
    return {spot.queue: bound(total, spot.slots / slots, least=spot.slots) for spot in engines}


def _load(spot: Spot) -> int:
    return spot.running + spot.due


def _by_home(spots: Sequence[Spot]) -> Mapping[str, list[Spot]]:
    """The living engines of each profile's queue."""
    found: dict[str, list[Spot]] = {home_of(spot.queue): [] for spot in spots}
    for spot in spots:
        if spot.slots and is_engines(spot.queue):
            found[home_of(spot.queue)].append(spot)
    return found
