"""What is known about accounts apart from their secrets: the set-up steps, the last check, and which bot answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from bots.domain import Account
from bots.errors import NotFound
from bots.storage import accounts
from bots.storage.database import to_json
from bots.storage.queues import reply_queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is known about an account's set-up."""

    bot: str
    created_at: datetime
    #: The public address with which it was connected, without the account's own path; empty: the one in the settings.
    public_url: str
    handshake_at: datetime | None
    first_webhook_at: datetime | None
    last_webhook_at: datetime | None
    refused_at: datetime | None
    #: Why the last refused webhook was refused: the signature doctor's code and message.
    refusal: str | None
    #: Whether any event arrived for it, at its own address or at that of another account with the same app.
    came: bool
    #: Whether the platform has accepted one of our messages, and reported the status of one.
    answered: bool
    told: bool
    health: dict[str, Any] | None
    health_at: datetime | None
    #: What limits its sends now: outage, probing, throttled or rising; since when, and how many messages wait.
    limit: str | None = None
    limit_since: datetime | None = None
    limit_until: datetime | None = None
    waiting: int = 0
    #: Its share of the slots beside the tenant's other accounts, and how many people wait for an answer now; both counts go to MOST_COUNTED.
    weight: float = 1.0
    people: int = 0

    @property
    def is_refused(self) -> bool:
        """Whether the newest webhook was refused."""
        return self.refused_at is not None and (self.last_webhook_at is None or self.refused_at > self.last_webhook_at)

    @property
    def is_handshake_repaired(self) -> bool:
        """Whether the platform verified the address after the newest refusal."""
        return self.handshake_at is not None and (self.refused_at is None or self.handshake_at > self.refused_at)


MOST_COUNTED = 1000
#: Conversations of one transaction: of people who have written for a year they take some tenths of a second.
_REMOVED_AT_ONCE = 100
_NAMES_BEFORE = {"words": "message", "mend": "fix"}
_SETUPS = """
select a.id, b.name as bot, a.created_at, coalesce(a.public_url, '') as public_url, a.handshake_at, a.first_webhook_at, a.last_webhook_at,
    a.refused_at, a.refusal, a.health, a.health_at,
    x.state as limit, x.since as limit_since, x.until as limit_until, case when x.id is null then 0 else (select count(*) from (
        select from outbox o where o.account_id = a.id and o.not_before is not null limit 1000) held) end as waiting,
    a.weight, (select count(*) from (select from conversations c where c.tenant_id = a.tenant_id and c.account_id = a.id
        and c.queue in (select :replies || b.profile union select q from worker_heartbeats h, unnest(h.queues) q
            where starts_with(q, :replies || b.profile || '.@'))
        and c.ready_at <= now() and c.leased_until is null and c.closed_at is null and c.taken_by is null limit 1000) due) as people,
    a.first_webhook_at is not null or exists (select from inbox i where i.account_id = a.id) as came,
    exists (select from outbox o where o.account_id = a.id and o.external_id is not null) as answered,
    exists (select from statuses s where s.account_id = a.id)
        or exists (select from outbox o where o.account_id = a.id and o.status in ('delivered', 'read')) as told
from accounts a join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id
    left join lateral (
        select * from (select * from send_limits where scope = 'account' and account_id = a.id
            union all select * from send_limits where scope = 'app' and app_id = a.app_id) limits
        where state <> 'suspect' order by until desc limit 1) x on true
where a.tenant_id = :tenant
"""


def mine(connection: Connection, *, tenant: UUID, account: UUID) -> Account:
    """Find an account of this tenant. Raises NotFound."""
    found = accounts.by_id(connection, account)
    if found is None or found.tenant_id != tenant:
        raise NotFound("There is no such account.")
    return found


def of(connection: Connection, *, tenant: UUID, account: UUID) -> tuple[Account, Setup]:
    """An account and its set-up; reads across contacts. Raises NotFound."""
    found = mine(connection, tenant=tenant, account=account)
    row = connection.execute(text(_SETUPS + " and a.id = :account"), _values(tenant) | {"account": account}).mappings().one_or_none()
    if row is None:
        raise NotFound("There is no such account.")
    return found, _setup(row)


