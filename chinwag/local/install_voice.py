"""Makes the environment of what hears voice messages: `.venv-voice`, from requirements-voice.lock; again only when that has changed.

Uses the standard library alone (`python -I chinwag/local/install_voice.py`). Exit code 2 and one line when it cannot be made.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from chinwag.local import install

_LOCK = install.ROOT / "requirements-voice.lock"
_STAMP = ".chinwag-lock"
_NEEDED = "0.8 GB"
_NEEDED_BYTES = 800_000_000
_IMPORTED = "import av, faster_whisper, faster_whisper.vad, python_multipart, inference.voice.server"


def environment() -> Path:
    """Where it is."""
    return Path(os.environ.get("CHINWAG_VOICE_VENV", "") or install.ROOT / ".venv-voice")


def is_current(venv: Path) -> bool:
    """Whether the environment was made from this lock, in this folder."""
    try:
        return (venv / "bin" / "python").exists() and (venv / _STAMP).read_text(encoding="utf-8") == install.stamp(_LOCK)
    except OSError:
        return False


def main() -> int:
    """Make the environment if it is missing, and say so in one line."""
    started, venv = time.monotonic(), environment()
    if is_current(venv):
        install.say(f"Voice         ready ({install.name(venv)})", started)
        return 0
    if not install.has_same_python(venv) and shutil.disk_usage(install.ROOT).free < _NEEDED_BYTES:
        return install.fail(f"the disk of {install.ROOT} is full: hearing voice messages needs {_NEEDED} free")
    problem = _make(venv)
    if problem:
        return install.fail(problem)
    install.say(f"Voice         installed ({install.name(venv)})", started)
    return 0


def _make(venv: Path) -> str:
    try:
        (venv / _STAMP).unlink(missing_ok=True)
        problem = install.prepare(venv)
        if problem:
            return problem
        done = install.install_packages(venv, _LOCK)
        if done.returncode != 0:
            return f"what hears voice messages could not be installed: {install.reason(done, needed=_NEEDED)}"
        packages = next((venv / "lib").glob("python3.*/site-packages"))
        (packages / "chinwag-checkout.pth").write_text(f"{install.ROOT}\n", encoding="utf-8")
        done = install.run([str(venv / "bin" / "python"), "-c", _IMPORTED])
        if done.returncode != 0:
            return f"what hears voice messages was installed and does not start on this machine: {install.reason(done)}"
        (venv / _STAMP).write_text(install.stamp(_LOCK), encoding="utf-8")
    except OSError as error:
        return f"the environment could not be made in {venv}: {error.strerror}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
