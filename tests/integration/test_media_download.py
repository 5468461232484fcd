"""The download of a picture, against a server that misbehaves: what is contacted, how much is read, where the token goes."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from bots.channels.base import Location
from bots.channels.media import Media
from bots.channels.media_hosts import AllowedHosts
from bots.errors import MediaError, MediaForbidden, MediaGone, MediaTooLarge, MediaUnavailable, NotAPicture
from tests.support.drawing import a_picture
from tests.unit.test_media_hosts import answering
from wire.transport import Address, DeadlineTransport

TOKEN = "picture-token"
CAP = 200_000

Handler = Callable[[BaseHTTPRequestHandler], None]


class Server(ThreadingHTTPServer):
    """Answers each path as it is told, and remembers who asked."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.connections = 0
        self.answers: dict[str, Handler] = {}
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def process_request(self, request, client_address) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("authorization")))
        self.server.answers[self.path.partition("?")[0]](self)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def giving(data: bytes, status: int = 200, **headers: str) -> Handler:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"content-length": str(len(data)), **{name.replace("_", "-"): value for name, value in headers.items()}}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(data)

    return answer


def redirecting(url: str) -> Handler:
    return giving(b"", 302, location=url)


def for_ever(pause_s: float) -> Handler:
    """An answer of no stated length that never ends."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("connection", "close")
        request.end_headers()
        try:
            while True:
                request.wfile.write(b"\xff\xd8\xff" + bytes(4096 if not pause_s else 1))
                threading.Event().wait(pause_s)
        except OSError:
            request.close_connection = True

    return answer


@pytest.fixture
def serving() -> Iterator[Callable[[], Server]]:
    started: list[tuple[Server, threading.Thread]] = []

    def start() -> Server:
        server = Server()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


def media(*servers: Server, deadline_s: float = 5.0, **options: object) -> Media:
    hosts = ",".join(("lookaside.fbsbx.com", *(server.url for server in servers)))
    return Media(AllowedHosts(hosts, **options), max_bytes=CAP, deadline_s=deadline_s)


def test_a_picture_comes_with_the_token_and_is_compared_with_the_digest_in_either_form(serving) -> None:
    server, data = serving(), a_picture(90, 50)
    server.answers["/p"] = giving(data)
    digest = hashlib.sha256(data)
    forms = [digest.hexdigest(), digest.hexdigest().upper(), base64.b64encode(digest.digest()).decode(), None]

    found = [media(server).fetch(Location(url=f"{server.url}/p", token=TOKEN, sha256=form)) for form in forms]

    assert [(one.width, one.height) for one in found] == [(90, 50)] * 4
    assert server.asked == [("/p", f"Bearer {TOKEN}")] * 4


def test_other_bytes_than_the_platform_named_are_not_taken(serving) -> None:
    server = serving()
    server.answers["/p"] = giving(a_picture())

    with pytest.raises(MediaUnavailable):
        media(server).fetch(Location(url=f"{server.url}/p", sha256="00" * 32))


def test_the_token_stays_behind_where_a_redirect_leads_to_another_host(serving) -> None:
    first, second = serving(), serving()
    first.answers["/p"] = redirecting("/q")
    first.answers["/q"] = redirecting(f"{second.url}/r")
    second.answers["/r"] = giving(a_picture())

    media(first, second).fetch(Location(url=f"{first.url}/p", token=TOKEN))

    assert first.asked == [("/p", f"Bearer {TOKEN}"), ("/q", f"Bearer {TOKEN}")]
    assert second.asked == [("/r", None)]


def test_redirects_end_after_three(serving) -> None:
    server = serving()
    server.answers["/p"] = redirecting("/p")

    with pytest.raises(MediaForbidden):
        media(server).fetch(Location(url=f"{server.url}/p"))

    assert len(server.asked) == 4


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest", "https://evil.test/x", "file:///etc/passwd", "//[::ffff:127.0.0.1]/x"])
def test_a_redirect_to_a_host_that_is_not_on_the_list_is_not_followed(serving, target: str) -> None:
    server = serving()
    server.answers["/p"] = redirecting(target)

    with pytest.raises(MediaForbidden):
        media(server).fetch(Location(url=f"{server.url}/p"))


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "2130706433:{port}", "[::ffff:127.0.0.1]:{port}", "x@127.0.0.1:{port}"]
)
def test_a_hostile_address_is_never_contacted(serving, host: str) -> None:
    server = serving()

    with pytest.raises(MediaForbidden):
        media().fetch(Location(url=f"http://{host.format(port=server.server_port)}/p", token=TOKEN))

    assert server.connections == 0


def test_an_allowed_name_that_leads_to_this_machine_is_never_contacted(serving) -> None:
    server = serving()
    asked: list[str] = []

    def look_up(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return answering("127.0.0.1")(host, server.server_port)

    with pytest.raises(MediaForbidden):
        media(look_up=look_up).fetch(Location(url="https://lookaside.fbsbx.com/p", token=TOKEN))

    assert (asked, server.connections) == (["lookaside.fbsbx.com"], 0)


def test_a_connection_goes_to_the_address_that_was_checked_and_the_name_is_not_looked_up_again(serving) -> None:
    server, asked = serving(), list[str]()
    server.answers["/p"] = giving(b"here")

    def addresses(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return answering("127.0.0.1")(host, server.server_port)

    transport = DeadlineTransport(keep_s=0, addresses=addresses)
    transport.deadline.start(until=time.monotonic() + 5, connect_s=2)
    with closing(transport), closing(transport.handle_request(httpx.Request("GET", "http://no-such-name.test/p"))) as response:
        body = response.read()

    assert (body, asked, server.connections) == (b"here", ["no-such-name.test"], 1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (giving(b"", 404), MediaGone),
        (giving(b"", 403), MediaGone),
        (giving(b"", 500), MediaUnavailable),
        (giving(b"", 429), MediaUnavailable),
        (giving(b"<html>sign in</html>"), NotAPicture),
        (giving(a_picture(), content_encoding="gzip"), MediaUnavailable),
        (giving(a_picture() + bytes(CAP)), MediaTooLarge),
        (giving(a_picture(), content_length="100000"), MediaUnavailable),
        (for_ever(0.0), MediaTooLarge),
    ],
    ids=["gone", "expired", "server error", "throttled", "page", "compressed", "too large", "cut off", "endless"],
)
def test_what_goes_wrong_says_whether_another_try_is_worth_it(serving, answer: Handler, error: type[MediaError]) -> None:
    server = serving()
    server.answers["/p"] = answer

    with pytest.raises(error) as found:
        media(server, deadline_s=1.0).fetch(Location(url=f"{server.url}/p"))

    assert type(found.value) is error


def test_a_size_beyond_the_cap_is_refused_before_anything_is_asked(serving) -> None:
    server = serving()

    with pytest.raises(MediaTooLarge):
        media(server).fetch(Location(url=f"{server.url}/p", size=CAP + 1))

    assert server.connections == 0


def test_a_dripping_server_is_left_at_the_deadline(serving) -> None:
    server = serving()
    server.answers["/p"] = for_ever(0.05)
    began = time.monotonic()

    with pytest.raises(MediaUnavailable):
        media(server, deadline_s=0.5).fetch(Location(url=f"{server.url}/p"))

    assert time.monotonic() - began < 2
