"""As many tasks do a piece of other queues as there is work in those."""

from __future__ import annotations

from collections.abc import Mapping

from workers.elsewhere import Elsewhere

_QUEUES = ("reply.a", "reply.b", "deliver", "batch.a", "batch.b")


class _House:
    """What is due, and how often it was asked for."""

    def __init__(self, queues: tuple[str, ...] = _QUEUES, **due: int) -> None:
        self.due = {name.replace("_", "."): count for name, count in due.items()}
        self.reads, self.now = 0, 100.0
        self.elsewhere = Elsewhere(queues, self._read, clock=lambda: self.now)

    def _read(self) -> Mapping[str, int]:
        self.reads += 1
        return self.due

    def turned(self, queue: str, tasks: int = 20) -> int:
        return sum(self.elsewhere.wanted(queue) is not None for _ in range(tasks))


def test_as_many_tasks_turn_to_other_queues_as_there_is_work_in_them() -> None:
    assert _House(reply_a=500, reply_b=3, deliver=2).turned("reply.a") == 5


def test_none_turns_to_its_own_queue() -> None:
    assert _House(reply_a=500).turned("reply.a") == 0


def test_people_do_not_give_way_to_batches_and_batches_to_batches_alone() -> None:
    assert _House(batch_b=9).turned("reply.a") == 0
    assert _House(reply_a=9, deliver=9, batch_b=4).turned("batch.a") == 4


def test_the_queues_are_read_twice_a_second_at_most() -> None:
    house = _House(reply_b=1)
    assert house.turned("reply.a") == 1
    house.now += 0.4
    assert (house.turned("reply.a"), house.reads) == (0, 1)
    house.now += 0.2
    assert (house.turned("reply.a"), house.reads) == (1, 2)


def test_a_process_with_one_queue_never_reads() -> None:
    house = _House(("reply.a",), reply_b=5)

    assert (house.turned("reply.a"), house.reads) == (0, 0)
