"""Prepares a picture for a model: identified by its first bytes, measured before it is decoded, made small, re-encoded without metadata.

The sender is not trusted: nothing is decoded before kind and size are known, and only what we encoded is passed on.
"""

from __future__ import annotations

import io
import struct
import threading
import zlib
from dataclasses import dataclass, field

from PIL import Image, ImageOps

from bots.errors import MediaTooLarge, NotAPicture

#: Llama 4 reads tiles of 336 px, at most 16 of them: four by four. Other models scale down further by themselves.
_SIDE = 1344
#: The best camera mode of phones has fewer; more is not a photograph.
_MOST_PIXELS = 25_000_000
#: The size of what is sent to a model and stored, in bytes. Base64 adds a third.
_MOST_BYTES = 1_000_000
_QUALITIES = (88, 75, 60, 40)
#: A longer strip hardly shows anything, and some image processors refuse it; it is padded with white.
_LONGEST_RATIO = 20
_SMALLEST_SIDE = 32
#: Real files have fewer than a hundred marks before the first frame, and a few fill bytes before one; reading more is useless work.
_MOST_MARKS = 1000
#: Each scan of a progressive JPEG takes a pass over the whole picture; encoders write about ten.
_MOST_SCANS = 100
#: Decoding a large PNG takes 100 MB, so only this many are decoded at once in a process.
_DECODERS = threading.BoundedSemaphore(2)
_WRONG = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that we encoded."""

    media_type: str
    width: int
    height: int
    data: bytes = field(repr=False)


def shrink(data: bytes) -> Picture:
    """Return a picture of at most 1,344 px a side and about 1 MB. Raises NotAPicture, MediaTooLarge."""
    kind, width, height = measure(data)
    if width * height > _MOST_PIXELS:
        raise MediaTooLarge(f"The picture has {width} x {height} pixels; at most {_MOST_PIXELS:,} are accepted.")
    if kind == "JPEG" and data.count(b"\xff\xda") > _MOST_SCANS:
        raise MediaTooLarge(f"The picture has more than {_MOST_SCANS} scans.")
    with _DECODERS:
        try:
            return _written(_decoded(data, kind))
        except _WRONG as error:
            raise NotAPicture(f"The file begins as {kind} but cannot be decoded: {type(error).__name__}.") from error


def measure(data: bytes) -> tuple[str, int, int]:
    """Return kind, width and height from the file's header, without decoding. Raises NotAPicture."""
    try:
        found = _measured(data)
    except (struct.error, IndexError) as error:
        raise NotAPicture("The picture's header is cut off.") from error
    if found is None:
        raise NotAPicture("The file is not JPEG, PNG, WebP or GIF.")
    if found[1] <= 0 or found[2] <= 0:
        raise NotAPicture("The picture has no size.")
    return found


def _measured(data: bytes) -> tuple[str, int, int] | None:
    if data.startswith(b"\xff\xd8\xff"):
        return ("JPEG", *_of_jpeg(data))
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
        return ("PNG", *struct.unpack_from(">II", data, 16))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ("WEBP", *_of_webp(data))
    if data.startswith((b"GIF87a", b"GIF89a")):
        return ("GIF", *struct.unpack_from("<HH", data, 6))
    return None


def _of_jpeg(data: bytes) -> tuple[int, int]:
    """Walk the segments to the first frame header."""
    at = 2
    for _ in range(_MOST_MARKS):
        if data[at] != 0xFF:
            return 0, 0
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        elif marker in (0x01, *range(0xD0, 0xD8)):
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise NotAPicture(f"The picture has more than {_MOST_MARKS} marks before its first frame.")


def _of_webp(data: bytes) -> tuple[int, int]:
    form = data[12:16]
    if form == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if form == b"VP8L" and data[20] == 0x2F:
        bits = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if form == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


def _decoded(data: bytes, kind: str) -> Image.Image:
    """Decode the first frame in the size that is needed, the right way up, in RGB on white."""
    with Image.open(io.BytesIO(data), formats=(kind,)) as opened:
        # A JPEG is decoded at a half, a quarter or an eighth where that is enough; other kinds ignore this.
        opened.draft("RGB", (_SIDE, _SIDE))
        if opened.width * opened.height > _MOST_PIXELS:
            # The frame's size differs from the header's.
            raise MediaTooLarge
        if opened.mode in {"L", "RGB", "RGBA"}:
            # Before anything else copies it, so that the rest works on the small one.
            opened.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
        picture = ImageOps.exif_transpose(opened)
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        picture = Image.new("RGB", clear.size, "white")
        picture.paste(clear, mask=clear.getchannel("A"))
    if picture.mode.startswith("I;16"):
        # Sixteen bits of grey: the plain conversion would turn everything above the lowest eight bits white.
        picture = picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    picture = picture.convert("RGB")
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    return _within_ratio(picture)


def _within_ratio(picture: Image.Image) -> Image.Image:
    width = max(picture.width, _SMALLEST_SIDE, -(-picture.height // _LONGEST_RATIO))
    height = max(picture.height, _SMALLEST_SIDE, -(-picture.width // _LONGEST_RATIO))
    if (width, height) == picture.size:
        return picture
    paper = Image.new("RGB", (width, height), "white")
    paper.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    return paper


def _written(picture: Image.Image) -> Picture:
    # Pillow would copy a comment from the old file into the new one.
    picture.info = {}
    data = b""
    for quality in _QUALITIES:
        out = io.BytesIO()
        # Only what is named here is written: no EXIF, and so no location.
        picture.save(out, "JPEG", quality=quality, optimize=True)
        data = out.getvalue()
        if len(data) <= _MOST_BYTES:
            break
    return Picture(media_type="image/jpeg", width=picture.width, height=picture.height, data=data)
