"""Home's numbers against rows whose times are known, the page that shows them, and how long they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from bots.admin import figures as use_cases
from bots.admin.figures import FigureCache
from bots.domain import Outcome, Retry, Role
from bots.storage import figures
from bots.storage.database import hot
from bots.storage.figures import Figures, Span
from bots.storage.turns import ModelCall
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn, a_token
from tests.support.processes import until
from tests.support.stack import Stack
from tests.support.storage_fixture import StorageFixture, a_message, a_phone


def _read(storage: StorageFixture, span: Span = Span.DAY, tenant: UUID | None = None) -> Figures:
    with hot(storage.crossing) as connection:
        return figures.read(connection, tenant=tenant or storage.account.tenant_id, span=span)


def _call(outcome: str = "ok", *, attempt: int = 1) -> ModelCall:
    return ModelCall(
        attempt=attempt,
        endpoint="e",
        model="m",
        prompt=[],
        tokens_in=100,
        tokens_cached=60,
        tokens_out=7,
        first_token_ms=1.0,
        total_ms=2.0,
        outcome=outcome,
    )


def _answered_in(storage: StorageFixture, seconds: float, number: str) -> None:
    """A message that was answered after so long, an hour ago."""
    storage.let_in(a_message(by=(a_phone(number),)))
    claim = storage.claimed()
    sending = storage.finish(claim, calls=[_call()])
    assert sending is not None
    storage.end(sending)
    storage.do("update turns set finished_at = now() - interval '1 hour' where id = %s", claim.turn)
    storage.do("update inbox set received_at = now() - interval '1 hour' - %s * interval '1 s' where turn_id = %s", seconds, claim.turn)


def test_times_to_answer_are_taken_from_the_newest_message_that_an_answer_covers(storage: StorageFixture) -> None:
    for n, seconds in enumerate((1, 2, 3, 4, 40)):
        _answered_in(storage, seconds, f"3460000000{n}")

    found = _read(storage)

    assert (found.total.p50_s, found.total.p95_s) == (pytest.approx(3.0, rel=0.02), pytest.approx(32.8, rel=0.02))
    assert (found.total.messages, found.total.answers, found.total.tokens_in, found.total.tokens_out) == (5, 5, 500, 35)
    assert sum(bucket.answers for bucket in found.buckets) == 5
    assert [bucket.answers for bucket in found.buckets][-2:] == [5, 0]


def test_a_turn_of_two_messages_counts_from_the_later_one(storage: StorageFixture) -> None:
    storage.let_in(a_message("one"), a_message("two"))
    claim = storage.claimed()
    storage.finish(claim)
    storage.do("update inbox set received_at = (select finished_at from turns limit 1) - interval '60 s' where text = 'one'")
    storage.do("update inbox set received_at = (select finished_at from turns limit 1) - interval '2 s' where text = 'two'")

    assert _read(storage).total.p50_s == pytest.approx(2.0, abs=0.2)


def test_a_persons_answers_are_counted_apart_and_have_no_time(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.do("select take_over(id, 'ana', null) from conversations")
    storage.do("select answer_by_hand(id, 'ana', 'hello', array['hello'], gen_random_uuid()) from conversations")

    total = _read(storage).total
    assert (total.answers, total.by_hand, total.p50_s) == (0, 1, None)


def test_what_failed_is_counted_by_its_code_even_when_somebody_dismissed_it(storage: StorageFixture) -> None:
    storage.let_in(a_message())
    storage.end(
        storage.answered(calls=[_call("garbage"), _call("plain", attempt=2)]), Outcome.REJECTED, retry=Retry.NEVER, error_code=131047
    )
    storage.do("update outbox set attention_at = null")
    storage.let_in(a_message())
    storage.finish(storage.claimed(), state="dead", reason="error:ValueError", answer=None, parts=[])
    storage.do("update turns set state = 'skipped', reason = 'dismissed:' || reason where state = 'dead'")
    figures.count(storage.crossing)

    assert {(failure.what, failure.code, failure.count) for failure in _read(storage).failures} == {
        ("send", "131047", 1),
        ("turn", "ValueError", 1),
        ("model", "garbage", 1),
    }


def test_people_who_wait_are_counted_once_with_the_oldest_message(storage: StorageFixture) -> None:
    storage.let_in(a_message("one"), a_message("two"))
    storage.let_in(a_message(by=(a_phone("34600000001"),)))
    storage.do("update inbox set received_at = now() - interval '90 s' where text = 'two'")
    storage.claimed()

    found = _read(storage)
    assert (found.waiting, found.oldest_waiting_s) == (2, pytest.approx(90, abs=5))


def test_nothing_at_all_makes_empty_figures_with_every_hour_and_day(storage: StorageFixture) -> None:
    day, week = _read(storage), _read(storage, Span.WEEK)

    assert (len(day.buckets), len(week.buckets), day.total.messages, day.total.p95_s, day.failures, day.waiting) == (24, 7, 0, None, (), 0)
    assert [bucket.at for bucket in week.buckets] == sorted(bucket.at for bucket in week.buckets)


def test_a_week_holds_what_a_day_no_longer_does_and_nothing_older(storage: StorageFixture) -> None:
    storage.let_in(a_message("young"), a_message("old"), a_message("ancient"))
    storage.do("update inbox set received_at = now() - interval '3 days' where text = 'old'")
    storage.do("update inbox set received_at = now() - interval '9 days' where text = 'ancient'")

    assert (_read(storage).total.messages, _read(storage, Span.WEEK).total.messages) == (1, 2)


def test_another_tenants_numbers_are_not_counted(storage: StorageFixture) -> None:
    storage.let_in(a_message())

    other = _read(storage, tenant=uuid4())
    assert (other.total.messages, other.waiting) == (0, 0)


def test_numbers_are_kept_for_five_seconds(storage: StorageFixture) -> None:
    clock = [100.0]
    cache = FigureCache(clock=lambda: clock[0])
    read = partial(use_cases.read, storage.deps, storage.operator(), Span.DAY, cache=cache)
    assert read().total.messages == 0
    storage.let_in(a_message())

    clock[0] += 4.9
    assert read().total.messages == 0
    clock[0] += 0.2
    assert read().total.messages == 1


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("figures"))) as running:
        running.model.script(echo=True)
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running


@pytest.mark.parametrize("span", ["day", "week"])
def test_the_home_page_and_the_api_show_what_happened(served: Stack, span: str) -> None:
    served.say(build.a_person(), "Count me.")
    served.wait_settled()
    headers = {"Authorization": f"Bearer {a_token(served, Role.VIEWER)}"}

    def counted() -> bool:
        found = served.http.get(f"/api/v1/figures/{span}", headers=headers).json()["total"]
        return found["messages"] == found["answers"] == served.one("select count(*) from inbox where kind = 'message'")

    until(counted, what="the numbers are fresh")
    with SignedIn(served, Role.VIEWER) as signed_in:
        page = signed_in.get(f"/admin?span={span}").text
    assert page.count('<svg class="picture"') >= 4
    assert "time to answer, p95" in page
    assert page.count("<details>") >= 4
    assert "style=" not in page
    assert served.http.get("/api/v1/figures/year", headers=headers).status_code == 422
