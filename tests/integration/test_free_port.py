"""The ports that tests give to their services: none twice, and none that an outgoing connection could take meanwhile."""

from __future__ import annotations

import os
import socket

import pytest

from tests.support.stack import a_free_port


def test_none_is_given_twice() -> None:
    given = [a_free_port() for _ in range(500)]

    assert len(set(given)) == len(given)


def test_a_server_may_take_its_port_and_a_connection_may_not() -> None:
    port = a_free_port()
    # As a connection holds its own end: without SO_REUSEADDR.
    with socket.socket() as connection, pytest.raises(OSError, match="in use"):
        connection.bind(("127.0.0.1", port))

    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(server.getsockname()) as asking:
        assert asking.getpeername() == server.getsockname()
        assert asking.getsockname()[1] != port


def test_one_that_somebody_listens_on_is_passed_over() -> None:
    step = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    with socket.create_server(("127.0.0.1", a_free_port() + 2 * step)) as server:
        assert server.getsockname()[1] not in {a_free_port() for _ in range(8)}
