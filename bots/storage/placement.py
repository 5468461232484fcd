"""Which engine's queue a conversation waits in: the reads and the move, one statement each. workers.placement decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from bots.storage.database import call, hot


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLoad:
    """How full a queue is at a moment: the queue of an engine, running or not, or a profile's own queue while one of its engines is running."""

    queue: str
    #: Of the running workers that consume it; 0: there are none.
    slots: int
    running: int
    #: Conversations that could be claimed there now, counted up to 1,000.
    due: int


def waiting(engine: Engine, wanted: Mapping[str, int]) -> Mapping[str, list[UUID]]:
    """Return from each queue the given number of conversations that are due and not claimed, newest due first."""
    with hot(engine) as connection:
        rows = connection.exec_driver_sql(
            "select queue, id from conversations_to_place(%s::text[], %s::integer[])", (list(wanted), list(wanted.values()))
        ).all()
    found: dict[str, list[UUID]] = {queue: [] for queue in wanted}
    for row in rows:
        found[row.queue].append(row.id)
    return found


def move(engine: Engine, moves: Sequence[tuple[UUID, str, str]]) -> int:
    """Move conversations, each given with its present queue and its new one, and return how many were moved.

    A conversation that was claimed or moved meanwhile stays where it is.
    """
    ids, before, after = ([move[n] for move in moves] for n in range(3))
    return call(engine, "select place_conversations(%s::uuid[], %s::text[], %s::text[])", (ids, before, after))
