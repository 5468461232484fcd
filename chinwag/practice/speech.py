"""What differs between channels when a message arrives at the platform: the checks, the fields in the log, the reports afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message that the platform has accepted."""

    external_id: str
    #: What the business gets as answer.
    answer: Json
    #: Builds the report of a status, with an error's code if it failed; None if the channel has no such report.
    report: Callable[[str, int | None], Json | None]
