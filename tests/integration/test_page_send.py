"""What goes out to pages and Instagram accounts, byte by byte, and how it is proven and addressed."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from uuid import UUID

import pytest

from bots.channels.base import Channel, Credentials
from bots.channels.instagram import Instagram
from bots.channels.messenger import Messenger
from bots.domain import EventKind, Identity, IdentityKind, InboundEvent, OutboundMessage
from bots.errors import Rejected
from tests.integration.test_graph_call import TOKEN, graph, peer, read_request

PSID = Identity(kind=IdentityKind.PSID, value="6001")
IGSID = Identity(kind=IdentityKind.IGSID, value="7001")
GOOD = b'{"recipient_id":"6001","message_id":"m_9"}'


class Two:
    """Two hosts that keep what they are asked: the one of pages, the one of Instagram login."""

    def __init__(self) -> None:
        self.page: list[bytes] = []
        self.login: list[bytes] = []
        self.messenger: Channel
        self.instagram: Channel


@pytest.fixture
def two() -> Iterator[Two]:
    found = Two()

    def keep(held: list[bytes], connection: socket.socket) -> None:
        held.append(read_request(connection))
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(GOOD)}\r\nConnection: close\r\n\r\n".encode() + GOOD)

    with (
        peer(lambda connection: keep(found.page, connection)) as one,
        peer(lambda connection: keep(found.login, connection)) as other,
        graph(one.url) as page,
        graph(other.url) as login,
    ):
        found.messenger, found.instagram = Messenger(page), Instagram(page=page, login=login)
        yield found


def a_part(*people: Identity) -> OutboundMessage:
    return OutboundMessage(id=UUID(int=7), account_external_id="200300", identities=people, text="Olá")


def split(request: bytes) -> tuple[str, dict[str, object]]:
    head, _, body = request.partition(b"\r\n\r\n")
    return head.decode().split("\r\n")[0], json.loads(body)


def test_a_page_answers_with_our_tag_and_the_apps_proof(two: Two) -> None:
    sent = two.messenger.send(a_part(IGSID, PSID), Credentials(access_token=TOKEN, app_secret="s3cret"))

    line, body = split(two.page[0])
    proof = hmac.new(b"s3cret", TOKEN.encode(), hashlib.sha256).hexdigest()
    assert line == f"POST /v25.0/200300/messages?appsecret_proof={proof} HTTP/1.1"
    assert body == {
        "recipient": {"id": "6001"},
        "messaging_type": "RESPONSE",
        "message": {"text": "Olá", "metadata": str(UUID(int=7))},
    }
    assert sent.external_id == "m_9"


def test_without_an_app_secret_there_is_no_proof(two: Two) -> None:
    two.messenger.send(a_part(PSID), Credentials(access_token=TOKEN))

    assert split(two.page[0])[0] == "POST /v25.0/200300/messages HTTP/1.1"


@pytest.mark.parametrize("login_type", ["page", "login"])
def test_instagram_goes_through_the_host_of_its_login_type(two: Two, login_type: str) -> None:
    sent = two.instagram.send(a_part(IGSID), Credentials(access_token=TOKEN, login_type=login_type))

    here, there = (two.page, two.login) if login_type == "page" else (two.login, two.page)
    line, body = split(here[0])
    assert (line, there) == ("POST /v25.0/me/messages HTTP/1.1", [])
    assert body == {"recipient": {"id": "7001"}, "message": {"text": "Olá"}}
    assert sent.external_id == "m_9"


def test_seen_and_typing_are_two_calls_each_with_one_action(two: Two) -> None:
    mark = InboundEvent(kind=EventKind.MESSAGE, event_key="m_1", identities=(PSID, IGSID))

    two.messenger.show_typing("200300", mark, Credentials(access_token=TOKEN))
    two.instagram.show_typing("1784", mark, Credentials(access_token=TOKEN, login_type="login"))

    assert [split(request)[1] for request in two.page + two.login] == [
        {"recipient": {"id": person}, "sender_action": action} for person in ("6001", "7001") for action in ("mark_seen", "typing_on")
    ]


def test_a_contact_without_an_id_of_this_channel_is_rejected_before_the_call(two: Two) -> None:
    with pytest.raises(Rejected):
        two.messenger.send(a_part(IGSID), Credentials(access_token=TOKEN))
    with pytest.raises(Rejected):
        two.instagram.send(a_part(PSID), Credentials(access_token=TOKEN))
    two.messenger.show_typing("200300", InboundEvent(kind=EventKind.MESSAGE, event_key="m_1"), Credentials(access_token=TOKEN))

    assert two.page == []


def test_long_answers_are_cut_in_the_unit_of_the_channel(two: Two) -> None:
    text = "Sí, señor. " * 400

    assert all(len(part) < 2_000 for part in two.messenger.render(text))
    assert all(len(part.encode()) <= 1_000 for part in two.instagram.render(text))
    assert all(len(part.encode()) <= 1_000 for part in two.instagram.fit("é" * 3_000))
