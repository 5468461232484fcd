"""Bodies that one thread reads for all: every byte reaches its caller in order, over TLS in any pieces too, and no caller waits beyond its deadline."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wire.response import Response
from wire.transport import DeadlineTransport, Hear

_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
_PIECES = [b"%d:" % n + b"word" * (n % 40) for n in range(200)]
_END = b"0\r\n\r\n"


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


_Script = Callable[[Callable[[bytes], None], "threading.Event"], None]


def _by_chunks(send: Callable[[bytes], None], go: threading.Event) -> None:
    send(_HEAD)
    go.wait(10)
    for one in (*map(_chunk, _PIECES), _END):
        send(one)


def _by_slivers(send: Callable[[bytes], None], go: threading.Event) -> None:
    send(_HEAD)
    go.wait(10)
    whole = b"".join((*map(_chunk, _PIECES), _END))
    for start in range(0, len(whole), 11):
        send(whole[start : start + 11])


def _cut_off(send: Callable[[bytes], None], go: threading.Event) -> None:
    send(_HEAD)
    go.wait(10)
    send(_chunk(b"one") + b"ff\r\nhalf")


class _Server:
    """Answers each connection's request by a script, over TLS where it has a certificate."""

    def __init__(self, script: _Script, tls: ssl.SSLContext | None) -> None:
        self._script, self._tls = script, tls
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listening.getsockname()[1]
        #: Set once a head was read: the body may follow.
        self.go = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError), sock if self._tls is None else self._tls.wrap_socket(sock, server_side=True) as spoken:
            spoken.recv(65536)
            self._script(spoken.sendall, self.go)

    def close(self) -> None:
        self.go.set()
        self._listening.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def _server(script: _Script, certificate: Path | None = None) -> Generator[_Server]:
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    server = _Server(script, tls)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def _asked(
    server: _Server, *, certificate: Path | None = None, within_s: float = 20.0, goes_on: bool = True, hear: Hear | None = None
) -> Generator[tuple[Response, DeadlineTransport]]:
    """The response of one call, its body unread."""
    trusted = None if certificate is None else ssl.create_default_context(cafile=str(certificate))
    transport = DeadlineTransport(trusted, keep_s=5.0)
    transport.deadline.start(until=time.monotonic() + within_s, connect_s=5.0)
    scheme = "http" if certificate is None else "https"
    response = transport.call("GET", httpx.URL(f"{scheme}://localhost:{server.port}/"), {}, hear=hear)
    if goes_on:
        server.go.set()
    try:
        yield response, transport
    finally:
        response.close()
        transport.close()


def _heard(response: Response) -> tuple[bytes, set[str]]:
    """All of a body, and the threads that took it."""
    pieces, threads = list[bytes](), set[str]()

    def take(piece: bytes) -> bool:
        pieces.append(piece)
        threads.add(threading.current_thread().name)
        return True

    response.stream.listen(take)
    rest = list(response.stream)
    return b"".join([*pieces, *rest]), threads


@pytest.mark.parametrize("script", [_by_chunks, _by_slivers])
@pytest.mark.parametrize("is_secret", [False, True], ids=["plain", "tls"])
def test_a_body_is_heard_whole_and_in_order_in_whatever_pieces_it_comes(script: _Script, certificate: Path, *, is_secret: bool) -> None:
    tls = certificate if is_secret else None
    with _server(script, tls) as server, _asked(server, certificate=tls) as (response, _):
        body, threads = _heard(response)

    assert body == b"".join(_PIECES)
    assert threads <= {"listener"}


def test_a_hundred_bodies_are_heard_at_once_each_by_its_own_caller() -> None:
    with _server(_by_chunks) as server:

        def one(_: int) -> bytes:
            with _asked(server) as (response, _transport):
                return _heard(response)[0]

        with ThreadPoolExecutor(100) as pool:
            bodies = list(pool.map(one, range(300)))

    assert set(bodies) == {b"".join(_PIECES)}


def test_what_is_not_wanted_any_more_is_left_to_the_caller() -> None:
    with _server(_by_chunks) as server, _asked(server) as (response, _):
        taken: list[bytes] = []

        def take(piece: bytes) -> bool:
            taken.append(piece)
            return len(taken) < 3

        response.stream.listen(take)
        rest = list(response.stream)

    assert b"".join(taken) + b"".join(rest) == b"".join(_PIECES)


