"""Batches over HTTP: files stream in and are checked, answers stream out, roles and tenants hold."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from bots.domain import Role
from tests.support.batches import lines
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn, a_token
from tests.support.processes import until
from tests.support.stack import Stack

_API = "/api/v1/batches"


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("batches"))) as running:
        running.settles = False
        running.start_web()
        yield running


@pytest.fixture(scope="module")
def operator(served: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {a_token(served, Role.OPERATOR)}"}
    with httpx.Client(base_url=served.web_url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def signed_in(served: Stack) -> Iterator[SignedIn]:
    with SignedIn(served, Role.OPERATOR) as session:
        yield session


def _post(client: httpx.Client, data: bytes, **query: str) -> httpx.Response:
    return client.post(_API, params={"bot": "tester"} | query, content=data, headers={"Content-Type": "application/jsonl"})


def _started(client: httpx.Client, count: int = 3) -> str:
    answer = _post(client, lines(count))
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_a_file_that_streams_in_becomes_a_batch(operator: httpx.Client) -> None:
    found = operator.get(f"{_API}/{_started(operator, 700)}").json()

    assert (found["state"], found["total"], found["waiting"], found["done"]) == ("running", 700, 700, 0)


def test_bad_lines_come_back_with_their_numbers_and_nothing_is_kept(served: Stack, operator: httpx.Client) -> None:
    before = served.one("select count(*) from batches")
    answer = _post(operator, lines(2) + b"nothing\n" + lines(1))

    assert answer.status_code == 422
    assert answer.json() == {
        "error": "Nothing was started: 2 bad lines.",
        "lines": [
            {"line": 3, "reason": "not JSON: Expecting value at character 1"},
            {"line": 4, "reason": "custom_id is the same as on line 1"},
        ],
        "bad_lines": 2,
    }
    assert served.one("select count(*) from batches") == before


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gzip.compress(lines(3), mtime=0), "gzip"),
        (b"PK\x03\x04 and more", "zip"),
        (lines(1).decode().encode("utf-16"), "UTF-16"),
        (b"", "empty"),
    ],
)
def test_a_file_of_another_kind_is_refused_as_a_whole(operator: httpx.Client, data: bytes, words: str) -> None:
    answer = _post(operator, data)

    assert answer.status_code == 422
    assert words in answer.json()["error"]


def test_the_same_file_and_key_are_one_batch_and_another_file_is_a_conflict(operator: httpx.Client) -> None:
    key = uuid4().hex
    answers = [_post(operator, lines(3), idempotency_key=key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert _post(operator, lines(4), idempotency_key=key).status_code == 409


def test_a_sender_who_leaves_midway_leaves_nothing(served: Stack, operator: httpx.Client) -> None:
    before = served.one("select count(*) from batches")

    def some() -> Iterator[bytes]:
        yield lines(60_000)
        until(lambda: served.one("select count(*) from batches where state = 'checking'"), what="it is being checked")
        raise httpx.WriteError("the sender left")

    with pytest.raises(httpx.WriteError):
        operator.post(_API, params={"bot": "tester"}, content=some())
    until(lambda: served.one("select count(*) from batches") == before, what="nothing was kept", timeout_s=40)


def test_pause_resume_cancel_and_what_makes_no_sense(operator: httpx.Client) -> None:
    batch = f"{_API}/{_started(operator)}"

    assert operator.post(f"{batch}/pause").json()["state"] == "paused"
    assert operator.post(f"{batch}/resume").json()["state"] == "running"
    assert operator.post(f"{batch}/retry").status_code == 409
    assert operator.post(f"{batch}/cancel").json()["state"] == "cancelled"
    assert operator.post(f"{batch}/resume").status_code == 409


def test_answers_stream_in_the_order_of_the_file(served: Stack, operator: httpx.Client) -> None:
    batch = _started(operator, 450)
    operator.post(f"{_API}/{batch}/cancel")
    answer = operator.get(f"{_API}/{batch}/results")
    found = [json.loads(line) for line in answer.text.splitlines()]

    assert [line["custom_id"] for line in found] == [f"q{n}" for n in range(1, 451)]
    assert {line["error"]["code"] for line in found} == {"cancelled"}
    assert answer.headers["content-disposition"].startswith("attachment")


def test_a_viewer_reads_and_changes_nothing(served: Stack, operator: httpx.Client) -> None:
    batch = _started(operator)
    headers = {"Authorization": f"Bearer {a_token(served, Role.VIEWER)}"}
    with httpx.Client(base_url=served.web_url, headers=headers, timeout=20, trust_env=False) as viewer:
        seen = [viewer.get(path).status_code for path in (_API, f"{_API}/{batch}", f"{_API}/{batch}/failed", f"{_API}/{batch}/results")]
        changed = [viewer.post(f"{_API}/{batch}/{what}").status_code for what in ("pause", "resume", "cancel", "retry")]
        sent = _post(viewer, lines(1)).status_code

    assert (seen, changed, sent) == ([200] * 4, [403] * 4, 403)


def test_what_is_unknown_is_not_there(operator: httpx.Client) -> None:
    batch = f"{_API}/{uuid4()}"

    assert [operator.get(path).status_code for path in (batch, f"{batch}/failed", f"{batch}/results")] == [404] * 3
    assert [operator.post(f"{batch}/{what}").status_code for what in ("pause", "resume", "cancel", "retry")] == [404] * 4
    assert _post(operator, lines(1), bot="nobody").status_code == 404


@pytest.mark.parametrize("query", [{"bot": "a\0"}, {"name": "a\0"}, {"profile": "../x"}, {"idempotency_key": ""}, {"bot": "x" * 201}])
def test_odd_parameters_are_refused(operator: httpx.Client, query: dict[str, Any]) -> None:
    assert _post(operator, lines(1), **query).status_code == 422


def test_lines_that_are_pasted_start_a_batch_without_a_script(signed_in: SignedIn) -> None:
    answer = signed_in.post("/admin/batches", bot="tester", key="", lines=lines(3).decode())

    assert answer.status_code == 303
    assert "0</span> of 3" in signed_in.get(answer.headers["location"]).text


def test_a_wrong_line_keeps_what_was_typed_and_says_what_is_wrong_beside_it(signed_in: SignedIn) -> None:
    answer = signed_in.post("/admin/batches", bot="tester", key="k1", lines='{"custom_id": "<b>"}')

    assert answer.status_code == 422
    assert "{&#34;custom_id&#34;: &#34;&lt;b&gt;&#34;}" in answer.text
    assert 'value="k1"' in answer.text
    assert "&#34;text&#34; is missing" in answer.text
    assert 'aria-invalid="true"' in answer.text


@pytest.mark.parametrize("name", ["not-an-id", "018f6b1e-0000-7000-8000-000000000000"])
def test_a_page_of_no_batch_is_not_there(signed_in: SignedIn, name: str) -> None:
    assert signed_in.get(f"/admin/batches/{name}").status_code == 404
    assert signed_in.post(f"/admin/batches/{name}/pause").status_code == 404


def test_a_scripted_name_stays_text(signed_in: SignedIn, operator: httpx.Client) -> None:
    batch = _post(operator, lines(1), name="<script>alert(1)</script>").json()["id"]

    for path in ("/admin/batches", f"/admin/batches/{batch}"):
        assert "<script>alert" not in signed_in.get(path).text


def test_the_buttons_of_a_page_do_what_they_say(served: Stack, signed_in: SignedIn, operator: httpx.Client) -> None:
    page = f"/admin/batches/{_started(operator)}"
    for action, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert signed_in.post(f"{page}/{action}").status_code == 303
        assert f'data-state="{state}"' in signed_in.get(page).text


def test_an_owner_erases_a_batch_that_is_over_and_nobody_one_that_runs(served: Stack, operator: httpx.Client) -> None:
    batch = _started(operator, 3)
    owner = {"Authorization": f"Bearer {a_token(served, Role.OWNER)}"}

    assert operator.delete(f"{_API}/{batch}").status_code == 403
    assert operator.delete(f"{_API}/{batch}", headers=owner).status_code == 409
    assert operator.post(f"{_API}/{batch}/cancel").status_code == 200
    assert operator.delete(f"{_API}/{batch}", headers=owner).json() == {"items": 3}
    assert operator.get(f"{_API}/{batch}").status_code == 404
    assert served.one("select count(*) from batch_items where batch_id = cast(:batch as uuid)", batch=batch) == 0
