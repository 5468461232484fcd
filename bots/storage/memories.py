"""What is remembered about a contact, with the message each memory came from; what operators change of it, and how it is erased.

Reads run within the contact's scope. Changes by operators need the crossing role, and name their contact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from bots.domain import Memory
from bots.errors import Conflict, NotFound
from bots.kinds import kinds
from bots.storage.database import to_json
from bots.storage.turns import Erasure

#: Why a memory is among the recalls of a turn that listed it; what is remembered from one prompt to the next has other reasons.
LISTED = "listed by /memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """A memory that was in the prompt of an answer, and the message it came from."""

    memory: Memory
    reason: str
    #: None: an operator added it, or the words were erased since.
    source_text: str | None
    said_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """An earlier turn that was in the prompt of an answer because it was about the question, and the signals that found it."""

    turn: UUID
    said_at: datetime
    asked: str | None
    answer: str | None
    signals: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A memory with where it comes from, and when and by what it ended."""

    id: UUID
    kind: str
    text: str
    topic: str | None
    day: date | None
    last_day: date | None
    #: The rules or the model that found it, or "operator NAME".
    created_by: str
    said_at: datetime
    #: When it was learned.
    created_at: datetime
    #: Since when it is true, where the words say so; since when no longer, and when that was learned.
    valid_from: datetime | None
    valid_to: datetime | None
    ended_at: datetime | None
    #: The operator who ended it, or the words of the message that did.
    ended_by: str | None
    ended_by_text: str | None
    superseded_by: UUID | None
    superseded_by_text: str | None
    source: UUID | None
    source_text: str | None
    source_conversation: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What a contact has switched off, and since when; and when they were told that something sensitive is remembered."""

    memory_off_at: datetime | None
    sensitive_off_at: datetime | None
    sensitive_told_at: datetime | None


def living(connection: Connection) -> list[Memory]:
    """All current memories of the contact in scope, newest first."""
    rows = connection.execute(text(f"select {_MEMORY} from memories m where m.valid_to is null order by m.created_at desc, m.id"))  # noqa: S608 - a literal of this module
    return [Memory(**row) for row in rows.mappings()]


def ended(connection: Connection) -> list[Memory]:
    """All memories of the contact in scope that are true no longer, newest first."""
    rows = connection.execute(text(f"select {_MEMORY} from memories m where m.valid_to is not null order by m.created_at desc, m.id"))  # noqa: S608 - a literal of this module
    return [Memory(**row) for row in rows.mappings()]


def with_history(connection: Connection, contact: UUID, chosen: Sequence[UUID]) -> list[UUID]:
    """Memories of a contact, with what they took the place of and ended ones of the same words: what goes where they are erased."""
    query = text("select with_history(:contact, cast(:chosen as uuid[]))")
    return list(connection.execute(query, {"contact": contact, "chosen": list(chosen)}).scalar_one())


def all_of(connection: Connection, contact: UUID, *, limit: int = 1000) -> list[Stored]:
    """Everything that is or was remembered of a contact, what lives first, then the newest."""
    return [Stored(**row) for row in connection.execute(_STORED, {"contact": contact, "limit": limit}).mappings()]


def count(connection: Connection, contact: UUID) -> int:
    """How many memories there are of a contact, those that ended among them."""
    return connection.execute(text("select count(*) from memories where contact_id = :contact"), {"contact": contact}).scalar_one()


def kind_of(connection: Connection, contact: UUID, memory: UUID) -> str:
    """The kind of a memory of a contact. Raises NotFound."""
    found = connection.execute(
        text("select kind from memories where contact_id = :contact and id = :memory"), {"contact": contact, "memory": memory}
    ).scalar()
    if found is None:
        raise NotFound("There is no such memory.")
    return str(found)


def export(connection: Connection, contact: UUID) -> list[dict[str, Any]]:
    """The same as plain values, to be handed to the contact."""
    return [asdict(one) for one in all_of(connection, contact, limit=100_000)]


def shaped_last(connection: Connection, conversation: UUID) -> list[Shaped]:
    """The memories that were in the prompt of a conversation's last answer."""
    rows = connection.execute(
        text(
            f"select {_MEMORY}, r.reason, i.text as source_text"  # noqa: S608 - a literal of this module
            " from recalls r join memories m on m.id = r.memory_id left join inbox i on i.id = m.source_inbox_id"
            f" where r.turn_id = {_LAST_ANSWER} order by r.rank"
        ),
        {"conversation": conversation},
    )
    return [
        Shaped(memory=_memory(row), reason=row["reason"], source_text=row["source_text"], said_at=row["said_at"]) for row in rows.mappings()
    ]