def test_what_take_raises_is_raised_for_the_caller() -> None:
    def take(_: bytes) -> bool:
        raise LookupError("odd")

    with _server(_by_slivers) as server, _asked(server, goes_on=False) as (response, _):
        threading.Timer(0.05, server.go.set).start()
        with pytest.raises(LookupError):
            response.stream.listen(take)


def test_a_silent_server_is_heard_until_the_deadline_which_may_move_meanwhile() -> None:
    with _server(_by_chunks) as server, _asked(server, within_s=0.2, goes_on=False) as (response, transport):
        started = time.monotonic()
        threading.Timer(0.05, _moved, args=(transport, started + 0.6)).start()
        with pytest.raises(httpx.ReadTimeout):
            response.stream.listen(lambda _: True)
        took_s = time.monotonic() - started

    assert 0.6 <= took_s < 5.0


@pytest.mark.parametrize("script", [_by_chunks, _by_slivers])
@pytest.mark.parametrize("is_secret", [False, True], ids=["plain", "tls"])
def test_a_response_is_heard_from_its_head_on_and_its_caller_sleeps_meanwhile(
    script: _Script, certificate: Path, *, is_secret: bool
) -> None:
    tls, pieces, threads = certificate if is_secret else None, list[bytes](), set[str]()

    def hear(response: Response) -> Callable[[bytes], bool]:
        assert response.status_code == 200
        threads.add(threading.current_thread().name)
        return take

    def take(piece: bytes) -> bool:
        pieces.append(piece)
        threads.add(threading.current_thread().name)
        return True

    with _server(script, tls) as server:
        server.go.set()
        with _asked(server, certificate=tls, hear=hear) as (response, _):
            assert response.status_code == 200
            assert b"".join(pieces) + b"".join(response.stream) == b"".join(_PIECES)

    assert threads == {"listener"}
    assert pieces


def test_a_body_that_nobody_hears_is_read_by_its_caller() -> None:
    with _server(_by_slivers) as server:
        server.go.set()
        with _asked(server, hear=lambda _: None) as (response, _):
            assert b"".join(response.stream) == b"".join(_PIECES)


def _no_head(_send: Callable[[bytes], None], _go: threading.Event) -> None:
    """Close the connection."""


def test_a_connection_that_ends_before_the_head_fails_the_call_that_would_hear_it() -> None:
    with _server(_no_head) as server, pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)), _asked(server, hear=lambda _: None):
        pass


def _taking(pieces: list[bytes]) -> Callable[[Response], Callable[[bytes], bool]]:
    def take(piece: bytes) -> bool:
        pieces.append(piece)
        return True

    return lambda _: take


def test_what_ends_a_heard_body_is_raised_where_it_is_read() -> None:
    pieces: list[bytes] = []
    with _server(_cut_off) as server:
        server.go.set()
        with _asked(server, hear=_taking(pieces)) as (response, _), pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            pieces.extend(response.stream)

    assert b"".join(pieces) == b"onehalf"


def test_a_body_that_does_not_come_is_awaited_until_the_deadline_whoever_hears_it() -> None:
    with _server(_by_chunks) as server, _asked(server, within_s=0.2, goes_on=False, hear=_taking([])) as (response, _):
        assert response.status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            list(response.stream)


def test_what_takes_a_heard_body_raises_for_its_caller() -> None:
    def take(_: bytes) -> bool:
        raise LookupError("odd")

    with _server(_by_chunks) as server:
        server.go.set()
        with pytest.raises(LookupError), _asked(server, hear=lambda _: take):
            pass


def _moved(transport: DeadlineTransport, at: float) -> None:
    transport.deadline.at = at


@pytest.mark.parametrize("is_secret", [False, True], ids=["plain", "tls"])
def test_a_body_that_is_cut_off_is_known_to_be(certificate: Path, *, is_secret: bool) -> None:
    tls, pieces = certificate if is_secret else None, list[bytes]()

    def take(piece: bytes) -> bool:
        pieces.append(piece)
        return True

    with _server(_cut_off, tls) as server, _asked(server, certificate=tls) as (response, _):
        response.stream.listen(take)
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            pieces.extend(response.stream)

    assert b"".join(pieces) == b"onehalf"
