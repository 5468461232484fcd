"""Set-up calls to Meta's Graph API: what a token, an app, a number or a page is, and where webhooks go.

Nothing is raised: every answer is a Reply, and the caller decides what it means. Secrets are sent in headers; where the API requires a token
in the address (`debug_token`), that address is never stored or logged.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, cast
from urllib.parse import quote, urlencode, urlsplit

import httpx
import msgspec

from bots.channels.graph import capped, is_plain
from bots.channels.graph_errors import code_of, read_json
from bots.channels.signature import app_secret_proof
from wire.response import Response
from wire.transport import DeadlineTransport

Json = dict[str, Any]

#: The platform quotes malformed tokens in its errors; ids are shorter.
_SECRET = re.compile(r"[A-Za-z0-9_\-|.%]{24,}")
_META = frozenset({"graph.facebook.com", "graph.instagram.com"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the platform answered, if it was readable."""

    #: 0: no answer came.
    status: int = 0
    body: Json | None = None
    code: int = 0
    subcode: int = 0
    #: The platform's own description of an error: shown to operators, and never used for decisions where a code says the same.
    message: str = ""
    #: The Graph version that really answered.
    version: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is a success with a readable body."""
        return 200 <= self.status < 300 and self.body is not None

    @property
    def came(self) -> bool:
        """Whether a readable answer came."""
        return self.status > 0 and (self.body is not None or self.status < 500)

    @property
    def why(self) -> str:
        """The error in a few words."""
        if not self.came:
            return "no answer came"
        if (self.code, self.subcode) == (100, 33):
            # The platform sends the same long message for everything that is not visible to the token.
            return "the platform shows this token nothing there"
        code = f"code {self.code}" if self.code else f"HTTP {self.status}"
        return f"{code}: {self.message[:200]}" if self.message else code

    def get(self, *path: str) -> Any:
        """Return the value at a path of the body, or None."""
        found: Any = self.body
        for name in path:
            found = cast("Json", found).get(name) if isinstance(found, dict) else None
        return found

    def text(self, *path: str) -> str:
        """Return the text at a path of the body; numbers become text, everything else is empty."""
        found = self.get(*path)
        return str(found)[:500] if isinstance(found, str | int) and not isinstance(found, bool) else ""

    def items(self, *path: str) -> list[Json]:
        """Return the objects of the list at a path of the body."""
        found = self.get(*path)
        return [cast("Json", one) for one in cast("list[object]", found) if isinstance(one, dict)] if isinstance(found, list) else []


class GraphSetup:
    """A short-lived client: for one set-up in one thread, then closed."""

    def __init__(self, *, base_url: str, version: str, deadline_s: float) -> None:
        self.version = version.strip("/")
        #: The app secret, once it is known to be right: then every call with an access token proves that we have it.
        self.app_secret = ""
        self._base = base_url.rstrip("/")
        self._deadline_s = deadline_s
        self._transport = DeadlineTransport(None, keep_s=5.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._transport.close()

    def get(self, path: str, *, token: str = "", **query: str) -> Reply:
        """Read something."""
        return self.ask("GET", path, token=token, query=query)

    def post(self, path: str, *, token: str, body: Mapping[str, Any] | None = None) -> Reply:
        """Change something."""
        return self.ask("POST", path, token=token, body=body or {})

    def ask(
        self, method: str, path: str, *, token: str = "", query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Reply:
        """Make one call below the version's address."""
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if token:
            if not is_plain(token):
                return Reply(status=400, body={}, code=190, message="the token contains characters that no token has")
            headers["Authorization"] = f"Bearer {token}"
        try:
            content = None if body is None else msgspec.json.encode(dict(body))
            steps = "/".join(quote(step, safe="") for step in path.split("/"))
            values = {name: value for name, value in (query or {}).items() if value}
            if token and self.app_secret and "|" not in token:
                values["appsecret_proof"] = app_secret_proof(token, self.app_secret)
            asked = f"?{urlencode(values)}" if values else ""
            url = httpx.URL(f"{self._base}/{quote(self.version, safe='')}/{steps}{asked}")
        except (UnicodeEncodeError, httpx.InvalidURL):
            return Reply(status=400, body={}, message="the request contains characters that no id and no address has")
        if content is not None:
            headers["Content-Type"] = "application/json"
        self._transport.deadline.start(until=time.monotonic() + self._deadline_s, connect_s=self._deadline_s / 3)
        try:
            response = self._transport.call(method, url, headers, content or b"")
            try:
                return _read(response)
            finally:
                response.close()
        except httpx.TransportError:
            return Reply()


def app_token(app_id: str, app_secret: str) -> str:
    """Return an app's own token."""
    return f"{app_id}|{app_secret}"


def is_meta(url: str) -> bool:
    """Whether an address is Meta's own; everything else is a practice platform."""
    return (urlsplit(url).hostname or "").lower() in _META


def practice_world(base_url: str) -> Json | None:
    """Ask a practice platform which accounts can be connected; None when it is not one, or does not answer."""
    return _practise(base_url, "GET", "world", None, deadline_s=5.0)


def practice_message(base_url: str, account_id: str) -> bool:
    """Let an invented person write to an account; returns whether the platform accepted it."""
    body: Json = {"account_id": account_id, "text": "Hello! Is anybody there?", "wait_s": 2}
    return _practise(base_url, "POST", "person", body, deadline_s=8.0) is not None


def _practise(base_url: str, method: str, name: str, body: Json | None, *, deadline_s: float) -> Json | None:
    if is_meta(base_url):
        return None
    transport = DeadlineTransport(None, keep_s=0.0)
    transport.deadline.start(until=time.monotonic() + deadline_s, connect_s=deadline_s)
    try:
        url = f"{base_url.rstrip('/')}/_practice/{name}"
        content = b"" if body is None else msgspec.json.encode(body)
        response = transport.call(method, httpx.URL(url), {"Content-Type": "application/json"}, content)
        try:
            reply = _read(response)
        finally:
            response.close()
    except (httpx.TransportError, httpx.InvalidURL):
        return None
    finally:
        transport.close()
    return reply.body if reply.ok else None


def _read(response: Response) -> Reply:
    try:
        body = read_json(capped(response))
    except httpx.TransportError:
        return Reply(status=response.status_code)
    told = (body or {}).get("error")
    error = cast("Json", told) if isinstance(told, dict) else {}
    return Reply(
        status=response.status_code,
        body=body,
        code=code_of(error, "code") or 0,
        subcode=code_of(error, "error_subcode") or 0,
        message=_clean(error.get("message")),
        version=response.headers.get("facebook-api-version", "")[:20],
    )


def _clean(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return _SECRET.sub("…", " ".join("".join(sign for sign in text if sign.isprintable()).split())[:2000])[:400]
