"""CPU time of this process and of a Postgres, as the kernel counts it."""

from __future__ import annotations

import os
from pathlib import Path

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def of_postgres(folder: Path) -> float:
    """Milliseconds that the Postgres with its data in this folder has used so far: all its processes, and those that have ended."""
    data = f" -D {folder.resolve()} "
    parents, used, main = dict[int, int](), dict[int, float](), None
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            words = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            # It ended meanwhile.
            continue
        pid = int(place.name)
        parents[pid] = int(fields[1])
        used[pid] = _TICK_MS * sum(int(field) for field in fields[11:15])
        if data in words and "/postgres " in words:
            main = pid
    assert main is not None, f"no Postgres runs in {folder}"
    return used[main] + sum(ms for pid, ms in used.items() if parents[pid] == main)
