"""Operators, their sessions and API tokens. Only the hash of a token is stored."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import IntegrityError

from bots.domain import Role
from bots.errors import Conflict, NotFound

SESSION_HOURS = 12
#: Tokens begin with this, so that a leaked one can be recognised.
_TOKEN_PREFIX = "cw_"  # noqa: S105 - not a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An operator as pages show it."""

    id: UUID
    tenant_id: UUID
    name: str
    role: Role
    has_password: bool
    created_at: datetime
    last_in_at: datetime | None
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """An API token as pages show it, without the token itself."""

    id: UUID
    operator: str
    name: str
    prefix: str
    role: Role
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


_OPERATORS = """
select o.id, o.tenant_id, o.name, o.role, o.password_hash is not null as has_password, o.created_at, o.last_in_at, o.disabled_at
from operators o
"""


def add(connection: Connection, *, tenant: UUID, name: str, role: Role, password_hash: str | None = None) -> Known:
    """Make an operator. Raises Conflict when the name is taken."""
    try:
        made = connection.execute(
            text("insert into operators (tenant_id, name, role, password_hash) values (:tenant, :name, :role, :hash) returning id"),
            {"tenant": tenant, "name": name, "role": role.value, "hash": password_hash},
        ).scalar_one()
    except IntegrityError as error:
        raise Conflict(f"There is already an operator named {name}.") from error
    return get(connection, tenant=tenant, operator=made)


def get(connection: Connection, *, tenant: UUID, operator: UUID) -> Known:
    """Find an operator by id. Raises NotFound."""
    found = _first(connection, " where o.tenant_id = :tenant and o.id = :operator", {"tenant": tenant, "operator": operator})
    if found is None:
        raise NotFound("There is no such operator.")
    return found


def by_name(connection: Connection, *, tenant: UUID, name: str) -> Known | None:
    """Find an operator by name."""
    return _first(connection, " where o.tenant_id = :tenant and o.name = :name", {"tenant": tenant, "name": name})


def first_owner(connection: Connection, *, tenant: UUID) -> Known | None:
    """The first owner who may still sign in."""
    return _first(
        connection,
        " where o.tenant_id = :tenant and o.role = 'owner' and o.disabled_at is null order by o.created_at limit 1",
        {"tenant": tenant},
    )


def list_all(connection: Connection, *, tenant: UUID) -> list[Known]:
    """All operators of a tenant, by name."""
    rows = connection.execute(text(_OPERATORS + " where o.tenant_id = :tenant order by o.name"), {"tenant": tenant})
    return [_known(row) for row in rows]


def password_hash(connection: Connection, *, tenant: UUID, name: str) -> tuple[UUID, str] | None:
    """Return id and password hash of an operator who may sign in with a password."""
    row = connection.execute(
        text(
            "select id, password_hash from operators"
            " where tenant_id = :tenant and name = :name and disabled_at is null and password_hash is not null"
        ),
        {"tenant": tenant, "name": name},
    ).one_or_none()
    return None if row is None else (row.id, row.password_hash)


def set_password(connection: Connection, *, tenant: UUID, operator: UUID, password_hash: str) -> None:
    """Replace an operator's password and end all their sessions."""
    values = {"tenant": tenant, "operator": operator, "hash": password_hash}
    connection.execute(text("update operators set password_hash = :hash where tenant_id = :tenant and id = :operator"), values)
    connection.execute(text("delete from operator_sessions where tenant_id = :tenant and operator_id = :operator"), values)


def set_role(connection: Connection, *, tenant: UUID, operator: UUID, role: Role) -> None:
    """Change what an operator may do. Raises Conflict when no owner would be left, NotFound."""
    _change(connection, tenant=tenant, operator=operator, column="role", value=role.value)


def disable(connection: Connection, *, tenant: UUID, operator: UUID) -> None:
    """Disable an operator and end their sessions and tokens. Raises Conflict when no owner would be left, NotFound."""
    _change(connection, tenant=tenant, operator=operator, column="disabled_at", value="now")
    values = {"tenant": tenant, "operator": operator}
    connection.execute(text("delete from operator_sessions where tenant_id = :tenant and operator_id = :operator"), values)
    # Revoked, so that they do not become valid again when the operator is enabled again.
    connection.execute(
        text("update api_tokens set revoked_at = now() where tenant_id = :tenant and operator_id = :operator and revoked_at is null"),
        values,
    )


def enable(connection: Connection, *, tenant: UUID, operator: UUID) -> None:
    """Enable a disabled operator again. Raises NotFound."""
    _change(connection, tenant=tenant, operator=operator, column="disabled_at", value=None)


