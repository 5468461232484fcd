"""A lean load generator: `python -m bench.load --port P --path /x`. It speaks HTTP/1.1 over kept-alive connections and prints JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import time

from bench.report import percentile
from tests.support import build


def requests(path: str, count: int) -> list[bytes]:
    """Signed webhooks, one text message each, of 500 people; built before the clock starts."""
    people = [build.a_person() for _ in range(500)]
    found = []
    for n in range(count):
        person = people[n % len(people)]
        body = build.a_webhook(messages=[build.a_text(person, "What should I see first in Porto?")], people=[person])
        headers = {"host": "127.0.0.1", "content-length": str(len(body)), **build.sign(body)}
        head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        found.append(head.encode() + body)
    return found


async def _connection(port: int, waiting: list[bytes], end: float, took: list[float], statuses: dict[str, int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while waiting and time.monotonic() < end:
        request = waiting.pop()
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        await reader.readexactly(length)
        took.append(time.perf_counter() - began)
        status = head[9:12].decode()
        statuses[status] = statuses.get(status, 0) + 1
    writer.close()


async def _run(port: int, path: str, *, connections: int, seconds: float, count: int) -> dict[str, object]:
    waiting = requests(path, count)
    took: list[float] = []
    statuses: dict[str, int] = {}
    began = time.monotonic()
    await asyncio.gather(*(_connection(port, waiting, began + seconds, took, statuses) for _ in range(connections)))
    lasted = time.monotonic() - began
    return {
        "per_s": round(len(took) / lasted, 1),
        "p50_ms": round(1000 * percentile(took, 0.5), 2),
        "p99_ms": round(1000 * percentile(took, 0.99), 2),
        "statuses": statuses,
    }


def main() -> None:
    """Run once and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--count", type=int, default=40_000)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(_run(given.port, given.path, connections=given.connections, seconds=given.seconds, count=given.count))))


if __name__ == "__main__":
    main()
