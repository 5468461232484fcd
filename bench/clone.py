"""A clone of this repository with an environment of its own, and `make run` in it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bench.revision import ROOT

_OURS = ("CHINWAG_", "VIRTUAL_ENV", "MAKE", "MFLAGS", "PYTHONPATH", "MODEL", "DATABASE_URL", "REDIS_URL", "PORT")


def make(place: Path, revision: str = "HEAD") -> None:
    """Clone a revision into a folder that is not there yet."""
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(place)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", revision], cwd=place, check=True)


def install(clone: Path) -> None:
    """Make its environment."""
    subprocess.run(["make", "install"], cwd=clone, env=env(), check=True, stdout=subprocess.DEVNULL)


def env() -> dict[str, str]:
    """The environment without what is ours, and without the better model, which would be fetched meanwhile."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_OURS)} | {"CHINWAG_LOCAL_FETCH": "no"}


@contextmanager
def running(clone: Path, log: Path, *arguments: str) -> Generator[subprocess.Popen[bytes]]:
    """Have `make run` with these arguments, which need not be ready yet, until the end of the block."""
    with log.open("wb") as output:
        run = subprocess.Popen(
            ["make", "run", *arguments], cwd=clone, env=env(), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield run
    finally:
        with contextlib.suppress(ProcessLookupError):
            run.send_signal(signal.SIGTERM)
        try:
            run.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()


def not_ready(log: Path) -> SystemExit:
    """What is raised where it does not get ready."""
    return SystemExit(f"make run did not get ready:\n{log.read_text(errors='replace')[-3000:]}")
