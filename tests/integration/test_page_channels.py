"""Messenger and Instagram, text end to end: the webhook, the worker's answer, the practice platform's word on it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bots.domain import Account, ChannelKind
from tests.support import build
from tests.support.processes import until
from tests.support.stack import Stack

CHANNELS = [(ChannelKind.MESSENGER, "page"), (ChannelKind.INSTAGRAM, "page"), (ChannelKind.INSTAGRAM, "login")]
PERSON = "6001002003"


@pytest.fixture(params=CHANNELS, ids=["messenger", "instagram_by_page", "instagram_login"])
def connected(stack: Stack, request: pytest.FixtureRequest) -> tuple[Stack, Account]:
    """A service with one account of page messaging, answering."""
    channel, login_type = request.param
    account = stack.add_page(channel, login_type=login_type, statuses=[["echo", 10], ["delivered", 30], ["read", 60]])
    stack.start_web()
    stack.start_dispatcher()
    stack.start_worker()
    return stack, account


def _write(stack: Stack, account: Account, text: str) -> None:
    answer = stack.platform.person_writes(account=account.name, channel=account.channel.value, text=text, **{"from": PERSON})
    assert answer["http_status"] == 200
    stack.accepted.add(answer["message_id"])


def _parts(stack: Stack) -> list[dict[str, Any]]:
    return stack.rows("select body, status, external_id, reason from outbox order by seq")


def test_a_message_is_answered_and_read_and_its_echo_holds_nobody(connected: tuple[Stack, Account]) -> None:
    stack, account = connected

    _write(stack, account, "hello there")

    until(lambda: [part["status"] for part in _parts(stack)] == ["read"], what="an answer that was read", timeout_s=30)
    said = [entry for entry in stack.platform.log() if entry["kind"] == "message"]
    assert [entry["outcome"] for entry in said] == ["accepted"]
    assert said[0]["text"] == _parts(stack)[0]["body"]
    assert stack.one("select count(*) from conversations where taken_by is not null") == 0
    assert stack.one("select first_webhook_at is not null and last_webhook_at is not null from accounts where name = 'page'") is True


def test_a_forged_webhook_leaves_the_doctors_word_and_the_handshake_its_time(connected: tuple[Stack, Account]) -> None:
    stack, account = connected
    hook = f"{stack.web_url}/webhooks/{account.channel.value}/{account.name}"
    item = build.a_page_item(PERSON, account=account.external_id, message={"mid": "m_1", "text": "hi"})
    named = "instagram" if account.channel is ChannelKind.INSTAGRAM else "page"
    body = json.dumps({"object": named, "entry": [{"id": account.external_id, "messaging": [item]}]}).encode()

    # Signed with the secret of the WhatsApp account beside it.
    assert stack.http.post(hook, content=body, headers=build.sign(body)).status_code == 401
    asked = {"hub.mode": "subscribe", "hub.challenge": "42", "hub.verify_token": build.VERIFY_TOKEN}
    assert stack.http.get(hook, params=asked).text == "42"

    (row,) = stack.rows(
        "select refusal, refused_at is not null as refused, handshake_at is not null as shaken from accounts where name = 'page'"
    )
    assert row["refusal"].startswith("other_app:")
    assert "whatsapp/test" in row["refusal"]
    assert (row["refused"], row["shaken"]) == (True, True)
    assert stack.one("select count(*) from inbox") == 0


def test_the_first_answer_ever_begins_with_the_bots_first_contact_line(connected: tuple[Stack, Account]) -> None:
    stack, account = connected
    with stack.owner.begin() as connection:
        connection.exec_driver_sql("update bots set first_contact = 'An assistant *writes* here, 24*7*365.'")

    _write(stack, account, "hello")
    until(lambda: [part["status"] for part in _parts(stack)] == ["read"] * 2, what="two parts", timeout_s=30)
    _write(stack, account, "and again")
    until(lambda: [part["status"] for part in _parts(stack)] == ["read"] * 3, what="a third part", timeout_s=30)

    assert [part["body"] == "An assistant *writes* here, 24*7*365." for part in _parts(stack)] == [True, False, False]
