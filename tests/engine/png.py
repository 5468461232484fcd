"""Pictures to ask a model with: PNGs that fade from a given red to blue."""

from __future__ import annotations

import struct
import zlib


def png(*, width: int, height: int, red: int) -> bytes:
    """A picture of this size, the same each time."""
    rows = b"".join(
        b"\x00" + b"".join(bytes((red, column * 255 // width, row * 255 // height)) for column in range(width)) for row in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
