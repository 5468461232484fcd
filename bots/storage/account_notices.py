"""What platforms reported about accounts: the newest notice of each topic. It needs the crossing role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

_MOST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNotice:
    """The newest notice about one topic."""

    id: UUID
    #: In the platform's own names: notice:account_update/ACCOUNT_VIOLATION/SPAM.
    reason: str
    #: How often in a row the platform said the same.
    times: int
    #: When it last said so: its own time where it named one.
    at: datetime
    #: Whether it is on the attention page.
    is_open: bool


def of(connection: Connection, *, tenant: UUID, account: UUID) -> tuple[StoredNotice, ...]:
    """The notices about an account, the newest first."""
    rows = connection.execute(
        text(
            "select id, reason, times, coalesce(occurred_at, received_at) as at, attention_at is not null as is_open from account_notices"
            " where tenant_id = :tenant and account_id = :account order by received_at desc, id limit :most"
        ),
        {"tenant": tenant, "account": account, "most": _MOST},
    )
    return tuple(StoredNotice(**row) for row in rows.mappings())
