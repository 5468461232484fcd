"""Bots over HTTP: forms that keep what was typed, the API, and a trial that goes the whole way."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from bots.domain import Role
from tests.support import invariants
from tests.support.cluster import Cluster
from tests.support.operators import Seat, a_token
from tests.support.processes import until
from tests.support.stack import Stack

_API = "/api/v1/bots"
_FIELDS = {"persona": "You are kind.", "profile": "default", "fallback_text": "Sorry.", "memory_on": "on"}


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("bots"))) as running:
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running
        # No message came over the platform: what concerns its log does not apply.
        invariants.check(running, settled=False)


@pytest.fixture(scope="module")
def seat(served: Stack) -> Iterator[Seat]:
    with Seat(served, Role.OPERATOR) as seated:
        yield seated


@pytest.fixture(scope="module")
def api(served: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {a_token(served, Role.OPERATOR)}"}
    with httpx.Client(base_url=served.web_url, headers=headers, timeout=20, trust_env=False) as client:
        yield client


def _new(api: httpx.Client, **more: Any) -> dict[str, Any]:
    answer = api.post(_API, json={"name": f"bot {uuid4().hex[:8]}", "persona": "You are kind."} | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def _tried(api: httpx.Client, bot: str, words: str, *, thread: str, version: int | None = None) -> list[str]:
    """Say something to a version and return what the bot has said in this talk."""
    said = api.post(f"{_API}/{bot}/try", json={"text": words, "thread": thread, "key": uuid4().hex, "version": version})
    assert said.status_code == 202, said.text
    talk: dict[str, Any] = {}

    def settled() -> bool:
        talk.update(api.get(f"{_API}/{bot}/try", params={"version": said.json()["version"], "thread": thread}).json())
        return not talk["waiting"] and talk["lines"][-1]["side"] == "out"

    until(settled, what="the trial's answer", timeout_s=20)
    return [line["text"] for line in talk["lines"] if line["side"] == "out"]


def test_a_bot_is_made_changed_published_and_rolled_back_by_forms(served: Stack, seat: Seat) -> None:
    name = f"form {uuid4().hex[:6]}"
    made = seat.post("/admin/bots/new", name=name, **_FIELDS)
    assert made.status_code == 303, made.text
    page = made.headers["location"]

    seat.post(page, name=name, base="1", **(_FIELDS | {"persona": "You are kind.\r\nAnd brief.", "language": "pt"}))
    shown = seat.get(page).text
    assert "version 2 is a draft" in shown
    assert "Version 1 answers" in shown
    assert "<ins>" in seat.get(f"{page}/diff?old=1&new=2").text
    assert seat.post(f"{page}/publish", version="2").status_code == 303
    assert "Version 2 answers" in seat.get(page).text
    assert seat.post(f"{page}/publish", version="1").status_code == 303

    assert served.one("select persona_version from bots where name = :name", name=name) == 1
    assert served.one("select language from bots where name = :name", name=name) == "pt"
    bot = page.rpartition("/")[2]
    assert served.one("select text from personas where bot_id = cast(:bot as uuid) and version = 2", bot=bot) == "You are kind.\nAnd brief."


def test_a_wrong_form_keeps_what_was_typed_and_says_what_is_wrong_beside_it(seat: Seat, api: httpx.Client) -> None:
    bot = _new(api)
    wrong = {"name": "", "profile": "Big Model!", "language": "klingon please", "persona": "<b>x</b>" * 3000, "fallback_text": ""}
    for page in ("/admin/bots/new", f"/admin/bots/{bot['id']}"):
        answer = seat.post(page, **wrong)
        assert answer.status_code == 422
        for word in (
            "A bot needs a name.",
            "Use lower-case letters, digits",
            "Enter a language code",
            "At most 20,000 characters",
            "there is no usable answer.",
        ):
            assert word in answer.text
        assert 'value="Big Model!"' in answer.text
        assert "&lt;b&gt;x&lt;/b&gt;" in answer.text
        assert "<b>x</b>" not in answer.text


def test_two_who_edit_at_once_are_told_and_nothing_is_lost(seat: Seat, api: httpx.Client) -> None:
    bot = _new(api)
    page = f"/admin/bots/{bot['id']}"
    assert seat.post(page, name=bot["name"], base="1", **(_FIELDS | {"persona": "Mine."})).status_code == 303

    late = seat.post(page, name=bot["name"], base="1", **(_FIELDS | {"persona": "Yours."}))
    assert late.status_code == 422
    assert "saved version 2 in the meantime" in late.text
    assert "Yours." in late.text
    base = re.search(r'name="base" value="(\d+)"', late.text)
    assert base is not None
    assert seat.post(page, name=bot["name"], base=base.group(1), **(_FIELDS | {"persona": "Yours."})).status_code == 303

    assert [one["persona"] for one in api.get(f"{_API}/{bot['id']}/versions").json()] == ["Yours.", "Mine.", "You are kind."]


def test_a_viewer_sees_a_bot_and_no_button(served: Stack, api: httpx.Client) -> None:
    bot = _new(api)
    with Seat(served, Role.VIEWER) as viewer:
        for path in ("", "/versions/1", "/diff"):
            page = viewer.get(f"/admin/bots/{bot['id']}{path}")
            assert page.status_code == 200
            assert 'method="post" action="/admin/bots' not in page.text
        assert viewer.post(f"/admin/bots/{bot['id']}/remove").status_code == 403


def test_the_api_changes_what_is_given_and_leaves_the_rest(api: httpx.Client) -> None:
    bot = _new(api, apology_text="One moment.", language="es")

    renamed = api.patch(f"{_API}/{bot['id']}", json={"apology_text": None, "memory_on": False}).json()
    assert (renamed["apology_text"], renamed["language"], renamed["memory_on"], renamed["newest_version"]) == (None, "es", False, 1)
    drafted = api.patch(f"{_API}/{bot['id']}", json={"persona": "You are brief.", "base_version": 1}).json()
    assert (drafted["persona"], drafted["persona_version"], drafted["newest_version"]) == ("You are kind.", 1, 2)
    assert api.patch(f"{_API}/{bot['id']}", json={"memory_on": True}).json()["newest_version"] == 2
    assert api.patch(f"{_API}/{bot['id']}", json={"persona": "Late.", "base_version": 1}).status_code == 409
    kinds = [piece["kind"] for piece in api.get(f"{_API}/{bot['id']}/diff", params={"old": 1, "new": 2}).json()]
    assert kinds == ["same", "del", "ins", "same"]
    assert api.post(f"{_API}/{bot['id']}/publish", json={"version": 2}).json()["persona"] == "You are brief."
    assert api.delete(f"{_API}/{bot['id']}").status_code == 204
    assert api.get(f"{_API}/{bot['id']}").status_code == 404


def test_a_used_bot_is_not_removed_and_the_account_is_named(served: Stack, seat: Seat, api: httpx.Client) -> None:
    used = str(served.account.bot_id)

    by_api, by_form = api.delete(f"{_API}/{used}"), seat.post(f"/admin/bots/{used}/remove")

    assert (by_api.status_code, by_form.status_code) == (409, 409)
    assert "whatsapp/test" in by_api.json()["error"]
    assert "whatsapp/test" in by_form.text


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a\0b", "persona": "x"},
        {"name": " ", "persona": "x"},
        {"name": "x" * 81, "persona": "x"},
        {"name": "line\nbreak", "persona": "x"},
        {"name": "x", "persona": "a\0"},
        {"name": "x", "persona": "x" * 20_001},
        {"name": "x", "persona": "x", "language": "not a code"},
        {"name": "x", "persona": "x", "profile": "../etc"},
        {"name": "x", "persona": "x", "unknown": 1},
        {"name": "x", "persona": ["x"]},
    ],
)
def test_a_wrong_body_is_refused(api: httpx.Client, body: dict[str, Any]) -> None:
    assert api.post(_API, json=body).status_code == 422


@pytest.mark.parametrize(
    "body",
    [b'{"name":"\\ud800","persona":"x"}', b'{"name":"x","persona":"x","\\udfff":1}', b'{"name":1e999,"persona":NaN}', b"[[[[", b"\xff\xfe"],
)
def test_a_body_that_is_no_text_is_refused_without_being_repeated(api: httpx.Client, body: bytes) -> None:
    answer = api.post(_API, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}
    assert "input" not in answer.text.replace("Input should", "")


def test_odd_numbers_and_ids_are_not_found_or_refused(api: httpx.Client, seat: Seat) -> None:
    bot = _new(api)["id"]

    assert {api.get(f"{_API}/{bot}/versions/{n}").status_code for n in ("0", "-1", "9" * 30, "x", "2147483648")} == {422}
    assert api.get(f"{_API}/{bot}/versions/2147483647").status_code == 404
    assert api.get(f"{_API}/{uuid4()}/versions").status_code == 404
    assert seat.get(f"/admin/bots/{bot}/versions/{'9' * 30}").status_code == 404
    assert seat.get(f"/admin/bots/{bot}/diff?old=99999999999999&new=-1").status_code == 200
    assert seat.post(f"/admin/bots/{bot}/publish", version="9" * 30).status_code == 404
    assert seat.get(f"/admin/bots/{uuid4()}").status_code == 404


def test_a_trial_speaks_with_the_draft_and_starts_afresh(served: Stack, api: httpx.Client) -> None:
    served.model.script(echo=True)
    bot = _new(api, first_contact="You speak with a machine.")["id"]
    api.patch(f"{_API}/{bot}", json={"persona": "You are a pirate."})

    _tried(api, bot, "My name is Marta", thread="one")
    assert "You are a pirate." in str(served.model.log()[-1]["messages"][0])
    _tried(api, bot, "Hello", thread="one", version=1)
    assert "You are kind." in str(served.model.log()[-1]["messages"][0])
    again = _tried(api, bot, "And me?", thread="two")

    assert "Marta" not in str(served.model.log()[-1]["messages"])
    assert "My name is Marta" not in again
    assert served.one("select count(*) from accounts where bot_id = cast(:bot as uuid) and name like 'try-%'", bot=bot) == 2


def test_a_trial_is_its_operators_own(served: Stack, api: httpx.Client) -> None:
    bot = _new(api)["id"]
    _tried(api, bot, "only for me", thread="shared")

    other = {"Authorization": f"Bearer {a_token(served, Role.OPERATOR)}"}
    found = served.http.get(f"{_API}/{bot}/try", params={"version": 1, "thread": "shared"}, headers=other).json()

    assert found == {"typing": False, "waiting": False, "lines": []}


def test_a_removed_bot_takes_what_was_said_in_trials_along(served: Stack, api: httpx.Client) -> None:
    bot = _new(api)["id"]
    _tried(api, bot, "my zeppelin is yellow", thread="gone")

    assert api.delete(f"{_API}/{bot}").status_code == 204

    assert served.one("select count(*) from inbox where text like '%zeppelin%'") == 0
    assert served.one("select count(*) from accounts where bot_id = cast(:bot as uuid)", bot=bot) == 0
