"""What a peer is to the bench: set up by script in a folder of its own, started, and written to over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.peers.outside import Outside
from bench.peers.tree import Tree
from tests.support import build

FILES = Path(__file__).resolve().parent / "files"
_SETUP_S, _START_S = 1800.0, 180.0


class CannotSetUp(Exception):
    """A peer cannot be set up or started; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One HTTP request by which a person's message arrives."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(kw_only=True)
class Running:
    """A peer that takes messages."""

    tree: Tree
    #: The request by which this person says this.
    write: Callable[[build.Person, str], Request]


class Peer(Protocol):
    """One of those who are measured."""

    #: What it is called in tables and on the command line.
    name: str
    version: str
    #: How a person's message comes in and an answer goes out.
    channel: str
    #: Settings that differ from its defaults, and why.
    settings: str
    #: Whether it may wait for more of what a person says, so that what they say matters.
    joins: bool

    def set_up(self, folder: Path) -> None:
        """Install it. Raises CannotSetUp."""
        ...

    def start(self, folder: Path, outside: Outside) -> Running:
        """Start it in its folder, again after a kill too, and wait until it takes messages. Raises CannotSetUp."""
        ...


def cloud(url: str, *, app_secret: str = build.APP_SECRET) -> Callable[[build.Person, str], Request]:
    """Say how a message comes as a signed webhook of WhatsApp's Cloud API."""

    def write(person: build.Person, text: str) -> Request:
        message = build.a_text(person, text, wamid=f"wamid.{uuid.uuid4().hex}")
        body = build.a_webhook(messages=[message], people=[person])
        return Request(url=url, headers=build.sign(body, app_secret), body=body)

    return write


def state(folder: Path) -> Path:
    """Where a peer keeps what it has stored: a fresh place for each measurement, and the same one after a kill."""
    place = folder / "state"
    place.mkdir(parents=True, exist_ok=True)
    return place


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a peer's processes: nothing of ours, a home of its own, and no proxy on this machine."""
    ours = ("CHINWAG_", "PYTHON", "VIRTUAL_ENV", "MODEL", "DATABASE_URL", "REDIS_URL", "PORT", "MAKE", "MFLAGS", "NODE_OPTIONS")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    home = state(folder) / "home"
    home.mkdir(parents=True, exist_ok=True)
    return kept | {"HOME": str(home), "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"} | dict(more or {})


def run(command: list[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> None:
    """Run one step of a setup to its end. Raises CannotSetUp with the last line that it said."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            code = subprocess.run(command, cwd=cwd, env=dict(env), stdout=output, stderr=subprocess.STDOUT, timeout=_SETUP_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CannotSetUp(f"{Path(command[0]).name} {' '.join(command[1:4])}: {error}") from error
    if code.returncode:
        words = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise CannotSetUp(
            f"{Path(command[0]).name} {' '.join(command[1:4])} ended with code {code.returncode}: {(words or [''])[-1][:200]}"
        )


def python_with(folder: Path, *packages: str, by_uv: bool = False) -> Path:
    """Make an environment with these packages, unless it is there; returns its folder of programs. Raises CannotSetUp.

    `by_uv`: for packages with so many others that pip takes long to find versions that fit.
    """
    place, log, env = folder / "env", folder / "setup.log", environment(folder)
    done = place / ".complete"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run([sys.executable, "-m", "venv", "--clear", str(place)], cwd=folder, env=env, log=log)
        install = [str(place / "bin" / "pip"), "install", "--quiet"]
        if by_uv:
            run([*install, "uv"], cwd=folder, env=env, log=log)
            install = [str(place / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(place / "bin" / "python")]
        run([*install, *packages], cwd=folder, env=env, log=log)
        done.touch()
    return place / "bin"


def until(ready: Callable[[], bool], tree: Tree, *, deadline_s: float = _START_S) -> None:
    """Wait until a peer that starts is ready. Raises CannotSetUp, and then nothing of it is left."""
    end = time.monotonic() + deadline_s
    while not ready():
        if not tree.is_alive() or time.monotonic() > end:
            words = " ".join(tree.last_words().split())[-300:]
            tree.kill()
            raise CannotSetUp(f"it did not start within {deadline_s:.0f} s; the end of its log: {words}")
        time.sleep(0.1)
