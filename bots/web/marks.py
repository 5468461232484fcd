"""Ids, and places in a list where the next page begins, as text in addresses and forms. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

#: No mark is longer.
LONGEST = 80
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def identity(text: str) -> UUID | None:
    """Read an id; None for anything else."""
    try:
        return UUID(text)
    except ValueError:
        return None


def after(at: datetime, number: UUID) -> str:
    """Write the place of a row that is ordered by time and id."""
    return f"{(at - _EPOCH) // _MICROSECOND}_{number}"


def read(mark: str) -> tuple[datetime, UUID] | None:
    """Read such a place; None for anything else."""
    micros, _, number = mark[:LONGEST].partition("_")
    try:
        return _at(micros), UUID(number)
    except (ValueError, OverflowError):
        return None


def after_line(at: datetime, rank: int, n: int) -> str:
    """Write the place of a line in a conversation."""
    return f"{(at - _EPOCH) // _MICROSECOND}_{rank}_{n}"


def read_line(mark: str) -> tuple[datetime, int, int] | None:
    """Read such a place; None for anything else."""
    try:
        micros, rank, n = mark[:LONGEST].split("_")
        found = (_at(micros), int(rank), int(n))
    except (ValueError, OverflowError):
        return None
    return found if found[1] in {0, 1} and 0 <= found[2] < 2**63 else None


def _at(micros: str) -> datetime:
    return _EPOCH + int(micros) * _MICROSECOND
