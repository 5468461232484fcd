"""Who counts as one source: an IPv4 address or an IPv6 network of 64 bits; behind a trusted proxy, the address that the proxy names.

Anybody can write X-Forwarded-For, so it is read from the right, and only as far as trusted proxies wrote it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from bots.errors import BadSetting

#: Whoever has IPv6 has a whole network of this size.
_IPV6_BITS = 64
_FORWARDED = b"x-forwarded-for"
#: The longest address in text, with a port and brackets.
_LONGEST = 64


class Sources:
    """Tells the source of a connection or a request, given the proxies that are trusted: addresses and networks, separated by commas."""

    def __init__(self, trusted: str = "") -> None:
        """Raises BadSetting."""
        try:
            self._trusted = tuple(ipaddress.ip_network(one.strip(), strict=False) for one in trusted.split(",") if one.strip())
        except ValueError as error:
            raise BadSetting(f"CHINWAG_WEB_TRUSTED_PROXIES: {error}. Give addresses or networks, separated by commas.") from error
        self._is_trusted = lru_cache(4096)(self._find)

    def is_trusted(self, host: str) -> bool:
        """Whether this address is one of the proxies."""
        return bool(self._trusted) and self._is_trusted(host)

    def of(self, host: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> str:
        """The source of a request that came from this address."""
        if not self.is_trusted(host):
            return network(host)
        named = [part.strip() for name, value in headers if name == _FORWARDED for part in value.decode("latin-1").split(",")]
        for part in reversed(named):
            address = _address(part)
            if not address:
                break
            host = address
            if not self.is_trusted(host):
                break
        return network(host)

    def _find(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in one for one in self._trusted)


@lru_cache(4096)
def network(host: str) -> str:
    """The source that an address belongs to; what is no address stands for itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), _IPV6_BITS), strict=False))


def _address(text: str) -> str:
    """An address as proxies write it, without its port; empty if it is none."""
    if len(text) > _LONGEST:
        return ""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
