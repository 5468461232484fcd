"""Operators, their passwords, sessions, links and tokens, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from bots.domain import Role
from bots.storage import operators, sign_in_links, tenants
from tests.support.cluster import Cluster
from tests.support.operators import PASSWORD, SignedIn, a_token, make
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("operators"))) as running:
        running.settles = False
        running.start_web()
        yield running


@pytest.fixture(scope="module")
def owner(served: Stack) -> Iterator[SignedIn]:
    with SignedIn(served, Role.OWNER) as signed_in:
        yield signed_in


def _browser(stack: Stack) -> httpx.Client:
    return httpx.Client(base_url=stack.web_url, timeout=20, trust_env=False)


def _sign_in(client: httpx.Client, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
    return client.post("/admin/sign-in", data={"name": name, "password": password, **more})


def _id(stack: Stack, name: str) -> str:
    return str(stack.one("select id from operators where name = :name", name=name))


def _newest(stack: Stack, action: str) -> dict[str, Any]:
    return stack.rows("select actor, subject, detail from audit where action = :action order by at desc limit 1", action=action)[0]


def _invited(owner: SignedIn, name: str, role: str = "agent") -> str:
    page = owner.post("/admin/operators", name=name, role=role)
    assert page.status_code == 200, page.text
    found = re.search(r"http://[^<]+/admin/enter\?token=[\w-]+", page.text)
    assert found is not None
    return found.group(0)


def test_somebody_invited_chooses_a_password_and_is_in(served: Stack, owner: SignedIn) -> None:
    name = f"Zoë {uuid4().hex[:6]}"
    link = _invited(owner, name)
    token = link.partition("token=")[2]

    with _browser(served) as client:
        assert name in client.get(link).text
        short = client.post("/admin/enter", data={"token": token, "password": "short", "again": "short"})
        entered = client.post("/admin/enter", data={"token": token, "password": PASSWORD, "again": PASSWORD})
        assert (short.status_code, entered.status_code) == (422, 303)
        assert "agent" in client.get("/admin/me").text
        assert client.post("/admin/enter", data={"token": token, "password": PASSWORD, "again": PASSWORD}).status_code == 403
    with _browser(served) as client:
        assert _sign_in(client, name).status_code == 303
    assert token not in owner.get("/admin/operators").text
    assert _newest(served, "operator.add")["subject"] == f"operator:{name}"


def test_a_wrong_operator_form_keeps_what_was_typed_and_says_why(served: Stack, owner: SignedIn) -> None:
    name = make(served, Role.VIEWER, name=f"taken-{uuid4().hex[:6]}")

    taken = owner.post("/admin/operators", name=name, role="agent")
    nobody = owner.post("/admin/operators", name="  ", role="emperor")

    assert (taken.status_code, nobody.status_code) == (422, 422)
    assert f"There is already an operator named {name}." in taken.text
    assert f'value="{name}"' in taken.text
    assert "Enter a name." in nobody.text
    assert "Choose a role." in nobody.text


def test_a_new_link_ends_the_one_before_and_a_disabled_operators_link_opens_nothing(served: Stack, owner: SignedIn) -> None:
    name = f"linked-{uuid4().hex[:6]}"
    first = _invited(owner, name)
    second = re.search(r"/admin/enter\?token=[\w-]+", owner.post(f"/admin/operators/{_id(served, name)}/link").text)
    assert second is not None

    assert served.http.get(first).status_code == 403
    assert served.http.get(second.group(0)).status_code == 200
    with served.engine("web").begin() as connection:
        late = sign_in_links.put_link(connection, operator=served.one("select id from operators where name = :name", name=name))
    assert owner.post(f"/admin/operators/{_id(served, name)}/disable").status_code == 303
    assert served.http.get("/admin/enter", params={"token": late}).status_code == 403
    refused = owner.post(f"/admin/operators/{_id(served, name)}/link")
    assert refused.status_code == 409
    assert "enable them again first" in refused.text


def test_a_changed_role_holds_from_the_next_click_on(served: Stack, owner: SignedIn) -> None:
    with SignedIn(served, Role.OWNER) as other:
        name = served.one("select name from operators order by created_at desc limit 1")
        assert other.get("/admin/audit").status_code == 200

        assert owner.post(f"/admin/operators/{_id(served, name)}/role", role="viewer").status_code == 303

        assert other.get("/admin/audit").status_code == 403
    assert _newest(served, "operator.role")["detail"] == {"role": "viewer", "before": "owner"}


def test_a_disabled_operator_is_out_at_once_and_their_tokens_stay_dead(served: Stack, owner: SignedIn) -> None:
    token = {"Authorization": f"Bearer {a_token(served, Role.AGENT)}"}
    name = served.http.get("/api/v1/me", headers=token).json()["name"]
    with _browser(served) as client:
        _sign_in(client, name)
        assert client.get("/admin").status_code == 200

        owner.post(f"/admin/operators/{_id(served, name)}/disable")

        assert client.get("/admin").status_code == 303
        assert _sign_in(client, name).status_code == 403
        assert served.http.get("/api/v1/me", headers=token).status_code == 401
        owner.post(f"/admin/operators/{_id(served, name)}/enable")
        assert _sign_in(client, name).status_code == 303
        assert served.http.get("/api/v1/me", headers=token).status_code == 401


def test_the_last_owner_can_neither_step_down_nor_be_disabled(cluster: Cluster, tmp_path: Path) -> None:
    with Stack(cluster, tmp_path) as alone:
        alone.settles = False
        alone.start_web()
        with SignedIn(alone, Role.OWNER) as only:
            identity = alone.one("select id from operators")
            down = only.post(f"/admin/operators/{identity}/role", role="operator")
            out = only.post(f"/admin/operators/{identity}/disable")
            by_api = only.http.patch(
                f"/api/v1/operators/{identity}", json={"role": "viewer"}, headers={"X-CSRF-Token": only.csrf, "Origin": alone.web_url}
            )
            assert (down.status_code, out.status_code, by_api.status_code) == (409, 409, 409)
            assert "There must always be an owner." in down.text
            assert by_api.json() == {"error": "There must always be an owner."}
            assert only.get("/admin/operators").status_code == 200


def test_a_changed_password_ends_the_sessions_elsewhere_and_keeps_this_one(served: Stack) -> None:
    name, later = make(served, Role.VIEWER, name=f"changer-{uuid4().hex[:6]}"), "nine grey cranes at dusk"
    with _browser(served) as here, _browser(served) as there:
        _sign_in(here, name)
        _sign_in(there, name)
        found = re.search(r'name="csrf" content="([0-9a-f]+)"', here.get("/admin/me").text)
        assert found is not None
        form = {"csrf": found.group(1), "password": later, "again": later}

        wrong = here.post("/admin/me/password", data=form | {"current": "not this one"})
        unlike = here.post("/admin/me/password", data=form | {"current": PASSWORD, "again": "something else"})
        right = here.post("/admin/me/password", data=form | {"current": PASSWORD})

        assert (wrong.status_code, unlike.status_code, right.status_code) == (422, 422, 303)
        assert "This is not your current password." in wrong.text
        assert PASSWORD not in unlike.text
        assert here.get("/admin/me").status_code == 200
        assert there.get("/admin/me").status_code == 303
        assert _sign_in(there, name).status_code == 403
        assert _sign_in(there, name, later).status_code == 303


def test_wrong_passwords_are_counted_and_a_right_one_waits_with_them(served: Stack) -> None:
    name = make(served, Role.VIEWER, name=f"guessed-{uuid4().hex[:6]}")
    # Another address of this machine, whose tries do not count for the other tests.
    with httpx.Client(
        base_url=served.web_url, trust_env=False, timeout=20, transport=httpx.HTTPTransport(local_address="127.0.0.9")
    ) as client:
        statuses = [_sign_in(client, name, f"wrong number {n}").status_code for n in range(11)]
        assert statuses == [403] * 10 + [429]
        assert _sign_in(client, name).status_code == 429


@pytest.mark.parametrize("asked", ["//[", "https://elsewhere.example/admin", "//elsewhere.example", "/admin\\@elsewhere", "/chat"])
def test_a_sign_in_never_leads_elsewhere(served: Stack, asked: str) -> None:
    name = make(served, Role.VIEWER, name=f"led-{uuid4().hex[:6]}")
    with _browser(served) as client:
        assert client.get("/admin/sign-in", params={"next": asked}).status_code == 200
        answer = _sign_in(client, name, next=asked)
        assert (answer.status_code, answer.headers["location"]) == (303, "/admin")


def test_odd_bytes_in_a_form_are_no_error_of_ours(served: Stack, owner: SignedIn) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    bodies = [b"name=%00a&password=%00", b"name=%ff&password=%ed%a0%80", b"&".join(b"a=1" for _ in range(600)), b"=%zz&&&", b"\xff\xfe"]

    found = [served.http.post("/admin/sign-in", content=body, headers=headers).status_code for body in bodies]
    assert all(status in {403, 413} for status in found), found
    assert owner.post("/admin/operators", name="a\0b\x01", role="viewer").status_code == 422


def test_a_token_is_shown_once_does_its_role_and_is_revoked(served: Stack) -> None:
    with SignedIn(served, Role.OPERATOR) as signed_in:
        page = signed_in.post("/admin/me/tokens", name="nightly export", role="viewer")
        found = re.search(r"cw_[\w-]{30,}", page.text)
        assert found is not None
        headers = {"Authorization": f"Bearer {found.group(0)}"}
        assert served.http.get("/api/v1/me", headers=headers).json()["role"] == "viewer"
        assert served.http.post("/api/v1/bots", json={}, headers=headers).status_code == 403
        assert found.group(0) not in signed_in.get("/admin/me").text
        assert signed_in.post("/admin/me/tokens", name="more", role="owner").status_code == 403
        assert signed_in.post("/admin/me/tokens", name="", role="viewer").status_code == 422

        (listed,) = served.http.get("/api/v1/tokens", headers=headers).json()
        assert listed["name"] == "nightly export"
        assert "token" not in listed
        with SignedIn(served, Role.OPERATOR) as stranger:
            assert stranger.post(f"/admin/me/tokens/{listed['id']}/revoke").status_code == 404
        assert signed_in.post(f"/admin/me/tokens/{listed['id']}/revoke").status_code == 303
        assert served.http.get("/api/v1/me", headers=headers).status_code == 401


def test_a_token_makes_no_tokens(served: Stack) -> None:
    headers = {"Authorization": f"Bearer {a_token(served, Role.OWNER)}"}

    assert served.http.post("/api/v1/tokens", json={"name": "x", "role": "viewer"}, headers=headers).status_code == 403
    assert served.http.delete(f"/api/v1/tokens/{uuid4()}", headers=headers).status_code == 403


def test_the_operators_api_invites_changes_and_refuses(served: Stack) -> None:
    api = "/api/v1/operators"
    headers = {"Authorization": f"Bearer {a_token(served, Role.OWNER)}"}
    name = f"api-{uuid4().hex[:6]}"

    made = served.http.post(api, json={"name": name, "role": "agent"}, headers=headers)
    assert made.status_code == 201
    assert served.http.get(made.json()["link"]).status_code == 200
    identity = made.json()["operator"]["id"]
    changed = served.http.patch(f"{api}/{identity}", json={"role": "operator", "disabled": True}, headers=headers).json()
    assert (changed["role"], changed["disabled_at"] is None) == ("operator", False)
    assert served.http.post(f"{api}/{identity}/link", headers=headers).status_code == 409
    assert served.http.post(api, json={"name": name, "role": "agent"}, headers=headers).status_code == 409
    bad = [
        {"name": "a\0", "role": "agent"},
        {"name": " ", "role": "agent"},
        {"name": "x", "role": "king"},
        {"name": "x", "role": "agent", "z": 1},
    ]
    assert [served.http.post(api, json=body, headers=headers).status_code for body in bad] == [422] * 4
    assert served.http.get(f"{api}/{uuid4()}", headers=headers).status_code == 404


def test_another_tenants_operator_is_not_found(served: Stack, owner: SignedIn) -> None:
    with served.owner.begin() as connection:
        tenant = connection.exec_driver_sql(
            "insert into tenants (name) values ('other') on conflict (name) do update set name = excluded.name returning tenant_id"
        ).scalar_one()
    with served.engine("web").begin() as connection:
        assert tenants.default(connection) != tenant
        theirs = operators.add(connection, tenant=tenant, name="theirs", role=Role.OWNER)
        token = operators.add_token(connection, tenant=tenant, operator=theirs.id, name="theirs", role=Role.OWNER)
    identity = served.one("select id from api_tokens where tenant_id = :tenant", tenant=tenant)

    tried = [owner.post(f"/admin/operators/{theirs.id}/{act}", role="viewer").status_code for act in ("role", "link", "disable", "enable")]
    assert tried == [404] * 4
    assert owner.post(f"/admin/operators/tokens/{identity}/revoke").status_code == 404
    assert served.http.get("/api/v1/operators", headers={"Authorization": f"Bearer {token}"}).json()[0]["name"] == "theirs"


def test_the_audit_is_paged_without_loss_and_filtered(served: Stack, owner: SignedIn) -> None:
    headers = {"Authorization": f"Bearer {a_token(served, Role.OWNER)}"}
    with served.owner.begin() as connection:
        connection.exec_driver_sql(
            "insert into audit (tenant_id, actor, action, subject, detail)"
            " select tenant_id, 'mass', 'bot.publish', 'bot:' || n, '{\"version\": 3}' from tenants, generate_series(1, 120) n"
            " where name = 'default'"
        )
    seen: list[str] = []
    before: dict[str, str] = {}
    while page := served.http.get("/api/v1/audit", params={"actor": "mass", "limit": 50, **before}, headers=headers).json():
        seen += [entry["id"] for entry in page]
        before = {"before": page[-1]["id"]}

    assert (len(seen), len(set(seen))) == (120, 120)
    first = owner.get("/admin/audit?actor=mass&action=bot")
    assert (first.text.count("<code>bot.publish</code>"), "version 3" in first.text) == (50, True)
    older = re.search(r'href="(/admin/audit\?[^"]+before=[^"]+)"', first.text)
    assert older is not None
    assert owner.get(older.group(1).replace("&amp;", "&")).status_code == 200
    assert "No entry matches." in owner.get("/admin/audit?actor=nobody%00&before=zzz").text
