"""A voice message in a browser: a file or the microphone, played in its bubble with the words that were heard, and on the operator's page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from bots.domain import Role
from tests.browser.conftest import add_console
from tests.browser.test_admin_pages import sign_in
from tests.support import invariants
from tests.support.cluster import Cluster
from tests.support.ears import Ears, listening
from tests.support.operators import make
from tests.support.processes import ROOT
from tests.support.stack import Stack

pytestmark = pytest.mark.browser

_SOON_MS = 20_000
_RECORDING = ROOT / "tests" / "corpus" / "voice" / "ill_disposed.ogg"
#: A microphone for a browser that has none: as its script sees it.
_MICROPHONE = """
navigator.mediaDevices.getUserMedia = async () => {
  const context = new AudioContext(), tone = context.createOscillator(), out = context.createMediaStreamDestination();
  tone.connect(out);
  tone.start();
  return out.stream;
};
"""


@pytest.fixture
def ears() -> Iterator[Ears]:
    with listening() as found:
        yield found


@pytest.fixture
def chat(cluster: Cluster, tmp_path: Path, ears: Ears) -> Iterator[Stack]:
    settings = {"CHINWAG_SIMULATOR": "1", "CHINWAG_DEBOUNCE_S": "0.1", "CHINWAG_HEARING_URL": ears.url, "CHINWAG_HEARING_TAKES_HINTS": "1"}
    with Stack(cluster, tmp_path, settings=settings) as running:
        add_console(running)
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running
        invariants.check(running, settled=False)


def _heard(text: str) -> tuple[int, dict[str, object]]:
    return 200, {"text": text, "language": "en", "language_probability": 0.99, "certainty": 0.71, "duration": 2.99}


def test_a_recording_is_attached_heard_answered_and_played(
    chat: Stack, ears: Ears, browser: Browser, keep: Callable[[Page, str], None]
) -> None:
    ears.answers[b"OggS"] = _heard("Two loaves of rye, please.")
    said: list[str] = []
    page = browser.new_context().new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto(f"{chat.web_url}/chat")
    expect(page.get_by_text("You are Ada")).to_be_visible()
    page.locator("#file").set_input_files(_RECORDING)

    mine = page.locator(".row.out")
    expect(mine).to_contain_text("Two loaves of rye, please.", timeout=_SOON_MS)
    expect(mine.locator("audio")).to_have_count(1)
    expect(page.locator(".row.in:not(#growing):not(#dots)").first).to_contain_text("Two loaves of rye, please.", timeout=_SOON_MS)
    # It can be played: the browser has all of it.
    page.locator(".row.out audio").evaluate("sound => { sound.preload = 'metadata'; sound.load(); }")
    expect(page.locator(".row.out audio")).to_have_js_property("readyState", 4, timeout=_SOON_MS)
    keep(page, "chat-voice")

    make(chat, Role.VIEWER, name="ana")
    sign_in(page, chat.web_url)
    page.goto(f"{chat.web_url}/admin/conversations")
    page.locator(".talks a").first.click()
    expect(page.locator(".bubble.in audio")).to_have_count(1)
    expect(page.locator(".bubble.in")).to_contain_text("[heard, 3 s, language en (99 % certain), words 71 % certain]")
    keep(page, "conversation-voice")
    assert said == []


def test_a_recording_in_which_nothing_is_heard_is_said_so(chat: Stack, ears: Ears, browser: Browser) -> None:
    ears.answers[b"OggS"] = _heard("")
    page = browser.new_context().new_page()
    page.goto(f"{chat.web_url}/chat")
    expect(page.get_by_text("You are Ada")).to_be_visible()
    page.locator("#file").set_input_files(_RECORDING)

    expect(page.locator(".row.in:not(#growing):not(#dots)").first).to_contain_text("I could not hear any words", timeout=_SOON_MS)
    expect(page.locator(".row.out audio")).to_have_count(1)


def test_the_microphone_is_recorded_from_one_press_to_the_next(
    chat: Stack, ears: Ears, browser: Browser, keep: Callable[[Page, str], None]
) -> None:
    ears.answers[b"\x1a\x45\xdf\xa3"] = _heard("What do you bake today?")
    page = browser.new_context().new_page()
    page.add_init_script(_MICROPHONE)
    page.goto(f"{chat.web_url}/chat")
    expect(page.get_by_text("You are Ada")).to_be_visible()
    page.get_by_role("button", name="Record a voice message").click()
    expect(page.get_by_role("button", name="Stop recording and send")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(700)
    keep(page, "chat-recording")
    page.get_by_role("button", name="Stop recording and send").click()

    expect(page.locator(".row.out")).to_contain_text("What do you bake today?", timeout=_SOON_MS)
    expect(page.get_by_role("button", name="Record a voice message")).to_have_attribute("aria-pressed", "false")
