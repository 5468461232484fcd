"""The fault proxy does what its modes say; the fault tests lean on it."""

from __future__ import annotations

import contextlib
import gc
import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.proxy import FaultProxy, WatchTimeout


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that answers each line with `re:` and the line."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while data := client.recv(4096):
                client.sendall(b"re:" + data)

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    yield listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def proxy(echo: tuple[str, int]) -> Iterator[FaultProxy]:
    with FaultProxy(echo) as running:
        yield running


def _connect(proxy: FaultProxy, timeout_s: float = 3.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout_s)


def test_a_passing_proxy_changes_nothing(proxy: FaultProxy) -> None:
    with _connect(proxy) as client:
        client.sendall(b"hello\n")

        assert client.recv(100) == b"re:hello\n"


def test_a_refusing_proxy_refuses_and_comes_back_on_the_same_port(proxy: FaultProxy) -> None:
    proxy.set("refuse")
    with pytest.raises(ConnectionRefusedError):
        _connect(proxy)
    proxy.set("pass")

    with _connect(proxy) as client:
        client.sendall(b"again\n")

        assert client.recv(100) == b"re:again\n"


def test_a_black_hole_is_silent_until_it_is_healed(proxy: FaultProxy) -> None:
    with _connect(proxy, 0.3) as client:
        proxy.set("blackhole")
        client.sendall(b"anyone\n")
        with pytest.raises(TimeoutError):
            client.recv(100)
        proxy.set("pass")
        client.settimeout(3)

        assert client.recv(100) == b"re:anyone\n"


def test_a_cut_is_a_reset(proxy: FaultProxy) -> None:
    with _connect(proxy) as client:
        client.sendall(b"one\n")
        client.recv(100)
        proxy.set("cut")

        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_a_delay_holds_each_way(proxy: FaultProxy) -> None:
    proxy.set("delay", delay_s=0.1)
    with _connect(proxy) as client:
        began = time.monotonic()
        client.sendall(b"slow\n")
        client.recv(100)

    assert time.monotonic() - began >= 0.2


def test_a_half_closed_reply_is_an_end_without_bytes(proxy: FaultProxy) -> None:
    proxy.set("half-close")
    with _connect(proxy) as client:
        client.sendall(b"hello\n")

        assert client.recv(100) == b""


def test_a_truncated_reply_ends_after_n_bytes(proxy: FaultProxy) -> None:
    proxy.set("truncate", limit=5)
    got = b""
    with _connect(proxy) as client:
        client.sendall(b"hello\n")
        with contextlib.suppress(ConnectionResetError):
            while data := client.recv(100):
                got += data

    assert got == b"re:he"


def test_a_dripping_reply_comes_whole(proxy: FaultProxy) -> None:
    proxy.set("drip", delay_s=0.01)
    got = b""
    with _connect(proxy) as client:
        client.sendall(b"hi\n")
        while len(got) < 6:
            got += client.recv(100)

    assert got == b"re:hi\n"


def test_held_bytes_reach_the_server_only_when_released(proxy: FaultProxy) -> None:
    watch = proxy.hold(b"finish")
    with _connect(proxy, 0.2) as client:
        client.sendall(b"do finish now\n")
        watch.wait(3)
        with pytest.raises(TimeoutError):
            client.recv(100)
        watch.release()
        client.settimeout(3)

        assert client.recv(100) == b"re:do finish now\n"


def test_dropped_bytes_never_reach_the_server(proxy: FaultProxy) -> None:
    watch = proxy.hold(b"finish")
    with _connect(proxy) as client:
        client.sendall(b"finish\n")
        watch.wait(3)
        watch.drop()

        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_a_held_reply_means_that_the_server_has_answered(proxy: FaultProxy) -> None:
    watch = proxy.hold_reply(b"finish", end=b"\n", has=b"second")
    with _connect(proxy, 0.2) as client:
        client.sendall(b"finish first\n")
        client.recv(100)
        client.sendall(b"finish second\n")
        watch.wait(3)
        with pytest.raises(TimeoutError):
            client.recv(100)
        watch.release()
        client.settimeout(3)

        assert client.recv(100) == b"re:finish second\n"


def test_a_watch_that_sees_nothing_says_so(proxy: FaultProxy) -> None:
    with pytest.raises(WatchTimeout):
        proxy.hold(b"never").wait(0.05)


def test_whoever_connects_while_the_proxy_ends_or_refuses_leaves_no_socket_open(echo: tuple[str, int]) -> None:
    left: list[str] = []
    before, sys.unraisablehook = sys.unraisablehook, lambda raised: left.append(str(raised.exc_value))
    try:
        for n in range(40):
            with FaultProxy(echo) as running, contextlib.ExitStack() as clients:
                for _ in range(4):
                    client = clients.enter_context(socket.socket())
                    client.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        client.connect(("127.0.0.1", running.port))
                if n % 2:
                    running.set("refuse")
            gc.collect()
    finally:
        sys.unraisablehook = before

    assert left == []
