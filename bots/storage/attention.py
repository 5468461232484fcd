"""What an operator should know: everything parked, slowed down, dead, unknown, failed or quarantined, what platforms said about
accounts, and which model servers refuse calls. It has ids and reasons, and nothing that people wrote.

All of it needs the crossing role. What an operator settles here is limited to one tenant.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from bots.domain import ChannelKind
from bots.errors import Conflict, NotFound
from bots.storage import cases, model_refusals

#: So many turns that a budget ended today are looked at, the last and the first ones.
COUNTED = 250


class TroubleKind(StrEnum):
    """What kind of thing needs attention."""

    ENVELOPE = "envelope"
    SEND = "send"
    TURN = "turn"
    ACCOUNT = "account"
    BUDGET = "budget"
    NOTICE = "notice"
    IDENTITY = "identity"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One thing that needs attention."""

    kind: TroubleKind
    id: UUID
    #: The account's name; of a model server the endpoint's.
    account: str
    #: None: it is about no account.
    channel: ChannelKind | None
    #: quarantined, unknown, failed, dead, needs_attention, slowed, budget or notice; open, same_person or two_people; refused or quota
    state: str
    reason: str | None
    at: datetime
    #: By kind: bytes of the body, sends, tries, turns that a budget ended today (counted up to COUNTED or twice that), how often the platform said the same, or calls refused.
    count: int
    #: When the next automatic try is, or when a slowed account goes on by itself.
    due_at: datetime | None
    conversation: UUID | None
    #: The account's id; None: it is about no account.
    account_id: UUID | None
    #: Of a case about two contacts: the conversation of whoever had the number before.
    former: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedWebhook:
    """A quarantined webhook as it came."""

    id: UUID
    account: UUID
    reason: str | None
    body: bytes | None


class _Row(NamedTuple):
    table: str
    state: str
    what: str


def troubles(
    connection: Connection,
    *,
    tenant: UUID,
    kind: TroubleKind | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Trouble]:
    """What needs attention, newest first, or the entries older than a given one. Parked accounts come first."""
    kinds = list(_TROUBLES) if kind is None else [kind]
    if before is not None and TroubleKind.ACCOUNT in kinds:
        kinds.remove(TroubleKind.ACCOUNT)
    if not kinds:
        return []
    at, number = before if before is not None else (None, None)
    # Cases that an operator has settled are listed where only cases are asked for: the answer can be changed.
    listed = {**_TROUBLES, TroubleKind.IDENTITY: _CASES} if kind is TroubleKind.IDENTITY else _TROUBLES
    parts = " union all ".join(f"({listed[each]} order by at desc, id desc limit :limit)" for each in kinds)
    rows = connection.execute(
        text(f"select * from ({parts}) troubles order by at desc, id desc limit :limit"),  # noqa: S608 - literals of this module
        {"tenant": tenant, "at": at, "number": number, "limit": limit},
    )
    return [_trouble(dict(row)) for row in rows.mappings()]


def count(connection: Connection, *, tenant: UUID) -> dict[TroubleKind, int]:
    """How many problems of each kind need attention, counted up to 1,000."""
    values = {"tenant": tenant, "at": None, "number": None}
    parts = ", ".join(f"(select count(*) from ({query} limit 1000) x) as {kind.value}" for kind, query in _TROUBLES.items())  # noqa: S608 - literals of this module
    row = connection.execute(text(f"select {parts}"), values).mappings().one()
    return {TroubleKind(kind): int(found) for kind, found in row.items()}


def resend(connection: Connection, *, tenant: UUID, message: UUID) -> None:
    """Send an unknown or failed message once more, now, and then the parts that were stopped because of it. Raises NotFound, Conflict."""
    _open_send(connection, tenant, message, ("unknown", "failed"))
    # With the platform's old id, reports about the new message would match nothing.
    connection.execute(
        text(
            "update outbox set status = 'queued', status_at = now(), not_before = now(), attention_at = null, reason = null,"
            " external_id = null, waits_since = now() where tenant_id = :tenant and id = :id"
        ),
        {"tenant": tenant, "id": message},
    )
    connection.execute(_RESUME_REST, {"tenant": tenant, "id": message})


def settle(connection: Connection, *, tenant: UUID, message: UUID) -> None:
    """Treat an unknown message as accepted: it is not sent again, and what waits for it may be sent. Raises NotFound, Conflict."""
    _open_send(connection, tenant, message, ("unknown",))
    connection.execute(
        text(
            "update outbox set status = 'accepted', status_at = now(), not_before = null, attention_at = null, reason = null"
            " where tenant_id = :tenant and id = :id"
        ),
        {"tenant": tenant, "id": message},
    )
    connection.execute(_RESUME_REST, {"tenant": tenant, "id": message})
    connection.execute(
        text(
            "update outbox set not_before = now() from outbox m where m.tenant_id = :tenant and m.id = :id"
            " and outbox.turn_id = m.turn_id and outbox.part = m.part + 1 and outbox.status = 'queued'"
        ),
        {"tenant": tenant, "id": message},
    )


