"""The batch pages in a browser: a file is sent and watched to its end; what is wrong with one is told by its lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from bots.domain import Role
from tests.support.batches import lines
from tests.support.cluster import Cluster
from tests.support.operators import PASSWORD, make
from tests.support.stack import Stack

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("batches"))) as running:
        running.settles = False
        running.env["CHINWAG_BATCH_RESERVE"] = "8"
        running.start_web()
        running.start_worker()
        running.start_dispatcher()
        make(running, Role.OPERATOR, name="ana")
        yield running


@pytest.fixture
def page(served: Stack, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(base_url=served.web_url, viewport={"width": 1000, "height": 900})
    opened = context.new_page()
    opened.goto("/admin/sign-in?next=/admin/batches")
    opened.get_by_label("Name").fill("ana")
    opened.get_by_label("Password").fill(PASSWORD)
    opened.get_by_role("button", name="Sign in").click()
    opened.wait_for_url("**/admin/batches")
    yield opened
    context.close()


def _send(page: Page, name: str, data: bytes) -> None:
    page.get_by_label("File", exact=True).set_input_files({"name": name, "mimeType": "application/jsonl", "buffer": data})
    page.get_by_role("button", name="Check and start").click()


def test_a_file_is_sent_watched_to_its_end_and_its_answers_fetched(served: Stack, page: Page) -> None:
    # Slow enough for the page to tell its pace before the end.
    served.model.script(latency_s=0.8)
    _send(page, "questions.jsonl", lines(80))

    expect(page.get_by_role("heading", level=1)).to_have_text("questions.jsonl")
    expect(page.locator("#rate")).to_contain_text("per second", timeout=15_000)
    # The page says so by itself.
    expect(page.locator("#batch")).to_have_attribute("data-state", "done", timeout=30_000)
    expect(page.locator(".big")).to_have_text("80 of 80")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the answers").click()
    found = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert [line["text"] for line in found] == [f"You said: question {n}" for n in range(1, 81)]


def test_bad_lines_are_listed_and_the_form_is_ready_again(page: Page) -> None:
    _send(page, "bad.jsonl", lines(2) + b"nothing\n" + b"<b>bold</b>\n")

    expect(page.get_by_role("alert")).to_have_text("Nothing was started: 2 bad lines.")
    expect(page.locator("#bad-lines tr")).to_have_count(2)
    expect(page.locator("#bad-lines tr").first).to_contain_text("not JSON: Expecting value at character 1")
    expect(page.get_by_role("button", name="Check and start")).to_be_enabled()
    assert Axe().run(page).response["violations"] == []


def test_a_batch_is_paused_resumed_and_cancelled_by_its_buttons(served: Stack, page: Page) -> None:
    served.model.script(latency_s=0.5)
    _send(page, "long.jsonl", lines(2000))
    for button, state in (("Pause", "paused"), ("Resume", "running"), ("Cancel", "cancelled")):
        page.get_by_role("button", name=button).click()
        expect(page.locator("#batch")).to_have_attribute("data-state", state)
    assert Axe().run(page).response["violations"] == []
