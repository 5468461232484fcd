"""Notices to watching pages over Postgres NOTIFY. Nothing depends on them: a page that missed one reads the rows."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Engine

from bots.storage.database import call, to_json

CHANNEL = "chinwag_talk"
#: Postgres accepts at most 8,000 bytes per notice.
_MOST_BYTES = 6000


def tell(engine: Engine, *, kind: str, conversation: UUID, contact: UUID, turn: UUID | None, text: str | None) -> None:
    """Send one notice; of a long text only the end is sent. Raises StorageUnavailable."""
    if text is not None:
        text = text.replace("\0", "").encode()[-_MOST_BYTES:].decode(errors="ignore")
    notice = {"kind": kind, "conversation": conversation, "contact": contact, "turn": turn, "text": text}
    # JSON escapes may double a text's length; what does not fit is only shown later.
    payload = to_json(notice)
    if len(payload.encode()) < 8000:
        call(engine, "select pg_notify(%s, %s)", (CHANNEL, payload), repeat=False)
