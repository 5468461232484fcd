"""Conversations as operators see them: the list with search and filters, taking over, and answering in place of the bot.

The list and the writes need the crossing role; every statement is limited to one tenant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text

from bots.domain import ChannelKind
from bots.errors import Conflict, NotFound
from bots.storage import search as found_by

#: Who has taken a conversation over when somebody answered in the platform's own inbox (answered_elsewhere in talk.sql).
PLATFORM_INBOX = "the platform's inbox"


class State(StrEnum):
    """Who has to act next in a conversation."""

    TAKEN = "taken"
    ANSWERING = "answering"
    WAITING = "waiting"
    UNANSWERED = "unanswered"
    ANSWERED = "answered"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a conversation: its contact, account and state."""

    id: UUID
    contact_id: UUID
    contact: str
    account_id: UUID
    account: str
    channel: ChannelKind
    bot: str
    state: State
    created_at: datetime
    #: When the contact last wrote.
    newest_at: datetime | None
    closed_at: datetime | None
    taken_by: str | None
    taken_at: datetime | None
    #: When a takeover through the platform's own inbox ends by itself.
    taken_until: datetime | None
    #: Who or what keeps the bot silent, in words; None: nothing does.
    held: str | None
    #: Since when the oldest unanswered message has been waiting.
    unanswered_since: datetime | None
    stopped_at: datetime | None
    #: The beginning of the last message, and who wrote it: in, out or person.
    last_side: str | None
    last_words: str | None


def newest(
    connection: Connection,
    *,
    tenant: UUID,
    search: str = "",
    account: UUID | None = None,
    only: State | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Head]:
    """The conversations with the newest messages, or those after a given one in that list.

    only: taken, waiting (for the bot) or unanswered (by anybody, the bot's dead turns too); of more than a thousand those that the newest 2,000
    conversations have come first. search finds a contact by all of its words or by a number, and messages by part of them.
    """
    wanted = ["c.tenant_id = :tenant", "c.newest_at is not null"]
    values: dict[str, Any] = {"tenant": tenant, "limit": limit}
    if account is not None:
        # Without the tenant beside it: with both Postgres walked through the tenant's, and a small account's list read all others.
        wanted[0] = "c.account_id = (select id from accounts where id = :account and tenant_id = :tenant)"
        values["account"] = account
    if before is not None:
        wanted.append("(c.newest_at, c.id) < (:at, :id)")
        values |= {"at": before[0], "id": before[1]}
    # What is asked for is found first, each way through its own index; else the newest are passed by until there are enough of it.
    found, condition = None, None if only is None else _IS.get(only)
    if search:
        found = found_by.TALKS
        values |= found_by.values(search)
        wanted += [condition] if condition else []
    elif only is not None and condition:
        found = f"""
            with few as materialized ({_FEW[only]} limit {_MOST_FEW})
            select id from few union (
                select c.id from (select c.* from conversations c where {" and ".join(wanted)} order by c.newest_at desc, c.id desc limit {_PASSED_BY}) c
                where (select count(*) from few) = {_MOST_FEW} and {condition} order by c.newest_at desc, c.id desc limit :limit)"""  # noqa: S608 - as below
    page = f"""
        select c.* from {f"(select distinct id from ({found}) x offset 0) f join conversations c on c.id = f.id" if found else "conversations c"}
        where {" and ".join(wanted)}
            and c.account_id not in (select id from accounts where tenant_id = :tenant and persona_version is not null)
        order by c.newest_at desc, c.id desc limit :limit"""  # noqa: S608 - pieces are literals of this module
    rows = connection.execute(text(_HEADS.replace("PAGE", page)), values)
    return [_head(row) for row in rows]


def get(connection: Connection, *, tenant: UUID, conversation: UUID) -> Head:
    """Find one conversation. Raises NotFound."""
    page = "select c.* from conversations c where c.tenant_id = :tenant and c.id = :id"
    row = connection.execute(text(_HEADS.replace("PAGE", page)), {"tenant": tenant, "id": conversation}).first()
    if row is None:
        raise NotFound("There is no such conversation.")
    return _head(row)


def accounts_with_talks(connection: Connection, *, tenant: UUID) -> list[tuple[UUID, str, str]]:
    """Id, channel and name of the accounts to filter by, without the trial accounts of bots."""
    rows = connection.execute(
        text(
            "select id, channel, name from accounts where tenant_id = :tenant and persona_version is null order by channel, name limit 500"
        ),
        {"tenant": tenant},
    )
    return [(row.id, row.channel, row.name) for row in rows]


def take(connection: Connection, *, tenant: UUID, conversation: UUID, by: str) -> None:
    """Take a conversation over without a time limit: the bot is silent until it is given back. Raises NotFound, Conflict."""
    get(connection, tenant=tenant, conversation=conversation)
    done = connection.execute(text("select take_over(:id, :by, null)"), {"id": conversation, "by": by}).scalar_one()
    if not done:
        raise Conflict("This conversation is closed; what the contact writes next opens a new one.")


def give_back(connection: Connection, *, tenant: UUID, conversation: UUID) -> None:
    """Let the bot answer again, starting with the unanswered messages. Raises NotFound, Conflict."""
    get(connection, tenant=tenant, conversation=conversation)
    if not connection.execute(text("select give_back(:id)"), {"id": conversation}).scalar_one():
        raise Conflict("Nobody has taken this conversation over.")


