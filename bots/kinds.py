"""The kinds of facts that may be remembered about a person; they are data in kinds.toml, which says what each column means."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of fact."""

    name: str
    single: bool = False
    told: Literal["always", "relevant"]
    sensitive: bool = False
    #: For how many days a fact without a date of its own is told; None: until it ends.
    days: int | None = None


@cache
def kinds() -> Mapping[str, Kind]:
    """Every kind by its name, in the order in which a profile tells them."""
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    return {name: Kind(name=name, **values) for name, values in table.items()}


@cache
def always_told() -> tuple[str, ...]:
    """The names of the kinds that are in every prompt."""
    return tuple(name for name, kind in kinds().items() if kind.told == "always")
