"""Accounts are subscribed to all that is read: new ones at once, earlier ones by one button; the health card says what is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bots.admin.accounts.subscription import FIELDS
from bots.crypto import Keyring
from bots.domain import ChannelKind, Role
from bots.settings import Settings
from bots.storage import accounts
from chinwag.practice import apps
from tests.support import forked
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn, a_token
from tests.support.stack import Stack
from tests.support.wizard import a_form, account_id, send


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("subscription"))) as running:
        running.settles = False
        running.register_number(app_id="100200300400777")
        running.start_web()
        yield running


@pytest.fixture(scope="module")
def owner(served: Stack) -> Iterator[SignedIn]:
    made = SignedIn(served, Role.OWNER)
    yield made
    made.http.close()


class Connected:
    """An account that was connected when only some fields were read."""

    def __init__(self, served: Stack, owner: SignedIn, kind: str, name: str) -> None:
        self.served, self.kind, self.name = served, kind, name
        self.form = a_form(served, kind, name=name)
        page = send(owner, kind, self.form)
        assert page.status_code == 200, page.text
        self.id = account_id(served, name)
        self.object = {"whatsapp": "whatsapp_business_account", "messenger": "page", "instagram": "instagram"}[kind]

    def ask(self, method: str, path: str, token: str, **query: str) -> Any:
        answer = httpx.request(
            method, f"{self.served.platform.url}/v25.0/{path}", params=query, headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def app_token(self) -> str:
        return f"{self.form['app_id']}|{self.form['app_secret']}"

    def subscription(self) -> dict[str, Any]:
        """The app's subscription as the platform has it."""
        found = self.ask("GET", f"{self.form['app_id']}/subscriptions", self.app_token)["data"]
        return next(one for one in found if one["object"] == self.object)

    def fields(self) -> set[str]:
        return {one["name"] for one in self.subscription()["fields"]}

    def is_older(self, *fields: str, url: str = "") -> None:
        """Leave only these fields, as a version before had subscribed."""
        url = url or self.subscription()["callback_url"]
        with self.served.engine("web").begin() as connection:
            named = accounts.find(connection, channel=ChannelKind(self.kind), name=url.rsplit("/", 1)[1])
        assert named is not None
        verify = accounts.open_secrets(Keyring.from_settings(Settings.from_env(self.served.env)), named).verify_token
        values = {"callback_url": url, "verify_token": verify or ""}
        self.ask("POST", f"{self.form['app_id']}/subscriptions", self.app_token, object=self.object, fields=",".join(fields), **values)


@pytest.fixture
def number(served: Stack, owner: SignedIn, request: pytest.FixtureRequest) -> Connected:
    return Connected(served, owner, "whatsapp", f"wa-{abs(hash(request.node.name)) % 10**8}")


def _card(owner: SignedIn, account: Connected) -> str:
    assert owner.post(f"/admin/accounts/{account.id}/look").status_code == 303
    return owner.get(f"/admin/accounts/{account.id}").text


def test_the_practice_platform_knows_every_field_that_is_read() -> None:
    for channel, name in (
        (ChannelKind.WHATSAPP, "whatsapp_business_account"),
        (ChannelKind.MESSENGER, "page"),
        (ChannelKind.INSTAGRAM, "instagram"),
    ):
        assert set(FIELDS[channel]) <= set(apps.FIELDS[name])


@pytest.mark.parametrize("kind", ["whatsapp", "messenger", "instagram"])
def test_a_new_account_is_subscribed_to_everything(served: Stack, owner: SignedIn, kind: str) -> None:
    account = Connected(served, owner, kind, f"new-{kind}")

    assert set(FIELDS[ChannelKind(kind)]) <= account.fields()
    card = _card(owner, account)
    assert "Subscribed to everything that is read here" in card
    assert "Subscribe to the missing fields" not in card


def test_an_earlier_account_shows_what_is_missing_and_one_button_subscribes(owner: SignedIn, number: Connected) -> None:
    number.is_older("messages", "flows")

    card = _card(owner, number)
    assert "Not subscribed to smb_message_echoes, user_id_update, account_update" in card
    assert "people who change their number become strangers" in card
    before = number.subscription()["callback_url"]

    done = owner.post(f"/admin/accounts/{number.id}/subscribe")

    assert done.status_code == 200, done.text
    # What the app has for other purposes stays, and so does its address.
    assert number.fields() == {*FIELDS[ChannelKind.WHATSAPP], "flows"}
    assert number.subscription()["callback_url"] == before
    assert "Subscribe to the missing fields" not in owner.get(f"/admin/accounts/{number.id}").text
    assert number.served.rows(
        "select action from audit where subject = :s and action = 'account.subscribe'", s=f"account:whatsapp/{number.name}"
    )


def test_the_api_and_the_command_do_the_same(served: Stack, owner: SignedIn, number: Connected) -> None:
    number.is_older("messages")
    headers = {"Authorization": f"Bearer {a_token(served, Role.OPERATOR)}"}

    answer = served.http.post(f"/api/v1/accounts/{number.id}/subscribe", headers=headers)

    assert (answer.status_code, [one["state"] for one in answer.json()]) == (200, ["ok"])
    assert set(FIELDS[ChannelKind.WHATSAPP]) <= number.fields()
    number.is_older("messages")
    env = {name: value for name, value in os.environ.items() if not name.startswith("CHINWAG_")} | served.env
    code, said = forked.said("chinwag", "account", "subscribe", number.name, env=env)
    assert code == 0, said
    assert set(FIELDS[ChannelKind.WHATSAPP]) <= number.fields()


def test_registering_again_subscribes_too(owner: SignedIn, number: Connected) -> None:
    number.is_older("messages")

    assert owner.post(f"/admin/accounts/{number.id}/register").status_code == 200

    assert set(FIELDS[ChannelKind.WHATSAPP]) <= number.fields()


def test_an_app_that_sends_to_another_account_here_is_subscribed_under_that_address(
    served: Stack, owner: SignedIn, number: Connected
) -> None:
    other = f"{served.web_url}/webhooks/whatsapp/test"
    number.is_older("messages", url=other)

    done = owner.post(f"/admin/accounts/{number.id}/subscribe")

    assert done.status_code == 200, done.text
    assert (number.subscription()["callback_url"], set(FIELDS[ChannelKind.WHATSAPP]) <= number.fields()) == (other, True), done.text


def test_an_app_that_sends_elsewhere_is_left_alone_and_the_fix_is_told(served: Stack, owner: SignedIn, number: Connected) -> None:
    elsewhere = f"{served.web_url.replace('127.0.0.1', 'localhost')}/webhooks/whatsapp/test"
    number.is_older("messages", url=elsewhere)

    done = owner.post(f"/admin/accounts/{number.id}/subscribe")

    assert "The app sends to an address that is not of this service" in done.text
    assert number.fields() == {"messages"}


def test_a_page_is_subscribed_as_well_as_its_app(served: Stack, owner: SignedIn) -> None:
    page = Connected(served, owner, "messenger", "older-page")
    token, path = page.form["access_token"], f"{page.form['external_id']}/subscribed_apps"
    page.ask("POST", path, token, subscribed_fields="messages")
    assert "message_edits" in _card(owner, page)

    owner.post(f"/admin/accounts/{page.id}/subscribe")

    assert "Subscribed to everything that is read here" in _card(owner, page)
    assert set(page.ask("GET", path, token)["data"][0]["subscribed_fields"]) == set(FIELDS[ChannelKind.MESSENGER])
