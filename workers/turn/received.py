"""What people attached, as the platform gives it out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from bots.channels.base import Location
from bots.domain import MediaReference
from bots.errors import MediaGone, MediaUnavailable
from bots.storage.claims import ClaimedMedia
from workers.turn.claimed import ClaimedTurn

T = TypeVar("T")


def receive(turn: ClaimedTurn, one: ClaimedMedia, until: float, download: Callable[[Location], T]) -> T:
    """Ask the platform where the file is, and download it; until is of the monotonic clock, in seconds. Raises MediaError, SendError."""
    opened = turn.account
    reference = MediaReference(kind=one.kind, reference=one.reference, media_type=one.media_type)
    for last in (False, True):
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise MediaUnavailable("The time for the files of this turn is over.")
        location = opened.channel.locate(opened.account.external_id, reference, opened.credentials, deadline_s=left_s)
        try:
            return download(location)
        except MediaGone:
            # An address that the platform made for us expires within minutes: ask for a new one.
            if last or location.url == one.reference:
                raise
    raise AssertionError("unreachable")
