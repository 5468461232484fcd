"""The earlier turns that the messages of a turn are about."""

from __future__ import annotations

from collections.abc import Sequence

from workers.turn.aside import Earlier
from workers.turn.claimed import ClaimedTurn


def recalled(turn: ClaimedTurn, texts: Sequence[str]) -> Sequence[Earlier]:  # noqa: ARG001 - nothing is recalled yet
    """Return them, the best first."""
    return ()