def dismiss(connection: Connection, *, tenant: UUID, kind: TroubleKind, id_: UUID) -> None:
    """Stop showing a problem; nothing else changes. Raises NotFound, Conflict."""
    if kind is TroubleKind.SEND:
        _open_send(connection, tenant, id_, ("unknown", "failed"))
        # What is still due for an unknown message stays due.
        statement = "update outbox set attention_at = null where tenant_id = :tenant and id = :id"
    elif kind is TroubleKind.TURN:
        _row(connection, tenant, id_, _Row("turns", "dead", "turn"))
        statement = (
            "update turns set state = 'skipped', reason = 'dismissed:' || coalesce(reason, '?') where tenant_id = :tenant and id = :id"
        )
    elif kind is TroubleKind.BUDGET:
        # Seen for today: one of its turns says so, and further ones that this budget ends today are not reported again.
        statement = f"""update turns set reason = 'budget:seen' where tenant_id = :tenant and id = (
            select t.id from ({REFUSED}) t join conversations c on c.tenant_id = t.tenant_id and c.id = t.conversation_id
            join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id where a.bot_id = :id and t.reason <> 'budget:seen' limit 1)"""  # noqa: S608 - our own words
        if not connection.execute(text(statement), {"tenant": tenant, "id": id_}).rowcount:
            raise NotFound("No budget of this bot was used up today.")
        return
    elif kind is TroubleKind.NOTICE:
        statement = "update account_notices set attention_at = null where tenant_id = :tenant and id = :id and attention_at is not null"
        if not connection.execute(text(statement), {"tenant": tenant, "id": id_}).rowcount:
            raise NotFound("There is no such notice, or it was dismissed already.")
        return
    elif kind is TroubleKind.MODEL:
        model_refusals.dismiss(connection, tenant=tenant, id_=id_)
        return
    elif kind is TroubleKind.ENVELOPE:
        _row(connection, tenant, id_, _Row("envelopes", "quarantined", "webhook"))
        statement = "update envelopes set state = 'dismissed' where tenant_id = :tenant and id = :id"
    elif kind is TroubleKind.IDENTITY:
        raise Conflict("A case about two contacts cannot be dismissed: say whether they are the same person.")
    else:
        raise Conflict("A parked account cannot be dismissed: resume it, or remove it on its own page.")
    connection.execute(text(statement), {"tenant": tenant, "id": id_})


def resume(connection: Connection, *, tenant: UUID, account: UUID) -> None:
    """Let a parked or slowed account send again. Raises NotFound, Conflict."""
    row = connection.execute(
        text("select state, slow_until > now() as is_slow from accounts where tenant_id = :tenant and id = :id for no key update"),
        {"tenant": tenant, "id": account},
    ).first()
    if row is None:
        raise NotFound("There is no such account.")
    if row.state != "needs_attention" and not (row.state == "active" and row.is_slow):
        raise Conflict(f"This account is {row.state} now: somebody else handled it first.")
    connection.execute(text("select resume_account(:id)"), {"id": account})


def replay_turn(connection: Connection, *, tenant: UUID, turn: UUID) -> None:
    """Give a dead turn's messages to a new turn. Raises NotFound, Conflict."""
    # Lock the conversation first, as everywhere else.
    talk = connection.execute(
        text(
            "select c.id, c.closed_at from conversations c where c.tenant_id = :tenant"
            " and c.id = (select conversation_id from turns where tenant_id = :tenant and id = :turn) for update"
        ),
        {"tenant": tenant, "turn": turn},
    ).first()
    if talk is None:
        raise NotFound("There is no such turn.")
    _row(connection, tenant, turn, _Row("turns", "dead", "turn"))
    values = {"tenant": tenant, "turn": turn, "conversation": talk.id}
    if talk.closed_at is not None:
        values["conversation"] = connection.execute(_OPEN_TALK, values).scalar_one()
    since = connection.execute(_FREE_MESSAGES, values).scalar_one()
    if since is None:
        raise Conflict("This turn has no message that still needs an answer.")
    connection.execute(
        text("update turns set state = 'skipped', reason = 'replayed:' || coalesce(reason, '?') where tenant_id = :tenant and id = :turn"),
        values,
    )
    connection.execute(_MAKE_DUE, values | {"since": since})