def open_session(connection: Connection, *, tenant: UUID, operator: UUID) -> str:
    """Begin a session and return its token."""
    token = secrets.token_urlsafe(32)
    values = {"tenant": tenant, "operator": operator, "hash": hashed(token), "hours": SESSION_HOURS}
    connection.execute(
        text(
            "insert into operator_sessions (tenant_id, operator_id, token_sha256, expires_at)"
            " values (:tenant, :operator, :hash, now() + make_interval(hours => :hours))"
        ),
        values,
    )
    connection.execute(text("update operators set last_in_at = now() where tenant_id = :tenant and id = :operator"), values)
    return token


def by_session(connection: Connection, token: str) -> Known | None:
    """Find the operator of a valid session."""
    return _first(
        connection,
        " join operator_sessions s on s.tenant_id = o.tenant_id and s.operator_id = o.id"
        " where s.token_sha256 = :hash and s.expires_at > now() and o.disabled_at is null",
        {"hash": hashed(token)},
    )


def close_session(connection: Connection, token: str) -> None:
    """End a session."""
    connection.execute(text("delete from operator_sessions where token_sha256 = :hash"), {"hash": hashed(token)})


def add_token(connection: Connection, *, tenant: UUID, operator: UUID, name: str, role: Role) -> str:
    """Make an API token and return it; it cannot be read again later."""
    token = _TOKEN_PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        text(
            "insert into api_tokens (tenant_id, operator_id, name, prefix, token_sha256, role)"
            " values (:tenant, :operator, :name, :prefix, :hash, :role)"
        ),
        {"tenant": tenant, "operator": operator, "name": name, "prefix": token[:9], "hash": hashed(token), "role": role.value},
    )
    return token


def by_token(connection: Connection, token: str) -> Known | None:
    """Find the operator of an API token; the role is the lower of the token's and the operator's."""
    row = connection.execute(
        text(
            "update api_tokens t set last_used_at = now() from operators o"
            " where t.token_sha256 = :hash and t.revoked_at is null and o.tenant_id = t.tenant_id and o.id = t.operator_id"
            " and o.disabled_at is null returning o.tenant_id, o.id, t.role"
        ),
        {"hash": hashed(token)},
    ).one_or_none()
    if row is None:
        return None
    known = get(connection, tenant=row.tenant_id, operator=row.id)
    lower = min(Role(row.role), known.role, key=list(Role).index)
    return replace(known, role=lower)


def list_tokens(connection: Connection, *, tenant: UUID, operator: UUID | None = None) -> list[ApiToken]:
    """All API tokens of a tenant or of one operator: valid ones first, then by age, newest first."""
    rows = connection.execute(
        text(
            "select t.id, o.name as operator, t.name, t.prefix, t.role, t.created_at, t.last_used_at, t.revoked_at"
            " from api_tokens t join operators o on o.tenant_id = t.tenant_id and o.id = t.operator_id"
            " where t.tenant_id = :tenant and t.operator_id = coalesce(cast(:operator as uuid), t.operator_id)"
            " order by t.revoked_at is not null, t.created_at desc limit 500"
        ),
        {"tenant": tenant, "operator": operator},
    )
    return [
        ApiToken(
            id=row.id,
            operator=row.operator,
            name=row.name,
            prefix=row.prefix,
            role=Role(row.role),
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            revoked_at=row.revoked_at,
        )
        for row in rows
    ]


def revoke_token(connection: Connection, *, tenant: UUID, token: UUID, operator: UUID | None = None) -> str:
    """Revoke an API token, anybody's or only this operator's, and return its name. Raises NotFound."""
    done = connection.execute(
        text(
            "update api_tokens set revoked_at = coalesce(revoked_at, now()) where tenant_id = :tenant and id = :token"
            " and operator_id = coalesce(cast(:operator as uuid), operator_id) returning name"
        ),
        {"tenant": tenant, "token": token, "operator": operator},
    ).one_or_none()
    if done is None:
        raise NotFound("There is no such token.")
    return done.name


def _change(connection: Connection, *, tenant: UUID, operator: UUID, column: str, value: str | None) -> None:
    values = {"tenant": tenant, "operator": operator, "value": value}
    # Lock all owners: two who step down at the same moment must not both succeed.
    connection.execute(text("select from operators where tenant_id = :tenant and role = 'owner' for update"), values)
    done = connection.execute(
        text(f"update operators set {column} = :value where tenant_id = :tenant and id = :operator returning id"),  # noqa: S608 - our own word
        values,
    ).one_or_none()
    if done is None:
        raise NotFound("There is no such operator.")
    if first_owner(connection, tenant=tenant) is None:
        raise Conflict("There must always be an owner.")


def _first(connection: Connection, where: str, values: dict[str, object]) -> Known | None:
    row = connection.execute(text(_OPERATORS + where), values).one_or_none()
    return None if row is None else _known(row)


def _known(row: Row[Any]) -> Known:
    return Known(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        role=Role(row.role),
        has_password=row.has_password,
        created_at=row.created_at,
        last_in_at=row.last_in_at,
        disabled_at=row.disabled_at,
    )


def hashed(token: str) -> bytes:
    """The hash of a token, which is all that is stored of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
