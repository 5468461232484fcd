"""The listening socket: one that was handed over, or one of our own; and how connections are taken from it, never more than there are places for.

A socket that is handed over outlives this process: whoever connects while nobody listens waits in its queue and is not refused.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import resource
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from bots.errors import BadSetting
from bots.settings import LISTENER
from bots.web.serving.connections import Connections, Slot
from bots.web.serving.schedule import Schedule
from bots.web.serving.transport import READ_BYTES

#: By which systemd and others say that the first descriptor after the standard ones is a listening socket (sd_listen_fds).
_FIRST_FD = 3
#: How many may wait to be taken; the kernel has its own limit (net.core.somaxconn).
_BACKLOG = 2048
#: Connections taken before the event loop does anything else.
_AT_ONCE = 32
#: How long to wait when no place can be made, in seconds.
_LATER_S = 0.02
_NO_FILES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
#: Files that are no connections: libraries, logs, the event loop, name look-ups.
_OTHER_FILES = 96
_FEWEST_PLACES = 16
#: By which a head says how long the body is, or that this is not known yet.
_FRAMING = re.compile(rb"\r\n(?:content-length:[ \t]*([0-9]{1,9})|transfer-encoding:)", re.IGNORECASE)


def listening(env: Mapping[str, str], host: str, port: int) -> socket.socket:
    """The socket that was handed over, or a new one. Raises BadSetting."""
    try:
        if (descriptor := _handed_over(env)) is not None:
            found = socket.socket(fileno=os.dup(descriptor))
            found.listen(_BACKLOG)
            found.settimeout(0)
            return found
        family, kind, protocol, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError as error:
        raise BadSetting(
            f"cannot listen on {host} port {port}: {error.strerror or error}. See CHINWAG_WEB_HOST and CHINWAG_WEB_PORT."
        ) from error
    made.settimeout(0)
    return made


def hand_over(listener: socket.socket, env: Mapping[str, str]) -> dict[str, str]:
    """Put the socket where the next program of this process finds it, and return that program's environment."""
    os.dup2(listener.fileno(), _FIRST_FD)
    # Apart: where it has this number already, dup2 changes nothing.
    os.set_inheritable(_FIRST_FD, True)  # noqa: FBT003 - the library's own
    return {**env, "LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}


def places(wanted: int, *, other_files: int) -> int:
    """For how many connections there are files, at most `wanted`, after asking the system for as many as it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    others = other_files + _OTHER_FILES
    needed = wanted + others
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(_FEWEST_PLACES, min(wanted, soft - others))


class _Silent:
    """A connection from which nothing has come yet, so nothing is built for it but this.

    Until it is open it stands among uvicorn's connections, which a stop waits for: its peer may be just about to ask.
    """

    def __init__(self, taken: socket.socket, source: str, *, listener: Acceptor) -> None:
        self._socket, self._listener, self._loop = taken, listener, listener.loop
        self._slot = Slot(source=source, refuse=self._end, expire=self._end, resume=self._end)
        listener.silent.add(self)
        listener.known.add(self)
        listener.connections.enter(self._slot)
        if not self._hear():
            self._loop.add_reader(taken, self._hear)

    def _hear(self) -> bool:
        """Look whether something has come. Returns False if it still has to."""
        start = self._start()
        if start is None:
            return False
        if start:
            # Who sends half a request waits for those who sent a whole one.
            self._slot.steps = 0 if is_whole(start) else 1
            self._loop.remove_reader(self._socket)
            self._listener.schedule.step(self._slot, self._open)
        else:
            self._end()
        return True

    def _start(self) -> bytes | None:
        """What has come so far; empty if nothing will come any more, None as long as it may."""
        try:
            return self._socket.recv(READ_BYTES, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    def _open(self) -> bool:
        if self not in self._listener.silent:
            return False
        if not self._start():
            # It was reset while it waited.
            self._end()
            return False
        self._listener.silent.discard(self)
        self._listener.open(self._socket, self._slot).add_done_callback(self._forget)
        return True

    def _end(self, _status: int = 0) -> None:
        """Close it. There is no answer: nothing was asked."""
        if self in self._listener.silent:
            self._listener.silent.discard(self)
            self._loop.remove_reader(self._socket)
            self._listener.connections.leave(self._slot)
            self._socket.close()
            self._forget()

    def _forget(self, _opened: object = None) -> None:
        self._listener.known.discard(self)

    def shutdown(self) -> None:
        """The server stops: see Connections.end, by which it has to go if it stays silent."""


class Acceptor:
    """Takes connections from a listening socket, and opens one when something has come from it."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        connections: Connections,
        schedule: Schedule,
        source: Callable[[str], str],
        make: Callable[[Slot], asyncio.BaseProtocol],
        known: set[Any],
    ) -> None:
        """`source` tells whose an address is, `make` makes the protocol of a connection, and `known` are uvicorn's connections."""
        self.connections, self.schedule, self.loop = connections, schedule, asyncio.get_running_loop()
        self.silent: set[_Silent] = set()
        self.known = known
        self._socket, self._source, self._make = listener, source, make
        self._opening: set[asyncio.Task[None]] = set()
        self._is_open = True
        self.loop.add_reader(listener, self._take)

    def open(self, taken: socket.socket, slot: Slot) -> asyncio.Task[None]:
        """Open a connection, of which bytes wait to be read."""
        task = self.loop.create_task(self._open(taken, slot))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)
        return task

    def close(self, *, for_good: bool) -> None:
        """Take no more. For good: the socket is closed too, after those that wait were taken, which it would reset; else they are left for the next program."""
        if for_good:
            for _ in range(_BACKLOG // _AT_ONCE):
                self._take()
        self._is_open = False
        self.loop.remove_reader(self._socket)
        if for_good:
            self._socket.close()

    def _take(self) -> None:
        for _ in range(_AT_ONCE):
            if self.connections.count >= self.connections.places + _AT_ONCE:
                self._wait()
                return
            try:
                taken, address = self._socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _NO_FILES:
                    self.connections.make_place()
                    self._wait()
                    return
                # This one peer has gone.
                continue
            taken.settimeout(0)
            self.connections.count += 1
            if self.connections.count > self.connections.places:
                # Whoever goes gives its file back after this pass of the loop.
                self.connections.make_place()
            _Silent(taken, self._source(str(cast("tuple[Any, ...]", address)[0]) if isinstance(address, tuple) else ""), listener=self)

    async def _open(self, taken: socket.socket, slot: Slot) -> None:
        try:
            await self.loop.connect_accepted_socket(partial(self._make, slot), taken)
        except OSError:
            # Its peer has gone already.
            self.connections.leave(slot)
            taken.close()

    def _wait(self) -> None:
        self.loop.remove_reader(self._socket)
        self.loop.call_later(_LATER_S, self._go_on)

    def _go_on(self) -> None:
        if self._is_open:
            self.loop.add_reader(self._socket, self._take)


def is_whole(start: bytes) -> bool:
    """Whether this looks like all of a request. It decides only who goes first: the parser takes nothing from here."""
    head, end, body = start.partition(b"\r\n\r\n")
    if not end:
        return False
    framing = _FRAMING.search(head)
    return framing is None or (framing[1] is not None and len(body) >= int(framing[1]))


def _handed_over(env: Mapping[str, str]) -> int | None:
    """The descriptor of the socket that somebody has handed over."""
    mine = str(os.getpid())
    if env.get("LISTEN_FDS", "0") not in {"", "0"} and env.get("LISTEN_PID", mine) == mine:
        return _FIRST_FD
    return int(env[LISTENER]) if env.get(LISTENER, "").isdecimal() else None
