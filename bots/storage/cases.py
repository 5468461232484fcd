"""Cases about two contacts, of whom one has the other's number now. An operator says whether they are one person.

It needs the crossing role, and is limited to one tenant.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, text

from bots.errors import Conflict, NotFound

#: The columns of attention.Trouble, and the condition that pages need in place of BEFORE.
LISTED = """
    select 'identity' as kind, k.id, a.name as account, a.channel, k.state, k.reason, k.opened_at as at, 0 as count,
        null::timestamptz as due_at,
        (select id from conversations c where c.tenant_id = k.tenant_id and c.contact_id = k.holder_id order by created_at desc limit 1) as conversation,
        a.id as account_id,
        (select id from conversations c where c.tenant_id = k.tenant_id and c.contact_id = k.former_id order by created_at desc limit 1) as former
    from identity_cases k join accounts a on a.tenant_id = k.tenant_id and a.id = k.account_id
    where k.tenant_id = :tenant and BEFORE"""
#: Those that wait for an operator; they have an index of their own.
OPEN = LISTED + " and k.state = 'open'"


def settle(connection: Connection, *, tenant: UUID, case: UUID, same: bool) -> None:
    """Record that the two contacts are one person, which joins them, or two, which separates them again. Raises NotFound, Conflict."""
    values = {"tenant": tenant, "case": case, "same": same}
    before = connection.execute(text("select settle_case(:tenant, :case, :same)"), values).scalar_one()
    if before is None:
        raise NotFound("There is no such case.")
    if before == ("same_person" if same else "two_people"):
        raise Conflict(f"Both contacts are already {'one person' if same else 'two people'}.")
