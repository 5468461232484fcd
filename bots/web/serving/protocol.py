"""HTTP/1.1 on one connection: uvicorn's protocol, with a bound and a deadline for each thing that the peer can make us hold or wait for.

Who passes a bound gets an answer (400, 408, 414, 429, 431, 503) where none has begun, and time to read it; then the connection ends.
"""

from __future__ import annotations

import asyncio
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from bots import metrics
from bots.web.serving.connections import PROGRESS_BYTES, Connections, Slot, Stage
from bots.web.serving.schedule import KNOWN, Schedule
from bots.web.serving.sources import Sources
from bots.web.serving.transport import READ_BYTES, Flow, Transport

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

#: Names and values of a request's headers together. Cookies of everything else on this host name count too.
_HEAD_BYTES = 16 * 1024
_HEADERS = 100
_URL_BYTES = 8 * 1024
#: What may come around the chunks of a body, besides as much again as the body: whoever sends it byte by byte makes much work.
_FRAMES_BYTES = 2 * READ_BYTES
#: Requests that may wait behind the one that is being answered. Browsers, platforms and proxies send none ahead.
_AHEAD = 8
#: What is read and thrown away, so that a peer that is still sending can read why it was refused: more than proxies pass on of a body.
_DISCARDED_BYTES = 8 * 1024 * 1024

_WHY = {
    400: "This is not a valid HTTP request.",
    408: "The request did not arrive in time.",
    414: "The address is too long.",
    429: "Too many requests of this source are unfinished.",
    431: "The headers are too large.",
    503: "Too many connections; send it again.",
}


