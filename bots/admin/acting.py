"""Who acts: pages, API and commands pass an operator to each use case, which keeps to that tenant and writes the audit trail.

The role is checked by whoever serves the request (`page`, `post` and `may` of bots.web.admin_site); a use case checks it only where it also
depends on what is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from bots.domain import Role
from bots.errors import BotsError

#: The name in the audit trail of whoever uses the server's command line; they can do everything there anyway.
_COMMAND_LINE = "cli"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Somebody signed in, by a session or by an API token."""

    id: UUID
    tenant_id: UUID
    name: str
    role: Role
    by_token: bool = False


class NotAllowed(BotsError):
    """The operator may not do that."""


def command_line(tenant: UUID) -> Operator:
    """Return the operator that commands act as; it has no row of its own."""
    return Operator(id=UUID(int=0), tenant_id=tenant, name=_COMMAND_LINE, role=Role.OWNER)
