"""The wizard over HTTP, against the practice platform: every channel's happy way, and every wrong value said beside its field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bots.admin.accounts.checks import run
from bots.admin.accounts.offer import Offer
from bots.domain import ChannelKind, Role
from bots.settings import Settings
from tests.support.cluster import Cluster
from tests.support.operators import Seat
from tests.support.processes import until
from tests.support.stack import Stack
from tests.support.wizard import FIELDS, a_form, account_id, changed, error_at, paste, register, send, setup_steps


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("connect"))) as running:
        running.settles = False
        running.model.script(echo=True)
        # Without an app of its own, the platform would let any app's id pass for its.
        running.seat_platform(app_id="100200300400777")
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running


@pytest.fixture(scope="module")
def seat(served: Stack) -> Iterator[Seat]:
    made = Seat(served, Role.OPERATOR)
    yield made
    made.http.close()


@pytest.mark.parametrize("kind", ["whatsapp", "messenger", "instagram"])
def test_a_connected_account_registers_itself_and_every_step_turns_green(served: Stack, seat: Seat, kind: str) -> None:
    form = a_form(served, kind, name=f"green-{kind}")

    page = send(seat, kind, form)

    assert page.status_code == 200, page.text
    assert "verify-token" not in page.text
    account = account_id(served, f"green-{kind}")
    assert setup_steps(seat, account) == {"address": "ok", "handshake": "ok", "webhook": "wait", "answer": "wait", "status": "wait"}

    served.platform.person_writes(account_id=form["external_id"], text="Hello there")

    expected = dict.fromkeys(("address", "handshake", "webhook", "answer", "status"), "ok")
    until(lambda: setup_steps(seat, account) == expected, what="every step is green", timeout_s=20)


def test_instagram_login_is_told_what_to_paste_and_turns_green_once_it_is_pasted(served: Stack, seat: Seat) -> None:
    form = a_form(served, "instagram_login", name="by-login")
    page = send(seat, "instagram_login", form)
    found = re.search(r'id="callback">([^<]+)<.*?id="verify-token">([^<]+)<', page.text, re.DOTALL)
    assert found is not None, page.text
    account = account_id(served, "by-login")
    assert setup_steps(seat, account)["handshake"] == "wait"

    body = {"account_id": form["external_id"], "callback_url": found.group(1), "verify_token": found.group(2)}
    assert paste(served, **body)["handshake"] is True

    assert setup_steps(seat, account)["handshake"] == "ok"
    assert found.group(2) not in seat.get(f"/admin/accounts/{account}").text


WRONG = {
    "an app secret of nobody": ("whatsapp", {"app_secret": "0" * 32}, "app_secret", "does not belong to app"),
    "an app that does not exist": ("messenger", {"app_id": "999"}, "app_id", "no app with this id"),
    "a token that is cut off": ("whatsapp", {"access_token": "EAAPrac"}, "access_token", "not valid"),
    "a token with a line break": ("messenger", {"access_token": "EAA first\nsecond"}, "access_token", "Copy it again"),
    "an id of nobody": ("whatsapp", {"external_id": "123456789012345"}, "external_id", "cannot read this id"),
    "a page of nobody": ("messenger", {"external_id": "123456789012345"}, "external_id", "cannot read this page"),
    "a business account of nobody": ("whatsapp", {"parent_id": "123456789012345"}, "parent_id", "cannot read this id"),
    "letters in an id": ("whatsapp", {"parent_id": "waba"}, "parent_id", "digits only"),
    "another Instagram account": ("instagram", {"external_id": "17841999999999999"}, "external_id", "Its id is 17841"),
    "a page without Instagram": ("instagram", {"parent_id": "123456789012345"}, "parent_id", "cannot read this page"),
    "another login's account": (
        "instagram_login",
        {"external_id": "17841999999999999"},
        "external_id",
        "belongs to another Instagram account",
    ),
    "a name with spaces": ("whatsapp", {"name": "Front Desk"}, "name", "lower-case letters"),
    "a bot that is gone": ("messenger", {"bot": "00000000-0000-4000-8000-000000000000"}, "bot", "no longer exists"),
    "nothing at all": ("whatsapp", {"app_secret": ""}, "app_secret", "required"),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_a_wrong_value_is_said_beside_its_field_and_what_was_typed_is_kept(served: Stack, seat: Seat, what: str) -> None:
    kind, change, field, words = WRONG[what]
    form = a_form(served, kind, **change)
    before = served.one("select count(*) from accounts")

    page = send(seat, kind, form)

    assert page.status_code == 422
    assert words in error_at(page, field), page.text
    assert served.one("select count(*) from accounts") == before
    for name in (*FIELDS[kind], "name"):
        is_kept = f'value="{form[name]}"' in page.text
        assert is_kept == (name not in {"app_secret", "access_token"}), name
    assert form["access_token"] not in page.text


def test_a_phone_number_pasted_for_an_id_is_told_and_the_id_is_offered(served: Stack, seat: Seat) -> None:
    told = served.platform.world()["whatsapp"]
    for typed in (told["display_phone_number"], f"+{told['display_phone_number']}"):
        page = send(seat, "whatsapp", a_form(served, "whatsapp", external_id=typed))

        assert page.status_code == 422
        assert "This is a phone number" in error_at(page, "external_id")
        assert told["phone_number_id"] in error_at(page, "external_id")


def test_a_token_of_another_app_is_told(served: Stack, seat: Seat) -> None:
    token = "EAAanotherAppsToken"
    register(
        served,
        channel="messenger",
        account_id="2911122233344455",
        webhook_url="http://127.0.0.1:1/x",
        app_id="3111222333444555",
        app_secret="another-apps-secret",
        access_token=token,
    )

    page = send(seat, "messenger", a_form(served, "messenger", access_token=token))

    assert "another app" in error_at(page, "access_token")


def test_a_token_that_has_expired_lacks_a_scope_or_is_no_pages_is_told(served: Stack, seat: Seat) -> None:
    over = send(seat, "whatsapp", changed(served, "whatsapp", expires_at=1_700_000_000))
    lacking = send(seat, "messenger", changed(served, "messenger", scopes=["pages_messaging"]))

    assert "expired" in error_at(over, "access_token")
    assert "lacks pages_manage_metadata" in error_at(lacking, "access_token")


def test_an_app_that_insists_on_the_proof_of_its_secret_is_connected(served: Stack, seat: Seat) -> None:
    form = changed(served, "whatsapp", require_proof=True) | {"name": "proven"}

    page = send(seat, "whatsapp", form)

    assert page.status_code == 200, page.text
    assert setup_steps(seat, account_id(served, "proven"))["handshake"] == "ok"


def test_an_account_is_not_connected_twice_nor_a_name_taken_twice(served: Stack, seat: Seat) -> None:
    form = a_form(served, "messenger", name="only-once")
    assert send(seat, "messenger", form).status_code == 200

    again = send(seat, "messenger", form | {"name": "another-name"})
    same_name = send(seat, "messenger", a_form(served, "messenger", name="only-once"))

    assert "already connected, as only-once" in error_at(again, "external_id")
    assert "with this name" in error_at(same_name, "name")
    assert served.one("select count(*) from accounts where name in ('only-once', 'another-name')") == 1


def test_an_app_that_sends_elsewhere_keeps_its_address_and_the_business_account_overrides_it(served: Stack, seat: Seat) -> None:
    form = changed(served, "whatsapp", webhook_url="http://127.0.0.1:1/somebody-elses") | {"name": "beside"}

    page = send(seat, "whatsapp", form)

    assert "business account has its own" in page.text
    served.platform.person_writes(account_id=form["external_id"], text="Hello")
    until(lambda: setup_steps(seat, account_id(served, "beside"))["webhook"] == "ok", what="the webhook came here")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("wrong_secret", "signed with another secret"),
        ("other_app", "signed with another app's secret"),
        ("reencode", "rewrites the body"),
        ("plus_to_space", "A + became a space"),
        ("strip_header", "header is removed"),
    ],
)
def test_a_refused_webhook_is_explained_at_its_step(served: Stack, seat: Seat, how: str, words: str) -> None:
    name = f"doctor-{how.replace('_', '-')}"
    form = a_form(served, "whatsapp", name=name)
    assert send(seat, "whatsapp", form).status_code == 200
    served.platform.mangle(form["external_id"], how)

    served.platform.person_writes(account_id=form["external_id"], text="1 + 1 is 2", wait_s=0.5)

    account = account_id(served, name)
    until(lambda: setup_steps(seat, account)["webhook"] == "bad", what="the refusal is told")
    said = {step["key"]: step for step in seat.get(f"/admin/accounts/{account}/setup_steps.json").json()["setup_steps"]}["webhook"]
    assert words in said["message"]
    assert said["fix"]
    served.platform.mangle(form["external_id"], None)


def test_another_tenants_account_is_nowhere(served: Stack, seat: Seat) -> None:
    with served.owner.begin() as connection:
        connection.exec_driver_sql("insert into tenants (name) values ('other') on conflict do nothing")
        connection.exec_driver_sql(
            "insert into bots (tenant_id, name, fallback_text) select tenant_id, 'b', 'x' from tenants where name = 'other'"
        )
        found = connection.exec_driver_sql(
            "insert into accounts (tenant_id, bot_id, channel, name, external_id)"
            " select tenant_id, id, 'whatsapp', 'theirs', '42' from bots where name = 'b' returning id"
        ).scalar_one()

    assert "theirs" not in seat.get("/admin/accounts").text
    for path in ("", "/setup_steps.json"):
        assert seat.get(f"/admin/accounts/{found}{path}").status_code == 404
    for path in ("look", "register", "verify-token", "bot", "rotate", "drop-before", "pause", "resume", "practise"):
        form = {"bot": str(served.one("select id from bots where name = 'tester'")), "app_secret": "x"}
        assert seat.post(f"/admin/accounts/{found}/{path}", **form).status_code == 404, path
    owner = Seat(served, Role.OWNER)
    assert owner.post(f"/admin/accounts/{found}/remove", name="theirs").status_code == 404
    owner.http.close()


def test_a_platform_that_is_away_and_a_version_that_is_over_are_told(served: Stack) -> None:
    form = a_form(served, "messenger")
    names = ("name", "external_id", "app_id", "app_secret", "access_token")
    offer = Offer(channel=ChannelKind.MESSENGER, **{name: form[name] for name in names})

    def first(url: str, version: str) -> tuple[str, bool]:
        checked = run(offer, Settings(graph_url=url, graph_version=version, send_deadline_s=2))
        return checked.checks[0].state, checked.good

    url = served.platform.url
    found = [first("http://127.0.0.1:1", "v25.0"), first(url, "v99.0"), first(url, "v19.0"), first(url, "v25.0")]

    assert found == [("bad", False), ("bad", False), ("warn", True), ("ok", True)]
