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
    """A picture as re-encoded by us."""

    id: UUID
    media_type: str
    #: Both 0 for a recording.
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
    kind: str = "image"
    #: Of a recording: how long it is, and what was heard in it.
    seconds: float | None = None
    language: str | None = None
    language_certainty: float | None = None
    certainty: float | None = None
    #: Whether its bytes are stored.
    is_here: bool = False


#: The pictures of the inbox row i, for a query of lines.
OF_ROW = """(select coalesce(jsonb_agg(jsonb_build_object('id', m.id, 'state', m.state, 'reason', m.reason, 'kind', m.kind, 'seconds', m.seconds,
        'language', m.language, 'language_certainty', m.language_certainty, 'certainty', m.certainty, 'is_here', m.data is not null) order by m.n), '[]')
    from media m where m.inbox_id = i.id)"""


def sent(rows: list[dict[str, Any]] | None) -> tuple[Sent, ...]:
    """Read what OF_ROW gives."""
    return tuple(map(_sent, rows or ()))


def _sent(row: dict[str, Any]) -> Sent:
    values: dict[str, Any] = {**row, "id": UUID(row["id"])}
    return Sent(**values)


def fetched(connection: Connection, media: UUID, *, media_type: str, width: int, height: int, data: bytes) -> bool:
    """Store a picture's bytes; False when its row no longer exists, or was settled already."""
    values = {"id": media, "media_type": media_type, "width": width, "height": height, "data": data}
    return connection.execute(_FETCHED, values).rowcount == 1


def refused(connection: Connection, media: UUID, *, reason: str) -> bool:
    """Record why a picture is not available; False when its row no longer exists, or was settled already."""
    return connection.execute(_REFUSED, {"id": media, "reason": reason}).rowcount == 1


def received(connection: Connection, media: UUID, *, media_type: str, data: bytes) -> None:
    """Store a recording that is yet to be heard: whoever tries again need not fetch it."""
    connection.execute(_RECEIVED, {"id": media, "media_type": media_type, "data": data})


def heard(
    connection: Connection,
    media: UUID,
    *,
    words: str,
    seconds: float | None,
    language: str,
    language_certainty: float | None,
    certainty: float | None,
) -> bool:
    """Store what is said in a recording as its message's words; False when its row no longer exists, or was settled already."""
    values: dict[str, Any] = {"id": media, "seconds": seconds, "language": language or None, "language_certainty": language_certainty}
    values |= {"certainty": 0.0 if certainty is None else certainty, "words": words}
    return connection.execute(_HEARD, values).rowcount == 1


def put(connection: Connection, *, account: UUID, event_key: str, media_type: str, width: int, height: int, data: bytes) -> bool:
    """Store the picture of a message that came with its bytes; False for a message that is stored already. Needs the crossing role."""
    values = {"account": account, "key": event_key, "media_type": media_type, "width": width, "height": height, "data": data}
    return connection.execute(_PUT, values).rowcount == 1


def put_sound(connection: Connection, *, account: UUID, event_key: str, media_type: str, data: bytes) -> None:
    """Store the recording of a message that came with its bytes, to be heard. Needs the crossing role."""
    connection.execute(_PUT_SOUND, {"account": account, "key": event_key, "media_type": media_type, "data": data})


def load(connection: Connection, media: Sequence[UUID]) -> dict[UUID, StoredPicture]:
    """Return those of these pictures whose bytes are stored."""
    if not media:
        return {}
    rows = connection.execute(_LOAD, {"media": list(media)})
    return {
        row.id: StoredPicture(id=row.id, media_type=row.media_type, width=row.width or 0, height=row.height or 0, data=bytes(row.data))
        for row in rows
    }


def of_conversation(connection: Connection, *, conversation: UUID, media: UUID) -> StoredPicture | None:
    """Return a picture, if it belongs to this conversation and its bytes are stored."""
    found = load(connection, [media])
    if not found or connection.execute(_IS_OF, {"media": media, "conversation": conversation}).first() is None:
        return None
    return found[media]


_FETCHED = text("""
    update media set state = 'fetched', reason = null, media_type = :media_type, width = :width, height = :height, data = :data
    where id = :id and state = 'named'""")
_RECEIVED = text("update media set media_type = :media_type, data = :data where id = :id and state = 'named'")
_PUT_SOUND = text("""
    update media set media_type = :media_type, data = :data
    where state = 'named' and inbox_id = (select id from inbox where account_id = :account and event_key = :key)""")
_HEARD = text("""
    with settled as (
        update media set state = 'fetched', reason = null, seconds = :seconds, language = :language,
            language_certainty = :language_certainty, certainty = :certainty
        where id = :id and state = 'named' returning inbox_id, tenant_id)
    update inbox i set text = concat_ws(E'\\n', nullif(btrim(i.text), ''), cast(:words as text)) from settled s
    where i.tenant_id = s.tenant_id and i.id = s.inbox_id and i.content_type not in ('unsent', 'erased') and i.forgotten_at is null""")
_REFUSED = text("update media set state = 'refused', reason = :reason where id = :id and state = 'named'")
_PUT = text("""
    update media set state = 'fetched', media_type = :media_type, width = :width, height = :height, data = :data
    where state = 'named' and inbox_id = (select id from inbox where account_id = :account and event_key = :key)""")
_LOAD = text("select id, media_type, width, height, data from media where id = any(cast(:media as uuid[])) and data is not null")
_IS_OF = text("""
    select from media m join inbox i on i.tenant_id = m.tenant_id and i.id = m.inbox_id
    where m.id = :media and i.conversation_id = :conversation""")
