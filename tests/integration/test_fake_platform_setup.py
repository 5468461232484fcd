"""The practice platform's set-up calls: tokens, numbers, pages, subscriptions with their handshake, the practice world, mangled webhooks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bots.channels.signature import app_secret_proof, sign_meta
from tests.support.practice import (
    APP_ID,
    INSTAGRAM_ID,
    PAGE_ID,
    PAGES,
    PHONE_ID,
    SECRET,
    TOKEN,
    Business,
    Platform,
    a_business,
    a_registered,
    register,
    register_page,
    start,
    stop,
)

WABA, APP_TOKEN = "900100200300400", f"{APP_ID}|{SECRET}"


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
        register(platform, business, app_id=APP_ID)
        register_page(platform, business, "messenger")
        register_page(platform, business, "instagram", page_id=PAGE_ID, username="bakery")
        register_page(
            platform, business, "instagram", account_id="178420", door="login", page_id="", app_scoped_id="2477", access_token="login-token"
        )
        yield platform


def ask(platform: Platform, path: str, token: str = TOKEN, *, method: str = "GET", body: object = None, **query: str) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    response = platform.http.request(method, f"/v25.0/{path}", params=query, json=body, headers=headers)
    return response.json()


def wrong(answer: dict[str, Any]) -> tuple[int, int]:
    error = answer["error"]
    return error["code"], error.get("error_subcode", 0)


def test_a_token_is_described_to_its_app(platform: Platform, business: Business) -> None:
    number = ask(platform, "debug_token", APP_TOKEN, input_token=TOKEN)["data"]
    page = ask(platform, "debug_token", APP_TOKEN, input_token="page-token")["data"]
    unknown = ask(platform, "debug_token", APP_TOKEN, input_token="x")["data"]
    register_page(platform, business, "messenger", expires_at=1, scopes=["pages_messaging"])
    over = ask(platform, "debug_token", APP_TOKEN, input_token="page-token")["data"]

    assert (number["is_valid"], number["app_id"], number["type"], number["expires_at"]) == (True, APP_ID, "SYSTEM_USER", 0)
    assert "whatsapp_business_messaging" in number["scopes"]
    assert {"scope": "whatsapp_business_messaging", "target_ids": [WABA]} in number["granular_scopes"]
    assert (page["type"], page["profile_id"]) == ("PAGE", PAGE_ID)
    assert (unknown["is_valid"], unknown["error"]["code"]) == (False, 190)
    assert (over["is_valid"], over["error"]["subcode"], over["scopes"]) == (False, 463, ["pages_messaging"])


def test_a_wrong_app_id_or_secret_opens_nothing(platform: Platform) -> None:
    def refused(token: str) -> dict[str, Any]:
        return ask(platform, "debug_token", token, input_token=TOKEN)["error"]

    other = platform.http.get("/_practice/world").json()["messenger"]
    foreign = refused(f"{other['app_id']}|{other['app_secret']}")

    assert (refused(f"{APP_ID}|wrong")["code"], refused(f"{APP_ID}|wrong")["message"]) == (190, "Invalid OAuth access token signature.")
    assert refused(f"12|{SECRET}")["code"] == 101
    assert (foreign["code"], foreign["message"]) == (100, "(#100) The App_id in the input_token did not match the Viewing App")


def test_numbers_pages_and_accounts_can_be_looked_at(platform: Platform) -> None:
    fields = "display_phone_number,verified_name,quality_rating,status,throughput,webhook_configuration,health_status"
    number = ask(platform, PHONE_ID, fields=f"{fields},whatsapp_business_manager_messaging_limit")
    page = ask(platform, PAGE_ID, "page-token", fields="id,name,instagram_business_account{id,username}")
    login = ask(platform, "me", "login-token", fields="user_id,username")

    assert (number["status"], number["throughput"], number["whatsapp_business_manager_messaging_limit"]) == (
        "CONNECTED",
        {"level": "STANDARD"},
        "TIER_250",
    )
    assert [one["id"] for one in ask(platform, f"{WABA}/phone_numbers")["data"]] == [PHONE_ID]
    assert page["instagram_business_account"] == {"id": INSTAGRAM_ID, "username": "bakery"}
    assert ask(platform, "me", "page-token", fields="id")["id"] == PAGE_ID
    assert (login["user_id"], login["id"]) == ("178420", "2477")
    assert ask(platform, WABA)["id"] == WABA


@pytest.mark.parametrize("path", ["15550102030", "34600111222", "700800900100200/phone_numbers", "1/subscribed_apps"])
def test_what_is_no_id_of_this_token_does_not_exist(platform: Platform, path: str) -> None:
    answer = ask(platform, path)

    assert wrong(answer) == (100, 33)
    assert answer["error"]["message"].startswith(f"Unsupported get request. Object with ID '{path.partition('/')[0]}' does not exist")


def test_versions_that_live_old_and_unknown_are_told_apart_without_a_token(platform: Platform) -> None:
    alive, old, unknown = (platform.http.get(f"/v{version}.0/me") for version in (26, 3, 99))

    assert (alive.json()["error"]["code"], alive.headers["facebook-api-version"]) == (2500, "v26.0")
    assert (old.json()["error"]["code"], old.headers["facebook-api-version"]) == (2500, "v20.0")
    assert unknown.json()["error"]["message"] == "Unknown path components: /me"


def test_a_proof_is_checked_whenever_it_is_given_and_can_be_insisted_on(platform: Platform, business: Business) -> None:
    good = app_secret_proof(TOKEN, SECRET)
    assert ask(platform, PHONE_ID, fields="id", appsecret_proof=good) == {"id": PHONE_ID}
    assert ask(platform, PHONE_ID, appsecret_proof="0")["error"]["message"] == "Invalid appsecret_proof provided in the API argument"
    register(platform, business, app_id=APP_ID, require_proof=True)
    assert wrong(ask(platform, PHONE_ID)) == (100, 0)
    assert ask(platform, PHONE_ID, fields="id", appsecret_proof=good) == {"id": PHONE_ID}


def _world(platform: Platform, channel: str) -> dict[str, Any]:
    return platform.http.get("/_practice/world").json()[channel]


def _address(business: Business, **change: str) -> dict[str, str]:
    return {"callback_url": business.url, "verify_token": "verify-me", **change}


REFUSED: list[tuple[str, dict[str, str], int]] = [
    ("a wrong verify token", {"verify_token": "other"}, 2200),
    ("nobody at the address", {"callback_url": "http://127.0.0.1:1/x"}, 2200),
    ("no address", {"callback_url": ""}, 100),
    ("an address of another kind", {"callback_url": "ftp://a"}, 100),
    ("no verify token", {"verify_token": ""}, 100),
    ("an unknown object", {"object": "telegram"}, 100),
    ("an unknown field", {"fields": "messages,shoe_size"}, 100),
]


@pytest.mark.parametrize(("change", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_an_address_is_taken_only_after_its_handshake(platform: Platform, business: Business, change: dict[str, str], code: int) -> None:
    body = {"object": "page", "fields": "messages", **_address(business), **change}
    app = _world(platform, "messenger")
    token = f"{app['app_id']}|{app['app_secret']}"

    assert wrong(ask(platform, f"{app['app_id']}/subscriptions", token, method="POST", body=body)) == (code, 0)
    assert ask(platform, f"{app['app_id']}/subscriptions", token) == {"data": []}


def test_subscriptions_want_the_apps_own_token(platform: Platform) -> None:
    assert wrong(ask(platform, f"{APP_ID}/subscriptions")) == (15, 0)
    assert wrong(ask(platform, "1/subscriptions", APP_TOKEN)) == (100, 33)


def test_a_page_gets_webhooks_once_app_and_page_are_subscribed(platform: Platform, business: Business) -> None:
    page = _world(platform, "messenger")
    token, app = f"{page['app_id']}|{page['app_secret']}", f"{page['app_id']}/subscriptions"
    person = {"account_id": page["page_id"], "text": "hi"}

    def write() -> int:
        return platform.http.post("/_practice/person", json=person).json()["http_status"]

    assert write() == 0
    body = {"object": "page", "fields": "messages,message_echoes", "include_values": "true", **_address(business)}
    assert ask(platform, app, token, method="POST", body=body) == {"success": True}
    assert write() == 0
    fields = {"subscribed_fields": "messages"}
    apps = f"{page['page_id']}/subscribed_apps"
    assert ask(platform, apps, page["access_token"], method="POST", body={}, **fields) == {"success": True}
    assert write() == 200
    assert ask(platform, app, token)["data"][0]["callback_url"] == business.url
    assert ask(platform, apps, page["access_token"])["data"][0]["subscribed_fields"] == ["messages"]
    postback = platform.http.post("/_practice/person", json={"account_id": page["page_id"], "postback": {"title": "Go"}}).json()
    assert "Nobody is subscribed to messaging_postbacks" in postback["why"]
    assert business.signatures == [sign_meta(business.raw[0], page["app_secret"])]
    assert ask(platform, apps, page["access_token"], method="DELETE") == {"success": True}
    assert write() == 0
    ask(platform, app, token, method="DELETE", object="page")
    assert ask(platform, app, token) == {"data": []}


def test_a_number_follows_its_own_address_then_the_accounts_then_the_apps(platform: Platform, business: Business) -> None:
    number = _world(platform, "whatsapp")
    token, apps = number["access_token"], f"{number['waba_id']}/subscribed_apps"
    override = {"override_callback_uri": business.url + "/waba", "verify_token": "verify-me"}
    own = {"webhook_configuration": {"override_callback_uri": business.url + "/own", "verify_token": "verify-me"}}

    def where() -> str:
        return platform.http.post("/_practice/person", json={"account_id": number["phone_number_id"]}).json()["callback_url"]

    body = {"object": "whatsapp_business_account", "fields": "messages", **_address(business)}
    app_token = f"{number['app_id']}|{number['app_secret']}"
    ask(platform, f"{number['app_id']}/subscriptions", app_token, method="POST", body=body)
    assert where() == ""
    assert ask(platform, apps, token, method="POST", body={}) == {"success": True}
    assert where() == business.url
    assert wrong(ask(platform, apps, token, method="POST", body=override | {"verify_token": "other"})) == (2200, 0)
    assert ask(platform, apps, token, method="POST", body=override) == {"success": True}
    assert where() == business.url + "/waba"
    assert ask(platform, apps, token)["data"][0]["override_callback_uri"] == business.url + "/waba"
    assert ask(platform, number["phone_number_id"], token, method="POST", body=own) == {"success": True}
    hooks = ask(platform, number["phone_number_id"], token, fields="webhook_configuration")["webhook_configuration"]
    assert hooks == {
        "phone_number": business.url + "/own",
        "whatsapp_business_account": business.url + "/waba",
        "application": business.url,
    }
    own["webhook_configuration"]["override_callback_uri"] = ""
    ask(platform, number["phone_number_id"], token, method="POST", body=own)
    ask(platform, apps, token, method="POST", body={})
    assert where() == business.url


@pytest.mark.parametrize("channel", ["instagram", "instagram_login"])
def test_instagram_is_connected_at_either_door(platform: Platform, business: Business, channel: str) -> None:
    account = _world(platform, channel)
    paste = {"account_id": account["instagram_id"], **_address(business)}
    owner = "me" if channel == "instagram_login" else account["page_id"]

    assert platform.http.post("/_practice/dashboard", json=paste | {"verify_token": "other"}).json()["handshake"] is False
    assert platform.http.post("/_practice/dashboard", json=paste).json() == {"handshake": True, "why": ""}
    answer = ask(platform, f"{owner}/subscribed_apps", account["access_token"], method="POST", body={}, subscribed_fields="messages")
    assert answer == {"success": True}
    assert platform.http.post("/_practice/person", json={"account_id": account["instagram_id"]}).json()["http_status"] == 200
    assert business.bodies[0]["object"] == "instagram"
    assert _world(platform, channel)["app_id"] != account["app_id"]


def test_a_token_without_the_scope_may_not_subscribe(platform: Platform, business: Business) -> None:
    register_page(platform, business, "messenger", scopes=["pages_messaging"])
    register(platform, business, app_id=APP_ID, scopes=["whatsapp_business_messaging"])

    assert wrong(ask(platform, f"{PAGE_ID}/subscribed_apps", "page-token", method="POST", body={}, subscribed_fields="messages")) == (
        200,
        0,
    )
    assert wrong(ask(platform, f"{WABA}/subscribed_apps", method="POST", body={})) == (200, 0)


def test_the_practice_world_stays_until_it_is_connected_and_survives_a_restart(tmp_path: Path) -> None:
    first = start(tmp_path / "state")
    world = first.http.get("/_practice/world").json()
    again = first.http.get("/_practice/world").json()
    stop(first)
    second = start(tmp_path / "state")
    after = second.http.get("/_practice/world").json()
    stop(second)

    assert world == again == after
    assert set(world) == {"whatsapp", "messenger", "instagram", "instagram_login"}
    assert len({one["app_id"] for one in world.values()}) == 4


@pytest.mark.parametrize("how", ["wrong_secret", "other_app", "reencode", "plus_to_space", "strip_header"])
def test_a_webhook_can_go_wrong_on_its_way(platform: Platform, business: Business, how: str) -> None:
    platform.http.post("/_practice/mangle", json={"account_id": PHONE_ID, "how": how}).raise_for_status()
    message = {"account_id": PHONE_ID, "from": "34600111222", "text": "1+1 ñ https://a/b"}
    platform.http.post("/_practice/inbound", json=message).raise_for_status()
    platform.http.post("/_practice/mangle", json={"account_id": PHONE_ID, "how": None}).raise_for_status()
    platform.http.post("/_practice/inbound", json=message).raise_for_status()

    assert business.genuine == [False, True]
    assert (business.signatures[0] is None) == (how == "strip_header")
    text = business.bodies[0]["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"]
    assert text == ("1 1 ñ https://a/b" if how == "plus_to_space" else "1+1 ñ https://a/b")
    # As Meta writes it: what a proxy that writes it again loses.
    assert b"\\u00f1 https:\\/\\/a\\/b" in business.raw[1]
    if how == "reencode":
        compact = json.dumps(json.loads(business.raw[0]), separators=(",", ":")).replace("/", "\\/").encode()
        assert sign_meta(compact, SECRET) == business.signatures[0]


def test_accounts_are_listed_without_their_secrets(platform: Platform) -> None:
    listed = platform.http.get("/_practice/accounts").json()["accounts"]
    shown = {one["account_id"]: one for one in listed}

    assert shown[PAGES["messenger"]["account_id"]]["channel"] == "messenger"
    assert shown[PHONE_ID]["account"] == "demo"
    assert "secret" not in json.dumps(listed)
