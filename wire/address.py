"""Which server addresses can be called. This is checked before an address is stored, so that whoever entered it can still correct it."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

#: Endings that no public name has.
_NEAR = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc")


def is_base(url: str) -> bool:
    """Whether a path can be appended to this address and called: http or https, a host, no user, password, question mark or fragment."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        # As a call would read it: httpx refuses hosts that urlsplit accepts, such as 10.0.0.256.
        usable = usable and bool(httpx.URL(url).host)
    except (ValueError, httpx.InvalidURL):
        return False
    return usable and parts.username is None and not parts.query and not parts.fragment and url.isprintable() and " " not in url


def is_near(url: str) -> bool:
    """Whether an address is clearly this host's or a private network's, judged by its text alone, without DNS. In doubt it is not."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        ip = ip_address(host)
    except ValueError:
        # A name without a dot is that of a machine or a container.
        return bool(host) and ("." not in host or host.endswith(_NEAR))
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return ip.is_loopback or ip.is_private or ip.is_link_local
