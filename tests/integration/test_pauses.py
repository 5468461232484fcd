"""When a server asks not to be called, or its account is empty: the turn waits as long, batches are held, other endpoints answer, nobody asks before."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from bots.storage.database import unit
from inference.errors import ModelBusy, OutOfQuota
from inference.router import Router
from inference.settings import ModelSettings
from inference.types import Endpoint, Message
from tests.support.batches import lines, submit
from tests.support.cluster import Cluster
from tests.support.one_worker import BATCHES, OneWorker, one_worker
from tests.support.played_model import Played, PlayedModel, played_model
from workers.batch import batch_one

_HI = (Message(role="user", content="hi there"),)
_IN_30_S = Played(status=429, headers={"retry-after": "30"}, body={"error": {"message": "rate limit", "code": "rate_limit_exceeded"}})
_EMPTY = Played(
    status=429,
    body={
        "error": {
            "message": "you exceeded your current quota, check plan and billing",
            "type": "insufficient_quota",
            "code": "insufficient_quota",
        }
    },
)
_PAID_UP = Played(status=402, body={"error": {"message": "Insufficient Balance"}})


@pytest.fixture
def place(cluster: Cluster) -> Iterator[OneWorker]:
    with one_worker(cluster) as opened:
        yield opened


@pytest.fixture
def model() -> Iterator[PlayedModel]:
    with played_model() as running:
        yield running


def _ask(router: Router) -> ModelBusy | OutOfQuota | None:
    try:
        router.chat("p", _HI, affinity=None, may_leave=True, max_tokens=8)
    except (ModelBusy, OutOfQuota) as error:
        return error.with_traceback(None)
    return None


@pytest.mark.parametrize(
    ("played", "kind", "wait_s"), [(_IN_30_S, ModelBusy, 30.0), (_EMPTY, OutOfQuota, 60.0), (_PAID_UP, OutOfQuota, 60.0)]
)
def test_no_thread_asks_a_server_before_its_time_and_its_breaker_stays_closed(
    model: PlayedModel, played: Played, kind: type[ModelBusy | OutOfQuota], wait_s: float
) -> None:
    model.plays = lambda _prompt: played
    router = Router(Endpoint(name="one", url=model.url, model="m"), ModelSettings(breaker_failures=1))
    first = _ask(router)
    with ThreadPoolExecutor(8) as threads:
        others = list(threads.map(_ask, [router] * 32))

    assert type(first) is kind
    assert len(model.asked) == 1
    assert all(type(error) is kind and wait_s - 10 < error.retry_after_s <= wait_s for error in [first, *others] if error is not None)
    assert None not in others


def test_a_new_key_is_asked_at_once(model: PlayedModel) -> None:
    model.plays = lambda _prompt: _EMPTY
    router = Router(Endpoint(name="own", url="http://127.0.0.1:9/v1", model="m"), ModelSettings())
    endpoint = Endpoint(name="one", url=model.url, model="m", api_key="sk-empty")
    for key in ("sk-empty", "sk-empty", "sk-other"):
        router.configure({"p": [[replace(endpoint, api_key=key)]]})
        assert isinstance(_ask(router), OutOfQuota)

    assert len(model.asked) == 2


def test_a_turn_waits_as_long_as_the_server_says_and_later_turns_do_not_ask(place: OneWorker) -> None:
    place.first.plays = lambda _prompt: _IN_30_S

    assert place.ask("Good morning") == {"state": "open", "reason": "model_unavailable", "asked": None, "answer": None}
    assert 20 < place.waits_s() <= 30
    place.make_due()
    assert place.ask("Hello?")["state"] == "open"
    assert 20 < place.waits_s() <= 30
    assert len(place.first.asked) == 1
    assert place.storage.value("select count(*) from model_refusals") == 0, "a full server needs no operator"


def test_the_apology_does_not_come_late_because_of_a_long_pause(cluster: Cluster) -> None:
    with one_worker(cluster, CHINWAG_APOLOGY_AFTER_S="10") as place:
        place.first.plays = lambda _prompt: _IN_30_S
        with unit(place.storage.web) as connection:
            connection.exec_driver_sql("update bots set apology_text = 'Sorry, one moment.'")
        place.ask("Good morning")

        assert 5 < place.waits_s() <= 10
        place.storage.do("update turns set opened_at = now() - interval '10 s'")
        place.make_due()
        place.turn()
        assert place.storage.rows("select body from outbox") == [("Sorry, one moment.",)]
        assert 15 < place.waits_s() <= 30
        assert len(place.first.asked) == 1


def test_the_next_endpoint_answers_while_an_account_is_empty_and_an_operator_is_told(place: OneWorker) -> None:
    place.profile("first", "second")
    place.first.plays = lambda _prompt: _EMPTY

    assert place.ask("Good morning")["answer"] == "You said: Good morning"
    assert place.ask("And now?")["answer"] == "You said: And now?"
    assert (len(place.first.asked), len(place.second.asked)) == (1, 2)
    assert place.storage.rows("select endpoint, kind, status, said, times from model_refusals") == [
        ("first", "quota", 429, "you exceeded your current quota, check plan and billing", 1)
    ]
    assert [call[:2] for call in place.calls()] == [("first", "OutOfQuota"), ("second", "ok"), ("second", "ok")]


def test_an_empty_account_is_asked_seldom_while_turns_wait(place: OneWorker) -> None:
    place.first.plays = lambda _prompt: _EMPTY
    place.ask("Good morning")

    assert 50 < place.waits_s() <= 60
    for _ in range(3):
        place.make_due()
        place.turn()
    assert len(place.first.asked) == 1


def test_what_a_person_says_during_a_long_pause_is_looked_at_soon_since_it_may_be_a_command(place: OneWorker) -> None:
    place.first.plays = lambda _prompt: _EMPTY
    place.ask("Good morning")
    place.say("/stop")

    assert place.waits_s() <= 30
    place.make_due()
    place.turn()
    assert place.storage.value("select stopped_at is not null from contacts")
    assert len(place.first.asked) == 1


@pytest.mark.parametrize(("played", "least_s", "most_s"), [(_IN_30_S, 20, 30), (_EMPTY, 50, 60)])
def test_a_batch_is_held_as_long_and_no_item_fails(place: OneWorker, played: Played, least_s: float, most_s: float) -> None:
    place.first.plays = lambda _prompt: played
    submit(place.storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(3))
    assert batch_one(place.deps, BATCHES)

    assert least_s < float(place.storage.value("select extract(epoch from hold_until - now()) from batches")) <= most_s
    assert not batch_one(place.deps, BATCHES)
    assert place.storage.rows("select state, tries from batch_items") == [("waiting", 0)] * 3