def answer(connection: Connection, *, tenant: UUID, conversation: UUID, by: str, words: str, parts: Sequence[str], key: UUID) -> UUID:
    """Send a person's answer through the outbox and return its turn. Only the operator who took the conversation over may.

    The same key a second time changes nothing. Raises NotFound, Conflict.
    """
    row = connection.execute(
        text("select taken_by, closed_at from conversations where tenant_id = :tenant and id = :id for update"),
        {"tenant": tenant, "id": conversation},
    ).first()
    if row is None:
        raise NotFound("There is no such conversation.")
    if row.closed_at is not None:
        raise Conflict("This conversation is closed; what the contact writes next opens a new one.")
    if row.taken_by != by:
        raise Conflict(
            "Take the conversation over first."
            if row.taken_by is None
            else f"{row.taken_by} has taken this conversation over; take it over first."
        )
    return connection.execute(
        text("select answer_by_hand(:id, :by, :words, cast(:parts as text[]), :key)"),
        {"id": conversation, "by": by, "words": words, "parts": list(parts), "key": key},
    ).scalar_one()


def _head(row: Row[Any]) -> Head:
    return Head(
        id=row.id,
        contact_id=row.contact_id,
        contact=row.name or row.handle or "?",
        account_id=row.account_id,
        account=row.account,
        channel=ChannelKind(row.channel),
        bot=row.bot,
        state=_state(row),
        created_at=row.created_at,
        newest_at=row.newest_at,
        closed_at=row.closed_at,
        taken_by=row.taken_by,
        taken_at=row.taken_at,
        taken_until=row.taken_until,
        held=_held(row),
        unanswered_since=row.unanswered_since,
        stopped_at=row.stopped_at,
        last_side=row.last_side,
        last_words=row.last_words,
    )


def _held(row: Row[Any]) -> str | None:
    if row.taken_by is None:
        return "the contact stopped the answers" if row.stopped_at is not None else None
    return "a colleague answered in the platform's own inbox" if row.taken_by == PLATFORM_INBOX else f"taken over by {row.taken_by}"


def _state(row: Row[Any]) -> State:
    if row.taken_by is not None:
        return State.TAKEN
    if row.is_leased:
        return State.ANSWERING
    if row.closed_at is not None:
        return State.CLOSED
    if row.ready_at is not None or row.unanswered_since is not None:
        return State.WAITING
    return State.UNANSWERED if row.last_turn == "dead" else State.ANSWERED


#: Of so many in a state, of whichever tenant, all are read. Where there are more, as in a backlog, so many of the tenant's newest conversations are
#: looked through, too.
_MOST_FEW, _PASSED_BY = 1_001, 2_000
#: The ids of those in a state, through the partial indexes: answered conversations, which are nearly all, are not read.
_FEW = {
    State.TAKEN: "select id from conversations where taken_by is not null",
    State.WAITING: "select id from conversations where ready_at is not null and taken_by is null and closed_at is null",
    State.UNANSWERED: """select id from (
        select conversation_id as id from inbox where turn_id is null and kind = 'message'
        union all select conversation_id from turns where state = 'open'
        union all select d.conversation_id from turns d where d.tenant_id = :tenant and d.state = 'dead' and d.finished_at > now() - interval '30 days'
            and not exists (select from turns l where l.conversation_id = d.conversation_id and l.number > d.number)) x""",
}
#: Whether a conversation is in a state.
_IS = {
    State.TAKEN: "c.taken_by is not null",
    State.WAITING: "c.ready_at is not null and c.taken_by is null and c.closed_at is null",
    State.UNANSWERED: """(exists (select from inbox i where i.conversation_id = c.id and i.turn_id is null and i.kind = 'message')
        or exists (select from turns o where o.conversation_id = c.id and o.state = 'open')
        or (select d.state = 'dead' and d.finished_at > now() - interval '30 days' from turns d where d.conversation_id = c.id order by d.number desc limit 1))""",
}

_HEADS = """
    with page as (PAGE)
    select p.id, p.contact_id, n.name, n.stopped_at, h.value as handle, p.account_id, a.name as account, a.channel, b.name as bot,
        p.created_at, p.newest_at, p.closed_at, p.taken_by, p.taken_at, p.taken_until, p.ready_at,
        coalesce(p.leased_until > now(), false) as is_leased, u.since as unanswered_since, t.state as last_turn,
        l.side as last_side, l.words as last_words
    from page p
    join accounts a on a.tenant_id = p.tenant_id and a.id = p.account_id
    join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id
    join contacts n on n.tenant_id = p.tenant_id and n.id = p.contact_id
    left join lateral (
        select value from contact_identities x where x.tenant_id = p.tenant_id and x.contact_id = p.contact_id
        order by x.retired_at is not null, case x.kind when 'phone' then 0 else 1 end, x.created_at desc limit 1) h on true
    left join lateral (
        select min(received_at) as since from (
            select i.received_at from inbox i where i.conversation_id = p.id and i.turn_id is null and i.kind = 'message'
            union all
            select i.received_at from turns o join inbox i on i.turn_id = o.id where o.conversation_id = p.id and o.state = 'open'
        ) open_messages) u on true
    left join lateral (select state from turns o where o.conversation_id = p.id order by number desc limit 1) t on true
    left join lateral (
        select * from (
            (select case when i.kind = 'echo' then 'person' else 'in' end as side, left(coalesce(i.text, i.content_type), 160) as words,
                i.received_at as at, i.arrival as n
            from inbox i where i.conversation_id = p.id and i.kind in ('message', 'echo', 'standby') order by i.arrival desc limit 1)
            union all
            (select case when o.answered_by is null then 'out' else 'person' end, left(m.body, 160), m.created_at, m.seq
            from outbox m join turns o on o.tenant_id = m.tenant_id and o.id = m.turn_id
            where m.conversation_id = p.id order by m.seq desc limit 1)
        ) lines order by at desc, n desc limit 1) l on true
    order by p.newest_at desc nulls last, p.id desc
"""
