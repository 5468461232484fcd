"""Who may speak to the chat page: a browser on this machine that opened the page from this machine.

The client's address keeps others out, the Host header a name that was rebound to this machine (DNS rebinding),
the Origin header a page of somebody else (cross-site requests).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

#: A proxy on this machine stands for clients elsewhere.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def is_local(request: Request) -> bool:
    """Whether the request comes from this machine, by a name of this machine, not through a proxy."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    return _is_loopback(request.client.host) and _is_own_name(request.headers.get("host", ""))


def is_same_origin(request: Request) -> bool:
    """Whether a page of ours (or no page at all) sent the request."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
    except ValueError:
        return False


def _is_own_name(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_loopback
