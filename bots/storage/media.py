"""Pictures that contacts sent: named by a webhook, then fetched or refused by the turn that they belong to.

Reads and writes run inside `unit(contact=...)`: row-level security shows and changes this contact's rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPicture:
    """A picture as it was written by us."""

    id: UUID
    media_type: str
    width: int
    height: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A picture of a message, as pages show it."""

    id: UUID
    #: named, fetched or refused
    state: str
    reason: str | None = None


#: The pictures of the inbox row i, for a query of lines.
OF_ROW = """(select coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'state', m.state, 'reason', m.reason) order by m.n), '[]')
    from media m where m.inbox_id = i.id)"""


def sent(rows: list[dict[str, Any]] | None) -> tuple[Sent, ...]:
    """Read what OF_ROW gives."""
    return tuple(Sent(id=UUID(row["id"]), state=row["state"], reason=row["reason"]) for row in rows or ())


def fetched(connection: Connection, media: UUID, *, media_type: str, width: int, height: int, data: bytes) -> bool:
    """Keep a picture's bytes; False when it is not there any more, or was settled already."""
    values = {"id": media, "media_type": media_type, "width": width, "height": height, "data": data}
    return connection.execute(_FETCHED, values).rowcount == 1


def refused(connection: Connection, media: UUID, *, reason: str) -> bool:
    """Note why a picture cannot be had; False when it is not there any more, or was settled already."""
    return connection.execute(_REFUSED, {"id": media, "reason": reason}).rowcount == 1


def put(connection: Connection, *, account: UUID, event_key: str, media_type: str, width: int, height: int, data: bytes) -> bool:
    """Keep the bytes of the one picture of a message that brought them along; False for a message that is no news. Needs the crossing role."""
    values = {"account": account, "key": event_key, "media_type": media_type, "width": width, "height": height, "data": data}
    return connection.execute(_PUT, values).rowcount == 1


def load(connection: Connection, media: Sequence[UUID]) -> dict[UUID, StoredPicture]:
    """Return those of these pictures whose bytes are there."""
    if not media:
        return {}
    rows = connection.execute(_LOAD, {"media": list(media)})
    return {
        row.id: StoredPicture(id=row.id, media_type=row.media_type, width=row.width, height=row.height, data=bytes(row.data))
        for row in rows
    }


def of_conversation(connection: Connection, *, conversation: UUID, media: UUID) -> StoredPicture | None:
    """Return a picture of this conversation, if it is one and its bytes are there."""
    found = load(connection, [media])
    if not found or connection.execute(_IS_OF, {"media": media, "conversation": conversation}).first() is None:
        return None
    return found[media]


_FETCHED = text("""
    update media set state = 'fetched', reason = null, media_type = :media_type, width = :width, height = :height, data = :data
    where id = :id and state = 'named'""")
_REFUSED = text("update media set state = 'refused', reason = :reason where id = :id and state = 'named'")
_PUT = text("""
    update media set state = 'fetched', media_type = :media_type, width = :width, height = :height, data = :data
    where state = 'named' and inbox_id = (select id from inbox where account_id = :account and event_key = :key)""")
_LOAD = text("select id, media_type, width, height, data from media where id = any(cast(:media as uuid[])) and data is not null")
_IS_OF = text("""
    select from media m join inbox i on i.tenant_id = m.tenant_id and i.id = m.inbox_id
    where m.id = :media and i.conversation_id = :conversation""")
