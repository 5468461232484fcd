"""A folder in memory for what a test run throws away: a new database is five hundred files, which most disks make ten times slower."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MEMORY = Path("/dev/shm")
_PREFIX = "chinwag-tests"
_ENOUGH = 2 << 30


@contextlib.contextmanager
def folder(otherwise: Path) -> Iterator[Path]:
    """A new folder, removed afterwards: in memory where there is room, else in the folder given."""
    _remove_left_behind()
    with contextlib.suppress(OSError):
        if shutil.disk_usage(_MEMORY).free >= _ENOUGH and os.access(_MEMORY, os.W_OK):
            otherwise = _MEMORY
    made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}-{os.getpid()}-", dir=otherwise))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _remove_left_behind() -> None:
    """Remove the folders of test processes that were killed."""
    for left in _MEMORY.glob(f"{_PREFIX}-*-*"):
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
