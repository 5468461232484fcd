"""Where a download may go: to hosts that are listed, at addresses that are public. A name that leads into a private network is refused.

The addresses that were checked are the ones that are connected to; the name is not looked up again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpx

from bots.errors import BadSetting, MediaForbidden
from wire.transport import Address, look_up

LookUp = Callable[[str, int], Sequence[Address]]

#: IPv6 networks whose addresses contain an IPv4 address, and how many bits are to the right of it. The IPv4 address decides.
_CARRIERS = (
    (IPv6Network("::ffff:0:0/96"), 0),  # mapped
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (IPv6Network("2002::/16"), 80),  # 6to4
)
#: ISATAP: the lower half of the address begins with these, in any network.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
#: No platform has addresses there: Teredo, NAT64 for private use, IPv4-compatible addresses, the former site-local network.
_NEVER = (IPv6Network("2001::/32"), IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"), IPv6Network("fec0::/10"))


def is_public(text: str) -> bool:
    """Whether an address, as getaddrinfo writes it, is public."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        inner = _inside(address)
        if inner is not None:
            return _is_global(inner)
        if any(address in network for network in _NEVER):
            return False
    return _is_global(address)


def _inside(address: IPv6Address) -> IPv4Address | None:
    value = int(address)
    for network, shift in _CARRIERS:
        if address in network:
            return IPv4Address(value >> shift & 0xFFFF_FFFF)
    return IPv4Address(value & 0xFFFF_FFFF) if value >> 32 & 0xFFFF_FFFF in _ISATAP else None


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


@dataclass(frozen=True, slots=True)
class _Host:
    """One entry of the list of hosts."""

    name: str
    #: Only for a practice platform on this machine: http, this port, loopback addresses.
    loopback_port: int | None = None

    def fits(self, url: httpx.URL) -> bool:
        if self.loopback_port is not None:
            return url.scheme == "http" and url.host == self.name and url.port == self.loopback_port
        if url.scheme != "https" or url.port not in (None, 443):
            return False
        if self.name.startswith("*."):
            return url.host.endswith(self.name[1:]) and len(url.host) > len(self.name) - 1
        return url.host == self.name


class AllowedHosts:
    """The hosts that may be contacted."""

    def __init__(self, hosts: str, *, look_up: LookUp = look_up) -> None:
        """Take the hosts, separated by commas: a name, *.name, or http://127.0.0.1:port for a platform on this machine. Raises BadSetting."""
        self._hosts = tuple(_host(entry.strip().lower()) for entry in hosts.split(",") if entry.strip())
        self._look_up = look_up
        self._loopback = {(host.name, host.loopback_port) for host in self._hosts if host.loopback_port is not None}

    def check(self, url: httpx.URL) -> None:
        """Raise MediaForbidden unless the address has https, an allowed host, and no user and password."""
        if url.userinfo or not any(host.fits(url) for host in self._hosts):
            raise MediaForbidden(f"{url.scheme}://{url.host[:100]} is not a host that pictures may come from (CHINWAG_MEDIA_HOSTS).")

    def addresses(self, host: str, port: int) -> Sequence[Address]:
        """Return the host's addresses, all of them checked. Raises MediaForbidden, httpx.ConnectError."""
        found = self._look_up(host, port)
        wanted = _is_loopback if (host, port) in self._loopback else is_public
        if not all(wanted(str(address[0])) for _, address in found):
            raise MediaForbidden(f"{host} leads to a private address.")
        return found


def _is_loopback(text: str) -> bool:
    try:
        return ip_address(text).is_loopback
    except ValueError:
        return False


def _host(entry: str) -> _Host:
    if not entry.startswith("http://"):
        if not entry or any(sign in entry for sign in "/:@ ?#") or "*" in entry.removeprefix("*."):
            raise BadSetting(f"CHINWAG_MEDIA_HOSTS contains {entry!r}: use a name, *.name, or http://127.0.0.1:port.")
        return _Host(entry)
    url = httpx.URL(entry)
    if url.host not in {"127.0.0.1", "::1", "localhost"} or url.port is None or url.path not in {"", "/"}:
        raise BadSetting(f"CHINWAG_MEDIA_HOSTS contains {entry!r}: plain http is only for this machine, and needs a port.")
    return _Host(url.host, url.port)
