"""What a channel says for itself when a message arrives at the platform: its checks, its words in the log, its reports afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A message that the platform has accepted."""

    external_id: str
    #: What the business is told.
    answer: Json
    #: Builds the report of a status, with an error's code where one failed; None where the channel has no such report.
    report: Callable[[str, int | None], Json | None]