def overview(connection: Connection, *, tenant: UUID) -> list[tuple[Account, Setup]]:
    """All accounts with their set-ups, by channel and name, without trial accounts; reads across contacts."""
    known = {row["id"]: row for row in connection.execute(text(_SETUPS), _values(tenant)).mappings()}
    listed = [one for one in accounts.list_all(connection) if one.id in known and one.persona_version is None]
    return [(one, _setup(known[one.id])) for one in listed]


def keep_health(connection: Connection, account: Account, health: dict[str, Any]) -> None:
    """Store the result of the last check with the platform."""
    connection.execute(
        text("update accounts set health = cast(:health as jsonb), health_at = now() where tenant_id = :tenant and id = :account"),
        {"tenant": account.tenant_id, "account": account.id, "health": to_json(health)},
    )


def keep_address(connection: Connection, account: Account, public_url: str) -> None:
    """Store the address that is registered with the platform."""
    connection.execute(
        text("update accounts set public_url = :url where tenant_id = :tenant and id = :account"),
        {"tenant": account.tenant_id, "account": account.id, "url": public_url or None},
    )


def point(connection: Connection, account: Account, *, bot: UUID) -> None:
    """Let another bot answer on an account. Raises NotFound."""
    done = connection.execute(
        text(
            "update accounts set bot_id = :bot where tenant_id = :tenant and id = :account"
            " and exists (select from bots where tenant_id = :tenant and id = :bot)"
        ),
        {"tenant": account.tenant_id, "account": account.id, "bot": bot},
    )
    if done.rowcount != 1:
        raise NotFound("There is no such bot.")


def describe(connection: Connection, account: Account, *, app_id: str, parent_id: str) -> None:
    """Store ids that accounts of earlier versions did not have."""
    connection.execute(
        text("update accounts set app_id = :app, parent_id = :parent where tenant_id = :tenant and id = :account"),
        {"tenant": account.tenant_id, "account": account.id, "app": app_id or None, "parent": parent_id or None},
    )


def erase_part(connection: Connection, *, tenant: UUID, account: UUID) -> dict[str, int]:
    """Erase some of what was received and sent over an account; returns the number of rows by table, all of them 0 once nothing is left. As crossing."""
    _take_time(connection)
    values = {"tenant": tenant, "account": account, "most": _REMOVED_AT_ONCE}
    return dict(connection.execute(text("select remove_part(:tenant, :account, :most)"), values).scalar_one())


def erase(connection: Connection, *, tenant: UUID, account: UUID) -> dict[str, int]:
    """Remove an account with what is still there of it; returns the number of rows by table. As crossing. Raises NotFound."""
    _take_time(connection)
    counts = connection.execute(text("select remove_account(:tenant, :account)"), {"tenant": tenant, "account": account}).scalar()
    if counts is None:
        raise NotFound("There is no such account.")
    return dict(counts)


def _take_time(connection: Connection) -> None:
    """Let a statement take more than the usual two seconds of the web: what a hundred people wrote in years is not gone in them."""
    connection.execute(text("set local statement_timeout = '120s'"))


def _values(tenant: UUID) -> dict[str, Any]:
    # What a profile's queue begins with.
    return {"tenant": tenant, "replies": reply_queue("")}


def _setup(row: Any) -> Setup:
    values: dict[str, Any] = {name: value for name, value in row.items() if name != "id"}
    values["health"] = _health(values["health"])
    return Setup(**values)


def _health(stored: dict[str, Any] | None) -> dict[str, Any] | None:
    """Read health under its current names: earlier versions stored `words` and `mend` for a check's message and fix."""
    if stored is None:
        return None
    checks = [{_NAMES_BEFORE.get(name, name): value for name, value in check.items()} for check in stored.get("checks", ())]
    return stored | {"checks": checks}
