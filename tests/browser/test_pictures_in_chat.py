"""Pictures in a browser: attached, shown in the bubble, and beside the words on the operator's page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, ViewportSize, expect

from bots.domain import Role
from tests.browser.test_admin_pages import sign_in
from tests.support.drawing import a_picture
from tests.support.operators import make
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

_SOON_MS = 20_000


def _open(browser: Browser, url: str, said: list[str], *, dark: bool = False, phone: bool = False) -> Page:
    context = browser.new_context(
        viewport=ViewportSize(width=390, height=844) if phone else ViewportSize(width=1360, height=860),
        color_scheme="dark" if dark else "light",
        is_mobile=phone,
        has_touch=phone,
    )
    context.set_default_timeout(_SOON_MS)
    page = context.new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto(url)
    return page


def _attach(page: Page, picture: bytes, name: str = "fence.jpg", kind: str = "image/jpeg") -> None:
    page.locator("#file").set_input_files(FilePayload(name=name, mimeType=kind, buffer=picture))


def _wait_loaded(picture: Locator) -> None:
    """Wait until the one picture is drawn."""
    expect(picture).to_have_count(1, timeout=_SOON_MS)
    expect(picture).not_to_have_js_property("naturalWidth", 0, timeout=_SOON_MS)


def test_a_picture_is_attached_sent_and_seen_by_the_operator(chat: Stack, browser: Browser, keep: Callable[[Page, str], None]) -> None:
    said: list[str] = []
    page = _open(browser, f"{chat.web_url}/chat", said)
    expect(page.get_by_text("You are Ada")).to_be_visible()
    _attach(page, a_picture(900, 600, colour="#2f7d5b"))
    expect(page.locator("#attached")).to_be_visible()
    keep(page, "chat-picture-attached")
    page.get_by_role("textbox", name="Message").fill("Which colour is my fence?")
    page.keyboard.press("Enter")

    expect(page.locator(".row.out .pictures img")).to_have_count(1, timeout=_SOON_MS)
    expect(page.locator(".row.out")).to_contain_text("Which colour is my fence?")
    expect(page.locator("#attached")).to_be_hidden()
    expect(page.locator(".row.in:not(#growing):not(#dots) .ticks[data-status=read]")).to_have_count(1, timeout=_SOON_MS)
    _wait_loaded(page.locator(".row.out .pictures img"))
    keep(page, "chat-picture")

    slug = page.evaluate("location.hash")
    for name, options in (("dark", {"dark": True}), ("phone", {"phone": True})):
        other = _open(browser, f"{chat.web_url}/chat{slug}", said, **options)
        _wait_loaded(other.locator(".row.out .pictures img"))
        keep(other, f"chat-picture-{name}")

    make(chat, Role.VIEWER, name="ana")
    sign_in(page, chat.web_url)
    page.goto(f"{chat.web_url}/admin/conversations")
    page.locator(".talks a").first.click()
    _wait_loaded(page.locator(".bubble.in .pictures img"))
    keep(page, "conversation-picture")
    assert said == []


def test_a_picture_alone_can_be_sent_and_one_can_be_taken_away_before(chat: Stack, browser: Browser) -> None:
    said: list[str] = []
    page = _open(browser, f"{chat.web_url}/chat", said)
    expect(page.get_by_text("You are Ada")).to_be_visible()
    _attach(page, a_picture())
    page.get_by_role("button", name="Remove the picture").click()
    expect(page.locator("#attached")).to_be_hidden()
    _attach(page, a_picture(kind="WEBP"), "a.webp", "image/webp")
    expect(page.locator("#attached")).to_be_visible()
    page.get_by_role("button", name="Send").click()

    expect(page.locator(".row.out .pictures img")).to_have_count(1, timeout=_SOON_MS)
    assert said == []


def test_a_file_that_is_no_picture_is_refused_on_the_page(chat: Stack, browser: Browser) -> None:
    page = _open(browser, f"{chat.web_url}/chat", [])
    expect(page.get_by_text("You are Ada")).to_be_visible()

    _attach(page, b"%PDF", "a.pdf", "application/pdf")
    expect(page.locator("#banner")).to_contain_text("Only pictures (JPEG, PNG, WebP or GIF) and recordings can be sent")
    _attach(page, b"not a picture", "a.jpg")
    expect(page.locator("#banner")).to_contain_text("cannot be read")
    expect(page.locator("#attached")).to_be_hidden()
