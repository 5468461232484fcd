"""Which engine's queue a conversation waits in: the reads and the move, one statement each. workers.placement decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from bots.storage.database import call, hot


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLoad:
    """How full a queue is at a moment: an engine's queue, whether the engine lives or not, or the profile's own while an engine of it lives."""

    queue: str
    #: Of the living workers that consume it; 0: nobody does.
    slots: int
    running: int
    #: Conversations that could be claimed there now; counted up to a thousand.
    due: int


def loads(engine: Engine) -> list[QueueLoad]:
    """Read how full the queues are. Where no engine has a queue of its own this is one cheap statement, and empty."""
    with hot(engine) as connection:
        rows = connection.exec_driver_sql("select queue, slots, running, due from queue_spots()").all()
    return [QueueLoad(queue=row.queue, slots=row.slots, running=row.running, due=row.due) for row in rows]


def waiting(engine: Engine, wanted: Mapping[str, int]) -> Mapping[str, list[UUID]]:
    """Return from each queue so many conversations that are due and that no worker has claimed, the newest due first."""
    with hot(engine) as connection:
        rows = connection.exec_driver_sql(
            "select queue, id from conversations_to_place(%s::text[], %s::integer[])", (list(wanted), list(wanted.values()))
        ).all()
    found: dict[str, list[UUID]] = {queue: [] for queue in wanted}
    for row in rows:
        found[row.queue].append(row.id)
    return found


def move(engine: Engine, moves: Sequence[tuple[UUID, str, str]]) -> int:
    """Move conversations, each given with the queue it is in and the queue it goes to, and return how many moved.

    A conversation that was claimed or moved meanwhile stays where it is.
    """
    ids, before, after = ([move[n] for move in moves] for n in range(3))
    return call(engine, "select place_conversations(%s::uuid[], %s::text[], %s::text[])", (ids, before, after))
