"""What a stranger can make a web server hold or wait for, over real sockets: each has a bound, and whoever passes it an answer."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest

from tests.support.processes import until
from tests.support.served import LONG, Served, read, served

_GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def web() -> Iterator[Served]:
    """A server with bounds that a test can reach."""
    with served() as running:
        yield running


def _post(body: bytes, *lines: bytes, path: bytes = b"/", length: int | None = None) -> bytes:
    head = (
        b"POST " + path + b" HTTP/1.1",
        b"Host: a",
        b"Content-Length: %d" % (len(body) if length is None else length),
        *lines,
        b"",
        body,
    )
    return b"\r\n".join(head)


def _statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", answer)]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 5_000_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"a" * 5_000_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 102, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"A: " + b"a" * 2000 + b"\r\n") * 9 + b"\r\n", 431),
        (b"GET /" + b"a" * 5_000_000, 414),
        (b"GET /" + b"a" * 8193 + b" HTTP/1.1\r\n\r\n", 414),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), 400),
        (b"GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 100_000, 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"A: b\r\n" * 50_000, 400),
    ],
    ids=[
        "one header",
        "one name",
        "many headers",
        "headers together",
        "address",
        "long address",
        "TLS",
        "HTTP/2",
        "no address",
        "chunk",
        "trailers",
    ],
)
def test_a_head_beyond_its_bounds_is_refused_and_the_connection_ends(web: Served, request_: bytes, status: int) -> None:
    answer = web.ask(request_)

    assert _statuses(answer) == [status]
    assert b"connection: close" in answer
    web.count_is(0)


@pytest.mark.parametrize("size", [0, 100, 16 * 1024, 3 * 1024 * 1024])
def test_a_body_arrives_whole_in_one_piece_and_in_many(web: Served, size: int) -> None:
    body = b"a" * size
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[i : i + 1000] for i in range(0, size, 1000)))

    assert web.ask(_post(body)).endswith(b"\r\n\r\n%d" % size)
    assert web.ask(_post(body)[:50], _post(body)[50:]).endswith(b"\r\n\r\n%d" % size)
    assert web.ask(chunked + chunks + b"0\r\n\r\n").endswith(b"\r\n\r\n%d" % size)


def test_headers_within_the_bounds_are_taken(web: Served) -> None:
    cookies = b"".join(b"Cookie: %s\r\n" % (b"c" * 3900) for _ in range(4))

    assert _statuses(web.ask(b"GET / HTTP/1.1\r\nHost: a\r\n" + cookies + b"\r\n")) == [200]


def test_a_few_requests_may_be_sent_ahead_and_of_thousands_the_first_are_answered(web: Served) -> None:
    assert _statuses(web.ask(_GET * 5)) == [200] * 5

    many = _statuses(web.ask(_GET * 10_000))

    assert 1 <= len(many) <= 20
    assert set(many) == {200}
    web.count_is(0)


def test_a_body_counts_until_it_is_answered_whatever_is_sent_behind_it(web: Served) -> None:
    with web.open() as peer:
        peer.sendall(_post(b"a" * 100_000, path=b"/wait") + _GET)
        until(lambda: web.ahead == 1, what="both are there")

        assert web.connections.held > 100_000
    web.count_is(0)


def test_whoever_is_answered_before_all_was_sent_can_read_the_answer(web: Served) -> None:
    closing = web.ask(_post(b"a" * 500_000, b"Connection: close", path=b"/unread", length=900_000))
    endless = web.ask(_post(b"", path=b"/unread", length=10**9), *[b"a" * 65536] * 40)

    assert _statuses(closing) == _statuses(endless) == [200]
    web.count_is(0)


def test_a_client_that_waits_for_a_word_to_go_on_gets_it(web: Served) -> None:
    with web.open() as peer:
        peer.sendall(_post(b"", b"Expect: 100-continue", length=3))
        assert _statuses(read(peer)) == [100]
        peer.sendall(b"abc")
        assert read(peer).endswith(b"\r\n\r\n3")


def test_a_request_begins_when_it_is_whole_and_a_long_one_when_enough_of_it_is_there(web: Served) -> None:
    del web.begun[:]
    with web.open() as slow, web.open() as long:
        slow.sendall(_post(b"a" * 99, path=b"/slow", length=100))
        long.sendall(_post(b"a" * 20_000, path=b"/long-one", length=10**6))
        until(lambda: "/long-one" in web.begun, what="the long one has begun")
        assert web.begun == ["/long-one"]
        slow.sendall(b"a")
        assert read(slow).endswith(b"\r\n\r\n100")

    assert web.begun == ["/long-one", "/slow"]


def test_whoever_goes_before_the_request_is_whole_or_before_it_begins_takes_nothing(web: Served) -> None:
    del web.begun[:]
    for sent in (b"", b"G", _GET[:-2], _post(b"a", length=2), _post(b"", b"Expect: 100-continue", length=3)):
        with web.open() as peer:
            peer.sendall(sent)
    web.count_is(0)

    assert web.begun == []


@pytest.mark.parametrize(
    "lines", [b"Connection: Upgrade\r\nUpgrade: websocket\r\n", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"]
)
def test_who_asks_for_another_protocol_is_answered_in_this_one(web: Served, lines: bytes) -> None:
    assert _statuses(web.ask(b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n")) == [200]


def test_many_who_send_byte_by_byte_are_all_answered(web: Served) -> None:
    peers = [web.open() for _ in range(60)]
    request = _post(b"abc", b"Connection: close")
    for n in range(len(request)):
        for peer in peers:
            peer.sendall(request[n : n + 1])

    assert [_statuses(read(peer, quiet_s=10)) for peer in peers] == [[200]] * 60
    for peer in peers:
        peer.close()


def test_whoever_connects_when_all_places_are_taken_gets_the_place_of_who_has_waited_longest() -> None:
    with served(places=20) as web:
        strangers = [web.open() for _ in range(20)]
        web.count_is(20)

        for _ in range(5):
            assert _statuses(web.ask(_GET)) == [200]

        assert strangers[0].recv(1) == b""
        assert _statuses(_said(strangers[-1])) == [200]
        for stranger in strangers:
            stranger.close()


def _said(peer: socket.socket) -> bytes:
    peer.sendall(_GET)
    return read(peer)


def test_memory_for_bodies_is_bounded_and_goes_to_whoever_goes_on_sending() -> None:
    with served(held_bytes=256 * 1024) as web:
        strangers = [web.open() for _ in range(20)]
        for stranger in strangers:
            # The kernel takes what we do not: a stranger that sends without waiting for us.
            stranger.settimeout(0)
            stranger.send(_post(b"a" * 100_000, length=10**6))
        until(lambda: web.connections.held > 128 * 1024, what="strangers take what there is")
        assert web.connections.held <= (256 + 20 * 24) * 1024

        # Those who send no more have to go; small bodies wait for nobody.
        assert _statuses(web.ask(_post(b"a" * 1000))) == [200]
        with web.open() as peer:
            peer.sendall(_post(b"a" * 200_000))
            assert read(peer, quiet_s=5).endswith(b"\r\n\r\n200000")
        for stranger in strangers:
            stranger.close()
        web.count_is(0)
        assert web.connections.held == 0


@pytest.mark.parametrize("ahead", [b"", _GET * 2, _GET + _GET[:-2]], ids=["nothing", "requests", "half a request"])
def test_a_peer_that_does_not_read_holds_what_is_counted_and_no_place_forever(ahead: bytes) -> None:
    with served(places=3) as web:
        lazy = [web.open() for _ in range(3)]
        for peer in lazy:
            peer.sendall(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n" + ahead)
        until(lambda: web.connections.held > LONG, what="answers that nobody reads are counted")

        with web.open() as honest:
            assert _statuses(_said(honest)) == [200]
            web.count_is(3)
        for peer in lazy:
            peer.close()
        web.count_is(0)


@pytest.mark.parametrize("ahead", [b"", _GET], ids=["nothing", "a request"])
def test_an_endpoint_learns_that_its_peer_has_gone_whatever_was_sent_ahead(web: Served, ahead: bytes) -> None:
    del web.begun[:]
    with web.open() as peer:
        peer.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n" + ahead)
        until(lambda: web.begun == ["/wait"], what="it waits")

    until(lambda: "/gone" in web.begun, what="it knows that nobody waits for it")


def test_behind_a_trusted_proxy_the_source_that_it_names_is_bounded_and_nobody_else() -> None:
    with served(trusted="127.0.0.1") as web:
        slow = [_unfinished(web, source) for source in [b"9.9.9.9"] * 40 + [b"8.8.8.8, 7.7.7.7"] * 5]

        until(lambda: sum(_is_refused(peer) for peer in slow) >= 8, what="the source has its bound")

        assert [_is_refused(peer) for peer in slow] == [True] * 8 + [False] * 37
        assert _statuses(read(slow[0])) == [429]
        for peer in slow:
            peer.close()


def test_what_others_write_about_their_source_counts_for_nothing() -> None:
    with served(trusted="10.0.0.1") as web:
        slow = [_unfinished(web, b"9.9.9.%d" % n) for n in range(40)]

        until(lambda: sum(_is_refused(peer) for peer in slow) >= 8, what="the source has its bound")

        assert [_is_refused(peer) for peer in slow] == [True] * 8 + [False] * 32
        assert _statuses(read(slow[0])) == [429]
        for peer in slow:
            peer.close()


def _unfinished(web: Served, source: bytes) -> socket.socket:
    peer = web.open()
    peer.sendall(_post(b"a" * 10, b"X-Forwarded-For: " + source, length=20))
    return peer


def _is_refused(peer: socket.socket) -> bool:
    peer.settimeout(0)
    try:
        return bool(peer.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
