"""Who may do what: every page and every API call, tried by everybody who must not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from bots.domain import Role
from bots.settings import Settings
from bots.web.app import create
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn, a_token
from tests.support.stack import Stack

#: What everybody may send: their own sign-out and password.
_OWN = ("/admin/sign-out", "/admin/me")


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("roles"))) as running:
        running.settles = False
        running.start_web()
        yield running


@pytest.fixture(scope="module")
def rules(served: Stack) -> list[tuple[str, str, Role]]:
    app = create(Settings.from_env(served.env))
    return list(app.state.site.rules)


def _filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", lambda found: "1" if found.group().endswith(":int}") else str(uuid4()), path)


def _try(signed_in: SignedIn, method: str, path: str) -> int:
    return (signed_in.post if method == "POST" else signed_in.get)(_filled(path)).status_code


@pytest.mark.parametrize("role", list(Role))
def test_a_role_is_refused_every_page_and_form_above_it(served: Stack, rules: list[tuple[str, str, Role]], role: Role) -> None:
    above = [(method, path) for method, path, needed in rules if not role.includes(needed)]
    allowed = [(method, path) for method, path, needed in rules if role.includes(needed) and not path.startswith(_OWN)]

    with SignedIn(served, role) as signed_in:
        refused = {(method, path): _try(signed_in, method, path) for method, path in above}
        statuses = {(method, path): _try(signed_in, method, path) for method, path in allowed}

    assert {key: status for key, status in refused.items() if status != 403} == {}
    assert {key: status for key, status in statuses.items() if status in {401, 403} or status >= 500} == {}


def test_without_a_session_every_page_leads_to_the_sign_in(served: Stack, rules: list[tuple[str, str, Role]]) -> None:
    found = {}
    for method, path, _ in rules:
        answer = served.http.request(method, _filled(path))
        found[method, path] = (answer.status_code, answer.headers.get("location", "").startswith("/admin/sign-in"))

    assert {key: value for key, value in found.items() if value != (303, True)} == {}


def test_a_form_without_this_sessions_word_is_refused(served: Stack, rules: list[tuple[str, str, Role]]) -> None:
    with SignedIn(served, Role.OWNER) as signed_in, SignedIn(served, Role.OWNER) as other:
        words = {"csrf": other.csrf}
        found = {path: signed_in.http.post(_filled(path), data=words).status_code for method, path, _ in rules if method == "POST"}
        account = served.one("select id from accounts limit 1")
        signed_in.http.post(f"/admin/accounts/{account}/pause", data=words)

    assert {path: status for path, status in found.items() if status != 403} == {}
    assert served.one("select state from accounts limit 1") == "active"


def _operations(stack: Stack) -> list[tuple[str, str]]:
    document: dict[str, Any] = stack.http.get("/openapi.json", headers={"Authorization": f"Bearer {a_token(stack, Role.OWNER)}"}).json()
    return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]


def test_the_api_refuses_strangers_everything_and_a_viewers_token_every_write(served: Stack) -> None:
    operations = _operations(served)
    viewer = {"Authorization": f"Bearer {a_token(served, Role.VIEWER)}"}
    assert len(operations) > 20

    strangers = {key: served.http.request(key[0], _filled(key[1])).status_code for key in operations}
    assert {key: status for key, status in strangers.items() if status != 401} == {}

    writes = [key for key in operations if key[0] != "GET"]
    tried = {key: served.http.request(key[0], _filled(key[1]), headers=viewer, json={}).status_code for key in writes}
    assert {key: status for key, status in tried.items() if status != 403} == {}


def test_a_disabled_operators_token_opens_nothing(served: Stack) -> None:
    token = a_token(served, Role.AGENT)
    headers = {"Authorization": f"Bearer {token}"}
    assert served.http.get("/openapi.json", headers=headers).status_code == 200

    with served.owner.begin() as connection:
        connection.exec_driver_sql("update operators set disabled_at = now() where name like 'agent-%%'")

    assert served.http.get("/openapi.json", headers=headers).status_code == 401
