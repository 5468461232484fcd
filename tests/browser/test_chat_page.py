"""The chat page as a person sees it: typing, ticks, the growing answer, what happened, contacts kept apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from bots.storage import endpoints
from bots.storage.endpoints import Form
from chinwag.local.answering import Answering
from tests.support.models import add_endpoint
from tests.support.processes import until
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

_SOON_MS = 20_000
_DESKTOP = ViewportSize(width=1360, height=860)
_PHONE = ViewportSize(width=390, height=844)
_LAST = ".row.in:not(#growing):not(#dots) .bubble"


def _open(browser: Browser, url: str, *, dark: bool = False, phone: bool = False) -> Page:
    context = browser.new_context(
        viewport=_PHONE if phone else _DESKTOP,
        color_scheme="dark" if dark else "light",
        device_scale_factor=2 if phone else 1,
        is_mobile=phone,
        has_touch=phone,
    )
    context.set_default_timeout(_SOON_MS)
    page = context.new_page()
    page.goto(url)
    return page


def _say(page: Page, words: str) -> None:
    page.get_by_role("textbox", name="Message").fill(words)
    page.keyboard.press("Enter")


def _wait_read(page: Page, answers: int = 1) -> None:
    """Wait until so many answers have their two blue ticks."""
    expect(page.locator(f"{_LAST} .ticks[data-status=read]")).to_have_count(answers, timeout=_SOON_MS)


def test_an_answer_grows_is_ticked_and_explained(chat: Stack, browser: Browser, keep: Callable[[Page, str], None]) -> None:
    page = _open(browser, f"{chat.web_url}/chat")
    expect(page.get_by_text("You are Ada")).to_be_visible()
    _say(page, "My name is Marta and I live in Porto")

    expect(page.locator(".row.out .ticks")).to_have_count(1)
    expect(page.locator("#presence")).to_have_text("the bot is typing …", timeout=_SOON_MS)
    expect(page.locator("#growing")).to_be_visible(timeout=_SOON_MS)
    _wait_read(page)
    expect(page.locator(_LAST)).to_contain_text("Porto")
    expect(page.locator("#growing")).to_be_hidden()
    expect(page.locator(".row.out .ticks[data-status=read]")).to_have_count(1)

    page.get_by_role("button", name="what happened", exact=True).click()
    story = page.get_by_role("complementary", name="What happened")
    expect(story.locator(".steps li").first).to_contain_text("stored in the inbox")
    expect(story.locator(".steps")).to_contain_text("Delivered")
    expect(story.locator(".prompt.user").last).to_contain_text("My name is Marta and I live in Porto")
    expect(story.locator(".memory").first).to_contain_text("Marta")
    keep(page, "chat-light")

    keep(_settled(browser, page.url, dark=True), "chat-dark")
    keep(_settled(browser, page.url, phone=True), "chat-phone")


def test_half_an_answer_is_gone_once_its_server_broke_off(chat: Stack, browser: Browser) -> None:
    for mode, more in (("hang_midway", {"times": 1}), ("hold", {})):
        chat.model.script(mode=mode, match="harbour", **more)
    page = _open(browser, f"{chat.web_url}/chat")
    _say(page, "When does the harbour open?")

    expect(page.locator("#growing")).to_be_visible(timeout=_SOON_MS)
    until(lambda: chat.model.held() == 1, what="the model is asked again", timeout_s=30)
    expect(page.locator("#growing")).to_be_hidden(timeout=_SOON_MS)
    chat.model.release()
    _wait_read(page)


def _settled(browser: Browser, url: str, *, dark: bool = False, phone: bool = False) -> Page:
    page = _open(browser, url, dark=dark, phone=phone)
    _wait_read(page)
    if not phone:
        expect(page.locator(".steps li").first).to_be_visible()
    return page


def test_another_contacts_words_are_nowhere(chat: Stack, browser: Browser) -> None:
    page = _open(browser, f"{chat.web_url}/chat")
    _say(page, "I like zeppelins")
    _wait_read(page)

    page.get_by_role("button", name="New contact").click()
    expect(page.get_by_text("You are Bruno")).to_be_visible()

    assert "zeppelins" not in page.content()
    _say(page, "Which machines do I like?")
    _wait_read(page)
    assert "zeppelins" not in page.content()
    page.get_by_role("navigation", name="Contacts").get_by_role("button", name="Ada").click()
    expect(page.locator(_LAST)).to_contain_text("zeppelins")
    assert "Which machines do I like?" not in page.content()


def test_a_reload_shows_the_same_talk(chat: Stack, browser: Browser) -> None:
    page = _open(browser, f"{chat.web_url}/chat")
    _say(page, "Good morning")
    _wait_read(page)

    page.reload()

    _wait_read(page)
    expect(page.locator(".row.out .bubble")).to_contain_text("Good morning")


def test_a_lost_connection_is_said_and_healed(chat: Stack, browser: Browser) -> None:
    page = _open(browser, f"{chat.web_url}/chat")
    _say(page, "One")
    _wait_read(page)

    web = next(process for process in chat.processes.all if process.name == "web")
    web.kill()
    expect(page.get_by_role("alert")).to_contain_text("reconnecting")
    _say(page, "Two")
    expect(page.get_by_role("button", name="Not sent. Try again")).to_be_visible()
    chat.start_web()

    expect(page.get_by_role("alert")).to_be_hidden(timeout=_SOON_MS)
    _wait_read(page, answers=2)
    expect(page.locator(".row.out .bubble")).to_have_count(2)


def test_the_page_works_by_keyboard_alone(chat: Stack, browser: Browser) -> None:
    page = _open(browser, f"{chat.web_url}/chat")
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    page.keyboard.type("Hello by keyboard")
    page.keyboard.press("Enter")
    _wait_read(page)

    page.get_by_role("button", name="what happened", exact=True).focus()
    page.keyboard.press("Enter")

    expect(page.locator(".why[aria-pressed=true]")).to_have_count(1)


def test_the_first_link_makes_an_owner_once_and_then_the_password_counts(chat: Stack, browser: Browser, admin_link: str) -> None:
    page = _open(browser, admin_link)
    page.get_by_label("Name").fill("ana")
    page.get_by_label("Password", exact=True).fill("short")
    page.get_by_label("Password again").fill("short")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("At least 10 characters. A few")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("ana")
    page.get_by_label("Password", exact=True).fill("six blue herons")
    page.get_by_label("Password again").fill("six blue herons")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Home")).to_be_visible()

    other = _open(browser, admin_link)
    expect(other.get_by_text("This link has been used already")).to_be_visible()
    other.goto(f"{chat.web_url}/admin")
    other.get_by_label("Name").fill("ana")
    other.get_by_label("Password").fill("six blue herons")
    other.get_by_role("button", name="Sign in").click()
    expect(other.get_by_role("heading", name="Home")).to_be_visible()


def test_the_page_says_which_model_answers_how_capable_it_is_and_what_is_on_its_way(
    chat: Stack, answering: Answering, browser: Browser, keep: Callable[[Page, str], None]
) -> None:
    about = {"scripted": "a very small model; it makes mistakes", "better": "a small model; it still makes mistakes"}
    answering.tell(model="scripted", about=about, more="A better one is being fetched (43 %).")
    page = _open(browser, f"{chat.web_url}/chat")
    line = page.locator("#model")

    expect(line).to_have_text("scripted answers: a very small model; it makes mistakes. A better one is being fetched (43 %).")
    keep(page, "chat-model")
    phone = _open(browser, page.url, phone=True)
    expect(phone.locator("#model")).to_be_visible()
    keep(phone, "chat-model-phone")
    endpoint = add_endpoint(chat, Form(name="make-run", url=f"{chat.model.url}/v1", model="better", leaves_house=False))
    with chat.owner.begin() as connection:
        endpoints.set_profile(connection, endpoint.tenant_id, "default", [(0, endpoint.id)])
    answering.tell(model="scripted", about=about)

    expect(line).to_have_text("better answers: a small model; it still makes mistakes.")
