"""A price that looks like one for another number of tokens is asked about by the form, the API and the command, and kept when that is said."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner

from bots.domain import Role
from chinwag.cli import build
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn, a_token
from tests.support.stack import Stack

_OWN = {"url": "http://127.0.0.1:8000/v1", "model": "m"}
_ODD: dict[str, Any] = {"price_in": 0.0000025, "price_out": 0.00001}
_QUESTION = "0.0000025 USD for a million tokens? That looks like the price of one token: did you mean 2.50?"


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("odd-prices"))) as running:
        running.settles = False
        running.start_web()
        yield running


@pytest.fixture(scope="module")
def signed_in(served: Stack) -> Iterator[SignedIn]:
    with SignedIn(served, Role.OPERATOR) as session:
        yield session


@pytest.fixture(scope="module")
def api(served: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {a_token(served, Role.OPERATOR)}"}
    with httpx.Client(base_url=served.web_url + "/api/v1", headers=headers, timeout=20, trust_env=False) as client:
        yield client


def _named() -> str:
    return f"e-{uuid4().hex[:8]}"


def _price(served: Stack, name: str) -> list[float | None]:
    return [row["price_in"] for row in served.rows("select price_in from endpoints where name = :name", name=name)]


def test_the_form_comes_back_with_the_question_and_a_box_to_keep_the_price(served: Stack, signed_in: SignedIn) -> None:
    name = _named()
    form = {"name": name, **_OWN, "price_in": "2.5e-06", "price_out": "0.00001"}
    asked = signed_in.post("/admin/models/new", **form)

    assert asked.status_code == 422
    assert _QUESTION in asked.text
    assert 'name="price_as_given"' in asked.text
    assert 'value="2.5e-06"' in asked.text
    assert _price(served, name) == []
    assert 'name="price_as_given"' not in signed_in.get("/admin/models/new").text

    assert signed_in.post("/admin/models/new", **form, price_as_given="on").status_code == 303
    assert _price(served, name) == [0.0000025]
    page = signed_in.get(f"/admin/models/endpoints/{name}").text
    assert f"Input price: {_QUESTION}" in page
    # What is there already is asked about only when it changes.
    shown = form | {"price_in": "0.0000025"}
    assert signed_in.post(f"/admin/models/endpoints/{name}", **(shown | {"model": "other"})).status_code == 303
    assert signed_in.post(f"/admin/models/endpoints/{name}", **(shown | {"price_in": "0.000003"})).status_code == 422
    assert signed_in.post(f"/admin/models/endpoints/{name}", **(shown | {"price_in": "2.50", "price_out": "10"})).status_code == 303
    assert "did you mean" not in signed_in.get(f"/admin/models/endpoints/{name}").text


def test_the_api_names_the_field_that_keeps_the_price(served: Stack, api: httpx.Client) -> None:
    body: dict[str, Any] = {"name": _named(), **_OWN, "leaves_house": False, **_ODD}
    asked = api.post("/endpoints", json=body)

    assert asked.status_code == 422
    assert asked.json()["fields"].keys() == {"price_in", "price_out", "price_as_given"}
    assert asked.json()["fields"]["price_in"] == _QUESTION
    assert _price(served, body["name"]) == []

    kept = api.post("/endpoints", json=body | {"price_as_given": True})
    assert (kept.status_code, kept.json()["price_in"]) == (201, 0.0000025)
    assert f"Input price: {_QUESTION}" in kept.json()["warnings"]
    assert api.put(f"/endpoints/{body['name']}", json=body | {"model": "other"}).status_code == 200
    assert api.put(f"/endpoints/{body['name']}", json=body | {"price_in": 1500}).json()["fields"].keys() >= {"price_in", "price_as_given"}


def test_the_command_asks_by_the_names_of_its_options(served: Stack) -> None:
    name, env = _named(), {key: None for key in os.environ if key.startswith("CHINWAG_")} | served.env

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(build("endpoint"), ["endpoint", *arguments], env=env)
        return done.exit_code, done.output

    add = ("add", name, "--url", _OWN["url"], "--model", "m", "--stays", "--price-in", "2.5e-06", "--price-out", "0.00001")
    code, said = run(*add)

    assert code == 2
    assert said.startswith(f"--price-in: {_QUESTION}\n--price-out: ")
    assert said.endswith("--price-as-given: Prices are in USD for a million tokens; say so if this one is right as it is.\n")
    assert _price(served, name) == []

    assert run(*add, "--price-as-given")[0] == 0
    assert run("change", name, "--model", "other")[0] == 0
    assert run("change", name, "--price-in", "0.0025")[0] == 2
    code, said = run("change", name, "--price-in", "2.50", "--price-out", "10")
    assert (code, "did you mean" in said) == (0, False)
