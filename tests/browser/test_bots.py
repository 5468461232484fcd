"""Bots and operators in a browser: a draft is tried beside the editor and published; links and tokens are shown once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from bots.domain import Role
from bots.storage import operators, personas, tenants
from tests.support.cluster import Cluster
from tests.support.operators import PASSWORD, make
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

_SOON_MS = 20_000
_DESKTOP, _PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=360, height=740)
_SCRIPT = "<script>document.title = 'taken'</script>"


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(
        cluster, Path(tmp_path_factory.mktemp("bots")), persona="You are the assistant of a clinic.\nYou answer briefly."
    ) as running:
        running.settles = False
        running.model.script(echo=True, latency_s=0.4)
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        make(running, Role.OWNER, name="ana")
        yield running


def _context(
    served: Stack, browser: Browser, *, viewport: ViewportSize = _DESKTOP, scheme: Literal["light", "dark"] = "light"
) -> BrowserContext:
    context = browser.new_context(base_url=served.web_url, viewport=viewport, color_scheme=scheme)
    context.set_default_timeout(_SOON_MS)
    return context


def _sign_in(context: BrowserContext, name: str = "ana") -> Page:
    page = context.new_page()
    page.goto("/admin/sign-in?next=/admin/me")
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/me")
    return page


@pytest.fixture
def page(served: Stack, browser: Browser) -> Iterator[Page]:
    context = _context(served, browser)
    yield _sign_in(context)
    context.close()


def _say(page: Page, words: str) -> None:
    page.get_by_label("Message to the bot").fill(words)
    page.keyboard.press("Enter")


def _make(page: Page, name: str, persona: str) -> None:
    page.goto("/admin/bots")
    page.get_by_role("link", name="New bot").click()
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_role("textbox", name="Persona").fill(persona)
    page.get_by_role("button", name="Create the bot").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_a_draft_is_tried_beside_the_editor_compared_and_published(served: Stack, page: Page) -> None:
    _make(page, f"clinic {uuid4().hex[:4]}", "You are the assistant of a clinic.")
    page.get_by_role("textbox", name="Persona").fill("You are the assistant of a harbour.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("version 2, a draft")

    _say(page, "Good morning")
    expect(page.locator("#try-log .bubble.out")).to_contain_text("Good morning")
    expect(page.locator("#try-state")).to_have_text(re.compile("typing|waiting"))
    expect(page.locator("#try-log .bubble.in")).to_contain_text("Good morning")
    expect(page.locator("#try-state")).to_have_text("")
    assert "harbour" in str(served.model.log()[-1]["messages"][0])

    page.reload()
    expect(page.locator("#try-log .bubble.in")).to_contain_text("Good morning")
    page.get_by_role("button", name="Start over").click()
    expect(page.locator("#try-log .bubble")).to_have_count(0)

    page.get_by_role("link", name="See what it changes").click()
    expect(page.locator(".box ins")).to_have_text("harbour")
    expect(page.locator(".box del")).to_have_text("clinic")
    page.get_by_role("button", name="Publish version 2").click()
    expect(page.get_by_text("Version 2 answers")).to_have_count(2)
    page.get_by_role("button", name="Roll back to version 1").click()
    expect(page.get_by_role("status").first).to_contain_text("Version 1 answers from now on.")


def test_markup_in_a_persona_and_in_a_trial_stays_text(page: Page) -> None:
    _make(page, f"{_SCRIPT} {uuid4().hex[:4]}"[:80], f"You are {_SCRIPT}.")
    _say(page, _SCRIPT)

    expect(page.locator("#try-log .bubble.in")).to_contain_text("document.title")
    assert "taken" not in page.title().replace(_SCRIPT, "")
    assert page.locator("#try-log script").count() == 0


def test_a_lost_word_is_said_and_sent_again(page: Page) -> None:
    _make(page, f"lost {uuid4().hex[:4]}", "You answer.")
    page.route("**/try", lambda route: route.abort())
    _say(page, "Are you there?")
    expect(page.get_by_role("button", name="Not sent. Try again")).to_be_visible()

    page.unroute("**/try")
    page.get_by_role("button", name="Not sent. Try again").click()

    expect(page.locator("#try-log .bubble.in")).to_contain_text("Are you there?")
    expect(page.locator("#try-log .bubble.out")).to_have_count(1)


def test_a_bot_is_removed_by_keyboard_and_a_used_one_says_why_not(page: Page) -> None:
    name = f"gone {uuid4().hex[:4]}"
    _make(page, name, "You go.")
    page.get_by_text("Remove this bot").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name=f"Remove {name}").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(f"{name} was removed.")

    page.get_by_role("link", name="tester").click()
    expect(page.get_by_text("give these accounts another bot first")).to_be_visible()


def test_somebody_is_let_in_by_a_link_that_is_shown_once(served: Stack, browser: Browser, page: Page) -> None:
    name = f"bea {uuid4().hex[:4]}"
    page.goto("/admin/operators")
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_label("Role", exact=True).select_option("agent")
    page.get_by_role("button", name="Add").click()
    link = page.locator("code", has_text="/admin/enter?token=").inner_text()

    with _context(served, browser) as context:
        theirs = context.new_page()
        theirs.goto(link)
        theirs.get_by_label("Password", exact=True).fill(PASSWORD)
        theirs.get_by_label("Password again").fill(PASSWORD)
        theirs.get_by_role("button", name="Continue").click()
        expect(theirs.get_by_role("link", name=name)).to_be_visible()
        assert theirs.get_by_role("link", name="Operators").count() == 0
    page.goto("/admin/operators")
    assert link not in page.content()


def test_the_last_owner_is_told_why_they_stay(cluster: Cluster, tmp_path: Path, browser: Browser) -> None:
    with Stack(cluster, tmp_path) as alone:
        alone.settles = False
        alone.start_web()
        make(alone, Role.OWNER, name="solo")
        with _context(alone, browser) as context:
            page = _sign_in(context, "solo")
            page.goto("/admin/operators")
            page.get_by_label("Role of solo").select_option("viewer")
            page.get_by_role("button", name="Change the role of solo").click()
            expect(page.get_by_role("alert")).to_have_text("There must always be an owner.")


def test_a_token_is_shown_once_and_revoked(page: Page) -> None:
    page.get_by_role("textbox", name="Name").fill("nightly export")
    page.get_by_role("button", name="Create the token").click()
    expect(page.locator("code", has_text=re.compile(r"^cw_[\w-]{30,}$"))).to_be_visible()

    page.goto("/admin/me")
    expect(page.locator("code", has_text=re.compile(r"^cw_[\w-]{30,}$"))).to_have_count(0)
    page.get_by_role("button", name="Revoke nightly export").click()
    expect(page.get_by_text("revoked", exact=True)).to_be_visible()


def _fill(served: Stack) -> str:
    """A draft, more operators with tokens: pages with something on them. Returns the bot's address."""
    with served.engine("web").begin() as connection:
        tenant = tenants.default(connection)
        for name, role in (("bruno", Role.VIEWER), ("Chiara-with-a-very-long-name-that-must-not-widen-the-page", Role.AGENT)):
            made = operators.add(connection, tenant=tenant, name=name, role=role)
            operators.add_token(connection, tenant=tenant, operator=made.id, name="reports", role=role)
        bot = connection.exec_driver_sql("select id from bots where name = 'tester'").scalar_one()
        words = "You are the assistant of a harbour.\nYou answer politely and briefly.\nNever promise a berth."
        personas.draft(connection, tenant=tenant, bot=bot, persona=words, by="ana")
    return f"/admin/bots/{bot}"


