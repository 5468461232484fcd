"""One conversation as an operator reads it: its messages, what each turn cost, and the memories with the messages they came from.

Reads run as the web role inside `unit(contact=...)`: row-level security shows this contact's rows alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from bots.storage import media, memories, usage
from bots.storage.memories import Stored
from bots.storage.usage import ContactSpent

#: The position of a line in its conversation: time, side, number.
Place = tuple[datetime, int, int]
#: So many memories are shown, what lives first.
_MOST_MEMORIES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Bubble:
    """One message: from the contact ("in"), from the bot ("out") or from an operator ("person")."""

    id: UUID
    side: str
    kind: str
    text: str | None
    content_type: str
    supported: bool
    at: datetime
    #: The delivery status of an outbound message.
    status: str | None
    status_at: datetime | None
    reason: str | None
    turn: UUID | None
    by: str | None
    #: When its writer last changed it.
    edited_at: datetime | None
    is_unsent: bool
    #: An echo that the platform or another app sent by itself.
    is_automatic: bool
    #: The first words of the message that it replies to.
    quoted: str | None
    #: What else it refers to: pairs of name and text.
    refers: tuple[tuple[str, str], ...]
    #: Where the next page continues: (at, rank, n) of this line.
    rank: int
    n: int
    pictures: tuple[media.Sent, ...] = ()

    @property
    def place(self) -> Place:
        """The position of this line."""
        return (self.at, self.rank, self.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSum:
    """What one turn ended with and what it cost."""

    id: UUID
    number: int
    state: str
    reason: str | None
    tries: int
    opened_at: datetime
    finished_at: datetime | None
    answered_by: str | None
    calls: int
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    #: In USD; None where no call had a price.
    cost: float | None
    #: Whether any of these tokens were counted or estimated here, since the server did not count them.
    estimated: bool
    model_ms: float
    recalled: int
    sends: int
    #: From the newest message that the turn covers until the answer was ready to leave.
    took_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a conversation cost in total."""

    turns: int
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    #: In USD; None where no call had a price.
    cost: float | None
    #: Whether any of these tokens were counted or estimated here, since the server did not count them.
    estimated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """A conversation, or a page of it, oldest line first."""

    bubbles: tuple[Bubble, ...]
    turns: tuple[TurnSum, ...]
    memories: tuple[Stored, ...]
    identities: tuple[tuple[str, str], ...]
    cost: Cost
    #: What this contact's answers have cost today and this month, in all conversations.
    spent: ContactSpent
    #: Whether there are older lines.
    has_more: bool


def read(connection: Connection, *, contact: UUID, conversation: UUID, before: Place | None = None, limit: int = 100) -> Dialogue:
    """Read a conversation's last lines, or those before a position."""
    values: dict[str, Any] = {"conversation": conversation, "limit": limit + 1}
    at, rank, n = before if before is not None else (None, None, None)
    rows = connection.execute(_BUBBLES, values | {"at": at, "rank": rank, "n": n}).mappings().all()
    bubbles = tuple(_bubble(row) for row in reversed(rows[:limit]))
    turns = sorted({bubble.turn for bubble in bubbles if bubble.turn is not None})
    return Dialogue(
        bubbles=bubbles,
        turns=tuple(TurnSum(**row) for row in connection.execute(_TURNS, {"turns": turns}).mappings()) if turns else (),
        memories=tuple(memories.all_of(connection, contact, limit=_MOST_MEMORIES)),
        identities=tuple((row.kind, row.value) for row in connection.execute(_IDENTITIES, {"contact": contact})),
        spent=usage.of_contact(connection, contact),
        cost=Cost(**connection.execute(_COST, {"conversation": conversation}).mappings().one()),
        has_more=len(rows) > limit,
    )


def has_turn(connection: Connection, *, conversation: UUID, turn: UUID) -> bool:
    """Whether a turn belongs to a conversation."""
    found = connection.execute(
        text("select exists (select from turns where id = :turn and conversation_id = :conversation)"),
        {"turn": turn, "conversation": conversation},
    )
    return bool(found.scalar())


