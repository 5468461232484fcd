"""Finds a Chromium: the one on the path, else Debian's by apt when root, else Playwright's own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING = "No Chromium: install one (`apt-get install chromium`, or `python -m playwright install chromium`), or set SKIP_BROWSER=1."


class NoBrowser(AssertionError):
    """There is no Chromium, and none could be installed."""


def find() -> str | None:
    """Return the path of a Chromium; None means that Playwright has its own. Raises NoBrowser."""
    on_path = _on_path()
    if on_path:
        return on_path
    with _alone():
        on_path = _on_path()
        if on_path:
            return on_path
        if os.geteuid() == 0 and shutil.which("apt-get") and _by_apt():
            on_path = _on_path()
            if on_path:
                return on_path
        if _playwrights_own():
            return None
    raise NoBrowser(MISSING)


@contextmanager
def _alone() -> Generator[None]:
    """One process of this user installs at a time, and the others find what it installed: of two that run apt one fails."""
    with (Path(tempfile.gettempdir()) / f"chinwag-tests-chromium-{os.geteuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _on_path() -> str | None:
    return next((path for path in map(shutil.which, _NAMES) if path), None)


def _by_apt() -> bool:
    print("browser: installing Debian's chromium", flush=True)
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"]
    return all(_runs(command, env) for command in (["apt-get", "update", "-q"], install))


def _playwrights_own() -> bool:
    print("browser: installing Playwright's own chromium", flush=True)
    return _runs([sys.executable, "-m", "playwright", "install", "chromium"], dict(os.environ))


def _runs(command: list[str], env: dict[str, str]) -> bool:
    try:
        return (
            subprocess.run(command, env=env, timeout=240, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