def repeated_last(connection: Connection, conversation: UUID) -> tuple[Repeated, ...]:
    """The earlier turns that were in the prompt of a conversation's last answer."""
    turn = connection.execute(text(f"select {_LAST_ANSWER}"), {"conversation": conversation}).scalar()
    return () if turn is None else repeated(connection, turn)


def repeated(connection: Connection, turn: UUID) -> tuple[Repeated, ...]:
    """The earlier turns that were in the prompt of a turn, the one that fits best first."""
    rows = connection.execute(
        text(
            "select r.recalled_id, h.opened_at, h.asked, h.answer, r.signals from recalled_turns r join turns h on h.id = r.recalled_id"
            " where r.turn_id = :turn order by r.rank"
        ),
        {"turn": turn},
    )
    return tuple(
        Repeated(turn=row.recalled_id, said_at=row.opened_at, asked=row.asked, answer=row.answer, signals=tuple(row.signals))
        for row in rows
    )


def listed_last(connection: Connection, conversation: UUID) -> dict[int, UUID]:
    """The memories that /memory listed last in a conversation, by their numbers; those that are forgotten since are left out."""
    rows = connection.execute(_LISTED, {"conversation": conversation, "reason": LISTED})
    return {row.rank: row.memory_id for row in rows}


def said_last(connection: Connection, conversation: UUID, *, before: int) -> UUID | None:
    """The turn in which the contact last said something to the model, before the turn of this number; None where there is none."""
    return connection.execute(_SAID_LAST, {"conversation": conversation, "before": before}).scalar()


def add(
    connection: Connection, *, contact: UUID, kind: str, value: str, by: str, day: date | None = None, last_day: date | None = None
) -> UUID:
    """Add a memory in an operator's name. Raises Conflict when it is known, or the contact wants nothing of it remembered; NotFound."""
    if is_switched_off(connection, contact=contact, kind=kind):
        raise Conflict("This person does not want that to be remembered.")
    values = {
        "contact": contact,
        "kind": kind,
        "value": value,
        "topic": _topic(kind),
        "day": day,
        "last_day": last_day,
        "by": f"operator {by}",
    }
    if connection.execute(_KNOWN, values).scalar():
        raise Conflict("That is remembered already.")
    made = connection.execute(_ADD, values).scalar_one()
    _settle(connection, contact)
    return made


def correct(connection: Connection, *, contact: UUID, memory: UUID, value: str, by: str) -> UUID:
    """Put another value in a memory's place; the old one stays as what it was until now. Raises NotFound where it does not live, Conflict."""
    values = {"contact": contact, "memory": memory, "value": value, "by": f"operator {by}"}
    before = connection.execute(_LIVING, values).mappings().one_or_none()
    if before is None:
        raise NotFound("There is no such memory, or it ended.")
    if connection.execute(_KNOWN, {**values, "kind": before["kind"], "day": before["day"]}).scalar():
        raise Conflict("That is remembered already.")
    made = connection.execute(_ADD, {**before, **values, "topic": before["topic"]}).scalar_one()
    connection.execute(
        text("update memories set valid_to = now(), ended_at = now(), superseded_by = :made where contact_id = :contact and id = :memory"),
        {**values, "made": made},
    )
    _settle(connection, contact)
    return made


def end(connection: Connection, *, contact: UUID, memory: UUID, by: str, on: datetime | None = None) -> None:
    """Say that a memory is true no longer. Raises NotFound where it does not live."""
    done = connection.execute(
        text(
            "update memories set valid_to = coalesce(cast(:on as timestamptz), now()), ended_at = now(), ended_by = :by"
            " where contact_id = :contact and id = :memory and valid_to is null returning id"
        ),
        {"contact": contact, "memory": memory, "by": by, "on": on},
    ).one_or_none()
    if done is None:
        raise NotFound("There is no such memory, or it ended.")


def erase(
    connection: Connection, *, contact: UUID, memories: Sequence[UUID] = (), turns: Sequence[UUID] = (), everything: bool = False
) -> None:
    """Erase memories and every copy of their words, in the contact's name. What has been erased already changes nothing."""
    wish = Erasure(memories=list(memories), turns=list(turns), everything=everything)
    # Of somebody who has written for years it takes longer than other statements may.
    connection.execute(text("set local statement_timeout = '120s'"))
    connection.execute(text("select erase(:contact, cast(:wish as jsonb))"), {"contact": contact, "wish": to_json(wish)})