def test_pages_with_a_trial_a_link_or_a_token_on_them_are_accessible_and_fit_a_phone(
    served: Stack, browser: Browser, keep: Callable[[Page, str], None]
) -> None:
    """The other admin pages are looked at in test_admin_pages.py."""
    bot = _fill(served)
    found: dict[str, object] = {}

    def look(page: Page, name: str) -> None:
        keep(page, f"admin-{name}")
        for violation in Axe().run(page).response["violations"]:
            found[f"{name} {violation['id']}"] = [node["html"] for node in violation["nodes"]]
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found.update({f"{name} is too wide": wide} if wide else {})

    for look_name, viewport, scheme in (("light", _DESKTOP, "light"), ("phone-dark", _PHONE, "dark")):
        with _context(served, browser, viewport=viewport, scheme=scheme) as context:
            page = _sign_in(context)
            page.goto(bot)
            _say(page, f"Good morning, {look_name}")
            expect(page.locator("#try-log .bubble.in").last).to_contain_text(look_name)
            look(page, f"bot-trial-{look_name}")
            for name, address in (("bot-version", f"{bot}/versions/1"), ("bot-diff", f"{bot}/diff")):
                page.goto(address)
                look(page, f"{name}-{look_name}")
            page.goto("/admin/operators")
            page.get_by_role("button", name="New link for bruno").click()
            expect(page.get_by_role("heading", name="A one-time link for bruno")).to_be_visible()
            look(page, f"operators-link-{look_name}")
            page.goto("/admin/me")
            page.get_by_role("textbox", name="Name").fill("export")
            page.get_by_role("button", name="Create the token").click()
            expect(page.get_by_role("heading", name="Your new token")).to_be_visible()
            look(page, f"me-token-{look_name}")
    assert found == {}
