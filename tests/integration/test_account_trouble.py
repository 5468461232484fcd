"""When an account waits for an operator: runs of refusals, failed statuses, and spam limits, on a real database."""

from __future__ import annotations

from typing import Any

import pytest

from bots.admin.attention import troubles
from bots.admin.attention.troubles import Action, as_row
from bots.channels.account_notices import of_code
from bots.domain import ChannelKind, DeliveryStatus, EventKind, InboundEvent, Outcome, Retry, Scope, StatusUpdate
from bots.storage.attention import TroubleKind
from bots.storage.outbox import Sending
from tests.support.storage_fixture import StorageFixture, a_message, a_phone


def _sending(storage: StorageFixture, person: int, text: str = "hi") -> Sending:
    """A person writes, and the answer is on its way."""
    storage.let_in(a_message(text, by=(a_phone(f"3460000000{person}"),)))
    return storage.answered()


def _refuse(storage: StorageFixture, person: int, code: int | None = 200, subcode: int | None = 1545041, **more: Any) -> str | None:
    values: dict[str, Any] = {
        "scope": Scope.PERSON,
        "is_in_doubt": True,
        "error_code": code,
        "error_subcode": subcode,
        "http_status": 403,
    } | more
    return storage.end(_sending(storage, person), Outcome.REJECTED, retry=Retry.NEVER, **values)


def _state(storage: StorageFixture) -> tuple[str, str | None]:
    return tuple(storage.rows("select state, state_reason from accounts")[0])


_ACTIVE = ("active", None)


def test_three_people_in_a_row_refused_alike_park_the_account(storage: StorageFixture) -> None:
    assert [_refuse(storage, person) for person in (1, 2)] == ["failed", "failed"]
    assert _state(storage) == _ACTIVE

    _refuse(storage, 3)

    assert _state(storage) == ("needs_attention", "alike:code:200/1545041")
    storage.let_in(a_message(by=(a_phone("34600000009"),)))
    assert storage.finish(storage.claimed()) is None
    assert storage.next_send() is None
    row = as_row(troubles.list_troubles(storage.deps, storage.operator(), kind=TroubleKind.ACCOUNT)[0])
    assert "three people in a row" in row.reason.message
    assert row.actions == (Action.RESUME,)


def test_after_it_was_resumed_it_takes_three_more(storage: StorageFixture) -> None:
    for person in (1, 2, 3):
        _refuse(storage, person)
    troubles.act(storage.deps, storage.operator(), TroubleKind.ACCOUNT, storage.account.id, Action.RESUME)

    for person in (4, 5):
        _refuse(storage, person)

    assert _state(storage) == _ACTIVE


def test_an_accepted_message_between_them_ends_the_run(storage: StorageFixture) -> None:
    for person in (1, 2):
        _refuse(storage, person)
    storage.end(_sending(storage, 3))

    for person in (4, 5):
        _refuse(storage, person)

    assert _state(storage) == _ACTIVE
    _refuse(storage, 6)
    assert _state(storage)[0] == "needs_attention"


def test_one_person_who_is_refused_many_times_counts_once(storage: StorageFixture) -> None:
    for _ in range(5):
        _refuse(storage, 1)
    _refuse(storage, 2)
    _refuse(storage, 1)

    assert _state(storage) == _ACTIVE


def test_refusals_with_different_codes_are_no_run(storage: StorageFixture) -> None:
    for person, code in ((1, 200), (2, 551), (3, 200), (4, 551), (5, 10), (6, 200)):
        _refuse(storage, person, code)

    assert _state(storage) == _ACTIVE


def test_another_subcode_is_another_reason(storage: StorageFixture) -> None:
    for person, subcode in ((1, 1545041), (2, 2018021), (3, None)):
        _refuse(storage, person, 200, subcode)
    assert _state(storage) == _ACTIVE

    for person in (4, 5):
        _refuse(storage, person, 200, None)
    assert _state(storage) == ("needs_attention", "alike:code:200")


