"""The audit trail's entries about accounts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from bots.admin.acting import Operator
from bots.domain import Account
from bots.storage import audit


def record(connection: Connection, operator: Operator, account: Account, action: str, detail: dict[str, Any] | None = None) -> None:
    """Write down that the operator did this to the account."""
    audit.record(
        connection,
        tenant=operator.tenant_id,
        actor=operator.name,
        action=f"account.{action}",
        subject=f"account:{account.channel.value}/{account.name}",
        detail=detail,
    )
