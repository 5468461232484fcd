"""The practice platform as a real process on loopback: what it refuses, what it accepts, and what it sends back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import typer

from chinwag.cli.webhook_send import converse
from tests.support.practice import (
    ANA,
    PATH,
    PHONE_ID,
    SECRET,
    TOKEN,
    Business,
    Platform,
    a_business,
    a_registered,
    a_text,
    register,
    start,
    stop,
    until,
)


@pytest.fixture
def business() -> Iterator[Business]:
    with a_business() as business:
        yield business


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = start(tmp_path_factory.mktemp("platform"))
    yield platform
    stop(platform)


@pytest.fixture
def platform(process: Platform, business: Business) -> Iterator[Platform]:
    with a_registered(process, business) as platform:
        yield platform


REFUSED: list[tuple[str, dict[str, object], int]] = [
    ("no product", {"messaging_product": None}, 100),
    ("another product", {"messaging_product": "messenger"}, 100),
    ("nobody to write to", {"to": None}, 100),
    ("a number as a number", {"to": 34600111222}, 100),
    ("a business-scoped id in to", {"to": "ES.81230091"}, 131009),
    ("a phone in recipient", {"to": None, "recipient": "34600111222"}, 131009),
    ("letters for a phone", {"to": "ana"}, 131009),
    ("an unknown type", {"type": "poll", "poll": {}}, 100),
    ("a type without its object", {"text": None}, 131008),
    ("another type's object", {"type": "image", "image": {"id": "1"}}, 100),
    ("no words", {"text": {"body": ""}}, 100),
    ("words of another type", {"text": {"body": 7}}, 100),
    ("too many words", {"text": {"body": "x" * 4097}}, 100),
    ("an unknown key in text", {"text": {"body": "x", "format": "md"}}, 100),
    ("an unknown key", {"idempotency_key": "x"}, 100),
    ("too long a tag", {"biz_opaque_callback_data": "x" * 513}, 100),
    ("a tag that is no string", {"biz_opaque_callback_data": 7}, 100),
    ("an unknown recipient type", {"recipient_type": "crowd"}, 100),
    ("a context without id", {"context": {}}, 100),
    ("an image with both id and link", {"type": "image", "text": None, "image": {"id": "1", "link": "https://a/b"}}, 100),
    ("a caption on audio", {"type": "audio", "text": None, "audio": {"id": "1", "caption": "x"}}, 100),
]


@pytest.mark.parametrize(("change", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_request_that_the_documentation_does_not_allow_is_refused_with_its_code(
    platform: Platform, change: dict[str, object], code: int
) -> None:
    response = platform.send(**change)

    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == code
    assert error["fbtrace_id"]
    assert platform.log()[-1]["outcome"] == "refused"


TAKEN: list[tuple[str, dict[str, object]]] = [
    ("the longest text", {"text": {"body": "ñ" * 4096, "preview_url": False}}),
    ("a wa_id as received", {"to": "34600111222"}),
    ("a business-scoped id", {"to": None, "recipient": "ES.81230091"}),
    ("a linked portfolio's id", {"to": None, "recipient": "ES.ENT.77"}),
    ("both, and a tag", {"recipient": "ES.81230091", "biz_opaque_callback_data": "x" * 512}),
    ("a quote", {"context": {"message_id": "wamid.AA1"}}),
    ("an image", {"type": "image", "text": None, "image": {"link": "https://a/b", "caption": "x"}}),
    ("a template", {"type": "template", "text": None, "template": {"name": "n", "language": {"code": "es"}}}),
]


@pytest.mark.parametrize("change", [row[1] for row in TAKEN], ids=[row[0] for row in TAKEN])
def test_a_request_as_documented_is_accepted_and_logged(platform: Platform, change: dict[str, object]) -> None:
    response = platform.send(**change)

    assert response.status_code == 200, response.text
    content = response.json()
    entry = platform.log()[-1]
    assert entry["outcome"] == "accepted"
    assert content["messages"] == [{"id": entry["external_id"]}]
    assert content["contacts"][0]["input"] == (entry["to"] or entry["recipient"])


def test_tokens_ids_and_versions_are_checked(platform: Platform) -> None:
    def code(path: str, token: str) -> tuple[int, int]:
        response = platform.http.post(path, json=a_text(), headers={"authorization": token})
        return response.status_code, response.json()["error"]["code"]

    assert code(PATH, "Bearer wrong") == (401, 190)
    assert code(PATH, "") == (401, 190)
    assert code("/v25.0/1/messages", f"Bearer {TOKEN}") == (400, 100)
    assert code(PATH.replace("v25", "v99"), f"Bearer {TOKEN}") == (400, 2500)
    unknown = platform.http.post("/v25.0/1/messages", json={}, headers={"authorization": f"Bearer {TOKEN}"})
    assert unknown.json()["error"]["error_subcode"] == 33
    form = platform.http.post(PATH, data={"to": ANA}, headers={"authorization": f"Bearer {TOKEN}"})
    assert form.json()["error"]["code"] == 100
    broken = platform.http.post(PATH, content=b"{", headers={"authorization": f"Bearer {TOKEN}", "content-type": "application/json"})
    assert broken.json()["error"]["code"] == 100


def test_a_number_and_a_token_can_be_looked_at(platform: Platform) -> None:
    bearer = {"authorization": f"Bearer {TOKEN}"}
    number = platform.http.get(f"/v25.0/{PHONE_ID}", params={"fields": "status,display_phone_number"}, headers=bearer)
    token = platform.http.get("/v25.0/debug_token", params={"input_token": TOKEN}, headers=bearer)
    dead = platform.http.get("/debug_token", params={"input_token": "x"}, headers={"authorization": f"Bearer 1|{SECRET}"})

    assert number.json() == {"status": "CONNECTED", "display_phone_number": "15550102030", "id": PHONE_ID}
    assert token.json()["data"]["is_valid"] is True
    assert dead.json()["data"]["is_valid"] is False
    assert platform.http.get("/v25.0/me").json()["error"]["code"] == 2500
    assert platform.http.get(f"/v25.0/{PHONE_ID}", params={"fields": "shoe_size"}, headers=bearer).json()["error"]["code"] == 100
    assert platform.http.get("/v25.0/77", headers=bearer).json()["error"]["error_subcode"] == 33


def test_a_read_mark_and_typing_are_taken_and_logged_as_such(platform: Platform) -> None:
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.AA1"}
    headers = {"authorization": f"Bearer {TOKEN}"}

    assert platform.http.post(PATH, json=read, headers=headers).json() == {"success": True}
    assert platform.http.post(PATH, json=read | {"typing_indicator": {"type": "text"}}, headers=headers).status_code == 200
    assert platform.http.post(PATH, json=read | {"typing_indicator": {"type": "dance"}}, headers=headers).status_code == 400
    assert [entry["kind"] for entry in platform.log()[-3:]] == ["read", "typing", "read"]


def test_statuses_come_signed_in_order_and_with_the_tag(platform: Platform, business: Business) -> None:
    platform.send(biz_opaque_callback_data="tag-1")

    until(lambda: business.statuses("tag-1") == ["sent", "delivered", "read"])
    assert all(business.genuine)
    until(lambda: platform.http.get("/_practice/webhooks").json()["pending"] == 0)


def test_a_webhook_is_repeated_until_its_200(platform: Platform, business: Business) -> None:
    business.answers += [503, 500, 302]

    answer = platform.http.post("/_practice/inbound", json={"phone_number_id": PHONE_ID, "from": ANA, "bsuid": "ES.1", "text": "hi"}).json()

    assert (answer["http_status"], answer["attempts"]) == (200, 4)
    assert business.genuine == [True] * 4
    value = business.bodies[-1]["entry"][0]["changes"][0]["value"]
    message = value["messages"][0]
    assert (message["id"], message["from"], message["from_user_id"]) == (answer["wamid"], "34600111222", "ES.1")
    assert message["text"] == {"body": "hi"}
    assert value["metadata"]["phone_number_id"] == PHONE_ID


def test_a_raw_body_is_signed_and_sent_as_it_is(platform: Platform, business: Business) -> None:
    answer = platform.http.post("/_practice/inbound", json={"phone_number_id": PHONE_ID, "raw": {"object": "odd", "entry": []}})

    assert answer.json()["http_status"] == 200
    assert business.bodies == [{"object": "odd", "entry": []}]
    assert business.genuine == [True]


def test_the_handshake_tells_whether_the_webhook_knows_the_token(platform: Platform, business: Business) -> None:
    assert register(platform, business, verify_token="verify-me", handshake=True)["handshake"] is True
    assert register(platform, business, verify_token="other", handshake=True)["handshake"] is False


def test_statuses_may_travel_together(platform: Platform, business: Business) -> None:
    register(platform, business, batch_ms=100, statuses=[["sent", 0], ["delivered", 0]])
    for _ in range(3):
        platform.send(biz_opaque_callback_data="together")

    until(lambda: len(business.statuses("together")) == 6)
    assert len(business.bodies) < 6


def test_a_number_may_enforce_the_window_and_the_pair_limit(platform: Platform, business: Business) -> None:
    register(platform, business, enforce_window=True, enforce_pair_limit=True, statuses=[])
    stranger = platform.send(to="+34611111111")
    platform.http.post("/_practice/inbound", json={"phone_number_id": PHONE_ID, "from": "34611111111", "text": "hi"})
    burst = [platform.send(to="+34611111111").status_code for _ in range(45)]
    too_many = platform.send(to="+34611111111")

    assert stranger.json()["error"]["code"] == 131047
    assert burst == [200] * 45
    assert too_many.json()["error"]["code"] == 131056


@pytest.mark.parametrize(("sender", "address"), [("34600111222", {"to": ANA}), ("ES.81230091", {"to": None, "recipient": "ES.81230091"})])
def test_webhook_send_returns_the_parts_that_reached_this_person(
    platform: Platform, business: Business, sender: str, address: dict[str, object]
) -> None:
    def bot() -> None:
        until(lambda: any("messages" in body["entry"][0]["changes"][0]["value"] for body in business.bodies))
        platform.send(to="+34699999999", text={"body": "for somebody else"})
        platform.send(**address, text={"body": "first part"})
        time.sleep(0.3)
        platform.send(**address, text={"body": "second part"})

    platform.send(text={"body": "an answer of before"})
    thread = threading.Thread(target=bot)
    thread.start()
    parts = converse(str(platform.http.base_url), account="demo", sender=sender, text="hello", name="Ana", wait_s=10)
    thread.join()

    assert parts == ["first part", "second part"]


def test_webhook_send_says_so_when_no_answer_comes_or_the_webhook_refuses(
    platform: Platform, business: Business, capsys: pytest.CaptureFixture[str]
) -> None:
    address = str(platform.http.base_url)
    silent = converse(address, account="demo", sender="34600111222", text="hello", name="Ana", wait_s=0.5)
    business.answers += [403] * 100
    with pytest.raises(typer.Exit) as refused:
        converse(address, account="demo", sender="34600111222", text="hello", name="Ana", wait_s=0.5)
    with pytest.raises(typer.Exit) as unknown:
        converse(address, account="nobody", sender="34600111222", text="hello", name="Ana", wait_s=0.5)
    business.answers.clear()

    assert (silent, refused.value.exit_code, unknown.value.exit_code) == ([], 1, 2)
    assert "answered 403" in capsys.readouterr().err