def switches(connection: Connection, contact: UUID) -> Switches:
    """What a contact has switched off. Raises NotFound."""
    row = (
        connection.execute(
            text("select memory_off_at, sensitive_off_at, sensitive_told_at from contacts where id = :contact"), {"contact": contact}
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound("There is no such contact.")
    return Switches(**row)


def switch(connection: Connection, contact: UUID, *, memory_off: bool | None = None, sensitive_off: bool | None = None) -> None:
    """Switch off, or on again, that anything or anything sensitive is remembered of a contact; None leaves it as it is. Raises NotFound."""
    done = connection.execute(
        text(
            "update contacts set memory_off_at = switched(memory_off_at, to_jsonb(cast(:memory as boolean))),"
            " sensitive_off_at = switched(sensitive_off_at, to_jsonb(cast(:sensitive as boolean))) where id = :contact returning id"
        ),
        {"contact": contact, "memory": memory_off, "sensitive": sensitive_off},
    ).one_or_none()
    if done is None:
        raise NotFound("There is no such contact.")


def is_switched_off(connection: Connection, *, contact: UUID, kind: str) -> bool:
    """Whether a contact wants nothing of a kind remembered. Raises NotFound."""
    off = switches(connection, contact)
    return off.memory_off_at is not None or (off.sensitive_off_at is not None and kinds()[kind].sensitive)


def _topic(kind: str) -> str | None:
    return "" if kinds()[kind].single else None


def _settle(connection: Connection, contact: UUID) -> None:
    connection.execute(text("select settle_memories(:contact, null)"), {"contact": contact})


def _memory(row: Any) -> Memory:
    return Memory(**{name: row[name] for name in ("id", "kind", "text", "source_inbox_id", "said_at", "created_at", "day", "last_day")})


_MEMORY = "m.id, m.kind, m.text, m.source_inbox_id, m.said_at, m.created_at, m.day, m.last_day"
_LAST_ANSWER = (
    "(select id from turns where conversation_id = :conversation and state = 'answered' and in_history order by number desc limit 1)"
)
_LISTED = text("""
    select rank, memory_id from recalls where reason = :reason and turn_id = (
        select t.id from turns t where t.conversation_id = :conversation
            and exists (select from recalls r where r.tenant_id = t.tenant_id and r.turn_id = t.id and r.reason = :reason)
        order by t.number desc limit 1)""")
_SAID_LAST = text("""
    select t.id from turns t where t.conversation_id = :conversation and t.number < :before and t.state = 'answered'
        -- One that is forgotten stays the last: a wish that is read again must not reach further back.
        and (t.asked is not null or exists (select from inbox i where i.turn_id = t.id and i.forgotten_at is not null))
    order by t.number desc limit 1""")
_STORED = text("""
    select m.id, m.kind, m.text, m.topic, m.day, m.last_day, m.created_by, m.said_at, m.created_at, m.valid_from, m.valid_to, m.ended_at, m.ended_by,
        e.text as ended_by_text, m.superseded_by, s.text as superseded_by_text, m.source_inbox_id as source, i.text as source_text,
        i.conversation_id as source_conversation
    from memories m left join inbox i on i.tenant_id = m.tenant_id and i.id = m.source_inbox_id
    left join inbox e on e.tenant_id = m.tenant_id and e.id = m.ended_by_inbox_id
    left join memories s on s.tenant_id = m.tenant_id and s.id = m.superseded_by
    where m.contact_id = :contact order by m.valid_to is not null, m.created_at desc, m.id limit :limit""")
_KNOWN = text("""
    select exists (select from memories where contact_id = :contact and kind = :kind and valid_to is null and words = words_of(:value)
        and day is not distinct from cast(:day as date))""")
_ADD = text("""
    insert into memories (tenant_id, contact_id, kind, text, topic, day, last_day, created_by)
    select tenant_id, id, :kind, :value, cast(:topic as text), cast(:day as date), cast(:last_day as date), :by from contacts where id = :contact
    returning id""")
_LIVING = text(
    "select kind, topic, day, last_day from memories where contact_id = :contact and id = :memory and valid_to is null for update"
)
