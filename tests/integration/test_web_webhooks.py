"""The webhook endpoint of the real web process: who is let in, what is stored, and what is answered."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from bots.crypto import Keyring
from bots.domain import ChannelKind
from bots.settings import Settings
from bots.storage import accounts
from tests.support import build
from tests.support.processes import until
from tests.support.stack import Stack

_OTHER_NUMBER = "600700800900100"


@pytest.fixture
def web(stack: Stack) -> Stack:
    """A service of which only the web runs; nothing here is answered."""
    stack.start_web()
    return stack


def _hello(words: str = "hello", *, phone_number_id: str = build.PHONE_NUMBER_ID) -> bytes:
    person = build.a_person()
    return build.a_webhook(messages=[build.a_text(person, words)], people=[person], phone_number_id=phone_number_id)


def _post(stack: Stack, body: bytes, headers: dict[str, str] | None = None, *, account: str = "test") -> int:
    address = f"{stack.web_url}/webhooks/whatsapp/{account}"
    return stack.http.post(address, content=body, headers=build.sign(body) if headers is None else headers).status_code


def _stop_waiting(stack: Stack) -> None:
    """Settle what no worker will answer: the invariants are checked afterwards."""
    with stack.owner.begin() as connection:
        connection.exec_driver_sql("update inbox set kind = 'unknown'")


def test_a_signed_message_is_stored_once_however_often_it_comes(web: Stack) -> None:
    body = _hello()

    assert [_post(web, body) for _ in range(3)] == [200, 200, 200]
    assert web.one("select count(*) from inbox") == 1
    _stop_waiting(web)


@pytest.mark.parametrize("signature", [None, "", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 64, "sha256=" + "g" * 64])
def test_a_forged_message_is_refused_and_not_stored(web: Stack, signature: str | None) -> None:
    headers = {} if signature is None else {"x-hub-signature-256": signature}

    assert _post(web, _hello(), headers) == 401
    assert web.one("select count(*) from inbox") == 0


def test_an_account_that_is_not_there_is_not_found(web: Stack) -> None:
    assert _post(web, _hello(), account="nobody") == 404


def test_a_body_beyond_the_cap_is_refused_whether_its_length_is_declared_or_not(web: Stack) -> None:
    big = b" " * (4 * 1024 * 1024 + 1)

    assert _post(web, big) == 413
    try:
        answer = web.http.post(web.hook, content=iter([big[:65536]] * 80), headers=build.sign(big)).status_code
    except httpx.WriteError:
        answer = 413  # The web closed the connection before all was sent.
    assert answer == 413


def test_a_compressed_body_is_refused_unread(web: Stack) -> None:
    body = _hello()

    assert _post(web, body, build.sign(body) | {"content-encoding": "gzip"}) == 415


def test_a_body_that_cannot_be_read_is_kept_in_quarantine(web: Stack) -> None:
    assert _post(web, b"\xff\x00 this is no JSON") == 200
    assert web.rows("select state, body from envelopes") == [{"state": "quarantined", "body": b"\xff\x00 this is no JSON"}]


def test_a_change_for_another_number_goes_to_the_account_with_the_same_secret(web: Stack) -> None:
    _add(web, secret=build.APP_SECRET)

    assert _post(web, _hello(phone_number_id=_OTHER_NUMBER)) == 200
    assert web.rows("select a.name from inbox i join accounts a on a.id = i.account_id") == [{"name": "neighbour"}]
    _stop_waiting(web)


def test_a_change_for_a_number_with_another_secret_is_quarantined(web: Stack) -> None:
    _add(web, secret="somebody else's")

    assert _post(web, _hello(phone_number_id=_OTHER_NUMBER)) == 200
    assert web.one("select count(*) from inbox") == 0
    assert web.one("select state from envelopes") == "quarantined"


def _add(stack: Stack, *, secret: str) -> None:
    keyring = Keyring.from_settings(Settings.from_env(stack.cluster.addresses(stack.database)))
    with stack.engine("web").begin() as connection:
        accounts.add(
            connection,
            keyring,
            tenant=stack.account.tenant_id,
            bot=stack.account.bot_id,
            channel=ChannelKind.WHATSAPP,
            name="neighbour",
            external_id=_OTHER_NUMBER,
            app_secret=secret,
        )


def test_both_secrets_are_accepted_during_a_rotation(web: Stack) -> None:
    keyring = Keyring.from_settings(Settings.from_env(web.cluster.addresses(web.database)))
    with web.engine("web").begin() as connection:
        accounts.rotate(connection, keyring, web.account, app_secret="the new one")
    new, old = _hello("new"), _hello("old")

    until(lambda: _post(web, new, build.sign(new, "the new one")) == 200, what="the new secret counts", timeout_s=5)
    assert _post(web, old) == 200
    _stop_waiting(web)


def test_the_handshake_echoes_the_challenge_for_the_right_token_alone(web: Stack) -> None:
    asked = {"hub.mode": "subscribe", "hub.challenge": "1158201444"}

    right = web.http.get(web.hook, params=asked | {"hub.verify_token": build.VERIFY_TOKEN})
    wrong = web.http.get(web.hook, params=asked | {"hub.verify_token": "no"})

    assert (right.status_code, right.text, right.headers["content-type"]) == (200, "1158201444", "text/plain; charset=utf-8")
    assert (wrong.status_code, "1158201444" in wrong.text) == (403, False)


def test_without_postgres_the_web_asks_to_send_again_and_takes_it_afterwards(stack: Stack) -> None:
    proxy = stack.database_proxy()
    stack.start_web(**stack.cluster.addresses(stack.database, proxy_port=proxy.port))
    body = _hello()
    assert _post(stack, body) == 200

    proxy.set("refuse")
    later = _hello()
    refused = stack.http.post(stack.hook, content=later, headers=build.sign(later), timeout=20)
    assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    assert stack.http.get("/readyz").status_code == 503
    assert stack.http.get("/livez").status_code == 200

    proxy.set("pass")
    until(lambda: _post(stack, later) == 200, what="the webhook is taken after the outage", timeout_s=20)
    assert stack.one("select count(*) from inbox") == 2
    _stop_waiting(stack)


def test_large_bodies_are_taken_while_small_ones_pass_them(web: Stack) -> None:
    people = [build.a_person(f"Ann {n}") for n in range(3000)]
    large = [build.a_webhook(messages=[build.a_text(person, f"hello {n}") for person in people], people=people) for n in range(6)]
    took: list[float] = []
    with ThreadPoolExecutor(6) as pool:
        going = [pool.submit(_patiently, web, body) for body in large]
        while not all(one.done() for one in going):
            began = time.monotonic()
            assert _post(web, _hello()) == 200
            took.append(time.monotonic() - began)

    assert [one.result() for one in going] == [200] * 6
    assert web.one("select count(*) from inbox") == 18_000 + len(took)
    assert web.one("select count(*) from envelopes where length(body) > 100000") == 6
    assert statistics.median(took) < 1
    _stop_waiting(web)


def _patiently(stack: Stack, body: bytes) -> int:
    """Post a body as a platform does: again for a while, if it is told to."""
    status = 503
    for _ in range(20):
        status = stack.http.post(stack.hook, content=body, headers=build.sign(body), timeout=20).status_code
        if status != 503:
            break
    return status


def test_the_chat_page_is_not_there_unless_switched_on(web: Stack) -> None:
    assert web.http.get("/chat").status_code == 404


def test_the_chat_page_is_for_this_machine_alone(stack: Stack) -> None:
    stack.start_web(CHINWAG_SIMULATOR="1")

    def status(**headers: str) -> int:
        return stack.http.get("/chat", headers={name.replace("_", "-"): value for name, value in headers.items()}).status_code

    assert status() == 200
    assert status(host="rebound.example") == 404
    assert status(x_forwarded_for="203.0.113.9") == 404
    elsewhere = stack.http.post(
        "/chat/messages", json={"contact": "ada", "key": "12345678", "text": "x"}, headers={"origin": "http://elsewhere.example"}
    )
    assert elsewhere.status_code == 403
