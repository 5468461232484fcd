"""The folder of a checkout's own data: who runs in it, its secrets, and the file by which commands find the running stack."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chinwag.local.processes import CannotStart
from chinwag.local.settings import checkout_of_this_python

_ROLES = ("chinwag_web", "chinwag_worker", "chinwag_crossing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets that the local stack generated for itself, once."""

    passwords: dict[str, str]
    app_secret: str
    verify_token: str
    access_token: str

    def __repr__(self) -> str:
        return "Secrets(***)"


@dataclass(frozen=True, slots=True)
class Ground:
    """A data folder."""

    folder: Path

    @property
    def env_file(self) -> Path:
        """The file with the running stack's settings."""
        return self.folder / "run" / "env.json"

    @property
    def keys_file(self) -> Path:
        """The file with the keys that encrypt secrets in the database."""
        return self.folder / "keys"

    @contextmanager
    def occupied(self) -> Generator[None]:
        """Lock the folder for one stack. Raises CannotStart when another one runs in it."""
        lock = self.folder / "run" / "lock"
        try:
            lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
            file = lock.open("a+")
        except OSError as error:
            raise CannotStart(f"{self.folder} cannot be written ({error.strerror}): check its owner and the disk") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise CannotStart(f"a stack is already running: {self.where()}. `make stop` ends it") from error
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            self.env_file.unlink(missing_ok=True)
            try:
                yield
            finally:
                self.env_file.unlink(missing_ok=True)
                file.truncate(0)

    def runner(self) -> int | None:
        """The process id of the stack that runs here; None when none does."""
        lock = self.folder / "run" / "lock"
        try:
            with lock.open("r+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    text = file.read().strip()
                    return int(text) if text.isdigit() else 0
        except OSError:
            return None
        return None

    def where(self) -> str:
        """Where the running stack is, in words."""
        known = self.environment()
        at = f"http://127.0.0.1:{known['PORT']}/chat" if "PORT" in known else "still starting"
        return f"{at} (process {self.runner()}, folder {self.folder.parent})"

    def publish(self, values: Mapping[str, str]) -> None:
        """Let commands find this stack."""
        fresh = self.env_file.with_suffix(".new")
        write_private(fresh, json.dumps(dict(values), indent=1))
        fresh.replace(self.env_file)

    def environment(self) -> dict[str, str]:
        """The settings of the stack that runs here; empty when none does."""
        try:
            known = json.loads(self.env_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(key): str(value) for key, value in known.items()}

    def secrets(self) -> Secrets:
        """The stack's secrets, generated at the first call and stored in a file of mode 0600."""
        path = self.folder / "secrets"
        if not path.exists():
            made = {name: secrets.token_urlsafe(24) for name in (*_ROLES, "app_secret", "verify_token", "access_token")}
            write_private(path, json.dumps(made, indent=1))
        if not self.keys_file.exists():
            write_private(self.keys_file, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() + "\n")
        try:
            known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
            return Secrets(
                passwords={role: known[role] for role in _ROLES},
                app_secret=known["app_secret"],
                verify_token=known["verify_token"],
                access_token=known["access_token"],
            )
        except (ValueError, KeyError) as error:
            raise CannotStart(f"{path} is damaged: restore it, or run `make reset`") from error


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """The CHINWAG_ settings of the stack that commands use: the given ones, else this checkout's own. Raises CannotStart."""
    if env.get("CHINWAG_WEB_DATABASE_URL") or env.get("CHINWAG_CROSSING_DATABASE_URL") or env.get("CHINWAG_OWNER_DATABASE_URL"):
        return {key: value for key, value in env.items() if key.startswith("CHINWAG_")}
    ground = Ground(Path(env.get("CHINWAG_LOCAL_DATA") or checkout_of_this_python() / ".chinwag"))
    known = ground.environment() if ground.runner() is not None else {}
    if not known:
        raise CannotStart("No running stack: start it with `make run`, or give the CHINWAG_ variables of another one.")
    return known


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    part.replace(path)
