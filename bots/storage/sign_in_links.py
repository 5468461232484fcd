"""One-time sign-in links: for the first owner, or for an operator who is to choose a password. Only hashes are stored."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from bots.storage.database import unit
from bots.storage.operators import hashed

_LINK_HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A valid link. operator is the one it was made for; None: whoever runs this machine."""

    operator: UUID | None


def new_link(engine: Engine, *, operator: UUID | None = None) -> str:
    """Make a one-time sign-in token that is valid for a day."""
    with unit(engine) as connection:
        return put_link(connection, operator=operator)


def put_link(connection: Connection, *, operator: UUID | None = None) -> str:
    """Make a one-time sign-in token within a transaction; the operator's unused links become invalid."""
    if operator is not None:
        end_links(connection, operator=operator)
    token = secrets.token_urlsafe(32)
    connection.execute(
        text(
            "insert into admin_links (token_sha256, kind, operator_id, expires_at)"
            " values (:hash, 'link', :operator, now() + make_interval(hours => :hours))"
        ),
        {"hash": hashed(token), "operator": operator, "hours": _LINK_HOURS},
    )
    return token


def end_links(connection: Connection, *, operator: UUID) -> None:
    """Make the unused links of an operator invalid."""
    connection.execute(
        text("update admin_links set used_at = now() where operator_id = :operator and kind = 'link' and used_at is null"),
        {"operator": operator},
    )


def find(connection: Connection, token: str) -> Link | None:
    """Find a valid link without using it up, since programs that preview an address would use it up too."""
    return _link(
        connection,
        "select operator_id from admin_links where token_sha256 = :hash and kind = 'link' and used_at is null and expires_at > now()",
        token,
    )


def use(connection: Connection, token: str) -> Link | None:
    """Use up a link; None when it is wrong, used or too old."""
    return _link(
        connection,
        "update admin_links set used_at = now()"
        " where token_sha256 = :hash and kind = 'link' and used_at is null and expires_at > now() returning operator_id",
        token,
    )


def _link(connection: Connection, statement: str, token: str) -> Link | None:
    row = connection.execute(text(statement), {"hash": hashed(token)}).one_or_none()
    return None if row is None else Link(operator=row.operator_id)
