"""States of a service in which bench/growth.py measures once more: a backlog of 100,000 people over one, ten and a thousand accounts, and a budget that is spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from bench.growth_steps import Operation, Place, accept, beat, claim, crossing, end, finish, turn_until
from bots.storage import attention, claims, conversations, dispatching, gauges, outbox, overview
from bots.storage.outbox import Sending

#: People who have written and have no answer yet; all there are where there are fewer.
_BACKLOG = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """How a state is brought about, after the ones before it, and what is measured then; the last one's `leave` undoes them all."""

    operations: tuple[Operation, ...]
    enter: Callable[[Connection, Place], None] = lambda _owner, _place: None
    leave: Callable[[Connection, Place], None] = lambda _owner, _place: None


def _do(owner: Connection, *statements: str, **values: object) -> None:
    for statement in statements:
        owner.exec_driver_sql(statement, values or None)


def _backlog(owner: Connection, place: Place) -> None:
    """A quarter of them has waited for less than five minutes."""
    _do(
        owner,
        "create unlogged table backlog as select row_number() over () as n, id, contact_id, newest_at, now() - random() * interval '20 minutes' as at from"
        " (select * from conversations c where account_id = %(account)s and ready_at is null and closed_at is null and taken_by is null"
        f" and not exists (select from conversations o where o.tenant_id = c.tenant_id and o.contact_id = c.contact_id and o.id <> c.id) order by md5(id::text) limit {_BACKLOG}) x",
        "insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, text, content_type, supported, occurred_at, received_at)"
        " select %(tenant)s, %(account)s, 'backlog-' || gen_random_uuid(), 'message', contact_id, id, 'is anybody there?', 'text', true, at, at from backlog order by at",
        "update conversations c set ready_at = b.at, waiting_since = b.at, newest_at = b.at from backlog b where c.id = b.id",
        account=place.storage.account.id,
        tenant=place.tenant,
    )
    _do(owner, "vacuum analyze conversations", "vacuum analyze inbox", "vacuum analyze backlog")


def _spread(accounts: int) -> Callable[[Connection, Place], None]:
    def enter(owner: Connection, place: Place) -> None:
        _do(
            owner,
            "insert into accounts (tenant_id, bot_id, channel, name, external_id, access_token) select tenant_id, bot_id, channel, 'crowd ' || n, 'crowd ' || n, access_token"
            " from accounts, generate_series(1, %(accounts)s) n where id = %(account)s on conflict do nothing",
            "with crowd as (select id, row_number() over (order by id) - 1 as k, count(*) over () as many from accounts where name like 'crowd %%')"
            " update conversations c set account_id = crowd.id from backlog b, crowd where c.id = b.id and b.n %% crowd.many = crowd.k and c.ready_at is not null",
            account=place.storage.account.id,
            accounts=accounts,
        )
        _do(owner, "vacuum analyze conversations", "vacuum analyze accounts")

    return enter


def _put_off(owner: Connection, _place: Place) -> None:
    """All but one of them wait for their time."""
    _do(
        owner,
        "update conversations c set ready_at = now() + interval '1 hour' from backlog b where c.id = b.id and c.ready_at is not null and b.n <> 5000",
        "vacuum analyze conversations",
    )


def _end_backlog(owner: Connection, place: Place) -> None:
    _do(
        owner,
        "create unlogged table if not exists backlog (id uuid, newest_at timestamptz)",
        "delete from inbox i using backlog b where i.conversation_id = b.id and i.event_key like 'backlog-%%' and turn_id is null",
        "update conversations c set account_id = %(account)s, ready_at = null, waiting_since = null, newest_at = b.newest_at from backlog b where c.id = b.id and not exists"
        " (select from conversations o where o.account_id = %(account)s and o.contact_id = c.contact_id and o.id <> c.id and o.closed_at is null)",
        "update conversations c set ready_at = null, waiting_since = null from backlog b where c.id = b.id and c.ready_at is not null",
        "delete from accounts where name like 'crowd %%' and not exists (select from conversations c where c.account_id = accounts.id)",
        "drop table backlog",
        account=place.storage.account.id,
    )
    _do(owner, "vacuum analyze conversations", "vacuum analyze inbox", "vacuum analyze accounts")


def _spend(owner: Connection, place: Place) -> None:
    """One turn in sixty is of today, and a budget ended it."""
    _do(
        owner,
        "create unlogged table spent as select id, finished_at, now() - random() * (now() - date_trunc('day', now(), 'UTC')) as at from turns"
        " where tenant_id = %(tenant)s and state = 'answered' order by finished_at desc limit %(turns)s",
        "update turns t set finished_at = s.at, reason = 'budget:contact_day' from spent s where t.id = s.id",
        "vacuum analyze turns",
        tenant=place.tenant,
        turns=place.contacts * 3 // 60,
    )


def _refund(owner: Connection, _place: Place) -> None:
    _do(
        owner,
        "update turns t set finished_at = s.finished_at, reason = null from spent s where t.id = s.id",
        "drop table spent",
        "vacuum turns",
    )


