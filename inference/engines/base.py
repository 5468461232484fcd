"""What every engine can do: a process that holds a model and serves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far an engine's start has come."""

    words: str
    #: From 0 to 1; None where nobody counts.
    fraction: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an engine does not serve, in one line that says what to do."""

    words: str
    #: The same start would fail in the same way: a wrong flag, missing weights, a licence.
    lasting: bool = False
    #: It was read from what the engine said; otherwise nobody knows more than that it ended.
    known: bool = True


class Engine(Protocol):
    """A model server of ours. Its owner starts it, asks whether it is ready, watches it, and drains it before it stops."""

    def start(self) -> str:
        """Begin to load the model and return the base address, without /v1. Raises EngineFailed when it cannot even begin."""
        ...

    def step(self) -> Step | None:
        """How far the start has come, one step after the other; None where nothing new is known."""
        ...

    def ready(self) -> bool:
        """Whether a request would be answered now: one token is asked for, since a health page alone is no proof."""
        ...

    def alive(self) -> bool:
        """Whether its process runs, loading or serving; cheap enough to be asked every second."""
        ...

    def reason(self) -> Reason:
        """Why it is not alive, or does not become ready."""
        ...

    def drain(self, timeout_s: float) -> bool:
        """Wait until no request is running; return whether that came in time."""
        ...

    def stop(self, grace_s: float) -> None:
        """End it: politely, and after the grace not."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """Return the engine's own figures by name; none while it is not ready."""
        ...
