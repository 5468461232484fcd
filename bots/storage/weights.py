"""How much of the slots a tenant, and an account of it, gets where there are not enough for all (`sql/shares.sql`): their weights."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, text

from bots.domain import Account
from bots.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantShare:
    """A tenant with its weight beside the others."""

    name: str
    weight: float
    accounts: int
    #: Of the slots that turns hold now.
    running: int


def of_tenants(connection: Connection) -> list[TenantShare]:
    """Every tenant, by name; reads across contacts."""
    rows = connection.execute(
        text("""
            select z.name, z.weight, (select count(*) from accounts a where a.tenant_id = z.tenant_id and a.persona_version is null) as accounts,
                coalesce(r.n, 0) as running
            from tenants z left join (select c.tenant_id, count(*) as n from conversations c
                where c.leased_until is not null and c.leased_until > now() group by c.tenant_id) r on r.tenant_id = z.tenant_id
            order by z.name""")
    ).all()
    return [TenantShare(name=row.name, weight=row.weight, accounts=row.accounts, running=row.running) for row in rows]


def set_account(connection: Connection, account: Account, weight: float) -> float:
    """Give an account a weight and return the one before. It counts from the next claim on."""
    return connection.execute(
        text("""
            with before as (select weight from accounts where tenant_id = :tenant and id = :account for update)
            update accounts a set weight = :weight from before where a.tenant_id = :tenant and a.id = :account returning before.weight"""),
        {"tenant": account.tenant_id, "account": account.id, "weight": weight},
    ).scalar_one()


def set_tenant(connection: Connection, name: str, weight: float) -> float:
    """Give a tenant a weight and return the one before. Raises NotFound."""
    before = connection.execute(
        text("select weight from tenants where name = :name for no key update"), {"name": name}
    ).scalar_one_or_none()
    if before is None:
        raise NotFound(f"There is no tenant named {name}; `chinwag tenant list` shows all.")
    connection.execute(text("update tenants set weight = :weight where name = :name"), {"name": name, "weight": weight})
    return before
