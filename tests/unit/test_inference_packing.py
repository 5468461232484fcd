"""Packed bodies: unpacked whatever their headers say, piece by piece, so that a small body cannot become a large one unseen."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.client.packing import Unreadable, unpacked

_BODY = b'data: {"choices": []}\n\n' * 50
_WAYS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZIP", gzip.compress),
    "gzip unnamed": ("", gzip.compress),
    "gzip in members": ("gzip", lambda body: gzip.compress(body[:40]) + gzip.compress(body[40:])),
    "zlib": ("deflate", zlib.compress),
    "bare deflate": ("deflate", lambda body: zlib.compress(body)[2:-4]),
    "plain": ("", bytes),
    "plain named gzip": ("gzip", bytes),
    "plain named deflate": ("deflate", bytes),
    "twice": ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
}


@pytest.mark.parametrize("way", _WAYS)
@given(cuts=st.lists(st.integers(0, 60), max_size=5))
def test_a_body_is_unpacked_however_it_is_cut(way: str, cuts: list[int]) -> None:
    named, pack = _WAYS[way]
    packed, start, pieces = pack(_BODY), 0, list[bytes]()
    for size in cuts:
        pieces.append(packed[start : start + size])
        start += size

    assert b"".join(unpacked([*pieces, packed[start:]], named)) == _BODY


def test_a_bomb_grows_by_pieces_only() -> None:
    bomb = gzip.compress(bytes(200 * 1024 * 1024), compresslevel=1)
    pieces = unpacked([bomb], "gzip")

    assert max(len(next(pieces)) for _ in range(20)) <= 64 * 1024


@pytest.mark.parametrize(("named", "body"), [("br", b"xx"), ("gzip, zstd", b"xx"), ("gzip", b"\x1f\x8bnothing like it")])
def test_what_cannot_be_unpacked_is_said_in_words(named: str, body: bytes) -> None:
    with pytest.raises(Unreadable, match="packed"):
        list(unpacked([body], named))
