"""People who write at once: each message is posted until it is acknowledged, as Meta does, and answers are waited for."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bench.peers.outside import Outside
from bench.peers.peer import Request, Running
from tests.support import build

#: Connections at the same time, as the practice platform has.
_WIDTH = 64
#: What is waited before the same message is posted again.
_AGAIN_S = (1.0, 2.0, 4.0, 8.0, 15.0)
_LOOK_S = 0.05


@dataclass(kw_only=True)
class Said:
    """One message of one person."""

    person: build.Person
    posted: float = 0.0
    acknowledged: float = 0.0
    refused: int = 0
    #: When answers came.
    answers: list[float] = field(default_factory=list[float])


async def _exchange(request: Request) -> bool:
    """Post once; whether it was acknowledged."""
    parts = urlsplit(request.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        headers = {"host": parts.netloc, **request.headers, "content-length": str(len(request.body)), "connection": "close"}
        head = f"POST {parts.path or '/'} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        writer.write(head.encode() + request.body)
        # To its end: what is closed with something unread looks like a broken connection to the peer.
        return re.match(rb"HTTP/1\.[01] 2\d\d", await reader.read()) is not None
    finally:
        writer.close()


async def _post(running: Running, one: Said, text: str, room: asyncio.Semaphore, deadline: float) -> None:
    request, one.posted = running.write(one.person, text), time.time()
    for wait in (*_AGAIN_S, *[_AGAIN_S[-1]] * 40):
        async with room:
            try:
                async with asyncio.timeout(20):
                    acknowledged = await _exchange(request)
            except (OSError, TimeoutError):
                acknowledged = False
        if acknowledged:
            one.acknowledged = time.time()
            return
        one.refused += 1
        if time.time() + wait > deadline:
            return
        await asyncio.sleep(wait)


async def _all(running: Running, said: Sequence[Said], text: str, deadline: float) -> None:
    room = asyncio.Semaphore(_WIDTH)
    await asyncio.gather(*(_post(running, one, text, room, deadline) for one in said))


def write(running: Running, people: Sequence[build.Person], text: str, *, patience_s: float = 60.0) -> list[Said]:
    """Let them all write at once, and return when each message is acknowledged or given up."""
    said = [Said(person=person) for person in people]
    asyncio.run(_all(running, said, text, time.time() + patience_s))
    return said


def await_answers(outside: Outside, said: Sequence[Said], *, patience_s: float = 30.0) -> None:
    """Wait until each acknowledged message is answered, or for so long after the last answer."""
    by_number = {one.person.number: one for one in said}
    last = time.time()
    while True:
        for number, at in outside.replies():
            if number in by_number:
                by_number[number].answers.append(at)
                last = time.time()
        if all(one.answers for one in said if one.acknowledged) or time.time() > last + patience_s:
            return
        time.sleep(_LOOK_S)
