"""What hears voice messages with `make run`: installed and fetched behind the first answer, then started beside the other parts.

Guarantee: whatever fails here, everything else goes on, and one line says so. Until it is there, and if it never is, whoever sends a voice message is told
that it could not be heard.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

import inference
from chinwag.local import carrier, install_voice, models, ports
from chinwag.local.install import ROOT
from chinwag.local.ports import HOST
from chinwag.local.processes import CannotStart, Child, start
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings
from chinwag.local.supervisor import Part, Supervisor

_FOLDER = Path(inference.__file__).parent / "models" / "voice"
_EVERY_S = 1.0
_INSTALL_S = 1800.0


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a model: the members of the packages that it is joined from, and its checksum."""

    member: str
    sha256: str


class _Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that is known in advance."""

    name: str
    #: Bytes of all files.
    size: int
    carriers: tuple[str, ...]
    licence: str
    source: str
    memory_gb: float
    files: Mapping[str, _File]


class Voice:
    """The part of a stack that hears. `tick` is called by the thread that starts the parts, whose end is theirs."""

    def __init__(self, settings: LocalSettings, *, port: int, log: Path, supervisor: Supervisor, report: Report) -> None:
        self._settings, self._port, self._log = settings, port, log
        self._supervisor, self._report = supervisor, report
        self._problem = ""
        self._model = ""
        self._part: Part | None = None
        self._is_over = False
        self._look_at = 0.0
        self._thread = threading.Thread(target=self._prepare, name="voice", daemon=True)

    @property
    def url(self) -> str:
        """Where it will listen."""
        return f"http://{HOST}:{self._port}/v1"

    def begin(self) -> None:
        """Begin to install and to fetch."""
        self._thread.start()

    def tick(self) -> None:
        """Go on, without waiting for anything."""
        if self._is_over or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _EVERY_S
        if self._thread.is_alive() or not self._thread.ident:
            return
        if self._problem:
            self._give_up(self._problem)
        elif self._part is None:
            self._part = self._supervisor.launch(
                Part(name="Voice", start=self._start, ready=partial(ports.listens, self._port), how=self.url, deadline_s=60)
            )
        elif self._part.child is not None and self._part.ready():
            self._is_over = True
            self._report.line("Voice messages are heard from now on.")

    def _prepare(self) -> None:
        try:
            self._install()
            self._model = self._fetched()
        except (CannotStart, OSError) as error:
            self._problem = " ".join(str(error).split())
        except Exception as error:  # noqa: BLE001 - the thread's only way to say what is wrong
            self._problem = " ".join(str(error).split()) or type(error).__name__

    def _install(self) -> None:
        venv = install_voice.environment()
        if install_voice.is_current(venv):
            return
        log = self._log.with_name("voice-install.log")
        child = start(
            [sys.executable, "-I", str(ROOT / "chinwag" / "local" / "install_voice.py")],
            name="Voice install",
            log=log,
            env=dict(os.environ),
        )
        try:
            until = time.monotonic() + _INSTALL_S
            while child.is_alive() and time.monotonic() < until:
                time.sleep(0.2)
        finally:
            child.end(grace_s=0)
        if child.process.returncode != 0:
            raise CannotStart(child.last_words().removeprefix("Cannot install: ") or "it could not be installed")

    def _fetched(self) -> str:
        """The folder of the model, or its name on the Hub."""
        given = self._settings.voice_model
        if given:
            return str(Path(given).expanduser().resolve()) if Path(given).expanduser().is_dir() else given
        return str(fetch(self._settings.cache))

    def _start(self) -> Child:
        python = str(install_voice.environment() / "bin" / "python")
        options = ["-m", "inference.voice.server", "--model", self._model, "--port", str(self._port)]
        return start([python, *options], name="Voice", log=self._log, env={**os.environ, "PYTHONUNBUFFERED": "1"}, cwd=ROOT)

    def _give_up(self, why: str) -> None:
        self._is_over = True
        self._report.line(f"Voice messages are not heard: {why}")


def planned(settings: LocalSettings, variables: dict[str, str], *, log: Path, supervisor: Supervisor, report: Report) -> Voice | None:
    """Say in the parts' variables where voice messages will be heard; None where CHINWAG_HEARING_URL names a server, or nobody is to hear them."""
    if not settings.voice or variables.get("CHINWAG_HEARING_URL") or not (settings.fetch or is_here(settings)):
        return None
    found = Voice(settings, port=ports.free_port(), log=log, supervisor=supervisor, report=report)
    variables["CHINWAG_HEARING_URL"] = found.url
    variables["CHINWAG_HEARING_TAKES_HINTS"] = "1"
    return found


def is_here(settings: LocalSettings) -> bool:
    """Whether nothing has to be installed or fetched."""
    given = settings.voice_model
    return install_voice.is_current(install_voice.environment()) and (bool(given) or _is_whole(_choice(), _folder(settings.cache)))


def fetch(cache: Path, *, advance: Callable[[int], None] = lambda _: None) -> Path:
    """Fetch the model unless it is here, and return its folder. Raises CannotStart."""
    choice, folder = _choice(), _folder(cache)
    if _is_whole(choice, folder):
        return folder
    models.check_room(folder, choice.size)
    try:
        with models.only_one(folder, "files"):
            members = {folder / name: file.member for name, file in choice.files.items()}
            carrier.gather_files(choice.carriers, {models.part_of(path): member for path, member in members.items()}, folder, advance)
            for name, file in choice.files.items():
                models.keep(folder / name, file.sha256)
    except (carrier.NoCarrier, models.WrongSum) as error:
        raise CannotStart(f"the model {choice.name} could not be fetched ({error})") from error
    return folder


def _choice() -> _Choice:
    return msgspec.convert(tomllib.loads((_FOLDER / "base.toml").read_text("utf-8")), _Choice)


def _folder(cache: Path) -> Path:
    return cache / "models" / "voice" / _choice().name


def _is_whole(choice: _Choice, folder: Path) -> bool:
    return all(models.is_whole(folder / name, file.sha256) for name, file in choice.files.items())
