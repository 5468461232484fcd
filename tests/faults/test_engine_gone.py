"""A worker with an engine of its own is killed: the conversations that lived on its engine are answered by the other one, once."""

from __future__ import annotations

from bots.storage.queues import engine_queue
from tests.support import build
from tests.support.processes import until
from tests.support.stack import Stack

_A, _B = engine_queue("default", "a"), engine_queue("default", "b")
_PEOPLE = 8


def test_the_conversations_of_a_killed_engines_worker_are_answered_once_by_the_other(stack: Stack) -> None:
    stack.start_web()
    stack.start_dispatcher()
    killed = stack.start_worker("a", queues=f"{_A},batch.default")
    stack.start_worker("b", queues=f"{_B},batch.default,deliver")
    people = [build.a_person() for _ in range(_PEOPLE)]
    stack.model.script(mode="hold")
    for person in people:
        stack.say(person, "hello")
    leased = "select count(*) from conversations where leased_until > now() and queue = :queue"
    until(lambda: stack.one(leased, queue=_A) + stack.one(leased, queue=_B) == _PEOPLE, what="every turn is with the model")
    lived_there = stack.one(leased, queue=_A)
    killed.kill()
    stack.model.reset()
    stack.model.release()
    stack.wait_settled(45)

    assert lived_there > 0, "no conversation preferred the engine that is killed"
    assert [len(stack.platform.texts_to(person.number)) for person in people] == [1] * _PEOPLE
    assert stack.rows("select queue, count(*) as n from conversations group by queue") == [{"queue": _B, "n": _PEOPLE}]
    # They stay there though the other engine comes back.
    stack.start_worker("a", queues=f"{_A},batch.default")
    for person in people:
        stack.say(person, "again")
    stack.wait_settled(20)
    assert stack.rows("select queue, count(*) as n from conversations group by queue") == [{"queue": _B, "n": _PEOPLE}]
