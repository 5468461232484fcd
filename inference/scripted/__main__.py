"""Starts the scripted model: `python -m inference.scripted --port 0` prints where it listens."""

from __future__ import annotations

import argparse
import asyncio
import signal

from inference.scripted.http import Connection
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
    parser.add_argument("--model", default="scripted", help="the model's name")
    parser.add_argument("--flavour", choices=("llamacpp", "vllm", "hosted"), default="llamacpp", help="whose /tokenize is played")
    parser.add_argument("--context", type=int, default=0, help="longest prompt in words; 0: any")
    parser.add_argument("--log", type=int, default=20_000, help="requests that the log keeps")
    given = parser.parse_args()
    model = ScriptedModel(Script(log_size=given.log), model=given.model, flavour=given.flavour, context=given.context)
    asyncio.run(_serve(model, host=given.host, port=given.port))


if __name__ == "__main__":
    main()
