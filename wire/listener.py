"""Reads from many sockets in one thread, for callers that need to be woken only at the end.

A stream of an answer comes in as many pieces as it has words. A thread that is woken for each of them takes some 50 microseconds of CPU a piece, and more
where hundreds of threads want the interpreter at once; one thread that reads for all takes 20 (docs/decisions/0046).
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable
from functools import cache

import httpx

from wire.deadline import Deadline

_PIECE = 64 * 1024
#: Takes what was received, nothing at the end of the connection; returns whether it wants more.
Take = Callable[[bytes], bool]


class _Heard:
    """A socket that is read for a caller."""

    __slots__ = ("done", "error", "lock", "sock", "take")

    def __init__(self, sock: socket.socket, take: Take) -> None:
        self.sock, self.take = sock, take
        #: Held while something is taken.
        self.lock = threading.Lock()
        #: Held until the caller is to go on.
        self.done = threading.Lock()
        self.done.acquire()
        self.error: BaseException | None = None


class SharedReader:
    """One thread that reads for all; safe between threads."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._heard: dict[int, _Heard] = {}
        self._lock = threading.Lock()
        self._is_started = False

    def hear(self, sock: socket.socket, take: Take, deadline: Deadline) -> None:
        """Give to `take`, in another thread, what a socket that does not block receives, until it wants no more; nobody else may read meanwhile.

        `take` may move the deadline. Raises what `take` raises, ReadTimeout when the deadline has passed, or ReadError.
        """
        heard, number = _Heard(sock, take), sock.fileno()
        self._start()
        self._heard[number] = heard
        self._poll.register(number, select.EPOLLIN)
        try:
            while not heard.done.acquire(timeout=deadline.left(httpx.ReadTimeout)):
                # The deadline was moved on meanwhile, or has passed.
                pass
        except httpx.ReadTimeout:
            self._forget(number, heard)
            if not heard.done.acquire(blocking=False):
                raise
            # It ended at the last moment.
        except BaseException:
            self._forget(number, heard)
            raise
        _raise(heard)

    def _start(self) -> None:
        if not self._is_started:
            with self._lock:
                if not self._is_started:
                    threading.Thread(target=self._run, name="listener", daemon=True).start()
                    self._is_started = True

    def _run(self) -> None:
        while True:
            for number, _ in self._poll.poll():
                heard = self._heard.get(number)
                if heard is not None:
                    with heard.lock:
                        if not self._receive(number, heard):
                            heard.done.release()

    def _receive(self, number: int, heard: _Heard) -> bool:
        """Take what has come, and return whether more is wanted. Called with the socket's lock."""
        if self._heard.get(number) is not heard:
            return True
        try:
            while True:
                if not heard.take(heard.sock.recv(_PIECE)):
                    break
                # What a TLS record has left.
                if not (isinstance(heard.sock, ssl.SSLSocket) and heard.sock.pending()):
                    return True
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        except OSError as error:
            heard.error = httpx.ReadError(type(error).__name__)
        except BaseException as error:  # noqa: BLE001 - the caller's thread raises it
            heard.error = error
        self._drop(number)
        return False

    def _forget(self, number: int, heard: _Heard) -> None:
        """Read no more; once this returns, nothing is being taken."""
        with heard.lock:
            if self._heard.get(number) is heard:
                self._drop(number)

    def _drop(self, number: int) -> None:
        self._heard.pop(number, None)
        with contextlib.suppress(OSError):
            self._poll.unregister(number)


def _raise(heard: _Heard) -> None:
    error, heard.error = heard.error, None
    if error is not None:
        try:
            raise error
        finally:
            # An error in a cycle with this frame would keep the connection open.
            del error


@cache
def listener() -> SharedReader:
    """Return the process's one listener."""
    return SharedReader()