def _hold(owner: Connection, place: Place) -> None:
    """Answers that wait to be sent, all of an account that is paused."""
    _do(
        owner,
        "insert into accounts (tenant_id, bot_id, channel, name, external_id, access_token, state) select tenant_id, bot_id, channel, 'held', 'held', access_token, 'paused'"
        " from accounts where id = %(account)s on conflict do nothing",
        "create unlogged table held as select o.id, o.status, o.external_id from outbox o where o.account_id = %(account)s and o.status = 'delivered'"
        f" order by md5(o.id::text) limit {_BACKLOG}",
        "update outbox o set account_id = a.id, status = 'queued', external_id = null, not_before = now() - interval '1 s', waits_since = now() from held h, accounts a"
        " where o.id = h.id and a.name = 'held'",
        account=place.storage.account.id,
    )
    _do(owner, "vacuum analyze outbox")


def _let_go(owner: Connection, _place: Place) -> None:
    _do(owner, "update accounts set state = 'active' where name = 'held'")


def _end_sends(owner: Connection, place: Place) -> None:
    _do(
        owner,
        "create unlogged table if not exists held (id uuid, status text, external_id text)",
        "update outbox o set account_id = %(account)s, status = h.status, external_id = h.external_id, not_before = null from held h where o.id = h.id",
        "delete from accounts where name = 'held'",
        "drop table held",
        account=place.storage.account.id,
    )
    _do(owner, "vacuum analyze outbox")


def _next_send(place: Place, _n: int) -> None:
    found = outbox.claim_send(place.storage.crossing, boot=place.storage.boot, stale_s=60, reconcile_s=90, younger_s=36_000)
    place.sending = found if isinstance(found, Sending) else None


def _several(place: Place, _n: int) -> None:
    """What a worker with free slots claims at once; it is given back."""
    claims.claim_turns(place.storage.crossing, "reply.default", boot=place.storage.boot, lease_s=60, session_s=1800, most=16)


def _give_back(place: Place, _n: int) -> None:
    claims.release(place.storage.crossing, boot=place.storage.boot)


def _tick(when: str) -> Operation:
    """What a dispatcher asks."""
    return Operation(name=f"tick, {when}", before=beat, call=crossing(lambda c, _place, _n: dispatching.tick(c, reserve=2)))


def _busy(among: str) -> tuple[Operation, ...]:
    """A whole turn with what all others wait for, and a tick."""
    return (
        Operation(name=f"claim, {among}", call=claim, after=turn_until(finish, end)),
        Operation(name=f"claim of 16, {among}", call=_several, after=_give_back, most=5),
        _tick(among),
    )


def _list(name: str, only: conversations.State, *, of_small: bool = False) -> Operation:
    """A page of the conversations in a state, of the large tenant or the small one."""
    return Operation(
        name=name,
        call=crossing(lambda c, place, _n: conversations.newest(c, tenant=place.other if of_small else place.tenant, only=only)),
        most=5,
    )


def _beside_as_many(*phases: Phase) -> tuple[Phase, ...]:
    """These, compared with the size at which as many people wait."""
    return tuple(replace(one, operations=tuple(replace(operation, base=_BACKLOG) for operation in one.operations)) for one in phases)


_WAITING, _UNANSWERED = conversations.State.WAITING, conversations.State.UNANSWERED
#: The phases of each follow one another.
STATES = (
    _beside_as_many(
        Phase(
            enter=_backlog,
            operations=(
                *_busy("100,000 due"),
                Operation(name="accept, 100,000 due", call=accept),
                Operation(name="finish, 100,000 due", before=claim, call=finish, after=end),
                Operation(
                    name="home: overview, 100,000 due", call=crossing(lambda c, place, _n: overview.read(c, tenant=place.tenant)), most=5
                ),
                Operation(name="gauges, 100,000 due", call=crossing(lambda c, _place, _n: gauges.read(c)), most=5),
                *(_list(f"list: {only}, 100,000 due", only) for only in (_WAITING, _UNANSWERED)),
                _list("list: waiting, 100,000 due, small tenant", _WAITING, of_small=True),
            ),
        ),
        Phase(enter=_spread(10), operations=_busy("100,000 due in 10 accounts")),
        Phase(enter=_spread(1_000), operations=_busy("100,000 due in 1,000 accounts")),
        Phase(
            enter=_put_off,
            operations=(
                Operation(name="claim, 1,000 accounts wait", before=accept, call=claim, after=turn_until(finish, end)),
                _tick("1,000 accounts wait"),
            ),
            leave=_end_backlog,
        ),
    ),
    _beside_as_many(
        Phase(
            enter=_hold,
            operations=(
                Operation(name="next send, 100,000 held by a pause", call=_next_send, after=end),
                _tick("100,000 sends held by a pause"),
                Operation(name="finish, 100,000 sends held by a pause", before=turn_until(accept, claim), call=finish, after=end),
            ),
        ),
        Phase(
            enter=_let_go,
            operations=(
                Operation(name="next send, 100,000 wait", call=_next_send, after=end),
                _tick("100,000 sends wait"),
                Operation(
                    name="old answers, 100,000 wait",
                    call=lambda place, _n: outbox.fail_oldest(place.storage.crossing, younger_s=36_000),
                ),
            ),
            leave=_end_sends,
        ),
    ),
    (
        Phase(
            enter=_spend,
            operations=tuple(
                Operation(name=name, call=crossing(lambda c, place, _n, read=read: read(c, tenant=place.tenant)), most=5)
                for name, read in (
                    ("home: troubles, a budget spent", attention.count),
                    ("home: troubles listed, a budget spent", attention.troubles),
                )
            ),
            leave=_refund,
        ),
    ),
)
