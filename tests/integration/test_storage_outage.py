"""An outage of a platform, seen from storage: what is tried meanwhile, what waits, and what goes out afterwards."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bots.domain import DeliveryStatus, Outcome, Retry, Scope
from bots.storage import claims, outbox
from bots.storage.outbox import HealthRead, Sending
from tests.support.storage_fixture import StorageFixture, a_message, a_phone, a_status

#: How an attempt fails while a platform is down.
_DOWN = {
    "nothing comes back": (Outcome.UNKNOWN, Retry.LATER),
    "it cannot be reached": (Outcome.NOT_SENT, Retry.LATER),
    "it says not now": (Outcome.REJECTED, Retry.LATER),
}


def says(storage: StorageFixture, n: int, *, parts: list[str] | None = None) -> Sending | None:
    """Person n writes and is answered; returns what may leave at once."""
    storage.let_in(a_message(f"hi {n}", by=(a_phone(f"346001{n:05d}"),)))
    return storage.finish(storage.claimed(), parts=parts or [f"answer {n}"])


def tries(storage: StorageFixture, n: int) -> Sending:
    """Person n writes, and the answer leaves at once or soon."""
    found = says(storage, n) or storage.next_send()
    assert found is not None
    return found


def fails(storage: StorageFixture, sending: Sending | None, how: str = "nothing comes back", **more: Any) -> None:
    assert sending is not None
    outcome, retry = _DOWN[how]
    storage.end(sending, outcome, retry=retry, scope=Scope.MESSAGE, **more)


def an_outage(storage: StorageFixture, how: str = "nothing comes back", **more: Any) -> None:
    """Three people's answers fail."""
    for n in range(3):
        fails(storage, tries(storage, n), how, **more)


def state(storage: StorageFixture) -> str | None:
    found = storage.rows("select state from send_limits where scope = 'account'")
    return found[0][0] if found else None


def passes(storage: StorageFixture) -> None:
    """The pause before the next probe ends."""
    storage.do(
        "update send_limits set until = now() - interval '1 millisecond', risen_at = risen_at - interval '1 second'"
        " where id in (select id from send_limits for update skip locked)"
    )


def reads_health(storage: StorageFixture, *, answers: bool) -> str | None:
    found = storage.next_try()
    assert isinstance(found, HealthRead)
    return outbox.end_health_read(storage.crossing, found.health_of, answers=answers, longest_s=30)


def due(storage: StorageFixture) -> int:
    """What the dispatcher sees to send."""
    claims.heartbeat(storage.crossing, "w", boot=storage.boot, queues=["deliver"], slots=8, busy=0)
    return sum(one.due for one in claims.waiting(storage.crossing, reserve=0) if one.queue == "deliver")


@pytest.mark.parametrize("how", _DOWN)
def test_three_conversations_that_fail_alike_are_an_outage(storage: StorageFixture, how: str) -> None:
    fails(storage, says(storage, 0), how)
    fails(storage, tries(storage, 1), how)
    assert state(storage) == "suspect"

    fails(storage, tries(storage, 2), how)

    assert state(storage) == "outage"


def test_failures_of_different_kinds_are_one_outage(storage: StorageFixture) -> None:
    for n, how in enumerate(_DOWN):
        fails(storage, tries(storage, n), how)

    assert state(storage) == "outage"


def test_one_that_is_taken_between_ends_the_count(storage: StorageFixture) -> None:
    fails(storage, says(storage, 0))
    storage.end(tries(storage, 1))

    assert state(storage) is None


def test_one_persons_message_alone_is_no_outage(storage: StorageFixture) -> None:
    fails(storage, says(storage, 0), "it says not now", retry_after_s=0)
    for _ in range(5):
        fails(storage, storage.next_send(), "it says not now", retry_after_s=0)

    assert state(storage) == "suspect"


def test_a_failure_of_our_own_is_no_outage(storage: StorageFixture) -> None:
    for n in range(4):
        storage.end(tries(storage, n), Outcome.UNKNOWN, retry=Retry.LATER, scope=None)

    assert state(storage) is None


def test_in_an_outage_nothing_leaves_and_nothing_is_resent(storage: StorageFixture) -> None:
    an_outage(storage, reconcile_s=0)

    assert says(storage, 10) is None
    assert storage.next_try() is None
    assert due(storage) == 0


def test_a_probe_is_one_message_that_has_not_been_tried(storage: StorageFixture) -> None:
    an_outage(storage, reconcile_s=0)
    says(storage, 10)
    says(storage, 11)
    passes(storage)
    assert due(storage) == 1

    probe = storage.next_send()
    assert probe is not None
    assert probe.text == "answer 10"
    assert (storage.next_try(), due(storage)) == (None, 0)


