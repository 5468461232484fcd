"""The names of queues, and which engine's queue a conversation waits in. Deciding is workers.placing's; here are the looking and the moving,
one statement each.

`reply.P` is the queue of the profile P, `batch.P` that of its batches; `reply.P.@E` that of its engine E. No profile has an @ in its name, so
they are never mixed up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine

from bots.storage.database import call, hot

_REPLY, _BATCH = "reply.", "batch."
_ENGINE = ".@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A queue that matters for placing, at a moment: an engine's, living or not, or the profile's own while an engine of it lives."""

    queue: str
    #: Of the living workers that consume it; 0: nobody does.
    slots: int
    running: int
    #: Conversations that could be claimed there now; counted to a thousand.
    due: int


def reply_queue(profile: str) -> str:
    """Return the queue of a profile's conversations that have no engine of their own."""
    return _REPLY + profile


def batch_queue(profile: str) -> str:
    """Return the queue of a profile's batches and summaries."""
    return _BATCH + profile


def is_batch(queue: str) -> bool:
    """Whether this is a queue of what can wait."""
    return queue.startswith(_BATCH)


def engine_queue(profile: str, engine: str) -> str:
    """Return the queue of one engine of a profile. Raises ValueError for a name that no queue can have."""
    if not engine or not all(letter.isalnum() or letter in "-_" for letter in engine) or not engine.isascii():
        raise ValueError("an engine's name consists of letters, digits, - and _")
    return f"{reply_queue(profile)}{_ENGINE}{engine}"


def home_of(queue: str) -> str:
    """Return the profile's own queue of an engine's queue; any other queue as it is."""
    return queue.partition(_ENGINE)[0]


def profile_of(queue: str) -> str:
    """Return the profile that a queue of replies or of a batch belongs to."""
    return home_of(queue).partition(".")[2]


def is_engines(queue: str) -> bool:
    """Whether this is one engine's queue."""
    return queue.startswith(_REPLY) and _ENGINE in queue


def spots(engine: Engine) -> list[Spot]:
    """Look at all queues that matter. Where no engine has a queue of its own this is one cheap statement, and empty."""
    with hot(engine) as connection:
        rows = connection.exec_driver_sql("select queue, slots, running, due from queue_spots()").all()
    return [Spot(queue=row.queue, slots=row.slots, running=row.running, due=row.due) for row in rows]


def waiting(engine: Engine, wanted: Mapping[str, int]) -> Mapping[str, list[UUID]]:
    """Return from each queue so many conversations that are due and in nobody's hands, the newest due first."""
    with hot(engine) as connection:
        rows = connection.exec_driver_sql(
            "select queue, id from conversations_to_place(%s::text[], %s::integer[])", (list(wanted), list(wanted.values()))
        ).all()
    found: dict[str, list[UUID]] = {queue: [] for queue in wanted}
    for row in rows:
        found[row.queue].append(row.id)
    return found


def move(engine: Engine, moves: Sequence[tuple[UUID, str, str]]) -> int:
    """Move conversations, each given with the queue it is in and the one it comes to; whoever is claimed or moved meanwhile stays.

    Returns how many moved.
    """
    ids, before, after = ([move[n] for move in moves] for n in range(3))
    return call(engine, "select place_conversations(%s::uuid[], %s::text[], %s::text[])", (ids, before, after))
