"""Places conversations on the engines that hold their prefixes: the dispatcher's part of the affinity (the other part is the router's).

A conversation stays with its engine. One that has none, or whose engine is gone, is placed by rendezvous hashing. From an engine with more than
its share the newest due conversations move to other engines. A conversation that a worker has claimed is never moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Engine

from bots.storage import placement
from bots.storage.placement import QueueLoad
from bots.storage.queues import is_engines, profile_queue
from inference.affinity import bound, preference

#: So many conversations of a queue are placed in one tick; the rest in the next.
_MOST = 500


def place(engine: Engine, loads: Sequence[QueueLoad]) -> int:
    """Place the conversations that need it, by how full the queues are, and return how many moved. Raises StorageUnavailable."""
    wanted = to_move(loads)
    if not wanted:
        return 0
    moves = decide(loads, placement.waiting(engine, wanted))
    return placement.move(engine, moves) if moves else 0


def to_move(loads: Sequence[QueueLoad]) -> Mapping[str, int]:
    """Return from which queues conversations have to move, and how many from each."""
    wanted: dict[str, int] = {}
    for profile, engines in _by_profile(loads).items():
        unplaced = [load for load in loads if profile_queue(load.queue) == profile and load.due and not load.slots]
        if not engines:
            # No engine can take them: those of engines that are gone wait for the profile's other workers.
            unplaced = [load for load in unplaced if is_engines(load.queue)]
        wanted |= {load.queue: min(load.due, _MOST) for load in unplaced}
        limits = _limits(engines, sum(min(load.due, _MOST) for load in unplaced))
        excess = {load.queue: min(load.due, _total(load) - limits[load.queue], _MOST) for load in engines}
        if any(_total(load) < limits[load.queue] for load in engines):
            wanted |= {queue: n for queue, n in excess.items() if n > 0}
    return wanted


def decide(loads: Sequence[QueueLoad], found: Mapping[str, Sequence[UUID]]) -> list[tuple[UUID, str, str]]:
    """Return which conversation moves from which queue to which."""
    moves: list[tuple[UUID, str, str]] = []
    for profile, engines in _by_profile(loads).items():
        arriving = [(queue, one) for queue, ones in found.items() if profile_queue(queue) == profile for one in ones]
        leaving = {load.queue: len(found.get(load.queue, ())) for load in engines}
        totals = {load.queue: _total(load) - leaving[load.queue] for load in engines}
        limits = _limits(engines, sum(queue not in totals for queue, _ in arriving))
        for queue, one in arriving:
            target = _target(one, totals, limits) if engines else profile
            if target in totals:
                totals[target] += 1
            if target != queue:
                moves.append((one, queue, target))
    return moves


def _target(conversation: UUID, totals: Mapping[str, int], limits: Mapping[str, int]) -> str:
    preferred = preference(conversation.bytes, totals)
    return next((queue for queue in preferred if totals[queue] < limits[queue]), preferred[0])


def _limits(engines: Sequence[QueueLoad], arriving: int) -> Mapping[str, int]:
    """How much each engine may have, by its share of the slots; an engine with a free slot is never too full."""
    slots = sum(load.slots for load in engines)
    total = sum(map(_total, engines)) + arriving
    return {load.queue: bound(total, load.slots / slots, least=load.slots) for load in engines}


def _total(load: QueueLoad) -> int:
    return load.running + load.due


def _by_profile(loads: Sequence[QueueLoad]) -> Mapping[str, list[QueueLoad]]:
    """The living engines of each profile's queue."""
    found: dict[str, list[QueueLoad]] = {profile_queue(load.queue): [] for load in loads}
    for load in loads:
        if load.slots and is_engines(load.queue):
            found[profile_queue(load.queue)].append(load)
    return found