def test_without_such_a_message_the_accounts_health_is_read(storage: StorageFixture) -> None:
    an_outage(storage, reconcile_s=0)
    passes(storage)
    assert due(storage) == 1

    assert reads_health(storage, answers=False) == "outage"
    assert (storage.next_try(), due(storage)) == (None, 0)


def test_the_pause_between_probes_grows_to_its_limit(storage: StorageFixture) -> None:
    an_outage(storage)
    pauses = []
    for _ in range(7):
        pauses.append(round(storage.value("select extract(epoch from until - closed_at) from send_limits")))
        passes(storage)
        reads_health(storage, answers=False)

    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_what_was_on_its_way_when_the_outage_was_seen_does_not_lengthen_it(storage: StorageFixture) -> None:
    sendings = [says(storage, n) for n in range(10)]
    for sending in sendings:
        fails(storage, sending)

    assert storage.value("select level from send_limits") == 0


def test_healed_the_rest_goes_out_in_order_rising_slowly_and_the_unknown_ones_wait_for_reports(storage: StorageFixture) -> None:
    an_outage(storage, reconcile_s=0)
    for n in range(10, 30):
        says(storage, n)
    passes(storage)
    probe = storage.next_send()
    assert probe is not None
    storage.end(probe)
    assert (state(storage), storage.next_try()) == ("rising", None)

    sent = [probe.text]
    rounds = []
    for _ in range(12):
        passes(storage)
        taken = 0
        while (found := storage.next_send()) is not None:
            sent.append(found.text)
            storage.end(found)
            taken += 1
        rounds.append(taken)

    assert sent == [f"answer {n}" for n in range(10, 30)]
    assert rounds[0] == 1
    # The three whose sending is unknown are given time for the platform's reports, counted from the end of the outage.
    assert storage.value("select count(*) from outbox where status = 'unknown' and not_before > now() + interval '80 seconds'") == 3
    assert storage.value("select count(*) from send_attempts where n > 1") == 0

    storage.let_in(a_status("wamid.LATE", DeliveryStatus.SENT, correlation=storage.value("select id from outbox where body = 'answer 0'")))
    storage.do("update outbox set not_before = now() where status = 'unknown' and not_before is not null")
    resent = set()
    while (found := storage.next_send()) is not None:
        passes(storage)
        assert found.resent
        resent.add(found.text)
        storage.end(found)
    assert resent == {"answer 1", "answer 2"}


def test_a_healed_account_forgets_its_outage(storage: StorageFixture) -> None:
    an_outage(storage)
    for n in range(10, 20):
        says(storage, n)
    for _ in range(10):
        passes(storage)
        found = storage.next_send()
        assert found is not None
        storage.end(found)

    assert state(storage) is None
    assert says(storage, 40) is not None


def test_a_read_that_succeeds_lets_one_message_try_and_its_failure_closes_again(storage: StorageFixture) -> None:
    an_outage(storage, reconcile_s=0)
    passes(storage)
    assert reads_health(storage, answers=True) == "probing"
    says(storage, 10)
    says(storage, 11)

    probe = storage.next_send()
    assert probe is not None
    assert storage.next_try() is None
    fails(storage, probe)

    assert state(storage) == "outage"
    assert storage.value("select count(*) from send_attempts where n > 1") == 0


def test_after_a_read_that_succeeds_even_an_unknown_message_is_sent_again_once(storage: StorageFixture) -> None:
    an_outage(storage, reconcile_s=0)
    passes(storage)
    reads_health(storage, answers=True)
    assert storage.next_try(reconcile_s=0.0) is not None


def test_before_a_resend_the_platform_is_known_to_work(storage: StorageFixture) -> None:
    fails(storage, says(storage, 0), reconcile_s=0)
    assert due(storage) == 1

    assert reads_health(storage, answers=False) == "outage"
    passes(storage)
    assert reads_health(storage, answers=True) == "probing"
    resend = storage.next_try(reconcile_s=0)
    assert isinstance(resend, Sending)
    assert resend.resent


def test_after_a_lone_failure_a_read_that_succeeds_lets_one_message_try_at_a_time(storage: StorageFixture) -> None:
    fails(storage, tries(storage, 0), reconcile_s=0)
    fails(storage, tries(storage, 1), reconcile_s=0)
    assert reads_health(storage, answers=True) == "probing"

    resend = storage.next_send()
    assert resend is not None
    assert (resend.resent, storage.next_try()) == (True, None)
    fails(storage, resend, reconcile_s=0)

    # The other keeps its one resend for later.
    assert state(storage) == "outage"
    assert storage.value("select count(*) from send_attempts where n > 1") == 1


