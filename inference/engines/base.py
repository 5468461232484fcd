"""What every engine can do. An engine is a process that has a model in memory and serves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far an engine's start has come."""

    message: str
    #: From 0 to 1; None where it is not counted.
    fraction: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an engine does not serve, in one line that says what to do."""

    message: str
    #: Another start would fail in the same way: a wrong flag, missing weights, a licence.
    lasting: bool = False
    #: It was read from the engine's own output; otherwise it is only known that the engine ended.
    known: bool = True


class Engine(Protocol):
    """A model server that we run. Its owner starts it, asks whether it is ready, watches it, and drains it before it stops."""

    def start(self) -> str:
        """Begin to load the model and return the base address, without /v1. Raises EngineFailed when it cannot begin."""
        ...

    def step(self) -> Step | None:
        """How far the start has come, one step after the other; None where nothing is new."""
        ...

    def ready(self) -> bool:
        """Whether a request would be answered now: one token is asked for, since a health page alone proves nothing."""
        ...

    def alive(self) -> bool:
        """Whether its process runs, loading or serving; cheap enough to ask every second."""
        ...

    def reason(self) -> Reason:
        """Why it is not alive, or not ready."""
        ...

    def drain(self, timeout_s: float) -> bool:
        """Wait until no request is running; return whether that happened in time."""
        ...

    def stop(self, grace_s: float) -> None:
        """Ask it to end, and kill it after the grace."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Return the engine's own metrics by name; none while it is not ready."""
        ...
