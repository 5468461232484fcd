"""Tells the dispatcher that work was accepted, over Postgres NOTIFY. Nothing depends on it: a notice that is lost costs the rest of a tick.

A notice is never part of the transaction that stores the work: Postgres lets only one transaction that notifies commit at a time, and holds it until the disk
has it. By itself it writes nothing, so it waits for nobody.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from bots.errors import StorageUnavailable
from bots.storage.database import call

log = structlog.get_logger()

_CHANNEL = "chinwag_work"
#: A process tells no more often: whoever looks at the first notice finds what came by the second, and a full house looks often enough by itself.
_EVERY_S = 0.05


def tell(engine: Engine) -> None:
    """Tell it now, if Postgres takes it."""
    try:
        call(engine, "select pg_notify(%s, '')", (_CHANNEL,), repeat=False)
    except (StorageUnavailable, DBAPIError):
        # A server that is a standby refuses it, too.
        log.warning("work_notice_failed")


class Teller:
    """Tells it in the background, at once after a quiet time and else at most twenty times a second. Safe between threads."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._clock = engine, clock
        self._is_due = threading.Event()
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None

    def tell(self) -> None:
        """Return at once; the notice follows."""
        if self._thread is None:
            with self._start:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="work-notices", daemon=True)
                    self._thread.start()
        self._is_due.set()

    def _run(self) -> None:
        while True:
            self._is_due.wait()
            # Before the notice: what is stored from here on gets one of its own.
            self._is_due.clear()
            tell(self._engine)
            time.sleep(_EVERY_S)


class Listener:
    """Hears it on a connection that runs no transaction, and can be woken by hand."""

    def __init__(self) -> None:
        self._woken, self._wakes = socket.socketpair()
        for end in (self._woken, self._wakes):
            end.settimeout(0)

    def listen(self, connection: Connection) -> None:
        """Begin to hear. Raises DBAPIError."""
        connection.exec_driver_sql(f"listen {_CHANNEL}")

    def wake(self) -> None:
        """End the wait now, or else the next one; a handler of a signal may call it."""
        with contextlib.suppress(BlockingIOError):
            self._wakes.send(b"1")

    def wait(self, timeout_s: float, connection: Connection | None) -> bool:
        """Wait for a notice, and say whether one came. Raises StorageUnavailable at once when the connection ends."""
        driver: Any = None if connection is None else connection.connection.driver_connection
        heard = driver is not None and self._drain(driver)
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if driver is not None:
            poll.register(driver.fileno(), select.POLLIN)
        ready = poll.poll(0 if heard else max(0.0, timeout_s) * 1000)
        if any(file == self._woken.fileno() for file, _ in ready):
            self._woken.recv(4096)
        return heard or (driver is not None and bool(ready) and self._drain(driver))

    def close(self) -> None:
        """End it."""
        self._woken.close()
        self._wakes.close()

    def _drain(self, driver: Any) -> bool:
        """Take the notices that have come, all of them, and say whether there were any."""
        try:
            return bool(list(driver.notifies(timeout=0)))
        except psycopg.Error as error:
            raise StorageUnavailable from error
