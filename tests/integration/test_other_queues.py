"""A task that goes on in its own queue does pieces of others between: people who wait there need no slot to be given up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster
from tests.support.one_worker import OneWorker, one_worker
from tests.support.played_model import Played, Prompt
from tests.support.storage_fixture import QUEUE, a_message, a_phone
from workers.elsewhere import Elsewhere
from workers.tasks import work_through

_OTHER = "reply.other"
_OWN, _OTHERS = ("When do you open?", "Do you deliver?", "Is there a garden?"), "Where do I park?"


@pytest.fixture
def worker(cluster: Cluster) -> Iterator[OneWorker]:
    """A worker of two queues: three people wait in one, and one in the other, who came last."""
    with one_worker(cluster) as opened:
        opened.profile("first")
        for n, text in enumerate((*_OWN, _OTHERS)):
            opened.storage.let_in(a_message(text, by=(a_phone(f"49151000000{n}"),)))
        opened.storage.do(
            "update conversations set queue = %s where id = (select conversation_id from inbox where text = %s)", _OTHER, _OTHERS
        )
        opened.deps.elsewhere = Elsewhere((QUEUE, _OTHER), lambda: {_OTHER: 1})
        yield opened


def _answered(worker: OneWorker) -> list[str]:
    return [row[0] for row in worker.storage.rows("select asked from turns where state = 'answered' order by finished_at")]


def test_who_waits_in_another_queue_is_answered_by_the_same_task_between_two_of_its_own(worker: OneWorker) -> None:
    done = work_through(worker.deps, QUEUE)

    assert (done, len(_answered(worker))) == (4, 4)
    assert _answered(worker)[1] == _OTHERS


def test_a_task_that_finds_nothing_in_another_queue_goes_on_in_its_own(worker: OneWorker) -> None:
    worker.storage.do("update conversations set ready_at = now() + interval '1 hour' where queue = %s", _OTHER)

    assert work_through(worker.deps, QUEUE) == 3


def test_a_task_that_is_to_stop_begins_nothing_in_another_queue(worker: OneWorker) -> None:
    plays = worker.first.plays

    def stop(prompt: Prompt) -> Played | None:
        worker.deps.in_flight.stopping.set()
        return plays(prompt)

    worker.first.plays = stop

    assert work_through(worker.deps, QUEUE) == 1
