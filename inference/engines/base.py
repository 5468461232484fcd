"""What every engine can do: a process that holds a model and serves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Engine(Protocol):
    """A model server of ours. Its owner starts it, asks whether it is ready, and drains it before the process ends."""

    def start(self) -> str:
        """Load the model and return the base address, without /v1. Raises EngineFailed when it cannot."""
        ...

    def ready(self) -> bool:
        """Whether a request would be answered now; a health page alone is no proof."""
        ...

    def drain(self, timeout_s: float) -> bool:
        """Wait until no request is running; return whether that came in time."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Return the engine's own figures by name; none while it is not ready."""
        ...