def _bubble(row: RowMapping) -> Bubble:
    refers = tuple((str(one["name"]), str(one["text"])) for one in row["refers"] or ())
    values: dict[str, Any] = {**row, "refers": refers, "pictures": media.sent(row["pictures"])}
    return Bubble(**values)


_BUBBLES = text(f"""
    select id, side, kind, text, content_type, supported, at, status, status_at, reason, turn, by, rank, n, pictures, edited_at,
        content_type = 'unsent' as is_unsent, kind = 'echo' and reason is not distinct from 'automatic' as is_automatic, quoted, refers from (
        select i.id, case when i.kind = 'echo' or starts_with(i.event_key, 'echo:') then 'person' else 'in' end as side, i.kind, i.text, i.content_type, i.supported,
            i.received_at as at, null as status, null::timestamptz as status_at, i.reason, i.turn_id as turn,
            case when i.kind <> 'echo' then null when i.reason = 'automatic' then 'automatic' else 'the platform''s inbox' end as by,
            0 as rank, i.arrival as n, {media.OF_ROW} as pictures, i.edited_at,
            case when i.quoted is not null or i.kind = 'reaction' then quoted_words(i.account_id, i.contact_id, coalesce(i.quoted, i.target)) end as quoted,
            i.refers
        from inbox i where i.conversation_id = :conversation and i.kind <> 'status'
        union all
        select o.id, case when t.answered_by is null then 'out' else 'person' end, 'message', nullif(o.body, ''),
            case when o.body = '' and o.forgotten_at is not null then 'erased' else 'text' end, true, o.created_at, o.status,
            o.status_at, o.reason, o.turn_id, t.answered_by, 1, o.seq, null, null, null, null
        from outbox o join turns t on t.tenant_id = o.tenant_id and t.id = o.turn_id where o.conversation_id = :conversation
    ) lines
    where cast(:at as timestamptz) is null or (at, rank, n) < (cast(:at as timestamptz), cast(:rank as integer), cast(:n as bigint))
    order by at desc, rank desc, n desc limit :limit""")  # noqa: S608 - a literal of the storage's own
_TURNS = text("""
    select t.id, t.number, t.state, t.reason, t.tries, t.opened_at, t.finished_at, t.answered_by, coalesce(c.calls, 0) as calls,
        coalesce(c.tokens_in, 0) as tokens_in, coalesce(c.tokens_cached, 0) as tokens_cached, coalesce(c.tokens_out, 0) as tokens_out, c.cost,
        coalesce(c.estimated, false) as estimated,
        coalesce(c.model_ms, 0) as model_ms, (select count(*) from recalls r where r.tenant_id = t.tenant_id and r.turn_id = t.id) as recalled,
        (select coalesce(sum(o.sends), 0) from outbox o where o.turn_id = t.id) as sends,
        extract(epoch from t.finished_at - (select max(i.received_at) from inbox i where i.turn_id = t.id and i.kind <> 'echo'))::double precision as took_s
    from turns t left join lateral (
        select count(*) as calls, sum(m.tokens_in) as tokens_in, sum(m.tokens_cached) as tokens_cached, sum(m.tokens_out) as tokens_out,
            sum(m.total_ms) as model_ms, sum(m.cost) as cost, bool_or(m.estimated) as estimated
        from model_calls m where m.turn_id = t.id) c on true
    where t.id = any(cast(:turns as uuid[])) order by t.number""")
_IDENTITIES = text(
    "select kind, value from contact_identities where contact_id = :contact and retired_at is null order by kind, created_at desc limit 20"
)
_COST = text("""
    select count(distinct t.id) as turns, coalesce(sum(m.tokens_in), 0) as tokens_in, coalesce(sum(m.tokens_cached), 0) as tokens_cached,
        coalesce(sum(m.tokens_out), 0) as tokens_out, sum(m.cost) as cost, coalesce(bool_or(m.estimated), false) as estimated
    from turns t left join model_calls m on m.turn_id = t.id where t.conversation_id = :conversation""")
