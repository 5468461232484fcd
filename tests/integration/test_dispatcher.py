"""When the dispatcher looks for work: as soon as it is told, when the next conversation becomes due, and now and then in any case."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from bots.domain import EventKind, Identity, IdentityKind, InboundEvent
from bots.storage import inbox
from bots.storage.database import hot
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import Process, until
from tests.support.stack import WINDOWS, Stack

#: No answer below comes from a tick: in an idle house the next one is a hundred seconds away.
_NEVER = {"CHINWAG_DISPATCH_TICK_S": "10"}
_SOON_S = 8.0


class Watched(Stack):
    """A stack with its dispatcher at hand."""

    dispatcher: Process

    def dispatch(self) -> None:
        """Start the dispatcher, and wait until it hears."""
        self.dispatcher = self.start_dispatcher()
        listening = "select count(*) from pg_stat_activity where datname = current_database() and query like 'select dispatch_tick%'"
        until(lambda: self.one(listening), what="the dispatcher's first tick", timeout_s=30)

    def is_answered(self, wamid: str) -> bool:
        """Whether a message's turn has ended."""
        return bool(
            self.one(
                "select count(*) from inbox i join turns t on t.id = i.turn_id where i.event_key = :key and t.state = 'answered'", key=wamid
            )
        )

    def asked(self, words: str = "When do you open?") -> str:
        """Let somebody new ask."""
        return self.say(build.a_person(), words)


@pytest.fixture(scope="module")
def service(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A service whose dispatcher hardly ever looks by itself."""
    with Watched(cluster, tmp_path_factory.mktemp("dispatcher"), settings=WINDOWS | _NEVER) as running:
        running.start_web()
        running.start_worker()
        running.dispatch()
        yield running
        running.check()


def test_an_accepted_message_is_dispatched_at_once(service: Watched) -> None:
    wamid = service.asked()

    until(lambda: service.is_answered(wamid), what="the answer", timeout_s=_SOON_S)


def test_a_message_that_waits_for_more_is_dispatched_when_it_is_due(service: Watched) -> None:
    wamid = service.asked("Hi")

    until(lambda: service.is_answered(wamid), what="the answer", timeout_s=_SOON_S)


def test_a_dispatcher_whose_connection_was_cut_hears_again(service: Watched) -> None:
    cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name = 'chinwag-dispatcher'"
    assert service.one(cut)
    until(lambda: "storage_unavailable" in service.dispatcher.printed(), what="that it noticed", timeout_s=_SOON_S)
    wamid = service.asked()

    until(lambda: service.is_answered(wamid), what="the answer", timeout_s=_SOON_S)


def test_what_nobody_told_is_found_by_a_tick(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Stack(cluster, tmp_path_factory.mktemp("untold"), settings=WINDOWS | {"CHINWAG_DISPATCH_TICK_S": "0.1"}) as stack:
        stack.start_worker()
        stack.start_dispatcher()
        event = InboundEvent(
            kind=EventKind.MESSAGE,
            event_key=f"wamid.{uuid4().hex}",
            identities=(Identity(kind=IdentityKind.PHONE, value="34600111333"),),
            text="When do you open?",
        )
        with hot(stack.engine("crossing")) as connection:
            inbox.accept(connection, stack.account, [event], queue="reply.default", debounce_s=0, debounce_cap_s=0)

        stack.wait_settled(20)


def test_what_is_due_is_dispatched_where_tidying_up_fails(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    with Stack(cluster, tmp_path_factory.mktemp("untidy"), settings=WINDOWS) as stack, stack.owner.begin() as connection:
        # As an index that is being built on a large table.
        connection.exec_driver_sql("lock table watchers in share mode")
        stack.start_web()
        stack.start_worker()
        dispatcher = stack.start_dispatcher()
        until(lambda: "storage_unavailable" in dispatcher.printed(), what="that it cannot tidy up", timeout_s=20)
        stack.say(build.a_person(), "When do you open?")

        stack.wait_settled(10)


def test_a_sleeping_dispatcher_stops_when_asked(service: Watched) -> None:
    assert service.dispatcher.stop(_SOON_S) == 0
    assert "dispatcher_stopped" in service.dispatcher.printed()
    service.dispatch()
