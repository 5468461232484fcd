"""Where a download may go: hosts of a list, addresses of the open internet, whatever they are written as."""

from __future__ import annotations

import socket

import httpx
import pytest

from bots.channels.media_hosts import AllowedHosts, LookUp, is_public
from bots.errors import BadSetting, MediaForbidden
from wire.transport import Address

HOSTS = "*.fbcdn.net, lookaside.fbsbx.com,http://127.0.0.1:4567"


def answering(*addresses: str) -> LookUp:
    """A name service that gives these addresses for every name."""

    def look_up(host: str, port: int) -> list[Address]:
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, (one, port)) for one in addresses]

    return look_up


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "198.18.0.1",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:a9fe:a9fe",
        "::127.0.0.1",
        "::8.8.8.8",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::808:808",
        "2002:7f00:1::",
        "2002:c0a8:101::1",
        "2001:0:808:808::1",
        "2a03:2880::5efe:a00:1",
        "2a03:2880::200:5efe:7f00:1",
        "2130706433",
        "0x7f000001",
        "127.1",
        "localhost",
        "",
    ],
)
def test_an_address_that_leads_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["157.240.1.1", "2a03:2880:f003:c07::1", "::ffff:157.240.1.1", "64:ff9b::9df0:101", "2002:9df0:101::"])
def test_an_address_of_the_open_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "https://scontent.xx.fbcdn.net/v/1.jpg?oe=1",
        "https://SCONTENT.FBCDN.NET/1.jpg",
        "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1",
        "https://lookaside.fbsbx.com:443/x",
        "http://127.0.0.1:4567/x",
    ],
)
def test_an_address_of_the_list_may_be_contacted(url: str) -> None:
    AllowedHosts(HOSTS).check(httpx.URL(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://lookaside.fbsbx.com/x",
        "https://lookaside.fbsbx.com:8443/x",
        "https://fbcdn.net/x",
        "https://evilfbcdn.net/x",
        "https://fbcdn.net.evil.test/x",
        "https://lookaside.fbsbx.com.evil.test/x",
        "https://lookaside.fbsbx.com@evil.test/x",
        "https://evil.test#lookaside.fbsbx.com",
        "https://evil.test?.fbcdn.net",
        "https://user:secret@lookaside.fbsbx.com/x",
        "https://lookaside.fbsbx.com./x",
        "https://127.0.0.1:4567/x",
        "http://127.0.0.1:4568/x",
        "http://127.0.0.1/x",
        "http://localhost:4567/x",
        "http://2130706433/x",
        "http://0x7f.1/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://[::1]:4567/x",
        "https://169.254.169.254/latest/meta-data",
        "ftp://lookaside.fbsbx.com/x",
        "file:///etc/passwd",
        "data:image/png;base64,AA",
        "//lookaside.fbsbx.com/x",
        "lookaside.fbsbx.com/x",
        "",
    ],
)
def test_any_other_address_may_not(url: str) -> None:
    with pytest.raises(MediaForbidden):
        AllowedHosts(HOSTS).check(httpx.URL(url))


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    allowed = AllowedHosts(HOSTS, look_up=answering("157.240.1.1", "10.0.0.1"))

    with pytest.raises(MediaForbidden):
        allowed.addresses("lookaside.fbsbx.com", 443)


def test_a_practice_platform_is_on_this_machine_or_nowhere() -> None:
    here, elsewhere = AllowedHosts(HOSTS, look_up=answering("127.0.0.1")), AllowedHosts(HOSTS, look_up=answering("157.240.1.1"))

    assert [found[1][0] for found in here.addresses("127.0.0.1", 4567)] == ["127.0.0.1"]
    with pytest.raises(MediaForbidden):
        elsewhere.addresses("127.0.0.1", 4567)
    with pytest.raises(MediaForbidden):
        here.addresses("lookaside.fbsbx.com", 443)


@pytest.mark.parametrize(
    "hosts", ["*", "a.*.test", "https://a.test", "a.test:443", "a.test/x", "http://a.test:80", "http://127.0.0.1", "b@a.test"]
)
def test_a_list_that_cannot_be_meant_is_refused(hosts: str) -> None:
    with pytest.raises(BadSetting):
        AllowedHosts(hosts)
