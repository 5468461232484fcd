"""What owners do with operators, and operators with their own password and tokens: each write with its audit row. Synchronous."""

from __future__ import annotations

import re
from uuid import UUID

from sqlalchemy import Connection, Engine

from bots.admin.acting import NotAllowed, Operator
from bots.crypto import hash_password, password_matches
from bots.domain import Role
from bots.errors import Conflict, NotFound
from bots.storage import admin, audit, operators
from bots.storage.database import hot, unit
from bots.storage.operators import Known

MOST_NAME = 80
#: Of an operator or a token.
NAME = r"^[^\x00-\x1f\x7f]+$"


def name_error(name: str) -> str | None:
    """What is wrong with a name."""
    if not name:
        return "It needs a name."
    if len(name) > MOST_NAME or not re.match(NAME, name):
        return f"At most {MOST_NAME} characters on one line."
    return None


def add(connection: Connection, *, tenant: UUID, actor: str, name: str, role: Role) -> tuple[Known, str]:
    """Make an operator and the one-time link that lets them choose a password. Raises Conflict when the name is taken."""
    made = operators.add(connection, tenant=tenant, name=name, role=role)
    _record(connection, made, actor=actor, action="operator.add", role=role.value)
    return made, admin.put_link(connection, operator=made.id)


def change_role(connection: Connection, *, tenant: UUID, actor: str, operator: UUID, role: Role) -> Known:
    """Change what an operator may do, from their next click on. Raises Conflict when no owner would be left, NotFound."""
    before = operators.get(connection, tenant=tenant, operator=operator)
    if before.role is not role:
        operators.set_role(connection, tenant=tenant, operator=operator, role=role)
        _record(connection, before, actor=actor, action="operator.role", role=role.value, before=before.role.value)
    return operators.get(connection, tenant=tenant, operator=operator)


def disable(connection: Connection, *, tenant: UUID, actor: str, operator: UUID) -> Known:
    """Let an operator in no more; sessions, tokens and links end. Raises Conflict when no owner would be left, NotFound."""
    operators.disable(connection, tenant=tenant, operator=operator)
    admin.end_links(connection, operator=operator)
    found = operators.get(connection, tenant=tenant, operator=operator)
    _record(connection, found, actor=actor, action="operator.disable")
    return found


def enable(connection: Connection, *, tenant: UUID, actor: str, operator: UUID) -> Known:
    """Let a disabled operator in again; tokens stay revoked. Raises NotFound."""
    operators.enable(connection, tenant=tenant, operator=operator)
    found = operators.get(connection, tenant=tenant, operator=operator)
    _record(connection, found, actor=actor, action="operator.enable")
    return found


def link(connection: Connection, *, tenant: UUID, actor: str, operator: UUID) -> tuple[Known, str]:
    """Make a fresh one-time link; those before it end. Raises Conflict for a disabled operator, NotFound."""
    found = operators.get(connection, tenant=tenant, operator=operator)
    if found.disabled_at is not None:
        raise Conflict(f"{found.name} is disabled: let them in again first.")
    _record(connection, found, actor=actor, action="operator.link")
    return found, admin.put_link(connection, operator=operator)


def wanted(connection: Connection, *, tenant: UUID, name: str) -> Known:
    """Find an operator by name. Raises NotFound."""
    found = operators.by_name(connection, tenant=tenant, name=name)
    if found is None:
        raise NotFound(f"There is no operator named {name}; `chinwag operator list` shows all.")
    return found


def make_token(connection: Connection, operator: Operator, *, name: str, role: Role) -> str:
    """Make an API token for oneself and return it: it is never shown again. Raises NotAllowed above one's own role."""
    if not operator.role.includes(role):
        raise NotAllowed(f"A token may do no more than you: you are {operator.role.value}.")
    token = operators.add_token(connection, tenant=operator.tenant_id, operator=operator.id, name=name, role=role)
    audit.record(
        connection,
        tenant=operator.tenant_id,
        actor=operator.name,
        action="token.add",
        subject=f"token:{name}",
        detail={"role": role.value, "prefix": token[:9]},
    )
    return token


def revoke_token(connection: Connection, operator: Operator, token: UUID) -> None:
    """End an API token: an owner anybody's, others their own. Raises NotFound."""
    whose = None if operator.role is Role.OWNER else operator.id
    name = operators.revoke_token(connection, tenant=operator.tenant_id, token=token, operator=whose)
    audit.record(
        connection,
        tenant=operator.tenant_id,
        actor=operator.name,
        action="token.revoke",
        subject=f"token:{name}",
        detail={"id": str(token)},
    )


def visible_tokens(connection: Connection, operator: Operator) -> list[operators.ApiToken]:
    """API tokens that one may revoke: an owner all, others their own."""
    whose = None if operator.role is Role.OWNER else operator.id
    return operators.list_tokens(connection, tenant=operator.tenant_id, operator=whose)


def is_own_password(engine: Engine, operator: Operator, password: str) -> bool:
    """Whether this is the operator's password; takes some 50 ms on purpose."""
    with hot(engine) as connection:
        found = operators.password_hash(connection, tenant=operator.tenant_id, name=operator.name)
    return password_matches(password, found[1] if found else None)


def change_password(engine: Engine, operator: Operator, password: str) -> str:
    """Replace one's own password, end every session and return the token of a new one."""
    hashed = hash_password(password)
    with unit(engine) as connection:
        operators.set_password(connection, tenant=operator.tenant_id, operator=operator.id, password_hash=hashed)
        admin.end_links(connection, operator=operator.id)
        subject = f"operator:{operator.name}"
        audit.record(connection, tenant=operator.tenant_id, actor=operator.name, action="operator.password", subject=subject)
        return operators.open_session(connection, tenant=operator.tenant_id, operator=operator.id)


def _record(connection: Connection, about: Known, *, actor: str, action: str, **detail: str) -> None:
    audit.record(connection, tenant=about.tenant_id, actor=actor, action=action, subject=f"operator:{about.name}", detail=detail or None)
