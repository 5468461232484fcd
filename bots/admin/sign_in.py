"""Signing in and out: one-time links, passwords, sessions. Most of it happens before anybody is signed in, so it takes no acting operator."""

from __future__ import annotations

from dataclasses import dataclass

from bots.admin.acting import Operator
from bots.admin.audit import record
from bots.admin.deps import Deps
from bots.crypto import hash_password, password_matches
from bots.domain import Role
from bots.storage import operators, sign_in_links, tenants
from bots.storage.database import hot, unit
from bots.storage.operators import Known

SESSION_HOURS = operators.SESSION_HOURS
SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a usable link does."""

    #: Whom it signs in; empty: it creates the first owner.
    name: str
    #: Whether a password is to be chosen.
    chooses: bool


def password_errors(password: str, again: str) -> dict[str, str]:
    """What is wrong with a new password, by field."""
    if len(password) < SHORTEST_PASSWORD:
        return {"password": f"Use at least {SHORTEST_PASSWORD} characters. A few words that are easy to remember are best."}
    if len(password) > LONGEST_PASSWORD:
        return {"password": f"Use at most {LONGEST_PASSWORD} characters."}
    if password != again:
        return {"again": "The two passwords are different."}
    return {}


def who(deps: Deps, secret: str, *, by_token: bool) -> Operator | None:
    """The operator whose session or API token this is. Raises StorageUnavailable."""
    with hot(deps.web) as connection:
        known = operators.by_token(connection, secret) if by_token else operators.by_session(connection, secret)
    return None if known is None else _acting(known, by_token=by_token)


def find_link(deps: Deps, token: str) -> Link | None:
    """What a link does, without using it up; None when it is wrong, used or too old."""
    with unit(deps.web) as connection:
        link = sign_in_links.find(connection, token)
        if link is None:
            return None
        tenant = tenants.default(connection)
        known = (
            operators.first_owner(connection, tenant=tenant)
            if link.operator is None
            else operators.get(connection, tenant=tenant, operator=link.operator)
        )
    if known is not None and known.disabled_at is not None:
        return None
    return Link(name=known.name if known else "", chooses=known is None or link.operator is not None)


def use_link(deps: Deps, token: str, *, name: str, password: str | None) -> str | None:
    """Use up a link and return the token of a new session; None when the link is wrong, used or too old."""
    hashed = None if password is None else hash_password(password)
    with unit(deps.web) as connection:
        link = sign_in_links.use(connection, token)
        if link is None:
            return None
        tenant = tenants.default(connection)
        if link.operator is not None:
            known = operators.get(connection, tenant=tenant, operator=link.operator)
            if known.disabled_at is not None:
                return None
            if hashed is not None:
                operators.set_password(connection, tenant=tenant, operator=known.id, password_hash=hashed)
            action = "operator.password"
        else:
            owner = operators.first_owner(connection, tenant=tenant)
            known = owner or operators.add(connection, tenant=tenant, name=name, role=Role.OWNER, password_hash=hashed)
            action = "operator.enter" if owner else "operator.first"
        record(connection, _acting(known), action, f"operator:{known.name}")
        return operators.open_session(connection, tenant=tenant, operator=known.id)


def sign_in(deps: Deps, name: str, password: str) -> str | None:
    """Check a name and password and return the token of a new session; None when they do not match. Takes some 50 ms on purpose."""
    with unit(deps.web) as connection:
        tenant = tenants.default(connection)
        found = operators.password_hash(connection, tenant=tenant, name=name)
    if not password_matches(password, found[1] if found else None) or found is None:
        return None
    with unit(deps.web) as connection:
        # A password that was changed meanwhile no longer works.
        if operators.password_hash(connection, tenant=tenant, name=name) != found:
            return None
        return operators.open_session(connection, tenant=tenant, operator=found[0])


def sign_out(deps: Deps, session: str) -> None:
    """End a session."""
    with hot(deps.web) as connection:
        operators.close_session(connection, session)


def is_own_password(deps: Deps, operator: Operator, password: str) -> bool:
    """Whether this is the operator's password; takes some 50 ms on purpose."""
    with hot(deps.web) as connection:
        found = operators.password_hash(connection, tenant=operator.tenant_id, name=operator.name)
    return password_matches(password, found[1] if found else None)


def change_password(deps: Deps, operator: Operator, password: str) -> str:
    """Replace one's own password, end every session and return the token of a new one."""
    hashed = hash_password(password)
    with unit(deps.web) as connection:
        operators.set_password(connection, tenant=operator.tenant_id, operator=operator.id, password_hash=hashed)
        sign_in_links.end_links(connection, operator=operator.id)
        record(connection, operator, "operator.password", f"operator:{operator.name}")
        return operators.open_session(connection, tenant=operator.tenant_id, operator=operator.id)


def _acting(known: Known, *, by_token: bool = False) -> Operator:
    return Operator(id=known.id, tenant_id=known.tenant_id, name=known.name, role=known.role, by_token=by_token)