class Refused(Exception):
    """The parser stops: the request is answered with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class HttpConnection(HttpToolsProtocol):
    """One connection. It reads through `Reads`, and its transport is a `Transport`, by which it ends itself."""

    def __init__(self, slot: Slot, *, connections: Connections, schedule: Schedule, sources: Sources, **uvicorns: Any) -> None:
        """`slot` has taken the step by which this connection is opened."""
        super().__init__(**uvicorns)
        self._slot, self._connections, self._schedule, self._sources = slot, connections, schedule, sources
        self._host, self._is_proxy = "", False
        self._refused: Refused | None = None
        #: Where the parser is: in a head, in a body, or between two requests.
        self._in_head = self._in_body = False
        #: The request that will begin when it is whole. It belongs to the step that opened the connection if it came in one piece.
        self._coming: tuple[RequestResponseCycle, ASGI3Application] | None = None
        self._is_opening = True
        #: The one that began last. uvicorn's `cycle` is the one that was sent last, which may still wait behind it.
        self._begun: RequestResponseCycle | None = None
        #: Bytes that the parser may be holding without having told of them.
        self._unseen = 0
        #: Of this request: bytes of its head and its body, and those at its last progress.
        self._head = self._body = self._mark = 0
        #: Bytes of the request that is being answered, once the next one has begun to come.
        self._before = 0
        #: Bytes that came of it in all; of a body in chunks also those around them.
        self._sent = 0
        #: Bytes that were read and thrown away, and those that waited to be sent at the last progress of that.
        self._unread = self._unsent = 0
        self._is_ending = self._is_leaving = self._is_deaf = False

    # The transport's calls

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin."""
        self._real = transport
        super().connection_made(cast("asyncio.Transport", Transport(transport, self.leave, lambda: self._is_leaving)))
        self.flow = self._flow = Flow(transport, self._slot, self._schedule)
        # An answer that the peer does not read takes no more memory than this, and what the endpoint hands over at once.
        transport.set_write_buffer_limits(high=READ_BYTES)
        self._host = self.client[0] if self.client else ""
        self._is_proxy = self._sources.is_trusted(self._host)
        self._slot.refuse, self._slot.expire, self._slot.resume = self._make_way, self._expire, self._resume

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._is_leaving = True
        self._connections.leave(self._slot)
        if self._begun is not None and self._begun is not self.cycle:
            self._begun.disconnected = True
            self._begun.message_event.set()
        super().connection_lost(exc)

    def received(self, data: memoryview) -> None:
        """Read what has come."""
        if self._is_leaving or self._is_deaf or self.parser is None:
            self._unread += len(data)
            if self._unread > _DISCARDED_BYTES:
                self._real.abort()
            else:
                self._flow.next_step()
            return
        self._unseen += len(data)
        self._sent += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # We speak nothing else; the request is answered as if it had not asked.
            pass
        except httptools.HttpParserError:
            self.refuse(self._refused.status if self._refused else 400)
        else:
            if self._unseen > _HEAD_BYTES:
                self.refuse(431 if self._in_head else 400)
            elif self._in_body and self._sent > self._head + 2 * self._body + _FRAMES_BYTES:
                self.refuse(400)
        self._settle()
        self._is_opening = False
        if (self._in_head or self._in_body) and not self._is_leaving and not self._is_deaf:
            self._flow.next_step()

    def pause_writing(self) -> None:
        """Wait until the peer reads."""
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        self._settle()

    # The parser's calls

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self.pipeline) >= _AHEAD:
            self._stop(Refused(429))
        super().on_message_begin()
        if not self.pipeline and not self._is_answered:
            self._before = self._head + self._body
        self._in_head = True
        self._unseen = self._head = self._body = self._mark = self._sent = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        super().on_url(url)
        if len(self.url) > _URL_BYTES:
            self._stop(Refused(414))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header. Those behind a body are left out: by then the endpoint has read the others."""
        if not self._in_head:
            return
        self._head += len(name) + len(value)
        if self._head > _HEAD_BYTES or len(self.headers) >= _HEADERS:
            self._stop(Refused(431))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there; the endpoint begins."""
        super().on_headers_complete()
        self._unseen = 0
        self._in_head, self._in_body = False, True
        if self._is_ending:
            self.cycle.keep_alive = False
        self._connections.name(self._slot, self._sources.of(self._host, self.headers))
        if self._is_proxy:
            # What others had on this connection is not this one's.
            self._slot.steps = 0
        self._slot.wants = min(self._connections.most_counted, self._head + self._announced())

    def _announced(self) -> int:
        """How long the body will be, as far as its head says; the parser refuses what is no number."""
        lengths = [int(value) for name, value in self.headers if name == b"content-length"]
        return lengths[0] if lengths else self._connections.most_counted

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._unseen = 0
        self._body += len(body)
        super().on_body(body)
        if self.cycle.response_complete:
            self._unread += len(body)
            if self._unread > _DISCARDED_BYTES:
                self.leave()
        elif len(self.cycle.body) >= READ_BYTES:
            self.flow.pause_reading()
            self._begin_if_there()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._unseen = 0
        self._in_body = False
        super().on_message_complete()
        self._begin_if_there()

    def on_response_complete(self) -> None:
        """An answer is written; the next request may begin."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self._unread = self._before = 0
        if not self._is_proxy and self.cycle.scope.get("state", {}).get(KNOWN):
            self._slot.is_known = True
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        self._settle()

    # Its beginning

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """The head is there, and what came before is answered: uvicorn would begin now."""
        if cycle.waiting_for_100_continue:
            cycle.waiting_for_100_continue = False
            self._real.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._coming = cycle, app
        self._begin_if_there()

    def _begin_if_there(self) -> None:
        """Begin, once a body is there as far as it is held here: whoever sends it slowly takes no more than that."""
        if self._coming is None or (self._coming[0].more_body and len(self._coming[0].body) < READ_BYTES):
            return
        begin, self._coming = partial(self._begin, *self._coming), None
        if self._is_opening:
            begin()
        else:
            self._schedule.step(self._slot, begin)

    def _begin(self, cycle: RequestResponseCycle, app: ASGI3Application) -> bool:
        if cycle.disconnected or self._is_leaving:
            return False
        self._begun = cycle
        super()._start_asgi_task(cycle, app)
        return True

    # Its end

    def refuse(self, status: int) -> None:
        """Answer with a status if no answer has begun, and end."""
        if self._is_leaving:
            return
        metrics.REFUSED.labels(self._slot.stage.value, str(status)).inc()
        cycle, is_answered = self.cycle, self._is_answered
        if self.pipeline or (self._in_head and not is_answered):
            # Requests before this one are being answered: they are the last.
            self._is_deaf = True
            cycle.keep_alive = False
            self.flow.pause_reading()
            return
        if self._slot.stage is Stage.ANSWER:
            self._real.abort()
        elif self._in_head or (self._in_body and not is_answered and not cycle.response_started):
            self._real.write(_answer(status))
        if not is_answered:
            cycle.disconnected = True
            cycle.message_event.set()
        self.leave()

    def _make_way(self, status: int) -> None:
        """Go for others. Who does not read an answer goes at once, whatever else was asked for meanwhile: there would be no end to wait for."""
        if self._slot.stage is Stage.ANSWER and not self._is_leaving:
            metrics.REFUSED.labels(Stage.ANSWER.value, str(status)).inc()
            self._real.abort()
            self.leave()
        else:
            self.refuse(status)

    def leave(self) -> None:
        """Close, once the peer has had the time to read what was written and to end what it sends."""
        if self._is_leaving:
            return
        self._is_leaving = True
        self._connections.move(self._slot, Stage.LEAVING)
        self._connections.hold(self._slot, 0)
        if (self._in_head or self._in_body or self._is_deaf) and not self._real.is_closing():
            # Closed at once, what is unread would make the kernel take the answer back.
            self._unread = 0
            self._real.write_eof()
            self._flow.let_go()
        else:
            self._real.close()

    def shutdown(self) -> None:
        """The server stops: the request that is being answered, or else the next one, is the last. See Server.shutdown."""
        self._is_ending = True
        if not self._is_answered:
            self.cycle.keep_alive = False

    def _expire(self) -> None:
        """The time is over for what this connection waits for."""
        match self._slot.stage:
            case Stage.NEW | Stage.IDLE if not self._real.get_write_buffer_size():
                self.leave()
            case Stage.HEAD:
                self.refuse(408)
            case Stage.BODY if self._flow.is_held_back:
                self.refuse(503)
            case Stage.BODY if not self._flow.is_wanted:
                # It is we who do not read.
                self._connections.progress(self._slot)
            case Stage.BODY:
                self.refuse(408)
            case Stage.ANSWER if self._real.get_write_buffer_size() <= self._unsent - PROGRESS_BYTES:
                self._unsent = self._real.get_write_buffer_size()
                self._connections.progress(self._slot)
            case _:
                self._is_leaving = True
                self._real.abort()

    # What it waits for

    @property
    def _is_answered(self) -> bool:
        # None before the first request, whatever its type says.
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is None or cycle.response_complete

    def _settle(self) -> None:
        """Note what the connection waits for now, and what it holds."""
        if self._is_leaving:
            return
        slot, stage = self._slot, self._stage()
        if stage is Stage.ANSWER and slot.stage is not stage:
            self._unsent = self._real.get_write_buffer_size()
        self._connections.move(slot, stage)
        if stage is Stage.BODY and self._body - self._mark >= PROGRESS_BYTES and not self._is_answered:
            self._mark = self._body
            self._connections.progress(slot)
        held, before = self._holds(stage), slot.held
        if held != before and not self._connections.hold(slot, held) and held > before and stage is Stage.BODY and self._body > READ_BYTES:
            # No room: what this peer sends waits with the kernel.
            self._flow.hold_back()
            self._connections.pause(slot)

    def _stage(self) -> Stage:
        if self.flow.write_paused:
            return Stage.ANSWER
        if self.pipeline or (self._in_head and not self._is_answered):
            return Stage.WORK
        if self._in_head:
            return Stage.HEAD
        if self._in_body:
            return Stage.BODY
        if not self._is_answered:
            return Stage.WORK
        return Stage.NEW if self._slot.stage is Stage.NEW else Stage.IDLE

    def _holds(self, stage: Stage) -> int:
        if stage is Stage.HEAD:
            return self._head + self._unseen
        unsent = self._real.get_write_buffer_size() if stage is Stage.ANSWER else 0
        most = self._connections.most_counted
        return unsent + (0 if self._is_answered else min(self._head + self._body, most) + min(self._before, most))

    def _resume(self) -> None:
        self._flow.let_go()

    def _stop(self, refused: Refused) -> None:
        self._refused = refused
        raise refused


def _answer(status: int) -> bytes:
    why = f"{_WHY[status]}\n"
    later = "retry-after: 2\r\n" if status in {429, 503} else ""
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(why)}\r\n{later}connection: close\r\n\r\n{why}"
    ).encode()
