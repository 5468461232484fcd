"""Every admin page with something on it: right for a screen reader (axe), no sideways scrolling on a phone, light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

from bots.domain import Role
from tests.support import build
from tests.support.batches import lines, submit
from tests.support.cluster import Cluster
from tests.support.models import add_models
from tests.support.operators import PASSWORD, make
from tests.support.processes import until
from tests.support.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.slow]

_DESKTOP = ViewportSize(width=1280, height=860)
_PHONE = ViewportSize(width=360, height=780)
#: A look, and whether its screenshot is kept.
_LOOKS = {"light": (_DESKTOP, "light"), "dark": (_DESKTOP, "dark"), "phone": (_PHONE, "light"), "phone-dark": (_PHONE, "dark")}
PAGES = {
    "home": "/admin",
    "conversations": "/admin/conversations",
    "conversation": "first:/admin/conversations a[href^='/admin/conversations/']",
    "bots": "/admin/bots",
    "bot": "first:/admin/bots a[href^='/admin/bots/']:not([href$='new'])",
    "bot-new": "/admin/bots/new",
    "accounts": "/admin/accounts",
    "account": "first:/admin/accounts a[href^='/admin/accounts/']:not([href*='connect'])",
    "account-remove": "first:/admin/accounts a[href^='/admin/accounts/']:not([href*='connect'])|/remove",
    "connect": "/admin/accounts/connect",
    "connect-form": "/admin/accounts/connect/whatsapp",
    "batches": "/admin/batches",
    "batch": "first:/admin/batches a[href^='/admin/batches/']",
    "models": "/admin/models",
    "models-new": "/admin/models/new?preset=own:llama-4-scout",
    "models-new-retired": "/admin/models/new?preset=hosted:gemini-2.0-flash:0",
    "endpoint": "/admin/models/endpoints/scout-a",
    "endpoint-hosted": "/admin/models/endpoints/gpt-4o-openai",
    "endpoint-remove": "/admin/models/endpoints/scout-a/remove",
    "profile": "/admin/models/profiles/default",
    "profile-empty": "/admin/models/profiles/thorough",
    "usage": "/admin/usage",
    "attention": "/admin/attention",
    "operators": "/admin/operators",
    "audit": "/admin/audit",
    "me": "/admin/me",
    "sign-in": "/admin/sign-in",
}


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("admin"))) as running:
        running.settles = False
        running.model.script(echo=True)
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        make(running, Role.OWNER, name="ana")
        ada, bo = build.a_person(), build.a_person()
        running.say(ada, "My name is Ada and I live in Porto. What can I see there?")
        running.say(bo, "When are you open?")
        running.post(b"this is no JSON")
        submit(running.engine("web").execution_options(isolation_level="AUTOCOMMIT"), lines(3), bot="tester")
        until(lambda: running.one("select count(*) from outbox where status in ('delivered', 'read')") >= 2, what="both were answered")
        _spend(running)
        add_models(running)
        yield running


def _spend(stack: Stack) -> None:
    """Let every day of the month have cost something, for talk and for batches, and most of a budget be used up."""
    with stack.owner.begin() as connection:
        connection.exec_driver_sql("""
            insert into usage_days (tenant_id, day, bot_id, kind, endpoint, model, calls, tokens_in, tokens_cached, tokens_out, cost)
            select b.tenant_id, d::date, b.id, k, e, 'Llama-4-Scout', 40 * n, 120000 * n, 90000 * n, 6000 * n, 0.021 * n * extract(day from d)
            from bots b, generate_series(date_trunc('month', now() at time zone 'UTC'), now() at time zone 'UTC', interval '1 day') d,
                (values ('talk', 'house', 3), ('talk', 'hosted', 1), ('batch', 'house', 2)) as x (k, e, n)
            where b.name = 'tester'""")
        connection.exec_driver_sql("""
            update bots set budget_contact_day = 0.5, budget_month = (select sum(cost) * 1.2 from usage_days where bot_id = bots.id)
            where name = 'tester'""")
        connection.exec_driver_sql("update model_calls set cost = 0.00042")
        for endpoint, kind, status, said in (
            ("house", "refused", 401, "Incorrect API key provided"),
            ("gpt-4o-openai", "quota", 429, "You exceeded your current quota, please check your plan and billing details."),
        ):
            connection.exec_driver_sql(
                "select model_refused(tenant_id, %s, %s, %s, %s, 7) from accounts limit 1", (endpoint, kind, status, said)
            )


def _context(browser: Browser, look: str) -> BrowserContext:
    viewport, scheme = _LOOKS[look]
    context = browser.new_context(viewport=viewport, color_scheme="dark" if scheme == "dark" else "light", is_mobile=viewport is _PHONE)
    context.set_default_timeout(20_000)
    return context


def sign_in(page: Page, url: str, name: str = "ana") -> None:
    """Sign in by the form."""
    page.goto(f"{url}/admin/sign-in")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(r"/admin$"))


def _open(page: Page, url: str, where: str) -> None:
    if where.startswith("first:"):
        # The first link of a list, and what stands below its page.
        found, _, below = where.removeprefix("first:").partition("|")
        listing, link = found.split(" ", 1)
        page.goto(url + listing)
        where = (page.locator(f"main {link}").first.get_attribute("href") or "") + below
    answer = page.goto(url + where)
    assert answer is not None
    assert answer.status == 200, where
    page.wait_for_load_state("load")


@pytest.mark.parametrize("look", list(_LOOKS))
def test_every_page_is_accessible_fits_and_breaks_no_policy(
    served: Stack, browser: Browser, look: str, keep: Callable[[Page, str], None]
) -> None:
    context = _context(browser, look)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    sign_in(page, served.web_url)
    wrong: dict[str, object] = {}
    for name, where in PAGES.items():
        if name == "sign-in":
            context.clear_cookies()
        _open(page, served.web_url, where)
        keep(page, f"admin-{name}-{look}")
        found = Axe().run(page).response["violations"]
        if found:
            wrong[name] = [(one["id"], [node["html"][:160] for node in one["nodes"]][:3]) for one in found]
        width, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        if width > room:
            wrong[f"{name} scrolls sideways"] = (width, room)
    context.close()

    assert wrong == {}
    assert said == []


_KATHMANDU = timedelta(hours=5, minutes=45)
_TIMES = "[...document.querySelectorAll('time')].map((time) => [time.dateTime, time.textContent, time.title])"


def _wrong_times(page: Page) -> list[object]:
    """What on a page is not shown in Kathmandu's time."""
    wrong: list[object] = []
    for at, shown, title in page.evaluate(_TIMES):
        here = datetime.fromisoformat(at).astimezone(UTC) + _KATHMANDU
        if f"{here:%H:%M}" not in shown or "GMT+5:45" not in shown or "UTC, shown in Asia/Kat" not in title:
            wrong.append((at, shown, title))
    return wrong + re.findall(r"\d\d:\d\d\S* UTC", page.locator("body").inner_text())


