"""An account's own page after the wizard: health, rotation with overlap, pause, another bot, erasure; and no secret ever again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bots.domain import Role
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn, a_token
from tests.support.processes import until
from tests.support.stack import Stack
from tests.support.wizard import a_form, account_id, changed, error_at, register, send, setup_steps


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("account"))) as running:
        running.settles = False
        running.model.script(echo=True)
        running.register_number(app_id="100200300400777")
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running


@pytest.fixture(scope="module")
def owner(served: Stack) -> Iterator[SignedIn]:
    made = SignedIn(served, Role.OWNER)
    yield made
    made.http.close()


@pytest.fixture
def connected(served: Stack, owner: SignedIn, request: pytest.FixtureRequest) -> dict[str, str]:
    """A WhatsApp account that was just connected: its form and its id."""
    name = f"kept-{abs(hash(request.node.name)) % 10**8}"
    form = a_form(served, "whatsapp", name=name)
    page = send(owner, "whatsapp", form)
    assert page.status_code == 200, page.text
    return form | {"id": account_id(served, name)}


def _text(signed_in: SignedIn, connected: dict[str, str]) -> str:
    page = signed_in.get(f"/admin/accounts/{connected['id']}")
    assert page.status_code == 200, page.text
    return page.text


def _audited(served: Stack, name: str) -> list[str]:
    rows = served.rows("select action from audit where subject = :subject order by at", subject=f"account:whatsapp/{name}")
    return [row["action"] for row in rows]


def test_no_page_and_no_answer_of_the_api_holds_a_secret(served: Stack, owner: SignedIn, connected: dict[str, str]) -> None:
    token = owner.post(f"/admin/accounts/{connected['id']}/verify-token")
    made = re.search(r'id="verify-token">([^<]+)<', token.text)
    assert made is not None
    secrets = (connected["app_secret"], connected["access_token"], made.group(1))
    owner.post(f"/admin/accounts/{connected['id']}/look")
    headers = {"Authorization": f"Bearer {a_token(served, Role.OWNER)}"}

    texts = [owner.get(path).text for path in ("/admin/accounts", f"/admin/accounts/{connected['id']}", "/admin/accounts/connect/whatsapp")]
    api = f"/api/v1/accounts/{connected['id']}"
    texts += [served.http.get(path, headers=headers).text for path in ("/api/v1/accounts", api, f"{api}/health")]

    assert [secret for secret in secrets for text in texts if secret in text] == []
    assert served.one("select count(*) from accounts where health::text like :token", token=f"%{connected['access_token']}%") == 0


def test_the_health_card_compares_the_webhooks_address_and_tells_quality_limits_and_expiry(
    served: Stack, owner: SignedIn, connected: dict[str, str]
) -> None:
    assert owner.post(f"/admin/accounts/{connected['id']}/look").status_code == 303
    text = _text(owner, connected)
    assert "Webhooks arrive here" in text
    assert "does not expire" in text

    named = {"phone_number_id": connected["external_id"], "waba_id": connected["parent_id"], "app_id": connected["app_id"]}
    named |= {"app_secret": connected["app_secret"], "access_token": connected["access_token"]}
    register(served, **named, expires_at=int(served.one("select extract(epoch from now())")) + 5 * 86400, quality_rating="RED")
    owner.post(f"/admin/accounts/{connected['id']}/look")

    text = _text(owner, connected)
    assert "4 days left" in text
    assert "quality is red" in text


def test_a_webhook_that_goes_elsewhere_is_told_and_registered_again(served: Stack, owner: SignedIn, connected: dict[str, str]) -> None:
    url = f"{served.platform.url}/v25.0/{connected['external_id']}"
    elsewhere = {"override_callback_uri": f"{served.web_url}/webhooks/whatsapp/test", "verify_token": build.VERIFY_TOKEN}
    answer = owner.http.post(
        url, json={"webhook_configuration": elsewhere}, headers={"Authorization": f"Bearer {connected['access_token']}"}
    )
    assert answer.status_code == 200, answer.text

    owner.post(f"/admin/accounts/{connected['id']}/look")

    assert "Webhooks go to another address" in _text(owner, connected)


def test_a_new_app_secret_is_checked_and_the_one_before_counts_until_it_is_dropped(
    served: Stack, owner: SignedIn, connected: dict[str, str]
) -> None:
    path = f"/admin/accounts/{connected['id']}"
    wrong = owner.post(f"{path}/rotate", app_secret="f" * 32)
    assert wrong.status_code == 422
    assert "does not belong to app" in error_at(wrong, "app_secret")

    named = {"phone_number_id": connected["external_id"], "waba_id": connected["parent_id"], "app_id": connected["app_id"]}
    register(served, **named, app_secret="e" * 32, access_token=connected["access_token"])
    assert owner.post(f"{path}/rotate", app_secret="e" * 32).status_code == 303

    hook = f"/webhooks/whatsapp/{connected['name']}"
    body = build.a_webhook(messages=[], people=[])

    def statuses() -> list[int]:
        signed = [build.sign(body, secret) for secret in (connected["app_secret"], "e" * 32)]
        return [served.http.post(hook, content=body, headers=headers).status_code for headers in signed]

    until(lambda: statuses() == [200, 200], what="both secrets count")
    assert "The previous app secret is still accepted" in _text(owner, connected)
    assert owner.post(f"{path}/drop-before").status_code == 303
    until(lambda: statuses() == [401, 200], what="the one before is refused")
    assert _audited(served, connected["name"]) == ["account.connect", "account.rotate", "account.drop_before"]


def test_a_paused_account_keeps_messages_and_answers_them_when_it_is_resumed(
    served: Stack, owner: SignedIn, connected: dict[str, str]
) -> None:
    path = f"/admin/accounts/{connected['id']}"
    assert owner.post(f"{path}/pause").status_code == 303
    served.platform.person_writes(account_id=connected["external_id"], text="Anybody?")
    assert setup_steps(owner, connected["id"])["webhook"] == "ok"
    assert setup_steps(owner, connected["id"])["answer"] == "wait"

    assert owner.post(f"{path}/resume").status_code == 303

    until(lambda: setup_steps(owner, connected["id"])["answer"] == "ok", what="it was answered", timeout_s=20)


def test_another_bot_can_answer_and_one_that_is_gone_cannot(served: Stack, owner: SignedIn, connected: dict[str, str]) -> None:
    with served.owner.begin() as connection:
        bot = connection.exec_driver_sql(
            "with b as (insert into bots (tenant_id, name, fallback_text) select tenant_id, 'second', 'x' from tenants where name = 'default'"
            " on conflict (tenant_id, name) do update set fallback_text = 'x' returning tenant_id, id)"
            " insert into personas (tenant_id, bot_id, version, text) select tenant_id, id, 1, 'p' from b"
            " on conflict do nothing returning bot_id"
        ).scalar_one()

    assert owner.post(f"/admin/accounts/{connected['id']}/bot", bot=str(bot)).status_code == 303
    assert served.one("select bot_id from accounts where id = :id", id=connected["id"]) == bot
    assert owner.post(f"/admin/accounts/{connected['id']}/bot", bot=connected["id"]).status_code == 404


def test_a_removed_account_takes_everything_along_and_leaves_the_others_alone(
    served: Stack, owner: SignedIn, connected: dict[str, str]
) -> None:
    served.say(build.a_person("Bo"), "My name is Bo and I live in Lugo")
    served.platform.person_writes(account_id=connected["external_id"], text="My name is Ada and I live in Porto")
    until(lambda: setup_steps(owner, connected["id"])["status"] == "ok", what="it was answered", timeout_s=20)
    until(lambda: served.one("select count(*) from statuses where account_id <> :id", id=connected["id"]) > 0, what="the other one, too")
    tables = [
        row["table_name"] for row in served.rows("select table_name from information_schema.columns where column_name = 'account_id'")
    ]
    path = f"/admin/accounts/{connected['id']}/remove"

    assert owner.get(path).status_code == 200
    wrong = owner.post(path, name="not this")
    assert (wrong.status_code, "to erase it" in error_at(wrong, "name")) == (422, True)
    done = owner.post(path, name=connected["name"])
    assert done.status_code == 303

    left = {name: served.one(f"select count(*) from {name} where account_id = :id", id=connected["id"]) for name in tables}
    assert {name: count for name, count in left.items() if count} == {}
    assert served.one("select count(*) from contact_identities where scope = :id", id=connected["id"]) == 0
    assert served.one("select count(*) from memories where text like '%Porto%'") == 0
    assert served.one("select count(*) from contacts c where not exists (select from contact_identities i where i.contact_id = c.id)") == 0
    assert served.one("select count(*) from conversations where account_id = :id", id=served.account.id) == 1
    detail: Any = served.one(
        "select detail from audit where action = 'account.remove' and subject like :name", name=f"%{connected['name']}"
    )
    assert detail["contacts"] == 1
    assert owner.get(f"/admin/accounts/{connected['id']}").status_code == 404
    until(lambda: served.http.get(f"/webhooks/whatsapp/{connected['name']}").status_code == 404, what="the webhook is gone")


def test_an_account_made_without_ids_is_looked_at_once_they_are_added(served: Stack, owner: SignedIn) -> None:
    path = f"/admin/accounts/{served.account.id}"
    told = owner.post(f"{path}/look")
    assert told.status_code == 409
    assert "the app&#39;s id" in told.text

    assert owner.post(f"{path}/ids", app_id="letters", parent_id="1").status_code == 422
    assert owner.post(f"{path}/ids", app_id="100200300400777", parent_id="900100200300400").status_code == 303

    assert owner.post(f"{path}/look").status_code == 303
    assert served.one("select health is not null from accounts where id = :id", id=served.account.id)


def test_a_public_address_without_https_is_told_where_the_platform_is_the_real_one(served: Stack) -> None:
    from bots.admin.accounts.webhook import address
    from bots.domain import ChannelKind
    from bots.settings import Settings

    real = Settings(public_url="")
    asked = ("http://bots.example.com", "https://127.0.0.1:8443", "https://bots.internal", "https://bots.example.com")

    assert [address(real, base, ChannelKind.WHATSAPP, "x").usable for base in asked] == [False, False, False, True]


def test_the_api_connects_with_the_same_checks_and_says_the_same_of_a_wrong_value(served: Stack) -> None:
    headers = {"Authorization": f"Bearer {a_token(served, Role.OWNER)}"}
    form = changed(served, "messenger") | {"channel": "messenger", "name": "by-api"}
    wrong = served.http.post("/api/v1/accounts", json=form | {"external_id": "123"}, headers=headers)
    assert wrong.status_code == 422
    assert "cannot read this page" in wrong.json()["fields"]["external_id"]

    assert served.http.post("/api/v1/accounts/check", json=form, headers=headers).status_code == 200
    made = served.http.post("/api/v1/accounts", json=form, headers=headers)
    assert made.status_code == 201, made.text
    account = made.json()["account"]["id"]
    assert made.json()["verify_token"] is None

    assert served.http.post("/api/v1/accounts", json=form, headers=headers).status_code == 422
    assert served.http.post(f"/api/v1/accounts/{account}/check", headers=headers).json()["state"] == "ok"
    assert served.http.post(f"/api/v1/accounts/{account}/pause", headers=headers).json()["state"] == "paused"
    assert served.http.post(f"/api/v1/accounts/{account}/resume", headers=headers).json()["state"] == "active"
    assert served.http.request("DELETE", f"/api/v1/accounts/{account}", json={"name": "other"}, headers=headers).status_code == 422
    gone = served.http.request("DELETE", f"/api/v1/accounts/{account}", json={"name": "by-api"}, headers=headers)
    assert gone.json()["erased"]["conversations"] == 0


def test_health_that_an_earlier_version_stored_is_still_shown(served: Stack, owner: SignedIn, connected: dict[str, str]) -> None:
    stored = (
        '{"state": "warn", "facts": {"phone": "+34 600"}, "checks": [{"key": "token", "title": "Access token", "state": "warn",'
        ' "words": "It runs out in 5 hours.", "mend": "Make another."}]}'
    )
    with served.owner.begin() as connection:
        connection.execute(
            text("update accounts set health = cast(:health as jsonb), health_at = now() where id = :id"),
            {"health": stored, "id": connected["id"]},
        )

    page = owner.get(f"/admin/accounts/{connected['id']}").text
    told = owner.get(f"/api/v1/accounts/{connected['id']}/health").json()

    assert "It runs out in 5 hours." in page
    assert "Make another." in page
    check = {"key": "token", "title": "Access token", "state": "warn", "message": "It runs out in 5 hours.", "fix": "Make another."}
    assert told == {"state": "warn", "facts": {"phone": "+34 600"}, "checks": [check]}
