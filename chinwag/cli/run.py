"""`chinwag run`: the whole stack on this machine, until Ctrl-C."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from types import FrameType
from typing import Annotated

import httpx
import typer
from sqlalchemy.exc import DBAPIError

from bots.errors import BotsError
from chinwag.local.processes import CannotStart
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings
from chinwag.local.stack import Stack

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TICK_S = 0.2
#: A signal so soon after another one means the same: a terminal tells make and what it started, and make's own end tells once more.
_SAME_S = 1.0


class Stopped(BaseException):
    """A signal asks to stop."""


class Stop:
    """The handler of signals: raises Stopped, once for those that mean the same. A second one would break off what the first one begins."""

    def __init__(self) -> None:
        self._at = float("-inf")

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        now = time.monotonic()
        if now - self._at >= _SAME_S:
            self._at = now
            raise Stopped


def command(
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True, help="Stop when the parent process ends.")] = False,
) -> None:
    """Start everything on this machine: Postgres, Redis, a chat model, web, worker, dispatcher, and a practice WhatsApp.

    Reads MODEL, ENGINE, MODEL_URL, MODEL_NAME, MODEL_KEY_FILE, DATABASE_URL, REDIS_URL and PORT from the environment. Ctrl-C stops it all.
    """
    report, stop = Report(), Stop()
    for number in _SIGNALS:
        signal.signal(number, stop)
    if with_parent:
        # When `make` is killed the stack must not go on running.
        ctypes.CDLL(None).prctl(1, int(signal.SIGTERM), 0, 0, 0)
    try:
        stack = Stack(LocalSettings.from_env(os.environ), report=report, env=os.environ)
        with stack.ground.occupied():
            _run(stack, report)
    except (CannotStart, BotsError, httpx.HTTPError, DBAPIError, OSError) as error:
        sys.stderr.write(f"Cannot run: {_one_line(error)}\n")
        raise typer.Exit(2) from None
    except Stopped:
        return


def _run(stack: Stack, report: Report) -> None:
    try:
        token = stack.start()
        report.line("")
        report.line(f"Chat page: http://127.0.0.1:{stack.port}/chat")
        report.line(f"Admin: http://127.0.0.1:{stack.port}/admin/enter?token={token}")
        stack.finish()
        report.line("")
        report.line(stack.model_line)
        if stack.offer_line:
            report.line(stack.offer_line)
        stack.go_on()
        while True:
            stack.tick()
            time.sleep(_TICK_S)
    finally:
        # Nothing interrupts from here on: everything has stopped within 8 s.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        report.status("")
        if stack.supervisor.parts:
            report.line("Stopping")
        stack.stop()


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == 28:
        return "the disk is full: free at least 300 MB and start again"
    reason = error.orig if isinstance(error, DBAPIError) else error
    return " ".join(str(reason).split()) or type(error).__name__
