"""Take-over as an operator does it in a browser: a live list, a live conversation, an answer that goes out, and back to the bot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from bots.domain import Role
from tests.browser.test_admin_pages import sign_in
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.operators import make
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

_SOON_MS = 20_000
_EVIL = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"


@pytest.fixture
def served(cluster: Cluster, tmp_path: Path) -> Iterator[Stack]:
    with Stack(cluster, tmp_path) as running:
        running.model.script(echo=True)
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        make(running, Role.AGENT, name="ana")
        yield running
        running.wait_settled()


def _page(browser: Browser, url: str, said: list[str]) -> Page:
    context = browser.new_context(viewport=ViewportSize(width=1280, height=860))
    context.set_default_timeout(_SOON_MS)
    page = context.new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    sign_in(page, url)
    return page


def test_an_operator_takes_over_answers_and_gives_back(served: Stack, browser: Browser, keep: Callable[[Page, str], None]) -> None:
    said: list[str] = []
    page = _page(browser, served.web_url, said)
    page.goto(f"{served.web_url}/admin/conversations")
    ada = build.a_person("Ada")
    served.say(ada, "Hello, I am Ada.")

    # The list is live: nobody reloads.
    page.get_by_role("link", name="Ada").click(timeout=_SOON_MS)
    expect(page.locator(".bubble.out")).to_have_count(1, timeout=_SOON_MS)
    expect(page.locator(".bubble.out .status")).to_have_text("read", timeout=_SOON_MS)
    page.locator(".turn summary").first.click()
    expect(page.locator(".story")).to_contain_text("claimed", timeout=_SOON_MS)
    page.get_by_text("Exact prompt of call 1").click()
    expect(page.locator(".story pre").first).to_contain_text("You answer briefly.")

    page.get_by_role("button", name="Take over").click()
    expect(page.get_by_text("You have taken over this conversation. The bot does not answer in it now.")).to_be_visible()
    expect(page.get_by_text("Taken over by ana on")).to_be_visible()
    served.say(ada, "Are you a person?")
    expect(page.locator(".bubble.in")).to_have_count(2, timeout=_SOON_MS)
    page.get_by_label("Your answer").fill("Yes, I am *Ana*.")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".bubble.person")).to_contain_text("Yes, I am", timeout=_SOON_MS)
    expect(page.locator(".bubble.person .status")).to_have_text("read", timeout=_SOON_MS)
    keep(page, "admin-takeover")
    assert served.one("select count(*) from turns where answered_by is null") == 1

    page.get_by_role("button", name="Give back to the bot").click()
    expect(page.get_by_text("Given back. The bot answers again.")).to_be_visible()
    served.say(ada, "And now?")
    expect(page.locator(".bubble.out")).to_have_count(2, timeout=_SOON_MS)
    expect(page.locator(".bubble")).to_have_count(6, timeout=_SOON_MS)

    texts = [str(entry["text"]) for entry in served.platform.log() if entry["kind"] == "message"]
    assert len(texts) == 3
    assert texts[1].startswith("Yes, I am")
    assert said == []
    page.context.close()


def test_what_is_typed_stays_while_the_conversation_goes_on(served: Stack, browser: Browser) -> None:
    page = _page(browser, served.web_url, [])
    ada = build.a_person("Ada")
    served.say(ada, "One")
    served.wait_settled()
    page.goto(f"{served.web_url}/admin/conversations")
    page.get_by_role("link", name="Ada").click()
    page.get_by_role("button", name="Take over").click()
    page.get_by_label("Your answer").fill("I am still typ")
    served.say(ada, "Two")
    expect(page.locator(".bubble.in")).to_have_count(2, timeout=_SOON_MS)

    expect(page.get_by_label("Your answer")).to_have_value("I am still typ")
    expect(page.get_by_label("Your answer")).to_be_focused()
    page.get_by_role("button", name="Give back to the bot").click()
    expect(page.locator(".bubble.out")).to_have_count(2, timeout=_SOON_MS)
    page.context.close()


def test_a_script_in_a_name_and_a_message_stays_text(served: Stack, browser: Browser) -> None:
    said: list[str] = []
    served.say(build.a_person(_EVIL), _EVIL)
    served.wait_settled()
    page = _page(browser, served.web_url, said)
    page.goto(f"{served.web_url}/admin/conversations")
    # Once as it was rendered, once as the live part brought it.
    with page.expect_response(lambda answer: "part=1" in answer.url):
        pass
    page.get_by_role("link", name="<img").click()
    expect(page.locator(".bubble.in")).to_contain_text("<script>document.title='taken'</script>")
    with page.expect_response(lambda answer: "part=1" in answer.url):
        pass
    page.locator(".turn summary").first.click()
    expect(page.locator(".story")).to_be_visible()

    assert page.locator("main img").count() == 0
    assert "taken" not in page.title().replace(_EVIL, "")
    assert page.locator("main script").count() == 0
    assert said == []
    page.context.close()
