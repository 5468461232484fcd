"""A person's memory as they and their operators meet it: told in French, known after /reset, shown with its reason, forgotten everywhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect
from sqlalchemy import text

from bots.domain import Role
from tests.browser.test_admin_pages import sign_in
from tests.support.operators import make
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

_SOON_MS = 20_000
_LAST = ".row.in:not(#growing):not(#dots) .bubble"


def _say(page: Page, words: str, answer: str) -> None:
    """Say something, and wait for the answer that has these words."""
    answers = page.locator(_LAST).filter(has_text=answer)
    before = answers.count()
    page.get_by_role("textbox", name="Message").fill(words)
    page.keyboard.press("Enter")
    expect(answers).to_have_count(before + 1, timeout=_SOON_MS)
    expect(page.locator(f"{_LAST} .ticks[data-status=read]").last).to_be_visible()


def _open(browser: Browser, url: str) -> Page:
    context = browser.new_context(viewport=ViewportSize(width=1360, height=900))
    context.set_default_timeout(_SOON_MS)
    page = context.new_page()
    page.goto(url)
    return page


def _everywhere(stack: Stack, word: str) -> list[str]:
    """The tables that have a word anywhere, in the text or the bytes of any column."""
    found: list[str] = []
    with stack.owner.connect() as connection:
        tables = connection.execute(text("select tablename from pg_tables where schemaname = 'public'")).scalars().all()
        for table in tables:
            rows = connection.execute(text(f"select count(*) from {table} t where t::text ilike :like or t::text ilike :hex"), {"like": f"%{word}%", "hex": f"%{word.encode().hex()}%"})  # fmt: skip
            if rows.scalar_one():
                found.append(table)
    return found


def test_what_was_told_in_french_is_known_shown_and_forgotten(chat: Stack, browser: Browser, keep: Callable[[Page, str], None]) -> None:
    page = _open(browser, f"{chat.web_url}/chat")
    _say(page, "Bonjour, je m'appelle Solenne.", "Solenne")
    # Told once that it is remembered, and how to end that.
    _say(page, "Je suis allergique aux arachides et mon chien s'appelle Bribri", "Ne retenez pas ma santé")
    _say(page, "/reset", "Recommençons")
    _say(page, "Comment je m'appelle ?", "Comment je m'appelle")

    page.get_by_role("button", name="what happened", exact=True).last.click()
    story = page.get_by_role("complementary", name="What happened")
    expect(story.locator(".prompt.assistant").first).to_contain_text("Solenne", timeout=_SOON_MS)
    expect(story.locator(".memory", has_text="arachides").first).to_contain_text("Je suis allergique aux arachides")
    expect(story.locator(".memory", has_text="Bribri").first).to_be_visible()
    keep(page, "memory-french")

    make(chat, Role.OWNER, name="ana")
    admin = _open(browser, chat.web_url)
    sign_in(admin, chat.web_url)
    contact = chat.one("select contact_id from memories where text ilike '%bribri%' limit 1")
    admin.goto(f"{chat.web_url}/admin/contacts/{contact}")
    expect(admin.get_by_role("region", name="What the bot knows", exact=True)).to_contain_text("Bribri")
    admin.get_by_role("searchbox").fill("ARACHIDES")
    admin.get_by_role("button", name="Search").click()
    expect(admin.get_by_text("found by words").first).to_be_visible()
    keep(admin, "contact")

    _say(page, "oublie mon chien", "oublié")
    expect(page.locator(_LAST).last).not_to_contain_text("Bribri")
    page.reload()
    expect(page.locator(_LAST).first).to_be_visible()
    assert "Bribri" not in page.content()
    admin.goto(f"{chat.web_url}/admin/contacts/{contact}")
    expect(admin.get_by_role("region", name="What the bot knows", exact=True)).to_contain_text("Solenne")
    assert "Bribri" not in admin.content()
    assert _everywhere(chat, "Bribri") == []