def test_what_is_certain_to_mean_one_person_never_parks_nor_ends_a_run(storage: StorageFixture) -> None:
    for person in range(1, 6):
        _refuse(storage, person, 131047, None, is_in_doubt=False)
    assert _state(storage) == _ACTIVE

    _refuse(storage, 1)
    _refuse(storage, 2)
    _refuse(storage, 6, 131047, None, is_in_doubt=False)
    _refuse(storage, 3)

    assert _state(storage)[0] == "needs_attention"


def test_a_message_keeps_code_and_subcode_as_its_reason(storage: StorageFixture) -> None:
    _refuse(storage, 1, 10, 2018300)

    assert storage.value("select reason from outbox") == "code:10/2018300"
    with storage.web.begin() as connection:
        connection.exec_driver_sql("update accounts set channel = 'messenger'")
    row = as_row(troubles.list_troubles(storage.deps, storage.operator())[0])
    assert row.reason.message == "Another app has this conversation. (code 10/2018300)"


def test_a_refusal_by_something_else_than_the_platform_waits_and_parks_at_the_third_in_a_row(storage: StorageFixture) -> None:
    sending = _sending(storage, 1)
    states: list[str] = []
    for _ in range(3):
        more: dict[str, Any] = {"http_status": 403, "scope": Scope.MESSAGE, "is_in_doubt": True, "retry_after_s": 0}
        storage.end(sending, Outcome.REJECTED, retry=Retry.LATER, **more)
        states.append(_state(storage)[0])
        sending = storage.next_send() or sending

    assert states == ["active", "active", "needs_attention"]
    assert _state(storage)[1] == "alike:http:403"
    assert storage.rows("select status, reason from outbox") == [("queued", "http:403")]


def test_a_refusal_that_concerns_the_account_parks_it_at_once_with_code_and_subcode(storage: StorageFixture) -> None:
    _refuse(storage, 1, 190, 460)
    assert _state(storage) == _ACTIVE

    storage.end(_sending(storage, 2), Outcome.REJECTED, retry=Retry.ASK_OPERATOR, scope=Scope.ACCOUNT, error_code=190, error_subcode=460)

    assert _state(storage) == ("needs_attention", "code:190/460")
    assert "password" in as_row(troubles.list_troubles(storage.deps, storage.operator(), kind=TroubleKind.ACCOUNT)[0]).reason.message


# Statuses


def _failed(external_id: str, code: int, *, correlation: object = None) -> InboundEvent:
    update = StatusUpdate(
        external_id=external_id, status=DeliveryStatus.FAILED, error_code=code, correlation=str(correlation) if correlation else None
    )
    effect = of_code(ChannelKind.WHATSAPP, code)
    return InboundEvent(kind=EventKind.STATUS, event_key=f"{external_id}:failed", status=update, effect=effect)


@pytest.mark.parametrize("code", [131031, 131042, 368])
def test_a_failed_status_about_the_account_fails_its_message_and_parks_the_account(storage: StorageFixture, code: int) -> None:
    storage.end(_sending(storage, 1), external_id="wamid.A")

    storage.let_in(_failed("wamid.A", code))

    assert _state(storage) == ("needs_attention", f"platform:{code}")
    assert storage.rows("select status, reason from outbox") == [("failed", f"platform:{code}")]
    storage.let_in(a_message(by=(a_phone("34600000009"),)))
    assert storage.finish(storage.claimed()) is None
    assert storage.next_send() is None


def test_a_failed_status_that_comes_before_our_answer_or_about_a_foreign_message_parks_too(storage: StorageFixture) -> None:
    sending = _sending(storage, 1)
    storage.let_in(_failed("wamid.A", 131031))
    storage.end(sending, external_id="wamid.A")

    assert _state(storage)[0] == "needs_attention"
    assert storage.value("select status from outbox") == "failed"