def test_every_time_is_shown_in_the_operators_zone_also_of_what_comes_later(
    served: Stack, browser: Browser, keep: Callable[[Page, str], None]
) -> None:
    context = browser.new_context(viewport=_DESKTOP, timezone_id="Asia/Kathmandu")
    context.set_default_timeout(20_000)
    page = context.new_page()
    sign_in(page, served.web_url)
    seen: dict[str, int] = {}
    wrong: dict[str, list[object]] = {}
    for name, where in PAGES.items():
        if name == "sign-in":
            continue
        _open(page, served.web_url, where)
        page.wait_for_function("!document.querySelector('time[data-shown], svg[data-hours]')")
        seen[name] = page.locator("time").count()
        if found := _wrong_times(page):
            wrong[name] = found
        keep(page, f"times-{name}")

    assert wrong == {}
    assert {name for name, count in seen.items() if count} >= {
        "home", "conversations", "conversation", "bot", "account", "batches", "batch", "usage", "attention", "operators", "audit",
    }  # fmt: skip
    _open(page, served.web_url, PAGES["home"])
    hours = page.locator("svg.picture").first.locator("text").all_text_contents()
    assert [hour for hour in hours if ":" in hour]
    assert all(hour.endswith(":45") for hour in hours if ":" in hour)

    _open(page, served.web_url, PAGES["conversations"])
    served.say(build.a_person("Cy"), "I come later.")
    page.locator(".talks li", has_text="Cy").wait_for()
    assert _wrong_times(page) == []
    _open(page, served.web_url, PAGES["conversation"])
    page.locator(".turn summary").first.click()
    page.locator(".story time").first.wait_for()
    assert _wrong_times(page) == []
    keep(page, "times-story")
    context.close()


def test_without_a_script_every_time_says_that_it_is_utc(served: Stack, browser: Browser) -> None:
    context = browser.new_context(viewport=_DESKTOP, timezone_id="Asia/Kathmandu", java_script_enabled=False)
    page = context.new_page()
    sign_in(page, served.web_url)
    for name in ("conversations", "conversation", "audit", "attention"):
        _open(page, served.web_url, PAGES[name])
        shown = page.locator("time").all_text_contents()
        assert shown
        assert all(one.endswith(" UTC") for one in shown), name
    context.close()
