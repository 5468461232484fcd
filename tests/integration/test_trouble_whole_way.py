"""Refusals, failed statuses and notices end to end: whose trouble it is, on the practice platform."""

from __future__ import annotations

from typing import Any

import pytest

from bots.domain import Account, ChannelKind, Role
from tests.support import build
from tests.support.operators import a_token
from tests.support.processes import until
from tests.support.stack import Stack

ANN, BOB, CY, DEE = "6001000001", "6001000002", "6001000003", "6001000004"


def _running(stack: Stack) -> Stack:
    stack.start_web()
    stack.start_dispatcher()
    stack.start_worker()
    return stack


@pytest.fixture(params=[ChannelKind.MESSENGER, ChannelKind.INSTAGRAM])
def page(stack: Stack, request: pytest.FixtureRequest) -> tuple[Stack, Account]:
    """A service that answers on a page."""
    account = stack.add_page(request.param, statuses=[])
    return _running(stack), account


def _refuse(stack: Stack, account: Account, person: str, code: int, subcode: int) -> None:
    fault = {"fault": str(code), "code": code, "subcode": subcode, "http_status": 403, "always": True}
    stack.platform.script(fault, channel=account.channel.value, recipient=person)


def _write(stack: Stack, account: Account, person: str) -> None:
    answer = stack.platform.person_writes(account=account.name, channel=account.channel.value, text="hello", **{"from": person})
    assert answer["http_status"] == 200
    stack.accepted.add(answer["message_id"])


def _resume(stack: Stack, account: Account) -> None:
    """An operator settles it at the platform, then resumes the account."""
    stack.platform.unscript()
    headers = {"Authorization": f"Bearer {a_token(stack, Role.AGENT)}"}
    assert stack.http.post(f"/api/v1/attention/account/{account.id}/resume", headers=headers).status_code == 200


def _reasons(stack: Stack) -> list[tuple[str, str | None]]:
    return [(row["status"], row["reason"]) for row in stack.rows("select status, reason from outbox order by seq")]


def _state(stack: Stack, name: str) -> tuple[str, str | None]:
    (row,) = stack.rows("select state, state_reason from accounts where name = :name", name=name)
    return row["state"], row["state_reason"]


@pytest.mark.parametrize(("code", "subcode"), [(10, 2018300), (10, 2018065), (200, 1545041), (200, 9999999)])
def test_one_persons_refusal_fails_that_message_and_others_are_answered(page: tuple[Stack, Account], code: int, subcode: int) -> None:
    stack, account = page
    _refuse(stack, account, ANN, code, subcode)

    _write(stack, account, ANN)
    until(lambda: _reasons(stack) == [("failed", f"code:{code}/{subcode}")], what="a refused answer", timeout_s=30)
    assert _state(stack, "page") == ("active", None)

    _write(stack, account, BOB)
    until(lambda: [status for status, _ in _reasons(stack)] == ["failed", "accepted"], what="an answer for the next person", timeout_s=30)


def test_three_people_in_a_row_park_the_page_and_the_next_answer_waits(page: tuple[Stack, Account]) -> None:
    stack, account = page
    for person in (ANN, BOB, CY):
        _refuse(stack, account, person, 200, 1545041)
    for count, person in enumerate((ANN, BOB, CY), start=1):
        _write(stack, account, person)
        until(lambda count=count: [s for s, _ in _reasons(stack)] == ["failed"] * count, what="a refused answer", timeout_s=30)

    assert _state(stack, "page") == ("needs_attention", "alike:code:200/1545041")
    _write(stack, account, DEE)
    until(lambda: [status for status, _ in _reasons(stack)] == ["failed"] * 3 + ["queued"], what="an answer that waits", timeout_s=30)
    _resume(stack, account)
    until(lambda: [status for status, _ in _reasons(stack)] == ["failed"] * 3 + ["accepted"], what="an answer that left", timeout_s=30)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"fault": "100", "code": 100, "subcode": 33, "http_status": 400, "always": True}, "code:100/33"),
        ({"fault": "failed_status", "code": 131031}, "platform:131031"),
        ({"fault": "failed_status", "code": 131042}, "platform:131042"),
    ],
)
def test_trouble_of_a_number_parks_it_and_later_answers_wait(stack: Stack, fault: dict[str, Any], reason: str) -> None:
    _running(stack)
    stack.platform.script(fault, channel="whatsapp")

    ada, bea = build.a_person(), build.a_person()
    stack.post(build.a_webhook(messages=[build.a_text(ada, "hello")], people=[ada]))
    until(lambda: _state(stack, "test") == ("needs_attention", reason), what="a parked number", timeout_s=30)

    stack.post(build.a_webhook(messages=[build.a_text(bea, "hello")], people=[bea]))
    until(lambda: [status for status, _ in _reasons(stack)][1:] == ["queued"], what="an answer that waits", timeout_s=30)
    _resume(stack, stack.account)
    until(lambda: not {"queued", "sending"} & {status for status, _ in _reasons(stack)}, what="answers that leave", timeout_s=30)