def quarantined(connection: Connection, *, tenant: UUID, envelope: UUID) -> QuarantinedWebhook:
    """Read a quarantined webhook. Raises NotFound, Conflict."""
    _row(connection, tenant, envelope, _Row("envelopes", "quarantined", "webhook"))
    row = connection.execute(
        text("select id, account_id, reason, body from envelopes where tenant_id = :tenant and id = :id"),
        {"tenant": tenant, "id": envelope},
    ).one()
    body = None if row.body is None else bytes(row.body)
    return QuarantinedWebhook(id=row.id, account=row.account_id, reason=row.reason, body=body)


def stored_keys(connection: Connection, *, account: UUID, keys: list[str]) -> int:
    """How many of these events' keys are stored already."""
    return connection.execute(
        text("select count(*) from inbox_keys where account_id = :account and event_key = any(cast(:keys as text[]))"),
        {"account": account, "keys": keys},
    ).scalar_one()


def set_replayed(connection: Connection, *, tenant: UUID, envelope: UUID, reason: str | None) -> None:
    """Record the result of a replay: understood, or why it still is not.

    An understood webhook's body is now in the replay's envelope, which names its contacts, so that they can be erased.
    """
    connection.execute(
        text(
            "update envelopes set state = case when cast(:reason as text) is null then 'parsed' else state end,"
            " reason = coalesce(:reason, reason), body = case when cast(:reason as text) is null then null else body end"
            " where tenant_id = :tenant and id = :id"
        ),
        {"tenant": tenant, "id": envelope, "reason": reason},
    )


def _trouble(row: dict[str, Any]) -> Trouble:
    named: dict[str, Any] = {"kind": TroubleKind(row["kind"]), "channel": row["channel"] and ChannelKind(row["channel"])}
    return Trouble(**(row | named))


def _open_send(connection: Connection, tenant: UUID, message: UUID, states: tuple[str, ...]) -> None:
    """Lock a message that needs attention."""
    row = connection.execute(
        text("select status, attention_at from outbox where tenant_id = :tenant and id = :id for update"), {"tenant": tenant, "id": message}
    ).first()
    if row is None:
        raise NotFound("There is no such message.")
    if row.attention_at is None or row.status not in states:
        raise Conflict(f"This message is already {row.status}: it changed in the meantime.")


def _row(connection: Connection, tenant: UUID, id_: UUID, wanted: _Row) -> None:
    """Lock a row that is in the state in which it needs attention."""
    row = connection.execute(
        text(f"select state from {wanted.table} where tenant_id = :tenant and id = :id for update"),  # noqa: S608 - literals of this module
        {"tenant": tenant, "id": id_},
    ).first()
    if row is None:
        raise NotFound(f"There is no such {wanted.what}.")
    if row.state != wanted.state:
        raise Conflict(f"This {wanted.what} is {str(row.state).replace('_', ' ')} now: somebody else handled it first.")


_RESUME_REST = text("select resume_rest(o, true) from outbox o where o.tenant_id = :tenant and o.id = :id")
#: The last and the first turns of today (UTC) that a budget ended; on a busy day it ends all.
REFUSED = " union ".join(
    f"""(select * from turns where tenant_id = :tenant and reason like 'budget%' and finished_at >= date_trunc('day', now(), 'UTC')
        order by finished_at {order} limit {COUNTED})"""  # noqa: S608 - our own words
    for order in ("desc", "asc")
)
#: Whether somebody has seen today that a budget of the bot b is used up.
SEEN = """exists (select from turns s join conversations v on v.tenant_id = s.tenant_id and v.id = s.conversation_id
    join accounts w on w.tenant_id = v.tenant_id and w.id = v.account_id
    where s.tenant_id = b.tenant_id and s.reason = 'budget:seen' and s.finished_at >= date_trunc('day', now(), 'UTC') and w.bot_id = b.id)"""
