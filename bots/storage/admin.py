"""Sign-in to the admin page: a one-time link becomes a session. Only hashes are kept."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import Connection, Engine, text

from bots.storage.database import unit

_LINK_HOURS = 24
_SESSION_HOURS = 12


def new_link(engine: Engine) -> str:
    """Make a one-time sign-in token, good for a day."""
    token = secrets.token_urlsafe(32)
    with unit(engine) as connection:
        _put(connection, token, "link", _LINK_HOURS)
    return token


def enter(connection: Connection, token: str) -> str | None:
    """Use up a one-time token and return a session's token; None when it is wrong, used or too old."""
    used = connection.execute(
        text(
            "update admin_links set used_at = now()"
            " where token_sha256 = :hash and kind = 'link' and used_at is null and expires_at > now() returning true"
        ),
        {"hash": _hash(token)},
    ).scalar_one_or_none()
    if not used:
        return None
    session = secrets.token_urlsafe(32)
    _put(connection, session, "session", _SESSION_HOURS)
    return session


def session_valid(connection: Connection, session: str) -> bool:
    """Whether this is a living session."""
    return bool(
        connection.execute(
            text("select true from admin_links where token_sha256 = :hash and kind = 'session' and expires_at > now()"),
            {"hash": _hash(session)},
        ).scalar_one_or_none()
    )


def _put(connection: Connection, token: str, kind: str, hours: int) -> None:
    connection.execute(
        text("insert into admin_links (token_sha256, kind, expires_at) values (:hash, :kind, now() + make_interval(hours => :hours))"),
        {"hash": _hash(token), "kind": kind, "hours": hours},
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
