"""A fresh clone with the work tree's files, what `make` does in it, and which processes of it live; nothing is left behind."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.processes import ROOT, until

_CHAT = re.compile(r"^Chat page: (http://127\.0\.0\.1:\d+)/chat$", re.MULTILINE)
_ADMIN = re.compile(r"^Admin: http://127\.0\.0\.1:\d+/admin/\S+$", re.MULTILINE)
_OURS = ("CHINWAG_", "MODEL", "DATABASE_URL", "REDIS_URL", "PORT", "PYTHONPATH", "MAKE", "MFLAGS", "VIRTUAL_ENV", "XDG_")


@dataclass(frozen=True)
class Running:
    """A `make run` that is up."""

    run: subprocess.Popen[bytes]
    web: str


class Checkout:
    """A clone with one environment, made by the first `make` that needs it. Root lets an ordinary user do all of it."""

    def __init__(self, name: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="chinwag-clone-"))
        self.home.chmod(0o755)
        self.folder = self.home / name
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._runs: list[subprocess.Popen[bytes]] = []
        self._running: Running | None = None

    def __enter__(self) -> Self:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.folder / name)
        self._share_model()
        self._give(self.home, self.user)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for run in self._runs:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()
        self.is_empty(within_s=8)
        shutil.rmtree(self.home, ignore_errors=True)

    def start(self, *command: str, within: Path | None = None, **variables: str) -> subprocess.Popen[bytes]:
        """Start a command as the clone's owner; what it says is gathered in one file."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        with (self.home / "out").open("ab") as out:
            run = subprocess.Popen(
                command,
                cwd=within or self.folder,
                # No test fetches a model of a gigabyte.
                env={**env, "HOME": str(self.home), "CHINWAG_LOCAL_FETCH": "no", **variables},
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                user=self.user.pw_uid if self.user else None,
                group=self.user.pw_gid if self.user else None,
                extra_groups=[] if self.user else None,
            )
        self._runs.append(run)
        return run

    def make(self, *arguments: str, fresh: bool = False, within_s: float = 240, **variables: str) -> tuple[int, str]:
        """Run make to its end: its code, and what was said. `fresh` gives it a new place for the environment."""
        before = len(self.said())
        other = {"CHINWAG_VENV": tempfile.mkdtemp(dir=self.home)} if fresh else {}
        if fresh:
            self._give(Path(other["CHINWAG_VENV"]), self.user)
        code = self.start("make", *arguments, within=self.folder, **other, **variables).wait(within_s)
        return code, self.said()[before:]

    def chinwag(self, *arguments: str, within: Path) -> tuple[int, str]:
        """Run the clone's own command in some folder."""
        before = len(self.said())
        code = self.start(str(self.folder / ".venv" / "bin" / "chinwag"), *arguments, within=within).wait(120)
        return code, self.said()[before:]

    def up(self, *, within_s: float = 240) -> Running:
        """The running stack, started now if none is there."""
        if self._running is not None and self._running.run.poll() is None:
            return self._running
        before = len(self.said())
        run = self.start("make", "run", "PORT=0", "MODEL=tiny")
        until(lambda: run.poll() is not None or _ADMIN.search(self.said()[before:]), timeout_s=within_s, what="the admin line")
        found = _CHAT.search(self.said()[before:])
        assert found, self.said()[before:]
        self._running = Running(run, found[1])
        return self._running

    def stop(self) -> None:
        """Stop the stack if it runs."""
        if self._running is not None and self._running.run.poll() is None:
            os.killpg(self._running.run.pid, signal.SIGTERM)
        assert self.is_empty(within_s=8), self.command_lines()

    def said(self) -> str:
        """All that the commands have said."""
        out = self.home / "out"
        return out.read_text(errors="replace") if out.exists() else ""

    def supervisor(self) -> int:
        """The process id of the running stack's supervisor."""
        return int((self.folder / ".chinwag" / "run" / "lock").read_text())

    def data(self) -> Path:
        """The clone's data folder, made if no start has made it yet."""
        folder = self.folder / ".chinwag"
        folder.mkdir(exist_ok=True)
        self._give(folder, self.user)
        return folder

    def command_lines(self) -> dict[int, bytes]:
        """The clone's living processes: those that name its folder, and those that work in it, as Postgres's backends do."""
        found: dict[int, bytes] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                line = (entry / "cmdline").read_bytes()
                if os.fsencode(f"{self.folder}/") in line or (line and (entry / "cwd").readlink().is_relative_to(self.folder)):
                    found[int(entry.name)] = line
            except OSError:
                continue
        return found

    def is_empty(self, *, within_s: float) -> bool:
        """Whether all of the clone's processes end in time."""
        end = time.monotonic() + within_s
        while self.command_lines():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    @contextmanager
    def closed_to_others(self) -> Generator[None]:
        """The clone belongs to whoever runs the tests, and nobody else may enter it."""
        owner, self.user = self.user, None
        self._give(self.home, None)
        self.home.chmod(0o700)
        try:
            yield
        finally:
            self.stop()
            self.user = owner
            self._give(self.home, owner)
            self.home.chmod(0o755)

    @contextmanager
    def small_disk(self) -> Generator[Path]:
        """A folder on a disk of 40 MB."""
        folder = self.home / "small"
        folder.mkdir(exist_ok=True)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)], capture_output=True, check=False)
        if mounted.returncode != 0:
            pytest.skip("only who may mount can have a small disk")
        self._give(folder, self.user)
        try:
            yield folder / "data"
        finally:
            subprocess.run(["umount", str(folder)], check=True)

    def _share_model(self) -> None:
        """Let the clone's owner find the tiny model that whoever runs the tests has fetched already."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chinwag" / "models"
        for path in cache.glob("SmolLM2-*"):
            (self.home / ".cache" / "chinwag" / "models").mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, self.home / ".cache" / "chinwag" / "models" / path.name)

    def _give(self, folder: Path, user: pwd.struct_passwd | None) -> None:
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}" if user else "0:0", str(folder)], check=True)