_BEFORE = "(cast(:at as timestamptz) is null or ({at}, {id}) < (cast(:at as timestamptz), cast(:number as uuid)))"
_TROUBLES = {
    # When an account was parked is not recorded, so it is shown with the current time.
    TroubleKind.ACCOUNT: """
        select 'account' as kind, a.id, a.name as account, a.channel, case a.state when 'active' then 'slowed' else a.state end as state,
            case a.state when 'active' then a.slow_reason else a.state_reason end as reason, now() as at, 0 as count,
            case a.state when 'active' then a.slow_until end as due_at, null::uuid as conversation, a.id as account_id, null::uuid as former
        from accounts a where a.tenant_id = :tenant and (a.state = 'needs_attention' or (a.state = 'active' and a.slow_until > now()))
            and (cast(:at as timestamptz) is null or cast(:number as uuid) is null)""",
    TroubleKind.TURN: """
        select 'turn' as kind, t.id, a.name as account, a.channel, t.state, t.reason, t.finished_at as at, t.tries as count,
            null::timestamptz as due_at, t.conversation_id as conversation, a.id as account_id, null::uuid as former
        from turns t join conversations c on c.tenant_id = t.tenant_id and c.id = t.conversation_id
        join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
        where t.tenant_id = :tenant and t.state = 'dead' and t.finished_at is not null
            and BEFORE""".replace("BEFORE", _BEFORE.format(at="t.finished_at", id="t.id")),
    TroubleKind.SEND: """
        select 'send' as kind, o.id, a.name as account, a.channel, o.status as state, o.reason, o.attention_at as at, o.sends as count,
            o.not_before as due_at, o.conversation_id as conversation, a.id as account_id, null::uuid as former
        from outbox o join accounts a on a.tenant_id = o.tenant_id and a.id = o.account_id
        where o.tenant_id = :tenant and o.attention_at is not null and o.status in ('unknown', 'failed')
            and BEFORE""".replace("BEFORE", _BEFORE.format(at="o.attention_at", id="o.id")),
    TroubleKind.ENVELOPE: """
        select 'envelope' as kind, e.id, a.name as account, a.channel, e.state, e.reason, e.received_at as at,
            coalesce(octet_length(e.body), 0) as count, null::timestamptz as due_at, null::uuid as conversation, a.id as account_id, null::uuid as former
        from envelopes e join accounts a on a.tenant_id = e.tenant_id and a.id = e.account_id
        where e.tenant_id = :tenant and e.state = 'quarantined' and BEFORE""".replace(
        "BEFORE", _BEFORE.format(at="e.received_at", id="e.id")
    ),
    # Once a day for each bot, however many messages there were.
    TroubleKind.BUDGET: f"""
        select * from (
            select 'budget' as kind, b.id, (array_agg(a.name order by t.finished_at desc))[1] as account,
                (array_agg(a.channel order by t.finished_at desc))[1] as channel, 'budget' as state,
                case when b.budget_month <= spent_this_month(b.tenant_id, b.id) then 'month:' else 'contact_day:' end || b.name as reason,
                min(t.finished_at) as at, count(*) as count, null::timestamptz as due_at,
                (array_agg(t.conversation_id order by t.finished_at desc))[1] as conversation,
                (array_agg(a.id order by t.finished_at desc))[1] as account_id, null::uuid as former
            from ({REFUSED}) t join conversations c on c.tenant_id = t.tenant_id and c.id = t.conversation_id
            join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id
            join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id
            group by b.id, b.tenant_id having not {SEEN}) o
        where BEFORE""".replace("BEFORE", _BEFORE.format(at="o.at", id="o.id")),  # noqa: S608 - our own words
    TroubleKind.NOTICE: """
        select 'notice' as kind, n.id, a.name as account, a.channel, 'notice' as state, n.reason, n.attention_at as at, n.times as count,
            null::timestamptz as due_at, null::uuid as conversation, a.id as account_id, null::uuid as former
        from account_notices n join accounts a on a.tenant_id = n.tenant_id and a.id = n.account_id
        where n.tenant_id = :tenant and n.attention_at is not null and BEFORE""".replace(
        "BEFORE", _BEFORE.format(at="n.attention_at", id="n.id")
    ),
    TroubleKind.MODEL: model_refusals.LISTED.replace("BEFORE", _BEFORE.format(at="m.attention_at", id="m.id")),
    TroubleKind.IDENTITY: cases.OPEN.replace("BEFORE", _BEFORE.format(at="k.opened_at", id="k.id")),
}
_CASES = cases.LISTED.replace("BEFORE", _BEFORE.format(at="k.opened_at", id="k.id"))
_OPEN_TALK = text("""
    insert into conversations as o (tenant_id, account_id, contact_id, thread, queue)
    select tenant_id, account_id, contact_id, thread, queue from conversations where tenant_id = :tenant and id = :conversation
    on conflict (account_id, contact_id, thread) where closed_at is null do update set queue = o.queue returning id""")
_FREE_MESSAGES = text("""
    with freed as (
        update inbox set turn_id = null, conversation_id = :conversation
        where tenant_id = :tenant and turn_id = :turn and kind = 'message' returning received_at)
    select min(received_at) from freed""")
_MAKE_DUE = text("""
    update conversations set waiting_since = least(waiting_since, cast(:since as timestamptz)), newest_at = coalesce(newest_at, now()),
        ready_at = case when taken_by is null then least(ready_at, now()) end
    where tenant_id = :tenant and id = :conversation""")
