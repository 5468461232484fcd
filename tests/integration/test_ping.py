"""The read of an account that shows whether its platform answers: one per channel, without an effect."""

from __future__ import annotations

import socket

import pytest

from bots.channels.base import Channel, Credentials
from bots.channels.console import Console
from bots.channels.graph import GraphClient
from bots.channels.instagram import Instagram
from bots.channels.messenger import Messenger
from bots.channels.whatsapp import WhatsApp
from bots.errors import NotSent, SendUnknown
from tests.integration.test_graph_call import TOKEN, graph, peer

_SECRETS = Credentials(access_token=TOKEN)


def head_of(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    return head


def channels(client: GraphClient) -> dict[str, Channel]:
    return {"whatsapp": WhatsApp(client), "messenger": Messenger(client), "instagram": Instagram(page=client, login=client)}


@pytest.mark.parametrize(("name", "read"), [("whatsapp", "700800"), ("messenger", "700800"), ("instagram", "me")])
def test_it_reads_the_account_and_nothing_else(name: str, read: str) -> None:
    asked: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        asked.append(head_of(connection))
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{"id":"700"}'[:-1])

    with peer(answer) as there, graph(there.url) as client:
        channels(client)[name].ping("700800", _SECRETS)

    assert [line.split(b"\r\n")[0] for line in asked] == [f"GET /v25.0/{read} HTTP/1.1".encode()]


@pytest.mark.parametrize("name", ["whatsapp", "messenger", "instagram"])
@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b"HTTP/1.1 5"])
def test_a_platform_that_is_down_does_not_answer(name: str, answer: bytes) -> None:
    def work(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(answer)

    with peer(work) as there, graph(there.url) as client, pytest.raises(SendUnknown):
        channels(client)[name].ping("700800", _SECRETS)


def test_nor_does_one_that_cannot_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with graph(url) as client, pytest.raises(NotSent):
        WhatsApp(client).ping("700800", _SECRETS)


def test_the_chat_page_is_always_there() -> None:
    Console().ping("any", Credentials())
