"""Pictures for tests: drawn, and spoilt in the ways that strangers know."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image


def a_picture(width: int = 60, height: int = 40, *, kind: str = "JPEG", colour: str = "red", **options: object) -> bytes:
    """A picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, kind, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    """A picture's pixels."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def a_png_that_claims(width: int, height: int, *, rows: bytes = b"") -> bytes:
    """A PNG whose head names a size, whatever is behind it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def a_webp_that_claims(width: int, height: int) -> bytes:
    """An extended WebP whose head names a canvas."""
    body = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
