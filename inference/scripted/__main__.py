"""Starts the scripted model: `python -m inference.scripted --port 0` prints its address."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from inference.scripted.http import Connection
from inference.scripted.played import Played
from inference.scripted.script import Script
from inference.scripted.server import ScriptedModel


async def _serve(model: ScriptedModel, *, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(lambda: Connection(model.handle), host, port, backlog=4096)
    print(f"Listening on http://{host}:{server.sockets[0].getsockname()[1]}", flush=True)  # noqa: T201 - whoever started it reads this line
    await stop.wait()
    server.close()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m inference.scripted", description="A scriptable OpenAI-compatible model server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--log", type=int, default=20_000, help="requests that the log keeps")
    hints = get_type_hints(Played, include_extras=True)
    for field in fields(Played):
        _add_option(parser, field.name, hints[field.name], field.default)
    given = parser.parse_args()
    played = Played(**{field.name: getattr(given, field.name) for field in fields(Played)})
    asyncio.run(_serve(ScriptedModel(Script(log_size=given.log), played), host=given.host, port=given.port))


def _add_option(parser: argparse.ArgumentParser, name: str, hint: Any, default: Any) -> None:
    kind, meaning = get_args(hint)
    option, said = "--" + name.replace("_", "-"), f"{meaning} (default {default!r})"
    if kind is bool:
        parser.add_argument(option, action="store_true", help=meaning)
    elif kind is int:
        # 0 is allowed only where it has a meaning of its own, as the default.
        parser.add_argument(option, type=_at_least(min(default, 1)), default=default, help=said)
    else:
        parser.add_argument(option, choices=get_args(kind) or None, default=default, help=said)


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be {least} or more")
        return value

    return number


if __name__ == "__main__":
    main()
