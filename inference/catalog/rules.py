"""The checks that the catalog's tables share. Each raises InvalidRow with the key that is wrong."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from inference.catalog.toml_rows import InvalidRow


def require(fine: bool, key: str, why: str) -> None:  # noqa: FBT001 - reads as a sentence: this must hold, or the key is wrong
    """Raise InvalidRow for the key unless the condition holds."""
    if not fine:
        raise InvalidRow(key, why)


def above_zero(row: object, *keys: str) -> None:
    """Require numbers above 0."""
    for key in keys:
        require(getattr(row, key) > 0, key, "must be above 0")


def one_of(value: str, known: tuple[str, ...], key: str) -> None:
    """Require one of the known words."""
    require(value in known, key, f'must be one of {", ".join(known)}, not the text "{value}"')


def known_fields(row: Any, *tables: str) -> None:
    """Require that `unconfirmed` names only fields of the row and of its tables."""
    known = {one.name for one in fields(row)}
    for table in tables:
        inner = getattr(row, table)
        known |= {f"{table}.{one.name}" for one in fields(inner)} if inner else set()
    for name in row.unconfirmed:
        require(name in known, "unconfirmed", f'names "{name}", which is not a field here')
