"""What a recording is, by its first bytes: for the page that plays it, and the server that hears it. It is decoded by nobody here."""

from __future__ import annotations

_KINDS = (
    (b"OggS", 0, "audio/ogg"),
    (b"ftyp", 4, "audio/mp4"),
    (b"RIFF", 0, "audio/wav"),
    (b"fLaC", 0, "audio/flac"),
    (b"\x1a\x45\xdf\xa3", 0, "audio/webm"),
    (b"#!AMR", 0, "audio/amr"),
    (b"ID3", 0, "audio/mpeg"),
)


def media_type_of(data: bytes) -> str:
    """The content type of a recording; application/octet-stream for what is not known to be one."""
    for mark, at, kind in _KINDS:
        if data[at : at + len(mark)] == mark:
            return kind
    if data[:1] == b"\xff" and len(data) > 1 and data[1] & 0xE0 == 0xE0:
        return "audio/aac" if data[1] & 0xF6 == 0xF0 else "audio/mpeg"
    return "application/octet-stream"
