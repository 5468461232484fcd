"""One Graph call against real sockets that misbehave: what is provable, within a total deadline, without the token in any word."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest

from bots.channels.base import Credentials
from bots.channels.graph import ANSWER_LIMIT, GraphClient
from bots.channels.graph_codes import WHATSAPP
from bots.channels.whatsapp import WhatsApp
from bots.domain import EventKind, Identity, IdentityKind, InboundEvent, OutboundMessage, Sent
from bots.errors import (
    AccessLost,
    AccountThrottled,
    NotSent,
    PairThrottled,
    Rejected,
    SendError,
    SendUnknown,
    SentUnderNoId,
    TransientRejection,
)

TOKEN = "EAAtopsecrettoken"
GOOD = json.dumps({"messaging_product": "whatsapp", "messages": [{"id": "wamid.OUT"}]}).encode()
PHONE = Identity(kind=IdentityKind.PHONE, value="34600111222")
BSUID = Identity(kind=IdentityKind.BSUID, value="ES.81230091")

Behave = Callable[[socket.socket], None]


class Peer:
    """A server on loopback that does one thing with each connection."""

    def __init__(self, behave: Behave) -> None:
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    self._behave(connection)
                except OSError:
                    continue

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)


@contextmanager
def peer(behave: Behave) -> Iterator[Peer]:
    running = Peer(behave)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def graph(url: str, *, deadline_s: float = 2.0) -> Iterator[GraphClient]:
    client = GraphClient(base_url=url, version="v25.0", deadline_s=deadline_s)
    try:
        yield client
    finally:
        client.close()


def receive(connection: socket.socket) -> bytes:
    piece = connection.recv(65536)
    if not piece:
        raise ConnectionError
    return piece


def read_request(connection: socket.socket) -> bytes:
    """Read one request with its body."""
    held = b""
    while b"\r\n\r\n" not in held:
        held += receive(connection)
    head, _, body = held.partition(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
    while len(body) < length:
        body += receive(connection)
    return head + b"\r\n\r\n" + body


def answer(status: int, body: bytes, *headers: str) -> Behave:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close", *headers]

    def behave(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return behave


def error(code: int) -> bytes:
    return json.dumps({"error": {"message": "m", "type": "OAuthException", "code": code, "fbtrace_id": "Ax1"}}).encode()


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def close_after_accept(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def reset_after_body(connection: socket.socket) -> None:
    read_request(connection)
    reset(connection)


def close_after_body(connection: socket.socket) -> None:
    read_request(connection)


def cut_off(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + GOOD)


def no_http(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"SSH-2.0-x\r\n\r\n")


def silence(connection: socket.socket) -> None:
    read_request(connection)
    connection.recv(1)


def drip_head(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(100):
        connection.sendall(b"a")
        time.sleep(0.1)


def drip_body(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    for _ in range(100):
        connection.sendall(b" ")
        time.sleep(0.1)


def huge(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n")
    for _ in range(500):
        connection.sendall(b" " * 1_000_000)


CASES: list[tuple[str, Behave, type[SendError]]] = [
    ("close_after_accept", close_after_accept, SendUnknown),
    ("close_after_body", close_after_body, SendUnknown),
    ("reset_after_body", reset_after_body, SendUnknown),
    ("cut_off_2xx", cut_off, SendUnknown),
    ("garbage_2xx", answer(200, b"<html>fine</html>"), SendUnknown),
    ("2xx_without_id", answer(200, b'{"messages":[{}]}'), SendUnknown),
    ("2xx_with_a_number_as_id", answer(200, b'{"messages":[{"id":7}]}'), SentUnderNoId),
    ("2xx_with_an_empty_id", answer(200, b'{"message_id":""}'), SentUnderNoId),
    ("2xx_with_a_long_id", answer(200, b'{"message_id":"' + b"x" * 10_000 + b'"}'), SentUnderNoId),
    ("2xx_with_a_nul_in_its_id", answer(200, b'{"message_id":"m\\u0000"}'), SentUnderNoId),
    ("2xx_compressed", answer(200, GOOD, "Content-Encoding: gzip"), SendUnknown),
    ("no_http", no_http, SendUnknown),
    ("redirect", answer(307, b"", "Location: http://127.0.0.1:9/elsewhere"), SendUnknown),
    ("4xx_token", answer(401, error(190)), AccessLost),
    ("4xx_parameter", answer(400, error(100)), Rejected),
    ("4xx_pair", answer(400, error(131056)), PairThrottled),
    ("429", answer(429, error(130429), "Retry-After: 9"), AccountThrottled),
    ("429_without_body", answer(429, b"", "Retry-After: 9"), AccountThrottled),
    ("5xx_down", answer(503, error(2)), TransientRejection),
    ("5xx_unclear", answer(500, error(131000)), SendUnknown),
    ("5xx_of_a_proxy", answer(502, b"<html>Bad Gateway</html>"), SendUnknown),
    ("silence", silence, SendUnknown),
    ("drip_head", drip_head, SendUnknown),
    ("drip_body", drip_body, SendUnknown),
    ("huge", huge, SendUnknown),
]


@pytest.mark.parametrize(("behave", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_a_peer_does_is_told_as_what_it_proves(behave: Behave, expected: type[SendError]) -> None:
    with peer(behave) as there, graph(there.url, deadline_s=1.0) as client:
        began = time.monotonic()

        with pytest.raises(SendError) as caught:
            client.send("700", {"to": "+34600111222"}, token=TOKEN, errors=WHATSAPP)
        took = time.monotonic() - began

    assert type(caught.value) is expected
    assert took < 1.8
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_a_refused_connection_is_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    with graph(url) as client, pytest.raises(NotSent):
        client.send("700", {}, token=TOKEN)


def test_a_name_that_does_not_resolve_is_not_sent() -> None:
    with graph("http://graph.invalid") as client, pytest.raises(NotSent):
        client.send("700", {}, token=TOKEN)


def test_a_peer_that_never_speaks_tls_is_not_sent() -> None:
    with peer(lambda connection: time.sleep(1.5)) as there, graph(there.url.replace("http:", "https:"), deadline_s=1.0) as client:
        began = time.monotonic()

        with pytest.raises(NotSent):
            client.send("700", {}, token=TOKEN)

        assert time.monotonic() - began < 1.5


def test_retry_after_and_the_trace_id_are_kept() -> None:
    with peer(answer(429, error(130429), "Retry-After: 9")) as there, graph(there.url) as client, pytest.raises(SendError) as caught:
        client.send("700", {}, token=TOKEN)

    assert (caught.value.retry_after_s, caught.value.trace_id, caught.value.code) == (9.0, "Ax1", 130429)


def test_an_answer_of_the_largest_size_is_read() -> None:
    body = GOOD + b" " * (ANSWER_LIMIT - len(GOOD))

    with peer(answer(200, body)) as there, graph(there.url) as client:
        assert client.send("700", {}, token=TOKEN).external_id == "wamid.OUT"


def sent_with(identities: tuple[Identity, ...]) -> tuple[str, dict[str, object], Sent]:
    """Send a message to a peer that keeps the request; return the head, the body and what came back."""
    held: list[bytes] = []

    def keep(connection: socket.socket) -> None:
        held.append(read_request(connection))
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(GOOD)}\r\nConnection: close\r\nx-fb-trace-id: T1\r\n\r\n"
        connection.sendall(head.encode() + GOOD)

    message = OutboundMessage(id=UUID(int=7), account_external_id="700", identities=identities, text="Olá *Ana*")
    with peer(keep) as there, graph(there.url) as client:
        sent = WhatsApp(client).send(message, Credentials(access_token=TOKEN))
    head, _, body = held[0].partition(b"\r\n\r\n")
    return head.decode(), json.loads(body), sent


def test_a_text_goes_out_as_documented() -> None:
    head, body, sent = sent_with((PHONE,))

    assert head.startswith("POST /v25.0/700/messages HTTP/1.1")
    assert f"Authorization: Bearer {TOKEN}" in head
    assert body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+34600111222",
        "type": "text",
        "text": {"body": "Olá *Ana*", "preview_url": False},
        "biz_opaque_callback_data": str(UUID(int=7)),
    }
    assert sent == Sent(external_id="wamid.OUT", http_status=200, trace_id="T1")


def test_a_business_scoped_id_goes_into_recipient_and_a_phone_into_to() -> None:
    alone, both = sent_with((BSUID,))[1], sent_with((BSUID, PHONE))[1]

    assert (alone.get("to"), alone["recipient"]) == (None, "ES.81230091")
    assert (both["to"], both["recipient"]) == ("+34600111222", "ES.81230091")


def test_a_contact_without_any_handle_is_rejected_before_the_call() -> None:
    with pytest.raises(Rejected):
        sent_with(())


def test_typing_marks_the_message_as_read() -> None:
    held: list[bytes] = []

    def keep(connection: socket.socket) -> None:
        held.append(read_request(connection))
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\nConnection: close\r\n\r\n{"success":true}')

    inbound = InboundEvent(kind=EventKind.MESSAGE, event_key="wamid.AA1")
    with peer(keep) as there, graph(there.url) as client:
        WhatsApp(client).show_typing("700", inbound, Credentials(access_token=TOKEN))

    assert json.loads(held[0].partition(b"\r\n\r\n")[2]) == {
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": "wamid.AA1",
        "typing_indicator": {"type": "text"},
    }


def test_each_thread_has_a_connection_of_its_own_and_keeps_it() -> None:
    connections: list[int] = []

    def serve(connection: socket.socket) -> None:
        connections.append(1)
        for _ in range(3):
            read_request(connection)
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(GOOD)}\r\n\r\n".encode() + GOOD)

    with peer(serve) as there, graph(there.url) as client:
        for _ in range(3):
            client.send("700", {}, token=TOKEN)
        other = threading.Thread(target=lambda: client.send("700", {}, token=TOKEN))
        other.start()
        other.join(5)

        assert len(connections) == 2