def test_a_failed_status_of_a_person_parks_nothing_however_many_there_are(storage: StorageFixture) -> None:
    for person in range(1, 5):
        storage.end(_sending(storage, person), external_id=f"wamid.{person}")
        storage.let_in(_failed(f"wamid.{person}", 131026))

    assert _state(storage) == _ACTIVE


def test_a_failed_status_of_a_message_from_before_the_resume_says_nothing_new(storage: StorageFixture) -> None:
    storage.end(_sending(storage, 1), external_id="wamid.1")
    storage.end(_sending(storage, 2), external_id="wamid.2")
    storage.let_in(_failed("wamid.1", 131031))
    troubles.act(storage.deps, storage.operator(), TroubleKind.ACCOUNT, storage.account.id, Action.RESUME)

    storage.let_in(_failed("wamid.2", 131031))
    assert _state(storage) == _ACTIVE

    storage.end(_sending(storage, 3), external_id="wamid.3")
    storage.let_in(_failed("wamid.3", 131031))
    assert _state(storage)[0] == "needs_attention"


def test_a_paused_account_stays_paused_whatever_fails(storage: StorageFixture) -> None:
    sending = _sending(storage, 1)
    storage.do("update accounts set state = 'paused'")

    storage.end(sending, external_id="wamid.A")
    storage.let_in(_failed("wamid.A", 131031))

    assert _state(storage) == ("paused", None)


# Spam limits


@pytest.mark.parametrize("by_status", [False, True])
def test_a_spam_limit_slows_the_account_down_and_ends_by_itself(storage: StorageFixture, *, by_status: bool) -> None:
    sending = _sending(storage, 1)
    if by_status:
        storage.end(sending, external_id="wamid.A")
        storage.let_in(_failed("wamid.A", 131048))
    else:
        storage.end(sending, Outcome.REJECTED, retry=Retry.LATER, scope=Scope.ACCOUNT, error_code=131048, retry_after_s=3600.0)
    storage.let_in(a_message(by=(a_phone("34600000002"),)))

    assert storage.finish(storage.claimed()) is None
    assert storage.next_send() is None
    assert _state(storage) == _ACTIVE
    row = as_row(troubles.list_troubles(storage.deps, storage.operator(), kind=TroubleKind.ACCOUNT)[0])
    assert (row.trouble.state, "slowed down until" in row.what, "spam" in row.reason.message) == ("slowed", True, True)

    storage.do("update accounts set slow_until = now() - interval '1 second'")
    storage.do("update send_limits set until = now()")
    assert storage.next_send() is not None
    assert troubles.list_troubles(storage.deps, storage.operator(), kind=TroubleKind.ACCOUNT) == []


def test_an_operator_may_let_a_slowed_account_send_again(storage: StorageFixture) -> None:
    storage.end(_sending(storage, 1), Outcome.REJECTED, retry=Retry.LATER, scope=Scope.ACCOUNT, error_code=131048, retry_after_s=3600.0)
    storage.let_in(a_message(by=(a_phone("34600000002"),)))
    assert storage.finish(storage.claimed()) is None

    troubles.act(storage.deps, storage.operator(), TroubleKind.ACCOUNT, storage.account.id, Action.RESUME)

    assert storage.next_send() is not None


def test_a_short_throttle_slows_only_its_message(storage: StorageFixture) -> None:
    storage.end(_sending(storage, 1), Outcome.REJECTED, retry=Retry.LATER, scope=Scope.ACCOUNT, error_code=130429, retry_after_s=5.0)

    assert storage.value("select slow_until from accounts") is None


def test_a_removed_account_takes_its_run_and_its_notices_along(storage: StorageFixture) -> None:
    _refuse(storage, 1)

    storage.do("select remove_account(%s, %s)", storage.account.tenant_id, storage.account.id)

    with storage.worker.begin() as connection:
        assert connection.exec_driver_sql("select count(*) from refusals").scalar_one() == 0
