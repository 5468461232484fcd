"""After an outage of Redis the first answer comes soon: nobody has slept far into its return."""

from __future__ import annotations

from chinwag.local.redis import start_redis
from tests.support import build
from tests.support.processes import until
from tests.support.stack import Stack

#: So often has the worker tried by then: with pauses that grow by two seconds each time it would take longer than the deadline.
_TRIES, _TRIES_S = 10, 40.0
#: On two quiet cores it is one second; what is left is for a busy machine. A pause of the broker's library alone would be sixteen.
_BACK_S = 6.0


def test_the_first_answer_comes_soon_after_redis_returns(stack: Stack) -> None:
    stack.start_web()
    stack.start_dispatcher()
    worker = stack.start_worker()
    stack.say(build.a_person(), "Are you there?")
    stack.wait_settled()
    stack.redis.child.process.kill()
    stack.redis.child.process.wait(10)
    until(lambda: worker.printed().count("Cannot connect to") >= _TRIES, what="that the worker tried often", timeout_s=_TRIES_S)
    stack.say(build.a_person(), "And now?")

    back = start_redis(stack.folder / "redis")
    try:
        stack.wait_settled(_BACK_S)
    finally:
        back.stop()
