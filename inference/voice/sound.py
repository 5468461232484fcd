"""The samples of a recording that a person sent: mono, 16 kHz. PyAV decodes; nothing of the file decides what is opened.

The sender is not trusted. ffmpeg knows formats that name other files or addresses, so the format is chosen here, by the first bytes, from a short list;
and a recording is decoded only as far as it may be long.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
Samples = NDArray[np.float32]

#: By their first bytes: what phones record and messengers pass on. mov reads MP4, M4A and 3GP; matroska reads WebM.
_FORMATS: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (lambda head: head[:4] == b"OggS", "ogg"),
    (lambda head: head[4:8] == b"ftyp", "mov"),
    (lambda head: head[:5] == b"#!AMR", "amr"),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE", "wav"),
    (lambda head: head[:4] == b"fLaC", "flac"),
    (lambda head: head[:4] == b"\x1a\x45\xdf\xa3", "matroska"),
    (lambda head: head[:4] == b"caff", "caf"),
    (lambda head: head[:3] == b"ID3", "mp3"),
    # ADTS, then a frame of MPEG audio: both begin with eleven set bits.
    (lambda head: head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xF6 == 0xF0, "aac"),
    (lambda head: head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0 == 0xE0, "mp3"),
)


class NoSound(Exception):
    """The file holds no sound that can be decoded. `code` says why: empty, unreadable or no_sound."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TooLong(NoSound):
    """The recording is longer than allowed."""

    def __init__(self, most_s: float) -> None:
        super().__init__("too_long", f"the recording is longer than {most_s:g} s")


def format_of(data: bytes) -> str | None:
    """Ffmpeg's name of the container, by the first bytes; None for one that is not read here."""
    return next((name for matches, name in _FORMATS if matches(data[:16])), None)


def samples(data: bytes, *, most_s: float) -> Samples:
    """Return the recording, shape (n,), from -1 to 1. A file that was cut off gives what is there. Raises NoSound, TooLong."""
    if not data:
        raise NoSound("empty", "the file is empty")
    name = format_of(data)
    if name is None:
        raise NoSound("unreadable", "the file is no recording of a kind that is read here")
    most = int(most_s * RATE)
    found: list[Samples] = []
    count = 0
    # A damaged end is no reason to lose the beginning.
    av: Any = importlib.import_module("av")
    with suppress(av.error.FFmpegError):
        for piece in _decoded(av, data, name, most_s):
            count += piece.size
            if count > most:
                raise TooLong(most_s)
            found.append(piece)
    if not count:
        raise NoSound("unreadable", "no sound in the file can be decoded")
    return np.concatenate(found)


def _decoded(av: Any, data: bytes, name: str, most_s: float) -> Iterator[Samples]:
    with av.open(io.BytesIO(data), mode="r", format=name, metadata_errors="ignore") as container:
        stream: Any = next(iter(container.streams.audio), None)
        if stream is None:
            raise NoSound("no_sound", "the file has no sound")
        told = stream.duration and stream.time_base and float(stream.duration * stream.time_base)
        # What it says of itself is not believed, but a recording that says it is too long need not be decoded.
        if told and told > most_s + 1:
            raise TooLong(most_s)
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        for frame in container.decode(stream):
            frame.pts = None
            yield from _plain(resampler.resample(frame))
        yield from _plain(resampler.resample(None))


def _plain(frames: list[Any]) -> Iterator[Samples]:
    for frame in frames:
        yield frame.to_ndarray().reshape(-1).astype(np.float32) / 32768.0
