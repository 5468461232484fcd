"""Fetches what people sent from the platforms' own servers, and from nowhere else.

Guarantee: only https, hosts on a list, public addresses, which are checked and then connected to, at most three redirects, each checked
again, a total deadline, a cap on the bytes; a token is sent only to the host it is for. The result is a picture re-encoded by us, or an error.
"""

from __future__ import annotations

import base64
import hashlib
import ssl
import time

import httpx

from bots.channels.base import Location
from bots.channels.graph import is_plain
from bots.channels.media_hosts import AllowedHosts
from bots.channels.picture import Picture, shrink
from bots.errors import MediaForbidden, MediaGone, MediaTooLarge, MediaUnavailable
from wire.transport import DeadlineTransport

_MOST_REDIRECTS = 3
_LONGEST_URL = 4096
_CONNECT_SHARE = 1 / 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: May succeed later; every other refusal is final.
_PASSING = frozenset({408, 425, 429})


class Media:
    """Downloads pictures; safe between threads. A connection serves one download."""

    def __init__(self, allowed: AllowedHosts, *, max_bytes: int, deadline_s: float, ssl_context: ssl.SSLContext | None = None) -> None:
        self._allowed, self._max_bytes, self._deadline_s, self._ssl = allowed, max_bytes, deadline_s, ssl_context

    def fetch(self, location: Location, *, until: float | None = None) -> Picture:
        """Download a picture and make it small; until, on the monotonic clock, may shorten the deadline. Raises MediaError."""
        return shrink(self.download(location, until=until))

    def download(self, location: Location, *, until: float | None = None) -> bytes:
        """Download a file as it is, of which nothing is known but its size. Raises MediaError."""
        if location.size is not None and location.size > self._max_bytes:
            raise MediaTooLarge(f"The picture has {location.size:,} bytes; at most {self._max_bytes:,} are accepted.")
        end = time.monotonic() + self._deadline_s
        data = self._download(location, end if until is None else min(end, until))
        if location.sha256 and not _is_digest_of(data, location.sha256):
            raise MediaUnavailable("The file received does not match the platform's checksum.")
        return data

    def _download(self, location: Location, end: float) -> bytes:
        url = _url(location.url)
        first = (url.scheme, url.host, url.port)
        for _ in range(_MOST_REDIRECTS + 1):
            self._allowed.check(url)
            is_ours = (url.scheme, url.host, url.port) == first
            found = self._get(url, location.token if is_ours else "", end)
            if isinstance(found, bytes):
                return found
            url = _url(found, url)
        raise MediaForbidden(f"The picture's address redirects more than {_MOST_REDIRECTS} times.")

    def _get(self, url: httpx.URL, token: str, end: float) -> bytes | str:
        """Return the body, or the address of a redirect."""
        # Uncompressed, since compressed data could expand beyond the cap.
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if token:
            if not is_plain(token):
                raise MediaUnavailable("The account has no usable access token.")
            headers["Authorization"] = f"Bearer {token}"
        transport = DeadlineTransport(self._ssl, keep_s=0.0, addresses=self._allowed.addresses)
        transport.deadline.start(until=end, connect_s=max(0.1, (end - time.monotonic()) * _CONNECT_SHARE))
        try:
            response = transport.handle_request(httpx.Request("GET", url, headers=headers))
            try:
                if response.status_code in _REDIRECTS and response.headers.get("location"):
                    return response.headers["location"]
                return self._read(response)
            finally:
                response.close()
        except httpx.TransportError as error:
            raise MediaUnavailable(f"The picture could not be fetched: {type(error).__name__}.") from error
        finally:
            transport.close()

    def _read(self, response: httpx.Response) -> bytes:
        status = response.status_code
        if status >= 500 or status in _PASSING:
            raise MediaUnavailable(f"The platform answered HTTP {status}.")
        if status != 200:
            raise MediaGone(f"The platform answered HTTP {status}.")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise MediaUnavailable("The picture was sent compressed, which was not requested.")
        declared = response.headers.get("content-length", "")
        if declared.isdecimal() and int(declared[:20]) > self._max_bytes:
            raise MediaTooLarge(f"The picture has more than {self._max_bytes:,} bytes.")
        body = bytearray()
        for piece in response.iter_raw():
            body += piece
            if len(body) > self._max_bytes:
                raise MediaTooLarge(f"The picture has more than {self._max_bytes:,} bytes.")
        return bytes(body)


def _url(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """Parse an address. The same object is checked and connected to, so that both see the same address."""
    if len(text) > _LONGEST_URL or not text.isascii() or not text.isprintable() or "\\" in text:
        raise MediaForbidden("The picture's address contains characters that are not allowed in one.")
    try:
        url = httpx.URL(text) if base is None else base.join(text)
        # Read the host here: httpx reports an invalid A-label only then.
        _ = url.host
    except (httpx.InvalidURL, ValueError) as error:
        raise MediaForbidden("The picture's address cannot be read.") from error
    return url


def _is_digest_of(data: bytes, told: str) -> bool:
    """Whether a SHA-256 is of these bytes; the platform writes it sometimes in hexadecimal and sometimes in base64."""
    found = hashlib.sha256(data).digest()
    given = told.strip().rstrip("=")
    return given.lower() == found.hex() or given in {
        form(found).decode().rstrip("=") for form in (base64.b64encode, base64.urlsafe_b64encode)
    }
