"""The one task. It says which queue; Postgres knows the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import celery
import structlog

from bots.errors import StorageUnavailable
from bots.storage.queues import is_batch, is_engines, profile_of, profile_queue, reply_queue
from workers.batch import batch_one
from workers.deliver import deliver_one
from workers.deps import Deps
from workers.embed_turns import embed_one
from workers.index_turns import index_one
from workers.process import current
from workers.remember import remember_one
from workers.summarise import summarise_one
from workers.trying import try_one
from workers.turn.reply import reply_one

log = structlog.get_logger()

DELIVER = "deliver"

#: Celery ships no types.
_celery: Any = celery


@_celery.shared_task(name="workers.work")
def work(queue: str) -> None:
    """Work through what is due in a queue, one at a time, until nothing is due or the task's time is over."""
    deps = current()
    with deps.in_flight.task():
        try:
            work_through(deps, queue)
        except StorageUnavailable:
            # Nothing is lost: leases run out, and the dispatcher makes the task again.
            log.warning("storage_unavailable", queue=queue)


def work_through(deps: Deps, queue: str) -> int:
    """Do what `work` does and return how many turns, sends or items were done. Raises StorageUnavailable."""
    if not is_batch(queue):
        return _repeat(deps, queue, _one_of(deps, queue))
    reply_queues = _reply_queues(deps, queue)
    with deps.in_flight.batch_slot(max(1, deps.settings.worker_slots - deps.settings.batch_reserve)) as is_free:
        # A surplus task ends at once: the reserve stays free for people, however many tasks the dispatcher made.
        # People first: an item of a batch begins only while nobody waits.
        return (
            _repeat(
                deps,
                queue,
                lambda: (
                    any(reply_one(deps, one) for one in reply_queues)
                    or embed_one(deps, queue)
                    or summarise_one(deps, queue)
                    or remember_one(deps, queue)
                    or try_one(deps, queue)
                    or batch_one(deps, queue)
                    or index_one(deps)
                ),
            )
            if is_free
            else 0
        )


def _one_of(deps: Deps, queue: str) -> Callable[[], bool]:
    """What does one piece of a queue that is none of batches."""
    return partial(deliver_one, deps) if queue == DELIVER else partial(reply_one, deps, queue)


def _reply_queues(deps: Deps, batch: str) -> Sequence[str]:
    """The queues of the people who go before this batch: those of this process's own engine, then those who have no engine yet."""
    shared = reply_queue(profile_of(batch))
    return (*(queue for queue in deps.queues if is_engines(queue) and profile_queue(queue) == shared), shared)


def _repeat(deps: Deps, queue: str, one: Callable[[], bool]) -> int:
    """Do what is due in a queue, and between that a piece of each other queue where something waits. It ends when its own queue has nothing due."""
    until = time.monotonic() + deps.settings.task_run_s
    done, piece = 0, one
    while not deps.in_flight.stopping.is_set() and time.monotonic() < until:
        if piece():
            done += 1
        elif piece is one:
            break
        wanted = deps.elsewhere.wanted(queue) if piece is one else None
        if wanted is not None and is_batch(queue):
            # The slot is free for a task of the other batch, which looks for people first.
            break
        # A slot that is given up is idle until its next task is there.
        piece = one if wanted is None else _one_of(deps, wanted)
    return done
