"""The platform's own record: one entry for each request to /messages, in memory and as JSON lines in the state folder."""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Entry = dict[str, Any]

#: Entries in memory: enough for a long bench, while a stack that runs for months does not grow without end.
_KEPT = 200_000
#: A log file larger than this is set aside at the start.
_ROTATE_BYTES = 16 * 1024 * 1024


class Log:
    """Entries with growing numbers `n`, from 1."""

    def __init__(self, state: Path | None, *, name: str = "log.jsonl", kept: int = _KEPT) -> None:
        self._entries: deque[Entry] = deque(maxlen=kept)
        self._news = asyncio.Event()
        self._file: int | None = None
        self.last = 0
        if state is not None:
            self._open(state / name)

    def _open(self, path: Path) -> None:
        if path.exists():
            self._read(path)
            if path.stat().st_size > _ROTATE_BYTES:
                path.replace(path.with_suffix(".before.jsonl"))
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _read(self, path: Path) -> None:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                    self.last = int(entry["n"])
                except (ValueError, KeyError, TypeError):  # A line cut short by a kill.
                    continue
                self._entries.append(entry)

    def add(self, **fields: Any) -> Entry:
        """Record an entry and wake those who wait for it."""
        self.last += 1
        entry = {"n": self.last, "at": datetime.now(UTC).isoformat(), **fields}
        self._entries.append(entry)
        if self._file is not None:
            # Written straight to the kernel: a killed platform has lost nothing that it accepted.
            os.write(self._file, (json.dumps(entry, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass"))
        news, self._news = self._news, asyncio.Event()
        news.set()
        return entry

    def after(self, n: int, *, limit: int = 1_000_000) -> list[Entry]:
        """Return the entries with a number above n, oldest first."""
        fresh: list[Entry] = []
        for entry in reversed(self._entries):
            if entry["n"] <= n:
                break
            fresh.append(entry)
        fresh.reverse()
        return fresh[:limit]

    async def wait(self, n: int, seconds: float) -> None:
        """Return when an entry above n exists, or after some seconds."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self.last <= n:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                return

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
