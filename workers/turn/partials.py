"""What an open page shows of an answer that is being written: at most a few partial texts a second, by Postgres NOTIFY."""

from __future__ import annotations

import time

import structlog
from sqlalchemy import Engine

from bots.channels.markup import to_plain
from bots.errors import StorageUnavailable
from bots.storage import chat_notices
from bots.storage.claims import Claim

log = structlog.get_logger()


class Partials:
    """The partial texts of one turn; none are sent unless a page watches."""

    def __init__(self, engine: Engine, claim: Claim, *, per_s: float) -> None:
        self._engine = engine
        self._claim = claim
        self._pause_s = 1.0 / per_s if per_s > 0 else float("inf")
        self._last_at = 0.0

    def typing(self) -> None:
        """Report that the model is at work."""
        self._tell("typing", None)

    def show(self, text: str) -> None:
        """Send the text so far, written as the whole answer will be, unless one was sent just now."""
        now = time.monotonic()
        if self._claim.watched and now - self._last_at >= self._pause_s:
            self._last_at = now
            self._tell("partial", to_plain(text) or text)

    def _tell(self, kind: str, text: str | None) -> None:
        if not self._claim.watched:
            return
        try:
            chat_notices.tell(
                self._engine,
                kind=kind,
                conversation=self._claim.conversation,
                contact=self._claim.contact,
                turn=self._claim.turn,
                text=text,
            )
        except StorageUnavailable:
            log.debug("partial_not_shown", turn=str(self._claim.turn))
