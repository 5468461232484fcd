"""Operators set weights: on an account's page, over the API and by commands; it counts from the next claim on, and is in the audit trail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bots.admin import weights
from bots.domain import Role
from tests.support import forked
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn, a_token
from tests.support.stack import Stack
from tests.support.wizard import error_at


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("weights"))) as running:
        running.settles = False
        running.start_web()
        yield running


@pytest.fixture(scope="module")
def operator(served: Stack) -> Iterator[SignedIn]:
    made = SignedIn(served, Role.OPERATOR)
    yield made
    made.http.close()


def _weight(served: Stack) -> float:
    return served.one("select weight from accounts where id = :id", id=served.account.id)


def _run(served: Stack, *arguments: str) -> tuple[int, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("CHINWAG_")} | served.env
    return forked.said("chinwag", *arguments, env=env)


def _newest(served: Stack) -> tuple[str, str, dict[str, float]]:
    row = served.rows("select action, subject, detail from audit order by at desc limit 1")[0]
    return row["action"], row["subject"], row["detail"]


@pytest.mark.parametrize(("typed", "weight"), [("3", 3.0), (" 0,5 ", 0.5), ("1000", 1000.0), ("0.01", 0.01), ("1e2", 100.0)])
def test_the_page_sets_a_weight_and_shows_it(served: Stack, operator: SignedIn, typed: str, weight: float) -> None:
    before = _weight(served)
    answer = operator.post(f"/admin/accounts/{served.account.id}/weight", weight=typed)

    assert (answer.status_code, _weight(served)) == (303, weight)
    assert _newest(served) == ("account.weight", "account:whatsapp/test", {"weight": weight, "before": before})
    assert f"<dt>Weight</dt><dd>{weight:g}</dd>" in operator.get(f"/admin/accounts/{served.account.id}").text
    assert f'<td class="number">{weight:g}</td>' in operator.get("/admin/accounts").text


@pytest.mark.parametrize("typed", ["", "0", "-1", "1001", "0.009", "nan", "inf", "three", "1,000.5", "1 0"])
def test_what_is_no_weight_is_refused_with_the_bounds_and_kept_in_the_form(served: Stack, operator: SignedIn, typed: str) -> None:
    before = _weight(served)
    answer = operator.post(f"/admin/accounts/{served.account.id}/weight", weight=typed)

    assert (answer.status_code, _weight(served)) == (422, before)
    assert "from 0.01 to 1000" in error_at(answer, "weight")


def test_the_api_sets_a_weight_and_tells_it_with_how_many_wait(served: Stack) -> None:
    bearer = {"Authorization": f"Bearer {a_token(served, Role.OPERATOR)}"}
    at = f"/api/v1/accounts/{served.account.id}"
    changed = served.http.put(f"{at}/weight", json={"weight": 2.5}, headers=bearer)

    assert (changed.status_code, changed.json()["weight"], changed.json()["waiting"]) == (200, 2.5, 0)
    for wrong in (0, -1, 1000.1, "many", None):
        assert served.http.put(f"{at}/weight", json={"weight": wrong}, headers=bearer).status_code == 422
    assert _weight(served) == 2.5
    missing = served.http.put("/api/v1/accounts/00000000-0000-0000-0000-000000000000/weight", json={"weight": 1}, headers=bearer)
    assert missing.status_code == 404
    assert _newest(served)[2]["weight"] == 2.5


def test_only_operators_set_weights(served: Stack) -> None:
    bearer = {"Authorization": f"Bearer {a_token(served, Role.AGENT)}"}

    assert served.http.put(f"/api/v1/accounts/{served.account.id}/weight", json={"weight": 9}, headers=bearer).status_code == 403
    with SignedIn(served, Role.AGENT) as agent:
        assert agent.post(f"/admin/accounts/{served.account.id}/weight", weight="9").status_code == 403
        assert "Change weight" not in agent.get(f"/admin/accounts/{served.account.id}").text


def test_commands_set_weights_of_an_account_and_of_a_tenant(served: Stack) -> None:
    assert _run(served, "account", "weight", "test", "4") == (0, "test: weight 4\n")
    assert _weight(served) == 4.0
    assert "weight 4" in _run(served, "account", "list")[1]
    assert _run(served, "tenant", "weight", "default", "0.5") == (0, "default: weight 0.5\n")
    assert _newest(served) == ("tenant.weight", "tenant:default", {"weight": 0.5, "before": 1.0})
    assert _run(served, "tenant", "list") == (0, "default  weight 0.5  1 accounts  0 turns in work\n")


@pytest.mark.parametrize(
    "arguments", [("account", "weight", "test", "0"), ("tenant", "weight", "default", "5000"), ("tenant", "weight", "default", "much")]
)
def test_a_command_says_what_a_weight_is(served: Stack, arguments: tuple[str, ...]) -> None:
    assert _run(served, *arguments) == (2, f"{weights.BadWeight()}\n")


def test_a_command_says_where_the_names_are(served: Stack) -> None:
    code, said = _run(served, "tenant", "weight", "nobody", "2")

    assert (code, "`chinwag tenant list`" in said) == (2, True)
    code, said = _run(served, "account", "weight", "nobody", "2")
    assert (code, "`chinwag account list`" in said) == (2, True)
