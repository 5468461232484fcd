"""Endpoints and profiles over HTTP: forms that keep what was typed, keys that never come out, the API, who is told what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from bots.crypto import Keyring
from bots.domain import Role
from bots.settings import Settings
from bots.storage import endpoints, tenants
from tests.support.cluster import Cluster
from tests.support.models import found
from tests.support.operators import SignedIn, a_token
from tests.support.stack import Stack

_API = "/api/v1"
_KEY = "sk-seven-blue-herons"
_HOSTED = {"url": "https://models.example.com/v1", "model": "m-1", "leaves_house": "on", "api_key": _KEY}
_OWN = {"url": "http://127.0.0.1:8000/v1", "model": "meta-llama/Llama-4-Scout-17B-16E-Instruct"}


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("endpoints"))) as running:
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
    with httpx.Client(base_url=served.web_url + _API, headers=headers, timeout=20, trust_env=False) as client:
        yield client


def _named() -> str:
    return f"e-{uuid4().hex[:8]}"


def _made(api: httpx.Client, **more: Any) -> str:
    body = {"name": _named(), "url": "http://127.0.0.1:8000/v1", "model": "m", "leaves_house": False} | more
    answer = api.post("/endpoints", json=body)
    assert answer.status_code == 201, answer.text
    return body["name"]


def _opened(stack: Stack, name: str) -> str:
    """The key as a worker opens it."""
    keyring = Keyring.from_settings(Settings.from_env(stack.env))
    with stack.engine("worker").connect() as connection:
        row = endpoints.get(connection, tenant=tenants.default(connection), name=name)
    assert row is not None
    return endpoints.open_key(keyring, row)


def _audit(stack: Stack, subject: str) -> list[str]:
    return [row["action"] for row in stack.rows("select action from audit where subject = :subject order by at, id", subject=subject)]


def test_an_endpoint_is_connected_changed_and_removed_by_forms_and_each_write_is_noted(served: Stack, signed_in: SignedIn) -> None:
    name = _named()

    made = signed_in.post("/admin/models/new", name=name, price_in="0.10", price_out="$0.40", **_HOSTED)
    assert made.headers["location"] == f"/admin/models/endpoints/{name}", made.text
    page = signed_in.get(made.headers["location"]).text
    assert "hosted: data leaves your servers" in page
    assert "$0.10 in, $0.40 out" in page
    changed = signed_in.post(f"/admin/models/endpoints/{name}", name=name, url=_HOSTED["url"], model="m-2", leaves_house="on")
    assert changed.status_code == 303, changed.text
    assert served.rows("select model, price_in from endpoints where name = :name", name=name) == [{"model": "m-2", "price_in": None}]
    assert signed_in.post(f"/admin/models/endpoints/{name}/probe").status_code == 303
    assert signed_in.post(f"/admin/models/endpoints/{name}/remove").status_code == 303

    assert served.one("select count(*) from endpoints where name = :name", name=name) == 0
    assert _audit(served, f"endpoint:{name}") == ["endpoint.add", "endpoint.change", "endpoint.probe", "endpoint.remove"]


def test_a_key_is_sealed_opens_for_a_worker_and_stands_in_no_answer(served: Stack, signed_in: SignedIn, api: httpx.Client) -> None:
    name = _named()
    refused = signed_in.post("/admin/models/new", name="Not a name", **_HOSTED)
    signed_in.post("/admin/models/new", name=name, **_HOSTED)

    shown = [refused.text, signed_in.get("/admin/models").text, signed_in.get(f"/admin/models/endpoints/{name}").text]
    shown += [api.get("/endpoints").text, api.get(f"/endpoints/{name}").text, str(served.rows("select detail from audit"))]
    assert [text for text in shown if _KEY in text] == []
    assert _KEY.encode() not in bytes(served.one("select api_key from endpoints where name = :name", name=name))
    assert _opened(served, name) == _KEY
    assert signed_in.post(f"/admin/models/endpoints/{name}/key", api_key="sk-another").status_code == 303
    assert _opened(served, name) == "sk-another"
    assert "do not belong in an API key" in signed_in.post(f"/admin/models/endpoints/{name}/key", api_key="two words").text
    assert signed_in.post(f"/admin/models/endpoints/{name}/key", then="remove").status_code == 303
    assert _opened(served, name) == ""


def test_an_endpoint_that_moves_to_another_server_loses_its_key_and_the_page_says_so(served: Stack, signed_in: SignedIn) -> None:
    name = _named()
    signed_in.post("/admin/models/new", name=name, **_HOSTED)

    moved = signed_in.post(f"/admin/models/endpoints/{name}", name=name, url="https://other.example.com/v1", model="m-1", leaves_house="on")

    assert "the key was removed" in signed_in.get(moved.headers["location"]).text
    assert _opened(served, name) == ""


def test_a_wrong_form_keeps_what_was_typed_and_says_what_is_wrong_beside_it(signed_in: SignedIn) -> None:
    wrong = {"name": "Über", "url": "ftp://x", "model": "", "price_in": "-1", "price_cached": "a<b>c", "price_out": "1e9"}

    answer = signed_in.post("/admin/models/new", **wrong)

    assert answer.status_code == 422
    said = re.findall(r'<p class="error" id="(\w+)-error">', answer.text)
    assert said == ["name", "url", "model", "price_in", "price_cached", "price_out"]
    assert 'value="a&lt;b&gt;c"' in answer.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"api_key": ""}, "A hosted endpoint needs its API key"),
        ({"url": "https://api.openai.com/v1", "leaves_house": ""}, "This is OpenAI&#39;s address"),
        ({"price_in": "1"}, "Output tokens need a price too"),
        ({"price_out": "1"}, "Input tokens need a price too"),
        ({"url": "https://user:word@models.example.com/v1"}, "without a user"),
        ({"url": "https://models.example.com/v1?key=1"}, "a question mark"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_kept(served: Stack, signed_in: SignedIn, fields: dict[str, str], said: str) -> None:
    name = _named()

    answer = signed_in.post("/admin/models/new", name=name, **(_HOSTED | fields))

    assert (answer.status_code, said in answer.text) == (422, True)
    assert served.one("select count(*) from endpoints where name = :name", name=name) == 0


def test_a_hosted_endpoint_that_asks_for_no_key_is_connected_without_one(signed_in: SignedIn) -> None:
    assert signed_in.post("/admin/models/new", name=_named(), **(_HOSTED | {"api_key": "", "no_key": "on"})).status_code == 303


def test_a_preset_fills_in_what_the_catalog_knows(signed_in: SignedIn) -> None:
    page = signed_in.get("/admin/models/new?preset=hosted:gpt-4o:0").text

    for value in ("https://api.openai.com/v1", "gpt-4o", "2.50", "1.25", "10.00"):
        assert f'value="{value}"' in page
    assert "OpenAI switches gpt-4o off on 2027-01-14. Its successor: gpt-6-luna." in page


def test_a_retired_model_names_its_successor_and_is_taken_only_when_confirmed(signed_in: SignedIn, api: httpx.Client) -> None:
    asked = {"name": _named(), "url": "https://generativelanguage.googleapis.com/v1beta/openai", "model": "gemini-2.0-flash"}
    form = asked | {"leaves_house": "on", "api_key": _KEY}

    refused = signed_in.post("/admin/models/new", **form)
    assert refused.status_code == 422
    assert "switched gemini-2.0-flash off on 2026-06-01. Its successor: gemini-3.5-flash-lite." in refused.text
    assert "Connect it although it is switched off" in refused.text
    assert "Fill in Gemini 3.5 Flash-Lite at Gemini API instead" in refused.text
    assert api.post("/endpoints", json=asked | {"api_key": _KEY}).json()["fields"].keys() == {"model"}

    assert signed_in.post("/admin/models/new", retired_ok="on", **form).status_code == 303
    assert "switched gemini-2.0-flash off" in signed_in.get(f"/admin/models/endpoints/{asked['name']}").text


def test_a_change_does_not_go_round_what_connecting_refuses(served: Stack, signed_in: SignedIn, api: httpx.Client) -> None:
    name = _made(api)
    as_it_is = {"name": name, "url": "http://127.0.0.1:8000/v1", "model": "m"}
    retired = {"name": name, "url": "https://generativelanguage.googleapis.com/v1beta/openai", "model": "gemini-2.0-flash"}
    hosted = signed_in.post(f"/admin/models/endpoints/{name}", **as_it_is, leaves_house="on")
    refused = api.put(f"/endpoints/{name}", json=as_it_is | {"leaves_house": True})

    assert (hosted.status_code, "needs its API key: enter it first" in hosted.text, 'name="no_key"' in hosted.text) == (422, True, True)
    assert (refused.status_code, refused.json()["fields"].keys()) == (422, {"leaves_house"})
    assert served.one("select leaves_house from endpoints where name = :name", name=name) is False

    assert api.put(f"/endpoints/{name}/key", json={"api_key": _KEY}).status_code == 200
    assert api.put(f"/endpoints/{name}", json=as_it_is | {"leaves_house": True}).status_code == 200
    over = signed_in.post(f"/admin/models/endpoints/{name}", **retired, leaves_house="on")
    assert (over.status_code, 'name="retired_ok"' in over.text) == (422, True)
    assert "switched gemini-2.0-flash off on 2026-06-01" in over.text
    assert api.put(f"/endpoints/{name}", json=retired | {"leaves_house": True}).json()["fields"].keys() == {"model"}
    assert _opened(served, name) == _KEY
    assert signed_in.post(f"/admin/models/endpoints/{name}", **retired, leaves_house="on", retired_ok="on").status_code == 303
    # What was let in stays changeable in all else: it has lost its key by moving, and its model is over.
    assert signed_in.post(f"/admin/models/endpoints/{name}", **retired, leaves_house="on", price_in="1", price_out="2").status_code == 303


def test_llama_4_says_before_and_after_connecting_that_the_eu_gets_no_licence_and_what_may_be_taken(signed_in: SignedIn) -> None:
    name = _named()
    before = signed_in.get("/admin/models/new?preset=own:llama-4-scout").text
    signed_in.post("/admin/models/new", name=name, **_OWN)
    after = [signed_in.get(path).text for path in ("/admin/models", f"/admin/models/endpoints/{name}")]

    for page in (before, *after):
        assert "principal place of business, in the EU. Permitted there: deepseek-v3, mistral-small-3.1, gemma-3-27b." in page
    assert "in the EU" not in signed_in.get("/admin/models/new?preset=own:deepseek-v3").text


def test_what_the_probe_found_is_shown_with_what_it_means(served: Stack, signed_in: SignedIn, api: httpx.Client) -> None:
    name = _made(api)
    page = f"/admin/models/endpoints/{name}"
    assert "not probed yet" in signed_in.get(page).text
    assert "No worker is running" in signed_in.get(page).text

    traits = {"context": 8192, "vision": False, "json_schema": True, "reasoning": True, "system_role": False, "roles_alternate": True}
    found(served, name, traits=traits | {"parses_tokens": True})

    shown = signed_in.get(f"{page}?part=1").text
    for words in ("8,192 tokens", "Text only", "follows a schema", "reasons before", "no system role", "must alternate", "removed first"):
        assert words in shown
    assert "data-waiting" not in shown
    view = api.get(f"/endpoints/{name}").json()
    assert (view["state"], view["traits"]["context"], view["traits"]["ranks"]) == ("ok", 8192, None)


def test_what_went_wrong_is_shown_until_it_is_asked_again_and_what_was_measured_before_stays(
    served: Stack, signed_in: SignedIn, api: httpx.Client
) -> None:
    name = _made(api)
    found(served, name, traits={"context": 4096})
    assert api.post(f"/endpoints/{name}/probe").json()["state"] == "wait"

    found(served, name, traits=None, notes=["The server refuses the key <b>."])

    page = signed_in.get(f"/admin/models/endpoints/{name}").text
    assert "cannot be used" in page
    assert "The server refuses the key &lt;b&gt;." in page
    assert "4,096 tokens" in page
    assert "The server refuses the key &lt;b&gt;." in signed_in.get("/admin/models").text
    assert api.get(f"/endpoints/{name}").json()["state"] == "bad"
    assert signed_in.post(f"/admin/models/endpoints/{name}/probe").status_code == 303
    assert "data-waiting" in signed_in.get(f"/admin/models/endpoints/{name}?part=1").text


def _order(stack: Stack, profile: str) -> list[list[str]]:
    rows = stack.rows(
        "select p.position, e.name from profile_endpoints p join endpoints e on e.id = p.endpoint_id where p.profile = :profile"
        " order by 1, 2",
        profile=profile,
    )
    positions = sorted({row["position"] for row in rows})
    return [[row["name"] for row in rows if row["position"] == position] for position in positions]


def test_a_profile_is_arranged_by_buttons_alone(served: Stack, signed_in: SignedIn, api: httpx.Client) -> None:
    one, two, three = sorted(_made(api) for _ in range(3))
    profile = f"p.{uuid4().hex[:6]}"
    assert signed_in.get(f"/admin/models/profiles?name={profile}").headers["location"] == f"/admin/models/profiles/{profile}"

    def press(do: str, endpoint: str) -> list[list[str]]:
        assert signed_in.post(f"/admin/models/profiles/{profile}", do=do, endpoint=endpoint).status_code == 303
        return _order(served, profile)

    for name in (one, two, three):
        press("add", name)
    assert _order(served, profile) == [[one], [two], [three]]
    assert press("up", three) == [[one], [three], [two]]
    assert press("join", three) == [[one, three], [two]]
    assert press("down", one) == [[three], [one], [two]]
    assert press("down", two) == [[three], [one], [two]]
    assert press("drop", one) == [[three], [two]]
    for name in (two, three):
        press("drop", name)

    assert _order(served, profile) == []
    assert _audit(served, f"profile:{profile}") == ["profile.change"] * 8 + ["profile.remove"]


def test_a_profile_page_shows_the_order_its_bots_and_that_the_workers_own_model_answers_where_it_is_empty(
    signed_in: SignedIn, api: httpx.Client
) -> None:
    own, hosted = _made(api), _made(api, url="https://models.example.com/v1", leaves_house=True, no_key=True)
    profile = f"p-{uuid4().hex[:6]}"
    api.post("/bots", json={"name": f"bot of {profile}", "persona": "x", "profile": profile})
    assert "the worker's own model" in signed_in.get(f"/admin/models/profiles/{profile}").text.replace("&#39;", "'")

    assert api.put(f"/profiles/{profile}", json={"tiers": [[own], [hosted]]}).json()["tiers"] == [[own], [hosted]]

    page = signed_in.get(f"/admin/models/profiles/{profile}").text
    stops = re.findall(r'<li class="stop (\w+)"><b>([^<]+)</b>', page)
    assert stops == [("own", own), ("hosted", hosted)]
    assert f"bot of {profile}" in page
    assert "no worker running" in page
    assert profile in signed_in.get(f"/admin/models/endpoints/{own}/remove").text


def test_a_bot_that_nobody_may_answer_is_named(signed_in: SignedIn, api: httpx.Client) -> None:
    hosted = _made(api, url="https://models.example.com/v1", leaves_house=True, no_key=True)
    profile = f"p-{uuid4().hex[:6]}"
    bot = api.post("/bots", json={"name": f"mute {profile}", "persona": "x", "profile": profile}).json()

    api.put(f"/profiles/{profile}", json={"tiers": [[hosted]]})
    assert api.get(f"/profiles/{profile}").json()["mute"] == [f"mute {profile}"]
    assert "every endpoint here is hosted elsewhere" in signed_in.get(f"/admin/models/profiles/{profile}").text

    api.patch(f"/bots/{bot['id']}", json={"data_may_leave": True})
    assert "every endpoint here is hosted elsewhere" not in signed_in.get(f"/admin/models/profiles/{profile}").text


def test_the_api_connects_changes_and_removes(served: Stack, api: httpx.Client) -> None:
    name = _made(api, price_in=0, price_out=0.5)
    other = _made(api)
    assert api.post("/endpoints", json={"name": name, "url": "http://x/v1", "model": "m", "leaves_house": False}).status_code == 409
    body = {"name": other, "url": "http://127.0.0.1:8000/v1", "model": "m", "leaves_house": False}
    assert api.put(f"/endpoints/{name}", json=body).status_code == 409

    changed = api.put(f"/endpoints/{name}", json=body | {"name": f"{name}-b", "model": "other"}).json()
    assert (changed["name"], changed["model"], changed["price_in"]) == (f"{name}-b", "other", None)
    assert api.put(f"/endpoints/{name}-b/key", json={"api_key": _KEY}).json()["has_key"] is True
    assert api.put(f"/endpoints/{name}-b/key", json={"api_key": None}).json()["has_key"] is False
    assert api.put("/profiles/p-api", json={"tiers": [[other, f"{name}-b"]]}).status_code == 200
    assert api.get(f"/endpoints/{name}-b").json()["profiles"] == ["p-api"]
    assert api.delete(f"/endpoints/{name}-b").status_code == 204

    assert api.get("/profiles/p-api").json()["tiers"] == [[other]]
    assert api.delete("/profiles/p-api").status_code == 204
    assert {api.get(f"/endpoints/{name}-b").status_code, api.delete(f"/endpoints/{name}-b").status_code} == {404}
    assert served.one("select count(*) from profile_endpoints where profile = 'p-api'") == 0


@pytest.mark.parametrize(
    ("tiers", "status"), [([["nobody"]], 404), ([[]], 422), ([["x", "x"]], 404), ([["a\0"]], 422), ([["x"] * 101], 422), ("x", 422)]
)
def test_a_wrong_order_is_refused_and_the_profile_stays(api: httpx.Client, tiers: Any, status: int) -> None:
    name = _made(api)
    api.put("/profiles/p-kept", json={"tiers": [[name]]})

    assert api.put("/profiles/p-kept", json={"tiers": tiers}).status_code == status
    assert api.put("/profiles/p-kept", json={"tiers": [[name], [name]]}).json()["fields"] == {
        "tiers": "An endpoint can be in a profile only once."
    }
    assert api.get("/profiles/p-kept").json()["tiers"] == [[name]]


@pytest.mark.parametrize(
    "more",
    [
        {"name": "a\0b"},
        {"name": "Big"},
        {"name": "x" * 41},
        {"url": "javascript:alert(1)"},
        {"url": "http://[::1/v1"},
        {"url": "http://x:0/v1"},
        {"url": "http://x:99999/v1"},
        {"url": "http://10.0.0.256:8000/v1"},
        {"url": "https://xn--/v1"},
        {"model": "a\nb"},
        {"model": " "},
        {"price_in": -1},
        {"price_in": 1e300, "price_out": 1},
        {"price_cached": 1},
        {"api_key": "two words"},
        {"traits": {}},
    ],
)
def test_a_wrong_body_is_refused(api: httpx.Client, more: dict[str, Any]) -> None:
    body = {"name": _named(), "url": "http://127.0.0.1:8000/v1", "model": "m", "leaves_house": False}

    assert api.post("/endpoints", json=body | more).status_code == 422


def test_odd_names_are_notfound(api: httpx.Client, signed_in: SignedIn) -> None:
    for name in ("nobody", "%00", "x" * 3000, "%FF%FE", "..%2F.."):
        assert api.get(f"/endpoints/{name}").status_code in {404, 422}
        assert signed_in.get(f"/admin/models/endpoints/{name}").status_code == 404
        assert signed_in.post(f"/admin/models/endpoints/{name}/probe").status_code == 404
    for name in ("Big", "%00", "x" * 61, "-a"):
        assert api.get(f"/profiles/{name}").status_code == 422
        assert signed_in.get(f"/admin/models/profiles/{name}").status_code == 404
    assert signed_in.get("/admin/models/profiles?name=Big%20One").status_code == 422
    assert signed_in.post("/admin/models/profiles/p-odd", do="explode", endpoint="x").status_code == 404
    assert signed_in.post("/admin/models/profiles/p-odd", do="add", endpoint="nobody").status_code == 404


def test_a_viewer_sees_endpoints_and_profiles_and_no_button(served: Stack, api: httpx.Client) -> None:
    name = _made(api)
    api.put("/profiles/p-seen", json={"tiers": [[name]]})
    with SignedIn(served, Role.VIEWER) as viewer:
        for path in ("", f"/endpoints/{name}", "/profiles/p-seen"):
            page = viewer.get(f"/admin/models{path}")
            assert page.status_code == 200
            assert name in page.text
            assert 'action="/admin/models' not in page.text
        assert viewer.post(f"/admin/models/endpoints/{name}/key", api_key="x").status_code == 403
        assert viewer.get("/admin/models/new").status_code == 403
