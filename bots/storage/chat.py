"""What the chat page reads: the lines of one contact's conversation, and what happened in a turn.

Reads run as the web role inside `unit(contact=...)`, so row-level security shows this contact's rows alone.
Only the list of contacts reads across contacts; it has names and no messages.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Connection, make_url, text

from bots.storage import media, memories
from bots.storage.memories import Repeated

#: This notice means "read again": the listening connection was lost, and notices with it.
LOST = "lost"
_LINES = 200
_RECONNECT_S = (0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkContact:
    """A contact of the console account."""

    id: UUID
    slug: str
    name: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message of a conversation, the contact's ("in") or the bot's ("out")."""

    id: UUID
    side: str
    kind: str
    text: str
    content_type: str
    supported: bool
    at: datetime
    status: str
    external_id: str | None
    turn: UUID | None
    conversation: UUID | None
    pictures: tuple[media.Sent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A contact's conversation as it is now."""

    conversation: UUID | None = None
    #: The turn that is being answered, if there is one.
    turn: UUID | None = None
    is_typing: bool = False
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """A memory that was part of the prompt, the reason, and the message that it came from."""

    kind: str
    text: str
    reason: str
    source_text: str | None
    source_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One model call with its exact prompt."""

    attempt: int
    endpoint: str
    model: str
    prompt: Any
    tokens_in: int | None
    tokens_cached: int | None
    tokens_out: int | None
    first_token_ms: float | None
    total_ms: float | None
    #: ok, or why it failed. For a summary of older turns: `summary`, or `summary:` and why it failed.
    outcome: str
    at: datetime
    #: In USD; None where the endpoint has no price.
    cost: float | None
    #: Whether its tokens were counted or estimated here, since the server did not count them.
    estimated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to send a part."""

    part: int
    n: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    http_status: int | None
    error_code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the answer and its delivery status."""

    part: int
    status: str
    created_at: datetime
    status_at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened, and when."""

    at: datetime
    what: str
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happened in one turn."""

    turn: UUID
    number: int
    state: str
    reason: str | None
    tries: int
    steps: tuple[Step, ...] = ()
    recalled: tuple[Recalled, ...] = ()
    learned: tuple[Recalled, ...] = ()
    #: The earlier turns that its prompt repeated, since they are about its question.
    repeated: tuple[Repeated, ...] = ()
    calls: tuple[Call, ...] = ()
    parts: tuple[Part, ...] = ()
    attempts: tuple[Attempt, ...] = field(default=())


def contacts(connection: Connection, *, tenant: UUID, scope: str, limit: int = 100) -> tuple[TalkContact, ...]:
    """List the console's contacts, the newest first. Needs the crossing role."""
    rows = connection.execute(_CONTACTS, {"tenant": tenant, "scope": scope, "limit": limit})
    return tuple(TalkContact(id=r.contact_id, slug=r.value, name=r.name or r.value, since=r.created_at) for r in rows)


def contact(connection: Connection, *, tenant: UUID, scope: str, slug: str) -> UUID | None:
    """Find the contact behind a console handle. Needs the crossing role."""
    return connection.execute(_CONTACT, {"tenant": tenant, "scope": scope, "slug": slug}).scalar_one_or_none()


def lines(connection: Connection, contact: UUID) -> Talk:
    """Read a contact's conversation: the last lines of both sides, and whether the bot is working on an answer."""
    now = connection.execute(_NOW, {"contact": contact}).first()
    taken = now.claimed_at if now is not None and now.is_typing else None
    rows = connection.execute(_TALK, {"contact": contact, "limit": _LINES}).all()
    found = tuple(
        Line(
            id=r.id,
            side=r.side,
            kind=r.kind,
            text=r.text or "",
            content_type=r.content_type,
            supported=r.supported,
            at=r.at,
            status="read" if r.side == "in" and taken is not None and r.at <= taken else r.status,
            external_id=r.external_id,
            turn=r.turn_id,
            conversation=r.conversation_id,
            pictures=media.sent(r.pictures),
        )
        for r in reversed(rows)
    )
    if now is None:
        return Talk(lines=found)
    return Talk(conversation=now.conversation, turn=now.turn, is_typing=bool(now.is_typing), lines=found)


def what_happened(connection: Connection, turn: UUID) -> Story | None:
    """Read what happened in a turn; None when this contact has no such turn."""
    row = connection.execute(_TURN, {"turn": turn}).first()
    if row is None:
        return None
    arrived = connection.execute(_ARRIVED, {"turn": turn}).all()
    recalled = connection.execute(_RECALLED, {"turn": turn}).mappings()
    learned = connection.execute(_LEARNED, {"turn": turn}).mappings()
    calls = tuple(Call(**found) for found in connection.execute(_CALLS, {"turn": turn}).mappings())
    parts = tuple(Part(**found) for found in connection.execute(_PARTS, {"turn": turn}).mappings())
    attempts = tuple(Attempt(**found) for found in connection.execute(_ATTEMPTS, {"turn": turn}).mappings())
    steps = [Step(at=r.received_at, what="received", detail=r.content_type) for r in arrived]
    if row.claimed_at is not None:
        steps.append(Step(at=row.claimed_at, what="claimed", detail=None))
    if row.apologised_at is not None:
        steps.append(Step(at=row.apologised_at, what="apologised", detail="the model was unavailable"))
    steps += _asking(calls, row.claimed_at)
    if row.finished_at is not None:
        steps.append(Step(at=row.finished_at, what=row.state, detail=row.reason))
    steps += _sending(parts, attempts)
    steps += [
        Step(at=r.received_at, what=r.status, detail=_named(r.part, None, many=len(parts) > 1))
        for r in connection.execute(_CLIMBED, {"turn": turn})
    ]
    return Story(
        turn=row.id,
        number=row.number,
        state=row.state,
        reason=row.reason,
        tries=row.tries,
        steps=tuple(sorted(steps, key=lambda step: step.at)),
        recalled=tuple(Recalled(**found) for found in recalled),
        learned=tuple(Recalled(**found) for found in learned),
        repeated=memories.repeated(connection, turn),
        calls=calls,
        parts=parts,
        attempts=attempts,
    )


def _asking(calls: Sequence[Call], claimed_at: datetime | None) -> list[Step]:
    """Calls of a turn are recorded together at its end. Each began earlier by its own duration and that of the calls after it."""
    steps: list[Step] = []
    recorded, took_ms = None, 0.0
    for call in reversed(calls):
        recorded, took_ms = call.at, (call.total_ms or 0.0) + (took_ms if call.at == recorded else 0.0)
        began = call.at - timedelta(milliseconds=took_ms)
        detail = call.outcome if call.total_ms is None else f"{call.outcome}, {call.total_ms / 1000:.2f} s"
        what = "notes" if call.outcome.startswith("summary") else "memory" if call.outcome.startswith("remember") else "model"
        steps.append(Step(at=max(began, claimed_at) if claimed_at else began, what=what, detail=detail))
    return steps


def _sending(parts: Sequence[Part], attempts: Sequence[Attempt]) -> list[Step]:
    many = len(parts) > 1
    steps = [
        Step(
            at=a.finished_at or a.started_at,
            what="sent" if a.outcome == "accepted" else "send",
            detail=_named(a.part, a.outcome or "running", many=many),
        )
        for a in attempts
    ]
    steps += [Step(at=p.status_at, what=p.status, detail=_named(p.part, p.reason, many=many)) for p in parts if p.status == "failed"]
    return steps


def _named(part: int, word: str | None, *, many: bool) -> str | None:
    words = [f"part {part}"] if many else []
    return ", ".join([*words, *([word] if word else [])]) or None


def watch(connection: Connection, conversations: Sequence[UUID]) -> None:
    """Record that a page watches these conversations for the next 15 s, so that their partial texts are sent to it."""
    connection.execute(_WATCH, {"conversations": list(conversations)})


def watch_contact(connection: Connection, contact: UUID) -> None:
    """Record the same for a contact's open conversation, before a worker claims it."""
    connection.execute(_WATCH_CONTACT, {"contact": contact})


#: How soon the end of whoever listens is seen.
_LOOK_MS = 500


def notices(url: str, is_over: Callable[[], bool]) -> Generator[str]:
    """Listen on a separate connection and yield the payload of each notice, and LOST after each reconnection."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    failures = 0
    while not is_over():
        try:
            with psycopg.connect(address, autocommit=True, connect_timeout=3, application_name="chinwag talk") as connection:
                connection.execute("listen chinwag_talk")
                failures = 0
                yield LOST
                heard = select.poll()
                heard.register(connection, select.POLLIN)
                while not is_over():
                    for notice in connection.notifies(timeout=0):
                        yield notice.payload
                    # psycopg itself would wake ten times a second.
                    heard.poll(_LOOK_MS)
        except psycopg.Error:
            time.sleep(_RECONNECT_S[min(failures, len(_RECONNECT_S) - 1)])
            failures += 1


_CONTACTS = text("""
    select i.contact_id, i.value, c.name, c.created_at
    from contact_identities i join contacts c on c.tenant_id = i.tenant_id and c.id = i.contact_id
    where i.tenant_id = :tenant and i.scope = :scope and i.kind = 'console'
    order by c.created_at desc limit :limit""")
_CONTACT = text(
    "select contact_id from contact_identities where tenant_id = :tenant and scope = :scope and kind = 'console' and norm = :slug"
)
_NOW = text("""
    select c.id as conversation, t.id as turn, t.claimed_at, t.id is not null and c.leased_until > now() as is_typing
    from conversations c left join turns t on t.tenant_id = c.tenant_id and t.conversation_id = c.id and t.state = 'open'
    where c.contact_id = :contact and c.closed_at is null
    order by c.created_at desc limit 1""")
_TALK = text(f"""
    with mine as (select tenant_id, id from conversations where contact_id = :contact)
    select * from (
        select i.id, 'in' as side, i.kind, i.text, i.content_type, i.supported, i.received_at as at,
               case when i.turn_id is null then 'sent' else 'read' end as status, null as external_id,
               i.turn_id, i.conversation_id, i.arrival as n, {media.OF_ROW} as pictures
        from mine m join inbox i on i.conversation_id = m.id where i.kind <> 'status'
        union all
        select o.id, 'out', 'message', nullif(o.body, ''), case when o.body = '' and o.forgotten_at is not null then 'erased' else 'text' end, true, o.created_at, o.status, o.external_id, o.turn_id, o.conversation_id, o.part,
               null
        from mine m join outbox o on o.conversation_id = m.id
    ) lines order by at desc, side desc, n desc limit :limit""")  # noqa: S608 - a literal of the storage's own
_TURN = text("select * from turns where id = :turn")
_ARRIVED = text("select received_at, content_type from inbox where turn_id = :turn and kind <> 'echo' order by arrival")
_RECALLED = text("""
    select m.kind, m.text, r.reason, i.text as source_text, i.received_at as source_at
    from recalls r join memories m on m.tenant_id = r.tenant_id and m.id = r.memory_id
    left join inbox i on i.tenant_id = m.tenant_id and i.id = m.source_inbox_id
    where r.turn_id = :turn order by r.rank""")
_LEARNED = text("""
    select m.kind, m.text, 'learned' as reason, i.text as source_text, i.received_at as source_at
    from memories m left join inbox i on i.tenant_id = m.tenant_id and i.id = m.source_inbox_id
    where m.source_turn_id = :turn order by m.created_at, m.kind""")
_CALLS = text("""
    select attempt, endpoint, model, prompt, tokens_in, tokens_cached, tokens_out, first_token_ms, total_ms, outcome, created_at as at, cost,
        estimated
    from model_calls where turn_id = :turn order by created_at, attempt""")
_PARTS = text("select part, status, created_at, status_at, reason from outbox where turn_id = :turn order by part")
_ATTEMPTS = text("""
    select o.part, a.n, a.started_at, a.finished_at, a.outcome, a.http_status, a.error_code
    from outbox o join send_attempts a on a.tenant_id = o.tenant_id and a.message_id = o.id
    where o.turn_id = :turn order by o.part, a.n""")
_CLIMBED = text("""
    select o.part, s.status, s.received_at
    from outbox o join statuses s on s.account_id = o.account_id and s.external_id = o.external_id
    where o.turn_id = :turn and s.status in ('delivered', 'read')""")
_WATCH = text("""
    insert into watchers (conversation_id, until) select unnest(cast(:conversations as uuid[])), now() + interval '15 s'
    on conflict (conversation_id) do update set until = excluded.until""")
_WATCH_CONTACT = text("""
    insert into watchers (conversation_id, until)
    select id, now() + interval '15 s' from conversations where contact_id = :contact and closed_at is null
    on conflict (conversation_id) do update set until = excluded.until""")
