"""API tokens: operators make and revoke their own; owners see and revoke everybody's."""

from __future__ import annotations

from uuid import UUID

from bots.admin.acting import NotAllowed, Operator
from bots.admin.audit import record
from bots.admin.deps import Deps
from bots.domain import Role
from bots.storage import operators
from bots.storage.database import hot, unit
from bots.storage.operators import ApiToken


def list_own(deps: Deps, operator: Operator) -> list[ApiToken]:
    """The operator's own tokens."""
    with hot(deps.web) as connection:
        return operators.list_tokens(connection, tenant=operator.tenant_id, operator=operator.id)


def list_revocable(deps: Deps, operator: Operator) -> list[ApiToken]:
    """The tokens that the operator may revoke: all for an owner, their own for others."""
    with hot(deps.web) as connection:
        return operators.list_tokens(connection, tenant=operator.tenant_id, operator=_whose(operator))


def make(deps: Deps, operator: Operator, name: str, *, role: Role) -> str:
    """Make a token for oneself and return it: it is never shown again. Raises NotAllowed above one's own role."""
    if not operator.role.includes(role):
        raise NotAllowed(f"A token cannot do more than you can: your role is {operator.role.value}.")
    with unit(deps.web) as connection:
        token = operators.add_token(connection, tenant=operator.tenant_id, operator=operator.id, name=name, role=role)
        record(connection, operator, "token.add", f"token:{name}", {"role": role.value, "prefix": token[:9]})
        return token


def revoke(deps: Deps, operator: Operator, token: UUID) -> None:
    """Revoke a token: an owner anybody's, others their own. Raises NotFound."""
    with unit(deps.web) as connection:
        name = operators.revoke_token(connection, tenant=operator.tenant_id, token=token, operator=_whose(operator))
        record(connection, operator, "token.revoke", f"token:{name}", {"id": str(token)})


def _whose(operator: Operator) -> UUID | None:
    return None if operator.role is Role.OWNER else operator.id
