"""What is remembered about a contact, with the message each memory came from. Read within the contact's scope."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from bots.domain import Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """A memory that was in the prompt of an answer, and the message it came from."""

    memory: Memory
    reason: str
    source_text: str | None
    said_at: datetime


def known(connection: Connection) -> list[Memory]:
    """All current memories of the contact in scope, newest first."""
    rows = connection.execute(
        text("select id, kind, text, source_inbox_id, created_at from memories where valid_to is null order by created_at desc, id")
    )
    return [Memory(**row) for row in rows.mappings()]


def shaped_last(connection: Connection, conversation: UUID) -> list[Shaped]:
    """The memories that were in the prompt of a conversation's last answer."""
    rows = connection.execute(
        text(
            "select m.id, m.kind, m.text, m.source_inbox_id, m.created_at, r.reason, i.text as source_text, i.received_at"
            " from recalls r join memories m on m.id = r.memory_id join inbox i on i.id = m.source_inbox_id"
            " where r.turn_id = (select id from turns where conversation_id = :conversation and state = 'answered' and in_history"
            " order by number desc limit 1) and (m.valid_to is null or m.superseded_by is not null) order by r.rank"
        ),
        {"conversation": conversation},
    )
    return [
        Shaped(
            memory=Memory(id=row.id, kind=row.kind, text=row.text, source_inbox_id=row.source_inbox_id, created_at=row.created_at),
            reason=row.reason,
            source_text=row.source_text,
            said_at=row.received_at,
        )
        for row in rows
    ]
