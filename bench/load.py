"""A lean load generator: `python -m bench.load --port P --path /x`. It speaks HTTP/1.1 over kept-alive connections and prints JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable

from bench.report import percentile
from tests.support import build

#: A body of statuses in bulk: three for each of so many answers.
IN_BULK = 10
_STEPS = ("sent", "delivered", "read")
#: Those who have written before.
PEOPLE = 500


def external_id(n: int) -> str:
    """The platform's id of the n-th message that was sent: as long as its own."""
    return f"wamid.HBgLMzQ2MDAxMTEyMjIVAgARGBI{n:028d}"


def _texts(first: int, count: int) -> list[bytes]:
    """One text each, of people who have written before."""
    people = [build.Person(number=f"1444{n:07d}") for n in range(PEOPLE)]
    return [
        build.a_webhook(
            messages=[build.a_text(person, "What should I see first in Porto?", wamid=f"wamid.IN{first + n:024d}")], people=[person]
        )
        for n, person in ((n, people[n % PEOPLE]) for n in range(count))
    ]


def _first_texts(first: int, count: int) -> list[bytes]:
    """One text each, of people who write for the first time."""
    people = (build.Person(number=f"1333{first + n:010d}") for n in range(count))
    return [
        build.a_webhook(messages=[build.a_text(person, "Is anybody there?", wamid=f"wamid.NW{person.number:>024}")], people=[person])
        for person in people
    ]


def _statuses(first: int, count: int) -> list[bytes]:
    """One status each, in the order of sending."""
    return [build.a_webhook(statuses=[build.a_status(external_id(first + n // 3), _STEPS[n % 3], to="15550001111")]) for n in range(count)][
        ::-1
    ]


def _in_bulk(first: int, count: int) -> list[bytes]:
    """Bodies of statuses, three for each answer."""
    return [
        build.a_webhook(
            statuses=[
                build.a_status(external_id(first + n * IN_BULK + answer), step, to="15550001111")
                for answer in range(IN_BULK)
                for step in _STEPS
            ]
        )
        for n in range(count)
    ]


#: What a body of each kind of load is.
KINDS: dict[str, Callable[[int, int], list[bytes]]] = {
    "text": _texts,
    "first text": _first_texts,
    "status": _statuses,
    "statuses": _in_bulk,
}


def request(path: str, body: bytes, *, closes: bool = False) -> bytes:
    """A signed webhook as it goes over the wire; `closes`: on a connection of its own."""
    headers = {"host": "127.0.0.1", "content-length": str(len(body)), **build.sign(body), **({"connection": "close"} if closes else {})}
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode() + body


def requests(path: str, kind: str, first: int, count: int) -> list[bytes]:
    """Signed webhooks, built before the clock starts. The last one is posted first."""
    return [request(path, body) for body in KINDS[kind](first, count)]


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


async def _run(port: int, waiting: list[bytes], *, connections: int, seconds: float) -> dict[str, object]:
    took: list[float] = []
    statuses: dict[str, int] = {}
    began = time.monotonic()
    await asyncio.gather(*(_connection(port, waiting, began + seconds, took, statuses) for _ in range(connections)))
    lasted = time.monotonic() - began
    return {
        "count": len(took),
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
    parser.add_argument("--kind", choices=KINDS, default="text")
    parser.add_argument("--first", type=int, default=0, help="the number of the first message: of another run others")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--count", type=int, default=40_000)
    given = parser.parse_args()
    waiting = requests(given.path, given.kind, given.first, given.count)
    print(json.dumps(asyncio.run(_run(given.port, waiting, connections=given.connections, seconds=given.seconds))))


if __name__ == "__main__":
    main()
