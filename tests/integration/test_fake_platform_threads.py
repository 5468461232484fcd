"""Messenger and Instagram on the practice platform: what is refused, what is accepted, and what comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bots.channels.signature import app_secret_proof
from chinwag.cli.webhook_send import converse
from tests.support.practice import (
    APP_ID,
    INSTAGRAM_ID,
    PAGE_ID,
    PAGES,
    SECRET,
    Business,
    Platform,
    a_business,
    a_registered,
    register_page,
    start,
    stop,
    until,
)

PERSON = "2460011122200001"


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
        register_page(platform, business, "messenger")
        register_page(platform, business, "instagram")
        yield platform


def say(
    platform: Platform, channel: str = "messenger", *, sender: str = "me", token: str = "", query: str = "", **change: Any
) -> httpx.Response:
    body: dict[str, Any] = {"recipient": {"id": PERSON}, "message": {"text": "Hola"}}
    body |= {"messaging_type": "RESPONSE"} if channel == "messenger" else {}
    body = {name: value for name, value in (body | change).items() if value is not None}
    headers = {"authorization": f"Bearer {token or PAGES[channel]['access_token']}"}
    return platform.http.post(f"/v25.0/{sender}/messages{query}", json=body, headers=headers)


def _template(**payload: Any) -> dict[str, Any]:
    return {"attachment": {"type": "template", "payload": payload}}


BUTTON = {"type": "postback", "title": "Yes", "payload": "Y"}
QUICK = {"content_type": "text", "title": "Red", "payload": "PICK_RED"}

REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("nobody", "messenger", {"recipient": None}),
    ("a person's number as a number", "messenger", {"recipient": {"id": 24600}}),
    ("a recipient without id", "messenger", {"recipient": {"user_ref": "x"}}),
    ("no type of messaging", "messenger", {"messaging_type": None}),
    ("an unknown type of messaging", "messenger", {"messaging_type": "PROMOTION"}),
    ("a tag of before", "messenger", {"messaging_type": "MESSAGE_TAG", "tag": "ACCOUNT_UPDATE"}),
    ("a tag that is missing", "messenger", {"messaging_type": "MESSAGE_TAG"}),
    ("a tag in a response", "messenger", {"tag": "HUMAN_AGENT"}),
    ("no message", "messenger", {"message": None}),
    ("an empty message", "messenger", {"message": {"metadata": "x"}}),
    ("no words", "messenger", {"message": {"text": " "}}),
    ("words of another type", "messenger", {"message": {"text": 7}}),
    ("too many characters", "messenger", {"message": {"text": "x" * 2000}}),
    ("too long metadata", "messenger", {"message": {"text": "x", "metadata": "x" * 1000}}),
    ("an unknown key", "messenger", {"idempotency_key": "x"}),
    ("an unknown key in message", "messenger", {"message": {"text": "x", "format": "md"}}),
    (
        "text beside an attachment",
        "messenger",
        {"message": {"text": "x", "attachment": {"type": "image", "payload": {"url": "https://a/b"}}}},
    ),
    (
        "an attachment with url and id",
        "messenger",
        {"message": {"attachment": {"type": "image", "payload": {"url": "u", "attachment_id": "1"}}}},
    ),
    ("an unknown attachment", "messenger", {"message": {"attachment": {"type": "poll", "payload": {}}}}),
    ("a heart on Messenger", "messenger", {"message": {"attachment": {"type": "like_heart"}}}),
    ("14 quick replies", "messenger", {"message": {"text": "x", "quick_replies": [QUICK] * 14}}),
    ("a quick reply's long title", "messenger", {"message": {"text": "x", "quick_replies": [QUICK | {"title": "x" * 21}]}}),
    ("four buttons", "messenger", {"message": _template(template_type="button", text="x", buttons=[BUTTON] * 4)}),
    ("a long button text", "messenger", {"message": _template(template_type="button", text="x" * 641, buttons=[BUTTON])}),
    ("eleven elements", "messenger", {"message": _template(template_type="generic", elements=[{"title": "x"}] * 11)}),
    ("an action beside a message", "messenger", {"sender_action": "typing_on", "messaging_type": None}),
    ("an action with a type", "messenger", {"sender_action": "typing_on", "message": None}),
    ("an unknown action", "messenger", {"sender_action": "dance", "message": None, "messaging_type": None}),
    ("a quote without id", "messenger", {"reply_to": {}}),
    ("too many bytes", "instagram", {"message": {"text": "ñ" * 501}}),
    ("metadata on Instagram", "instagram", {"message": {"text": "x", "metadata": "ours"}}),
    ("quick replies without text", "instagram", {"message": {"attachment": {"type": "like_heart"}, "quick_replies": [QUICK]}}),
    ("a retired tag", "instagram", {"messaging_type": "MESSAGE_TAG", "tag": "POST_PURCHASE_UPDATE"}),
]


@pytest.mark.parametrize(("channel", "change"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_request_that_the_documentation_does_not_allow_is_refused(platform: Platform, channel: str, change: dict[str, Any]) -> None:
    response = say(platform, channel, **change)

    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], error["type"]) == (100, "OAuthException")
    assert "error_data" not in error
    entry = platform.log()[-1]
    assert (entry["outcome"], entry["channel"], entry["code"]) == ("refused", channel, 100)


TAKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("the longest text", "messenger", {"message": {"text": "ñ" * 1999, "metadata": "x" * 999}}),
    ("a person's late answer", "messenger", {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}),
    ("a quote", "messenger", {"reply_to": {"mid": "m_1"}}),
    ("quick replies", "messenger", {"message": {"text": "x", "quick_replies": [QUICK] * 13}}),
    ("an image", "messenger", {"message": {"attachment": {"type": "image", "payload": {"url": "https://a/b", "is_reusable": True}}}}),
    ("buttons", "messenger", {"message": _template(template_type="button", text="x", buttons=[BUTTON] * 3)}),
    ("cards", "messenger", {"message": _template(template_type="generic", elements=[{"title": "x", "buttons": [BUTTON]}])}),
    ("the longest text", "instagram", {"message": {"text": "ñ" * 500}}),
    ("a heart", "instagram", {"message": {"attachment": {"type": "like_heart"}}}),
    ("an own post", "instagram", {"message": {"attachment": {"type": "MEDIA_SHARE", "payload": {"id": "1790"}}}}),
]


@pytest.mark.parametrize(("channel", "change"), [row[1:] for row in TAKEN], ids=[f"{row[1]} {row[0]}" for row in TAKEN])
def test_a_request_as_documented_is_accepted_and_logged(platform: Platform, channel: str, change: dict[str, Any]) -> None:
    response = say(platform, channel, **change)

    assert response.status_code == 200, response.text
    entry = platform.log()[-1]
    assert response.json() == {"recipient_id": PERSON, "message_id": entry["external_id"]}
    assert (entry["outcome"], entry["channel"], entry["account_id"]) == ("accepted", channel, PAGES[channel]["account_id"])


def test_sender_actions_are_answered_with_the_recipient_alone(platform: Platform) -> None:
    actions = ["mark_seen", "typing_on", "typing_off"]
    answers = [say(platform, sender_action=action, message=None, messaging_type=None).json() for action in actions]
    react = say(platform, sender_action="react", payload={"message_id": "m_1", "reaction": "love"}, message=None, messaging_type=None)

    assert answers == [{"recipient_id": PERSON}] * 3
    assert react.json() == {"recipient_id": PERSON}
    assert [entry["kind"] for entry in platform.log()[-4:]] == ["read", "typing", "typing_off", "reaction"]


def test_ids_tokens_and_proofs_are_checked(platform: Platform, business: Business) -> None:
    def code(**how: Any) -> tuple[int, int, int]:
        response = say(platform, **how)
        error = response.json().get("error", {})
        return response.status_code, error.get("code", 0), error.get("error_subcode", 0)

    good = app_secret_proof("page-token", SECRET)
    assert code(sender=PAGE_ID) == (200, 0, 0)
    assert code(query=f"?appsecret_proof={good}") == (200, 0, 0)
    assert code(query="?appsecret_proof=0") == (400, 100, 0)
    assert code(sender="1") == (400, 100, 33)
    # Through a page, the address is the page's, not the Instagram account's.
    assert code(channel="instagram", sender=INSTAGRAM_ID) == (400, 100, 33)
    assert code(token="wrong") == (401, 190, 0)
    register_page(platform, business, "messenger", expires_at=1)
    assert code() == (401, 190, 463)
    register_page(platform, business, "messenger", require_proof=True)
    assert code() == (400, 100, 0)
    assert code(query=f"?appsecret_proof={good}") == (200, 0, 0)


def test_a_message_on_messenger_comes_back_as_echo_then_delivered_then_read(platform: Platform, business: Business) -> None:
    mid = say(platform, message={"text": "Hola", "metadata": "our-id"}).json()["message_id"]

    until(lambda: len(business.items()) == 3)
    echo, delivery, read = business.items()
    assert all(business.genuine)
    assert {body["object"] for body in business.bodies} == {"page"}
    assert echo["message"] == {"mid": mid, "is_echo": True, "app_id": int(APP_ID), "metadata": "our-id", "text": "Hola"}
    assert (echo["sender"]["id"], echo["recipient"]["id"]) == (PAGE_ID, PERSON)
    assert delivery["delivery"]["mids"] == [mid]
    assert (delivery["sender"]["id"], delivery["recipient"]["id"]) == (PERSON, PAGE_ID)
    assert delivery["delivery"]["watermark"] == read["read"]["watermark"] == echo["timestamp"]


def test_a_message_on_instagram_comes_back_without_metadata_and_is_seen_by_its_id(platform: Platform, business: Business) -> None:
    mid = say(platform, "instagram").json()["message_id"]

    until(lambda: len(business.items()) == 2)
    echo, seen = business.items()
    assert {body["object"] for body in business.bodies} == {"instagram"}
    assert echo["message"] == {"mid": mid, "is_echo": True, "text": "Hola"}
    assert seen["read"] == {"mid": mid}
    assert business.bodies[0]["entry"][0]["id"] == INSTAGRAM_ID


def test_statuses_of_threads_may_travel_together_and_go_wrong_on_demand(platform: Platform, business: Business) -> None:
    register_page(platform, business, "messenger", batch_ms=80, statuses=[["echo", 0], ["delivered", 0]])
    platform.script({"fault": "10", "subcode": 2018278}, "no_status", channel="messenger")
    refused = say(platform)
    say(platform, message={"text": "without a trace"})
    for _ in range(3):
        say(platform)

    assert (refused.json()["error"]["code"], refused.json()["error"]["error_subcode"]) == (10, 2018278)
    until(lambda: len(business.items()) == 6)
    assert len(business.bodies) < 6


def test_the_login_door_speaks_by_its_own_token_and_id(platform: Platform, business: Business) -> None:
    register_page(
        platform,
        business,
        "instagram",
        account_id="178420",
        door="login",
        page_id="",
        access_token="login-token",
        webhook_url=business.url + "-2",
    )

    assert say(platform, "instagram", token="login-token", sender="178420").status_code == 200
    assert say(platform, "instagram", token="login-token").status_code == 200
    assert platform.log()[-1]["account_id"] == "178420"


def test_a_page_and_its_instagram_account_share_a_token_and_the_person_tells_which(platform: Platform, business: Business) -> None:
    register_page(
        platform, business, "instagram", account_id="178430", page_id=PAGE_ID, access_token="page-token", webhook_url=business.url + "-3"
    )
    platform.http.post("/_practice/inbound", json={"account_id": "178430", "from": "1799", "text": "hi"})

    assert say(platform, "instagram", token="page-token", recipient={"id": "1799"}).status_code == 200
    by_instagram = platform.log()[-1]["account_id"]
    assert say(platform, "messenger").status_code == 200
    assert (by_instagram, platform.log()[-1]["account_id"]) == ("178430", PAGE_ID)
    register_page(platform, business, "instagram", account_id="178430", page_id="1", access_token="gone", webhook_url=business.url + "-3")


def test_a_page_may_enforce_its_window_and_its_people(platform: Platform, business: Business) -> None:
    register_page(platform, business, "messenger", enforce_window=True, statuses=[])
    stranger = say(platform, recipient={"id": "77"}).json()["error"]
    platform.http.post("/_practice/inbound", json={"account_id": PAGE_ID, "from": "77", "text": "hi"})

    assert (stranger["code"], stranger["error_subcode"]) == (100, 2018001)
    assert say(platform, recipient={"id": "77"}).status_code == 200


SAID: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("text", {"text": "hi"}, {"message": {"mid": "m_7", "text": "hi"}}),
    (
        "quick reply",
        {"text": "Red", "quick_reply": {"payload": "R"}},
        {"message": {"mid": "m_7", "text": "Red", "quick_reply": {"payload": "R"}}},
    ),
    ("postback", {"postback": {"title": "Go", "payload": "GO"}}, {"postback": {"mid": "m_7", "title": "Go", "payload": "GO"}}),
    ("attachment", {"attachments": [{"type": "image"}]}, {"message": {"mid": "m_7", "attachments": [{"type": "image"}]}}),
    ("any item", {"item": {"reaction": {"mid": "m_1", "action": "react"}}}, {"reaction": {"mid": "m_1", "action": "react"}}),
]


@pytest.mark.parametrize(("given", "wanted"), [row[1:] for row in SAID], ids=[row[0] for row in SAID])
def test_what_a_person_writes_arrives_signed(platform: Platform, business: Business, given: dict[str, Any], wanted: dict[str, Any]) -> None:
    message = {"account_id": PAGE_ID, "from": PERSON, "mid": "m_7", "timestamp": 1795500000100, **given}
    answer = platform.http.post("/_practice/inbound", json=message).json()

    assert (answer["http_status"], answer["attempts"], answer["message_id"]) == (200, 1, "m_7")
    assert business.genuine == [True]
    sides = {"sender": {"id": PERSON}, "recipient": {"id": PAGE_ID}, "timestamp": 1795500000100}
    assert business.items() == [sides | wanted]


def test_a_human_in_the_inbox_echoes_without_our_app_and_standby_stands_apart(platform: Platform, business: Business) -> None:
    for more in ({"by": "human"}, {"standby": True}):
        platform.http.post("/_practice/inbound", json={"account_id": PAGE_ID, "from": PERSON, "text": "hi", **more}).raise_for_status()

    (echo,), (standby,) = business.items(), business.items("standby")
    assert (echo["sender"]["id"], echo["message"]["is_echo"]) == (PAGE_ID, True)
    assert echo["message"]["app_id"] != int(APP_ID)
    assert standby["message"]["text"] == "hi"


def test_a_wrong_control_request_says_what_is_wrong(platform: Platform) -> None:
    for path, body in [
        ("accounts", {"channel": "telegram", "account_id": "1", "webhook_url": "http://a", "app_secret": "x", "access_token": "y"}),
        ("accounts", {"channel": "instagram", "account_id": "1", "webhook_url": "http://a", "app_secret": "x", "access_token": "y"}),
        ("accounts", {"channel": "messenger", "account_id": "1"}),
        ("inbound", {"account_id": PAGE_ID, "text": "nobody"}),
        ("inbound", {"account_id": PAGE_ID, "from": PERSON}),
        ("inbound", {"account_id": PAGE_ID, "from": PERSON, "text": "x", "colour": "red"}),
        ("person", {"account_id": "nobody"}),
        ("mangle", {"account_id": PAGE_ID, "how": "explode"}),
    ]:
        response = platform.http.post(f"/_practice/{path}", json=body)
        assert response.status_code == 400, (path, body)
        assert response.json()["error"]


@pytest.mark.parametrize("channel", ["messenger", "instagram"])
def test_webhook_send_returns_what_reached_the_person(platform: Platform, business: Business, channel: str) -> None:
    def bot() -> None:
        until(lambda: any("message" in item for item in business.items()))
        say(platform, channel, recipient={"id": "somebody else"}, message={"text": "not for them"})
        say(platform, channel, message={"text": "for them"})

    thread = threading.Thread(target=bot)
    thread.start()
    parts = converse(str(platform.http.base_url), account="demo", sender=PERSON, text="hello", name="", wait_s=10, channel=channel)
    thread.join()

    assert parts == ["for them"]
