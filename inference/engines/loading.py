"""Reads in vLLM's log how far its start has come."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from inference.engines.base import Step

#: A progress bar ends its lines with \r.
_END_OF_LINE = re.compile(rb"[\r\n]+")


def _share(done: str, of: str) -> float | None:
    return min(1.0, int(done) / int(of)) if int(of) else None


_Read = Callable[[re.Match[str]], Step]
#: What the lines of vLLM 0.32 and 0.33 mean; the first match counts.
_LINES: tuple[tuple[re.Pattern[str], _Read], ...] = (
    (re.compile(r"Fetching \d+ files: .*?(\d+)/(\d+)"), lambda m: Step(message="fetching the weights", fraction=_share(m[1], m[2]))),
    (re.compile(r"Starting to load model (\S+?)(?:\.\.\.)?$"), lambda _: Step(message="loading the weights", fraction=0.0)),
    (
        re.compile(r"checkpoint shards: .*?Completed \| (\d+)/(\d+)"),
        lambda m: Step(message="loading the weights", fraction=_share(m[1], m[2])),
    ),
    (re.compile(r"Loading weights took ([\d.]+) seconds"), lambda m: Step(message=f"weights loaded in {float(m[1]):.0f} s")),
    (re.compile(r"Available KV cache memory: ([\d.]+) GiB"), lambda m: Step(message=f"{m[1]} GiB left for conversations")),
    (re.compile(r"\wPU KV cache size: ([\d,]+) tokens"), lambda m: Step(message=f"room for {m[1]} tokens of conversations")),
    (re.compile(r"torch\.compile took|Compiling a graph|Start compiling"), lambda _: Step(message="compiling")),
    (re.compile(r"Capturing CUDA graphs.*?(\d+)/(\d+)"), lambda m: Step(message="capturing CUDA graphs", fraction=_share(m[1], m[2]))),
    (re.compile(r"init engine .* took ([\d.]+)"), lambda m: Step(message=f"engine ready in {float(m[1]):.0f} s")),
    (re.compile(r"Application startup complete"), lambda _: Step(message="asking for a first token")),
)
#: The end of a log is enough; a log that grew for weeks is not read whole.
_END_BYTES = 400_000


def step_of(line: str) -> Step | None:
    """What one line of the log says about the start; None where it says nothing about it."""
    for pattern, read in _LINES:
        found = pattern.search(line)
        if found:
            return read(found)
    return None


def end_of(path: Path) -> str:
    """The end of a log; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _END_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


class Tail:
    """Reads a growing file, each time from where it stopped before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._rest = b""

    def lines(self) -> Iterator[str]:
        """The complete lines that are new."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                new = file.read(1024 * 1024)
        except OSError:
            return
        self._at += len(new)
        *whole, self._rest = _END_OF_LINE.split(self._rest + new)
        for line in whole:
            yield line.decode("utf-8", "replace")
