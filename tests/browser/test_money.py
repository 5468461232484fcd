"""Money as the browser writes it: what happened on the chat page, and equal to the admin pages to the letter."""

from __future__ import annotations

from uuid import uuid4

import pytest
from playwright.sync_api import Browser, expect

from bots.admin.money import money
from tests.support.processes import until
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

_SUMS = (None, 0, 1234.5, 12.344, 1.0, 0.99999, 0.5, 0.0432, 0.000123456, 1e-9)


def test_what_happened_says_what_the_turn_cost_as_the_admin_pages_write_it(chat: Stack, browser: Browser) -> None:
    said = {"contact": "ada-1", "key": str(uuid4()), "text": "hello", "name": "Ada"}
    assert chat.http.post("/chat/messages", json=said, headers={"origin": chat.web_url}).status_code == 200
    until(lambda: chat.one("select count(*) from turns where state = 'answered'") == 1, what="the answer", timeout_s=20)
    with chat.owner.begin() as connection:
        connection.exec_driver_sql("update model_calls set cost = 0.0123, estimated = true")
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.goto(f"{chat.web_url}/chat#ada-1")
    tiles = page.get_by_role("list", name="Turn 1")
    expect(tiles.get_by_text("cost")).to_be_visible(timeout=10_000)
    counted = [tiles.locator("li", has_text=words).locator("b").inner_text() for words in ("tokens in", "tokens out")]
    told = tiles.locator("li", has_text="cost").locator("b").inner_text()
    written = page.evaluate("sums => import('/static/dom.js').then((dom) => sums.map(dom.money))", list(_SUMS))
    page.close()

    assert told == "$0.0123"
    assert all(words.startswith("about ") for words in counted)
    assert written == [money(usd) for usd in _SUMS]
