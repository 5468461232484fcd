"""Unpacks a response's body piece by piece, so that it never grows beyond the limit that holds for plain bodies.

Requests ask for plain bodies; some proxies pack them all the same, and some name a packing that they did not use, or none. So gzip is known by its
first bytes. What only the header can tell (deflate) is tried, and packings that the standard library cannot undo are an error in words.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

_GZIP = b"\x1f\x8b"
_KNOWN = frozenset({"", "identity", "none", "gzip", "x-gzip", "deflate", "zlib", "x-deflate"})
_PIECE = 64 * 1024


class Unreadable(Exception):
    """The body is packed in a way that cannot be undone here. The message says which."""


class _Unpacker:
    """One layer of gzip or deflate: also several gzip members in a row, as some proxies send for each piece."""

    def __init__(self, first: bytes, *, named: str) -> None:
        self._wbits = _wbits(first, named)
        self._zlib = zlib.decompressobj(self._wbits) if self._wbits else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the bytes unpack to, at most 64 kB a piece. Raises Unreadable."""
        if self._zlib is None:
            yield data
            return
        while data:
            try:
                piece = self._zlib.decompress(data, _PIECE)
            except zlib.error as error:
                raise Unreadable("the answer is packed, and its packing is broken") from error
            if piece:
                yield piece
            if self._zlib.eof:
                data = self._zlib.unused_data
                if not data.startswith(_GZIP):
                    return
                self._zlib = zlib.decompressobj(self._wbits)
            else:
                data = self._zlib.unconsumed_tail


def _wbits(first: bytes, named: str) -> int:
    """Return what zlib calls the format; 0 for a body that is plain whatever its header says."""
    if first.startswith(_GZIP):
        return 31
    if named not in ("deflate", "zlib", "x-deflate"):
        return 0
    # zlib's own header: method 8, and a multiple of 31. Without it, it is either a bare deflate, or plain all the same.
    if len(first) > 1 and first[0] & 15 == 8 and (first[0] << 8 | first[1]) % 31 == 0:
        return 15
    return 0 if _is_plain(first) else -15


def _is_plain(first: bytes) -> bool:
    """Whether a body begins like JSON, a stream or a page."""
    return first.lstrip()[:1] in (b"{", b"[", b"d", b"e", b":", b"<")


def unpacked(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the body. Raises Unreadable, and whatever reading the pieces raises."""
    names = [name.strip().lower() for name in encoding.split(",")]
    strange = next((name for name in names if name not in _KNOWN), "")
    named = next((name for name in reversed(names) if name not in ("", "identity", "none")), "")
    waiting = iter(pieces)
    first = b""
    for piece in waiting:
        first += piece
        # One byte tells only that it is no gzip.
        if len(first) > 1 or (first and not named and not first.startswith(_GZIP[:1])):
            break
    if not first:
        return
    if strange and not first.startswith(_GZIP) and not _is_plain(first):
        raise Unreadable(
            f"the answer is packed as {strange[:20]!r}, which cannot be read: let the server or the proxy in front of it send it plain"
        )
    if (not named or strange) and not first.startswith(_GZIP):
        yield first
        yield from waiting
        return
    layers = [name for name in names if name not in ("", "identity", "none")]
    unpacker = _Unpacker(first, named=named)
    if len(layers) > 1:
        yield from unpacked(_through(unpacker, first, waiting), ", ".join(layers[:-1]))
    else:
        yield from _through(unpacker, first, waiting)


def _through(unpacker: _Unpacker, first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield from unpacker.feed(first)
    for piece in rest:
        yield from unpacker.feed(piece)
