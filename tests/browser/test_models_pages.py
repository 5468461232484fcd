"""Endpoints in a browser: what a worker finds appears by itself, mistakes in clear words; a profile is arranged, without JavaScript too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bots.domain import Role
from bots.storage import endpoints
from bots.storage.endpoints import Form
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.models import add_endpoint
from tests.support.operators import PASSWORD, make
from tests.support.played_model import Played, Prompt, played_model
from tests.support.processes import until
from tests.support.proposing_model import answers, labels
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

#: A worker looks for something to measure every 5 s; a refused question ends the measuring.
_SOON_MS = 30_000


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("models"))) as running:
        running.settles = False
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        make(running, Role.OWNER, name="ana")
        yield running


@pytest.fixture
def context(served: Stack, browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(base_url=served.web_url)
    made.set_default_timeout(_SOON_MS)
    yield made
    made.close()


def _sign_in(context: BrowserContext) -> Page:
    page = context.new_page()
    page.goto("/admin/sign-in?next=/admin/models")
    page.get_by_role("textbox", name="Name").fill("ana")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/models")
    return page


def _connect(page: Page, name: str, url: str, *, key: str) -> None:
    page.goto("/admin/models/new")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Address").fill(url)
    page.get_by_label("Model", exact=True).last.fill("scripted")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Connect and probe").click()
    page.wait_for_url(f"**/endpoints/{name}")


def test_a_wrong_key_is_told_by_itself_and_the_right_one_measured(served: Stack, context: BrowserContext) -> None:
    served.model.script(mode="error401")
    page = _sign_in(context)

    _connect(page, "keyed", served.model.url + "/v1", key="sk-wrong")
    found = page.locator("#models-live")
    expect(found).to_contain_text("denies access (401): the key is wrong", timeout=_SOON_MS)

    served.model.script(mode="normal")
    page.get_by_label("New key").fill("sk-right")
    page.get_by_role("button", name="Replace the key").click()
    expect(found).to_contain_text("8,192 tokens for prompt and answer together.", timeout=_SOON_MS)
    expect(page.get_by_text("sk-")).to_have_count(0)


def test_an_address_without_its_end_is_told_by_itself(served: Stack, context: BrowserContext) -> None:
    page = _sign_in(context)

    _connect(page, "endless", served.model.url, key="sk-x")

    expect(page.locator("#models-live")).to_contain_text("end in /v1 as it should?", timeout=_SOON_MS)
    page.goto("/admin/models")
    expect(page.get_by_role("row", name="endless")).to_contain_text("cannot be used")


def test_an_endpoint_connected_here_answers_people_once_its_profile_and_bot_let_it(served: Stack, context: BrowserContext) -> None:
    served.model.script(echo=True)
    page = _sign_in(context)
    _connect(page, "answering", served.model.url + "/v1", key="sk-x")

    page.goto("/admin/models/profiles/default")
    page.get_by_label("Add at the end").select_option("answering")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("Nothing answers")).to_be_visible()
    with served.owner.begin() as connection:
        connection.exec_driver_sql("update bots set data_may_leave = true")
    page.reload()
    expect(page.get_by_text("Nothing answers")).to_have_count(0)
    # The worker's router has read the profile within seconds; until then its own model answers, which is the same server.
    served.say(build.a_person(), "Hello there")

    def answered_by() -> list[str]:
        return [row["endpoint"] for row in served.rows("select endpoint from model_calls where outcome = 'ok'")]

    until(lambda: bool(answered_by()), what="an answer", timeout_s=30)
    until(
        lambda: "answering" in (served.say(build.a_person(), "And again"), *answered_by()), what="an answer by the endpoint", timeout_s=30
    )


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
def test_a_profile_is_arranged_with_a_mouse_alone(served: Stack, browser: Browser, scripts: bool) -> None:
    profile = "moused" if scripts else "unscripted"
    one, two, three, four = (f"{profile}-{n}" for n in range(4))
    rows = [
        add_endpoint(served, Form(name=name, url="http://gpu.internal/v1", model="m", leaves_house=False))
        for name in (one, two, three, four)
    ]
    with served.engine("web").begin() as connection:
        endpoints.set_profile(connection, rows[0].tenant_id, profile, [(0, rows[0].id), (0, rows[1].id), (1, rows[2].id)])
    context = browser.new_context(base_url=served.web_url, java_script_enabled=scripts)
    context.set_default_timeout(_SOON_MS)
    page = _sign_in(context)
    page.get_by_role("article", name=profile, exact=True).get_by_role("link", name=profile, exact=True).click()
    stops = page.locator(".way .stop b")
    expect(stops).to_have_text([one, two, three])
    expect(page.locator(".way .replicas b")).to_have_text([one, two])

    page.get_by_role("button", name=f"Earlier ({three})").click()
    expect(stops.first).to_have_text(three)
    page.get_by_role("button", name=f"Remove ({three})").click()
    page.get_by_role("button", name=f"Later ({one})").click()
    expect(page.locator(".way .replicas")).to_have_count(0)
    page.get_by_role("button", name=f"Replica of the one before ({one})").click()
    expect(page.locator(".way .replicas")).to_have_count(1)
    page.get_by_label("Add at the end").select_option(four)
    page.get_by_role("button", name="Add").click()

    expect(stops).to_have_text([one, two, four])
    context.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["with-scripts", "without"])
def test_a_trial_is_started_with_a_mouse_and_its_result_appears(
    served: Stack, browser: Browser, keep: Callable[[Page, str], None], scripts: bool
) -> None:
    profile = "tried" if scripts else "tried-unscripted"
    with played_model() as model:
        model.plays = _slowly(answers(labels()))
        row = add_endpoint(served, Form(name=f"{profile}-model", url=model.url, model="finder", leaves_house=False))
        with served.engine("web").begin() as connection:
            endpoints.set_profile(connection, row.tenant_id, profile, [(0, row.id)])
        served.start_worker(profile, queues=f"reply.{profile},deliver,batch.{profile}")
        context = browser.new_context(base_url=served.web_url, java_script_enabled=scripts, viewport={"width": 1280, "height": 900})
        context.set_default_timeout(_SOON_MS)
        page = _sign_in(context)
        card = page.get_by_role("article", name=profile, exact=True)
        expect(card).to_contain_text("rules alone: not tried")
        card.get_by_role("button", name=f"Try the model ({profile})").click()
        expect(page.get_by_text("Started. A worker tries the models")).to_be_visible()

        if scripts:
            expect(page.get_by_role("progressbar")).to_be_visible(timeout=_SOON_MS)
            keep(page, "admin-profile-trial-running")
        passed = page.locator("#trial-live").get_by_text("rules and model", exact=True)
        until(lambda: (scripts or page.reload()) and passed.is_visible(), what="the result", timeout_s=60)
        expect(page.locator("#trial-live")).to_contain_text("are right after the checks")
        keep(page, "admin-profile-trial-passed")
        page.goto("/admin/models")
        expect(card).to_contain_text("rules and model")
        card.scroll_into_view_if_needed()
        keep(page, "admin-models-trials")
        context.close()


def test_a_trial_that_cannot_go_on_says_what_to_do(served: Stack, context: BrowserContext, keep: Callable[[Page, str], None]) -> None:
    with played_model() as model:
        model.plays = lambda _: Played(status=401, body={"error": {"message": "no key"}})
        row = add_endpoint(served, Form(name="locked", url=model.url, model="finder", leaves_house=False))
        with served.engine("web").begin() as connection:
            endpoints.set_profile(connection, row.tenant_id, "refused", [(0, row.id)])
        page = _sign_in(context)
        page.goto("/admin/models/profiles/refused")
        page.get_by_role("button", name="Try the model (refused)").click()
        expect(page.locator("#trial-live")).to_contain_text("No running worker does background work for this profile")
        served.start_worker("refused", queues="reply.refused,deliver,batch.refused")

        expect(page.locator("#trial-live")).to_contain_text("locked refuses to answer (401). Check its key", timeout=_SOON_MS)
        keep(page, "admin-profile-trial-refused")
        model.plays = answers(labels())
        page.get_by_role("button", name="Try the model (refused)").click()
        expect(page.locator("#trial-live").get_by_text("rules and model", exact=True)).to_be_visible(timeout=2 * _SOON_MS)


def _slowly(plays: Callable[[Prompt], Played | None]) -> Callable[[Prompt], Played | None]:
    """As a model does that takes a moment for each answer, so that there is something to watch."""

    def played(prompt: Prompt) -> Played | None:
        Event().wait(0.15)
        return plays(prompt)

    return played