def test_a_final_refusal_shows_that_the_platform_works(storage: StorageFixture) -> None:
    an_outage(storage)
    says(storage, 10)
    passes(storage)
    probe = storage.next_send()
    assert probe is not None
    storage.end(probe, Outcome.REJECTED, retry=Retry.NEVER, error_code=131026, scope=Scope.MESSAGE)

    assert state(storage) == "rising"


def test_what_is_too_old_after_the_outage_fails_visibly_with_its_later_parts(storage: StorageFixture) -> None:
    an_outage(storage)
    says(storage, 10, parts=["one", "two"])
    storage.do(
        "update outbox set waits_since = now() - interval '7 hours', not_before = now() - interval '7 hours' where body in ('one', 'two')"
    )
    outbox.fail_oldest(storage.crossing, younger_s=6 * 3600)

    found = storage.rows("select body, status, reason, attention_at is not null from outbox where body in ('one', 'two') order by part")
    assert [tuple(row) for row in found] == [("one", "failed", "too_old", True), ("two", "failed", "part_refused", False)]


def test_what_is_too_old_is_not_used_as_a_probe(storage: StorageFixture) -> None:
    an_outage(storage)
    says(storage, 10)
    says(storage, 11)
    storage.do("update outbox set waits_since = now() - interval '7 hours' where body = 'answer 10'")
    passes(storage)

    probe = storage.next_send()
    assert probe is not None
    assert probe.text == "answer 11"


def test_another_account_goes_on(storage: StorageFixture) -> None:
    an_outage(storage)
    other = storage.another_account("other")
    storage.do("update conversations set account_id = %s where id in (select conversation_id from outbox where body = 'answer 0')", other)
    storage.do("update outbox set account_id = %s, status = 'queued', not_before = now() where body = 'answer 0'", other)

    found = storage.next_send()
    assert found is not None
    assert found.account == other


def test_a_report_that_the_platform_took_what_seemed_to_fail_ends_the_outage(storage: StorageFixture) -> None:
    an_outage(storage)
    says(storage, 10)
    storage.let_in(a_status("wamid.2", DeliveryStatus.SENT, correlation=storage.value("select id from outbox where body = 'answer 2'")))
    passes(storage)

    found = storage.next_send()
    assert found is not None
    assert (found.text, state(storage)) == ("answer 10", "rising")


def test_a_report_of_what_was_taken_before_proves_nothing(storage: StorageFixture) -> None:
    storage.end(tries(storage, 9), external_id="wamid.9")
    an_outage(storage)
    storage.let_in(a_status("wamid.9", DeliveryStatus.READ))
    passes(storage)

    assert isinstance(storage.next_try(), HealthRead)


_KINDS = [(Outcome.ACCEPTED, None)] * 6 + [*_DOWN.values(), (Outcome.REJECTED, Retry.NEVER)]
_SCOPES = [Scope.MESSAGE] * 4 + [Scope.ACCOUNT, Scope.PERSON]


def works(storage: StorageFixture, chance: random.Random) -> None:
    """Claim and end forty times, as it comes; time passes quickly."""
    for _ in range(40):
        passes(storage)
        storage.do(
            "update outbox set not_before = now() where id in"
            " (select id from outbox where not_before > now() and status = 'queued' for update skip locked)"
        )
        found = storage.next_try(reconcile_s=0)
        if isinstance(found, HealthRead):
            outbox.end_health_read(storage.crossing, found.health_of, answers=chance.random() < 0.5, longest_s=30)
        elif found is not None:
            outcome, retry = chance.choice(_KINDS)
            scope = chance.choice(_SCOPES) if outcome is Outcome.REJECTED else Scope.MESSAGE
            storage.end(found, outcome, retry=retry, scope=scope, error_code=1, reconcile_s=0)


def test_workers_at_once_do_not_deadlock_and_resend_at_most_once(storage: StorageFixture, seed: random.Random) -> None:
    for n in range(40):
        storage.let_in(a_message(by=(a_phone(f"346002{n:05d}"),)))
    for n in range(40):
        if (sending := storage.finish(storage.claimed(), parts=[f"answer {n}", "more"])) is not None:
            fails(storage, sending, "it cannot be reached")
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(works, storage, random.Random(seed.random())) for _ in range(4)]:
            done.result()

    assert storage.value("select deadlocks from pg_stat_database where datname = current_database()") == 0
    assert storage.value("select count(*) from send_attempts where outcome = 'accepted'") > 10
    assert (
        storage.value(
            "select count(*) from (select from send_attempts where outcome = 'unknown' group by message_id having count(*) > 2) x"
        )
        == 0
    )
