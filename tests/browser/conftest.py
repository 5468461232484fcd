"""One Chromium for all tests of this folder, and a whole service with the chat page switched on for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from bots.crypto import Keyring
from bots.domain import ChannelKind
from bots.settings import Settings
from bots.storage import accounts, personas, sign_in_links, tenants
from chinwag.local.answering import Answering
from chinwag.local.ground import Ground
from tests.browser import chromium
from tests.support import invariants
from tests.support.cluster import Cluster
from tests.support.processes import ROOT
from tests.support.stack import Stack

SKIPPED = "SKIP_BROWSER=1 leaves out the tests in a browser"


def pytest_report_header() -> str | None:
    """Say when these tests are left out."""
    return SKIPPED if _is_skipped() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave these tests out when asked to."""
    if not _is_skipped():
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=SKIPPED))


def _is_skipped() -> bool:
    return os.environ.get("SKIP_BROWSER", "") not in {"", "0"}


@pytest.fixture(scope="session")
def chromium_path() -> str | None:
    """Where Chromium is, before the tests' sockets are confined to this machine."""
    return chromium.find()


@pytest.fixture(scope="session")
def browser(chromium_path: str | None) -> Iterator[Browser]:
    """A running Chromium."""
    # Its own 5 s are too few where two tests and their services share one core.
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield running
        running.close()


@pytest.fixture
def answering(tmp_path: Path) -> Answering:
    """What the page says about the model: nothing, unless a test tells it."""
    found = Answering(Ground(tmp_path / "ground"))
    found.file.parent.mkdir(parents=True)
    return found


@pytest.fixture
def chat(cluster: Cluster, tmp_path: Path, answering: Answering) -> Iterator[Stack]:
    """The whole service with its chat page; the model writes slowly enough to be watched."""
    settings = {"CHINWAG_SIMULATOR": "1", "CHINWAG_DEBOUNCE_S": "0.4", "CHINWAG_ANSWERING_FILE": str(answering.file)}
    with Stack(cluster, tmp_path, settings=settings) as running:
        add_console(running)
        running.model.script(echo=True, latency_s=0.8, word_s=0.12)
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        yield running
        # The platform of these talks is the page: what concerns its log (I4, I5) does not apply.
        invariants.check(running, settled=False)


def add_console(stack: Stack) -> None:
    engine = stack.engine("web")
    with engine.begin() as connection:
        tenant = tenants.default(connection)
        bot = personas.get(connection, tenant=tenant, name="tester")
        assert bot is not None
        keyring = Keyring.from_settings(Settings.from_env(stack.cluster.addresses(stack.database)))
        accounts.add(connection, keyring, tenant=tenant, bot=bot.id, channel=ChannelKind.CONSOLE, name="console", external_id="console")


@pytest.fixture
def admin_link(chat: Stack) -> str:
    """A fresh one-time link to the admin page."""
    return f"{chat.web_url}/admin/enter?token={sign_in_links.new_link(chat.engine('web'))}"


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[Page, str], None]:
    """Keep a screenshot: with KEEP_SCREENSHOTS=1 beside the documentation, in another folder if it names one, else in the test's own."""
    wanted = os.environ.get("KEEP_SCREENSHOTS", "")
    kept = {"": tmp_path, "1": ROOT / "docs" / "screenshots"}.get(wanted, Path(wanted))

    def shoot(page: Page, name: str) -> None:
        kept.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=kept / f"{name}.png")

    return shoot
