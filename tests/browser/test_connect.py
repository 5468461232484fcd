"""The wizard in a browser: each channel the happy way until every step is green, and what it says when something is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect

from bots.domain import Role
from tests.browser.test_admin_pages import sign_in
from tests.support.cluster import Cluster
from tests.support.operators import make
from tests.support.stack import Stack
from tests.support.wizard import FIELDS, a_form, changed, paste

pytestmark = pytest.mark.browser

_SOON_MS = 20_000
_STEPS = ("address", "handshake", "webhook", "answer", "status")


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("wizard"))) as running:
        running.settles = False
        running.model.script(echo=True)
        running.register_number(app_id="100200300400777")
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        make(running, Role.OWNER, name="ana")
        yield running


@pytest.fixture(scope="module")
def page(served: Stack, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport=ViewportSize(width=1280, height=860))
    context.set_default_timeout(_SOON_MS)
    opened = context.new_page()
    sign_in(opened, served.web_url)
    yield opened
    context.close()


def _fill(page: Page, served: Stack, kind: str, form: dict[str, str]) -> None:
    page.goto(f"{served.web_url}/admin/accounts/connect/{kind}")
    for name in ("name", *FIELDS[kind]):
        page.locator(f"#{name}").fill(form[name])
    page.get_by_label("Bot that answers").select_option("tester")
    page.get_by_role("button", name="Check and connect").click()


def _is_green(page: Page, *steps: str) -> None:
    for step in steps:
        expect(page.locator(f"#setup-steps li[data-key={step}]")).to_have_class("ok", timeout=_SOON_MS)


@pytest.mark.parametrize("kind", ["whatsapp", "messenger", "instagram"])
def test_somebody_practises_connecting_and_watches_every_hop_turn_green(
    served: Stack, page: Page, kind: str, keep: Callable[[Page, str], None]
) -> None:
    page.goto(f"{served.web_url}/admin/accounts")
    page.get_by_role("link", name="Connect an account").click()
    title = {"whatsapp": "WhatsApp", "messenger": "Messenger", "instagram": "Instagram, through a Facebook page"}[kind]
    page.get_by_role("link", name=f"Practise {title}", exact=True).click()
    expect(page.get_by_label("App id")).not_to_have_value("")
    keep(page, f"connect-{kind}-form")
    account = page.locator("#external_id").input_value()
    page.get_by_role("button", name="Check and connect").click()

    expect(page.get_by_role("heading", name=f"practice-{kind} is connected")).to_be_visible()
    _is_green(page, "address", "handshake")
    expect(page.locator("#setup-steps li[data-key=webhook]")).to_have_class("wait")
    expect(page).not_to_have_url(re.compile("/connect/"))

    served.platform.person_writes(account_id=account, text="Hello!")

    # Nobody reloads: the list is live.
    _is_green(page, *_STEPS)
    keep(page, f"connect-{kind}-green")
    page.reload()
    expect(page.get_by_role("heading", name=f"practice-{kind}", exact=False).first).to_be_visible()
    _is_green(page, *_STEPS)
    assert Axe().run(page).response["violations"] == []


def test_instagram_login_is_pasted_by_hand_and_turns_green(served: Stack, page: Page, keep: Callable[[Page, str], None]) -> None:
    form = a_form(served, "instagram_login", name="by-hand")
    _fill(page, served, "instagram_login", form)
    expect(page.get_by_role("heading", name="One thing left to do on Meta's pages")).to_be_visible()
    url, token = page.locator("#callback").inner_text(), page.locator("#verify-token").inner_text()
    keep(page, "connect-paste")
    assert Axe().run(page).response["violations"] == []
    assert paste(served, account_id=form["external_id"], callback_url=url, verify_token=token)["handshake"]

    page.get_by_role("button", name="Send a practice message").click()

    _is_green(page, *_STEPS[:4])
    assert token not in page.content()


_WRONG = {
    "a phone number for an id": ("whatsapp", "external_id", "phone", "The id of this number is"),
    "another secret": ("whatsapp", "app_secret", "0" * 32, "does not belong to app"),
    "a token cut off": ("whatsapp", "access_token", "EAAPrac", "not valid"),
    "another business account": ("whatsapp", "parent_id", "123456789012345", "cannot read this id"),
    "an id of nobody": ("whatsapp", "external_id", "123456789012345", "cannot read this id"),
    "a page of nobody": ("messenger", "external_id", "123456789012345", "cannot read this page"),
    "no such app": ("messenger", "app_id", "123", "no app with this id"),
    "letters for an id": ("messenger", "external_id", "my-page", "digits only"),
    "another Instagram account": ("instagram", "external_id", "17841999999999999", "Its id is 17841"),
    "a page without Instagram": ("instagram", "parent_id", "123456789012345", "cannot read this page"),
    "a login's other account": ("instagram_login", "external_id", "17841999999999999", "belongs to another Instagram account"),
    "a name with a space": ("instagram_login", "name", "my shop", "lower-case letters"),
}


@pytest.mark.parametrize("what", list(_WRONG))
def test_what_is_wrong_is_said_beside_its_field_with_what_was_typed_kept(served: Stack, page: Page, what: str) -> None:
    kind, field, value, words = _WRONG[what]
    if value == "phone":
        value = served.platform.world()["whatsapp"]["display_phone_number"]

    _fill(page, served, kind, a_form(served, kind) | {field: value})

    said = page.locator(f"#{field}-error")
    expect(said).to_contain_text(words)
    expect(page.get_by_role("heading", name="Not connected yet")).to_be_visible()
    expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
    expect(page.locator(f"#{field}")).to_have_value("" if field in {"app_secret", "access_token"} else value)
    expect(page.locator("#access_token")).to_have_value("")


def test_the_page_of_wrong_values_is_accessible(served: Stack, page: Page, keep: Callable[[Page, str], None]) -> None:
    _fill(page, served, "whatsapp", a_form(served, "whatsapp") | {"external_id": "1", "parent_id": "2"})
    expect(page.locator("#parent_id-error")).to_be_visible()
    keep(page, "connect-wrong")

    assert Axe().run(page).response["violations"] == []


def test_a_refused_webhook_turns_its_step_red_with_the_fix_and_green_again(
    served: Stack, page: Page, keep: Callable[[Page, str], None]
) -> None:
    form = a_form(served, "whatsapp", name="mangled")
    _fill(page, served, "whatsapp", form)
    _is_green(page, "address", "handshake")
    served.platform.mangle(form["external_id"], "reencode")
    served.platform.person_writes(account_id=form["external_id"], text="ñandú / emú", wait_s=0.3)

    step = page.locator("#setup-steps li[data-key=webhook]")
    expect(step).to_have_class("bad", timeout=_SOON_MS)
    expect(step).to_contain_text("Something on the way rewrites the body")
    expect(step.locator(".fix")).to_contain_text("forward the body unchanged")
    keep(page, "connect-doctor")

    served.platform.mangle(form["external_id"], None)
    _is_green(page, *_STEPS)


def test_an_owner_looks_rotates_pauses_and_erases_an_account(served: Stack, page: Page, keep: Callable[[Page, str], None]) -> None:
    form = changed(served, "whatsapp", quality_rating="YELLOW") | {"name": "whole-life"}
    _fill(page, served, "whatsapp", form)
    page.get_by_role("link", name="Go to the account").click()
    expect(page.get_by_role("button", name="Check again")).to_be_visible()
    account = page.url
    page.get_by_role("button", name="Check again").click()
    expect(page.get_by_text("Webhooks arrive here.")).to_be_visible()
    expect(page.get_by_text("The number's quality is yellow.")).to_be_visible()
    keep(page, "account-health")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("heading", name="whole-life paused")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    page.get_by_label("New access token").fill("EAAnope")
    page.get_by_role("button", name="Check and rotate").click()
    expect(page.locator("#access_token-error")).to_contain_text("not valid")
    page.get_by_role("button", name="Create a new verify token").click()
    expect(page.locator("#verify-token")).to_be_visible()
    # A reload before the page's script has named the account's own address would send the form again.
    expect(page).to_have_url(account)
    page.reload()
    expect(page.locator("#verify-token")).to_have_count(0)
    page.get_by_role("link", name="Remove and erase").click()
    page.get_by_label("Type the account's name").fill("whole-life")
    page.get_by_role("button", name="Erase").click()

    expect(page.get_by_text("whole-life was erased")).to_be_visible()
    expect(page.get_by_role("link", name="whole-life")).to_have_count(0)
