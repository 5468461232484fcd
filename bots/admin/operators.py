"""What owners do with operators: add them, change their roles, disable them, give them one-time links."""

from __future__ import annotations

import re
from uuid import UUID

from bots.admin.acting import Operator
from bots.admin.audit import record
from bots.admin.deps import Deps
from bots.domain import Role
from bots.errors import Conflict, NotFound
from bots.storage import operators, sign_in_links
from bots.storage.database import hot, unit
from bots.storage.operators import Known

MOST_NAME = 80
#: The name of an operator or a token: one line.
NAME = r"^[^\x00-\x1f\x7f]+$"


def name_error(name: str) -> str | None:
    """What is wrong with the name of an operator or a token."""
    if not name:
        return "Enter a name."
    if len(name) > MOST_NAME or not re.match(NAME, name):
        return f"Use at most {MOST_NAME} characters on one line."
    return None


def list_all(deps: Deps, operator: Operator) -> list[Known]:
    """All operators, by name."""
    with hot(deps.web) as connection:
        return operators.list_all(connection, tenant=operator.tenant_id)


def get(deps: Deps, operator: Operator, subject: UUID) -> Known:
    """The operator of that id. Raises NotFound."""
    with hot(deps.web) as connection:
        return operators.get(connection, tenant=operator.tenant_id, operator=subject)


def by_name(deps: Deps, operator: Operator, name: str) -> Known:
    """The operator of that name. Raises NotFound."""
    with hot(deps.web) as connection:
        found = operators.by_name(connection, tenant=operator.tenant_id, name=name)
    if found is None:
        raise NotFound(f"There is no operator named {name}; `chinwag operator list` shows all.")
    return found


def add(deps: Deps, operator: Operator, name: str, *, role: Role) -> tuple[Known, str]:
    """Add an operator; returns the operator and the one-time link for choosing a password. Raises Conflict when the name is taken."""
    with unit(deps.web) as connection:
        made = operators.add(connection, tenant=operator.tenant_id, name=name, role=role)
        record(connection, operator, "operator.add", f"operator:{made.name}", {"role": role.value})
        return made, sign_in_links.put_link(connection, operator=made.id)


def change(deps: Deps, operator: Operator, subject: UUID, *, role: Role | None = None, disabled: bool | None = None) -> Known:
    """Change a role from the next request on; disable an operator, which ends sessions, tokens and links; or enable one again.

    Tokens stay revoked. Raises Conflict when no owner would be left, NotFound.
    """
    tenant = operator.tenant_id
    with unit(deps.web) as connection:
        before = operators.get(connection, tenant=tenant, operator=subject)
        name = f"operator:{before.name}"
        if role is not None and role is not before.role:
            operators.set_role(connection, tenant=tenant, operator=subject, role=role)
            record(connection, operator, "operator.role", name, {"role": role.value, "before": before.role.value})
        if disabled is not None and disabled != (before.disabled_at is not None):
            if disabled:
                operators.disable(connection, tenant=tenant, operator=subject)
                sign_in_links.end_links(connection, operator=subject)
            else:
                operators.enable(connection, tenant=tenant, operator=subject)
            record(connection, operator, "operator.disable" if disabled else "operator.enable", name)
        return operators.get(connection, tenant=tenant, operator=subject)


def link(deps: Deps, operator: Operator, subject: UUID) -> tuple[Known, str]:
    """Create a new one-time link; earlier ones stop working. Raises Conflict for a disabled operator, NotFound."""
    with unit(deps.web) as connection:
        found = operators.get(connection, tenant=operator.tenant_id, operator=subject)
        if found.disabled_at is not None:
            raise Conflict(f"{found.name} is disabled: enable them again first.")
        record(connection, operator, "operator.link", f"operator:{found.name}")
        return found, sign_in_links.put_link(connection, operator=subject)
