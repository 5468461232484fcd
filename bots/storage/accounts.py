"""Accounts: which bot answers on which platform account, and the account's encrypted secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import IntegrityError

from bots.crypto import Keyring
from bots.domain import Account, ChannelKind, Sealed
from bots.errors import Conflict

#: The column is still named door: renaming a column is not safe while processes of the previous version run.
_COLUMNS = """
select id, tenant_id, bot_id, channel, name, external_id, state, state_reason, slow_until, slow_reason, app_secret, app_secret_before, verify_token, access_token,
    door as login_type, parent_id, app_id, persona_version, answers_groups
from accounts
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSecrets:
    """An account's decrypted secrets, for one call."""

    #: Newest first; two during a rotation.
    app_secrets: tuple[str, ...] = field(default=(), repr=False)
    verify_token: str | None = field(default=None, repr=False)
    access_token: str | None = field(default=None, repr=False)


def find(connection: Connection, *, channel: ChannelKind, name: str | None = None, external_id: str | None = None) -> Account | None:
    """Find an account by its name or by its id on the platform."""
    column, value = ("name", name) if name is not None else ("external_id", external_id)
    row = connection.execute(
        text(f"{_COLUMNS} where channel = :channel and {column} = :value"),
        {"channel": channel.value, "value": value},
    ).one_or_none()
    return None if row is None else _account(row)


def by_id(connection: Connection, account: UUID) -> Account | None:
    """Find an account by its id."""
    row = connection.execute(text(_COLUMNS + " where id = :id"), {"id": account}).one_or_none()
    return None if row is None else _account(row)


def list_all(connection: Connection) -> list[Account]:
    """All accounts, by channel and name."""
    return [_account(row) for row in connection.execute(text(_COLUMNS + " order by channel, name"))]


def add(
    connection: Connection,
    keyring: Keyring,
    *,
    tenant: UUID,
    bot: UUID,
    channel: ChannelKind,
    name: str,
    external_id: str,
    app_secret: str | None = None,
    verify_token: str | None = None,
    access_token: str | None = None,
    login_type: str = "page",
    parent_id: str | None = None,
    app_id: str | None = None,
    persona_version: int | None = None,
) -> Account:
    """Connect an account to a bot. Raises Conflict when the name or the platform id is taken."""
    row = uuid4()
    values = {"id": row, "tenant": tenant, "bot": bot, "channel": channel.value, "name": name, "external_id": external_id}
    values |= {"login_type": login_type, "parent": parent_id, "app_id": app_id, "version": persona_version}
    secrets = {"app_secret": app_secret, "verify_token": verify_token, "access_token": access_token}
    values |= {column: _seal(keyring, row, column, plain) for column, plain in secrets.items()}
    try:
        connection.execute(
            text(
                "insert into accounts (id, tenant_id, bot_id, channel, name, external_id, app_secret, verify_token, access_token,"
                " door, parent_id, app_id, persona_version)"
                " values (:id, :tenant, :bot, :channel, :name, :external_id, :app_secret, :verify_token, :access_token,"
                " :login_type, :parent, :app_id, :version)"
            ),
            values,
        )
    except IntegrityError as error:
        raise Conflict(f"There is a {channel.value} account with the name {name} or the platform id {external_id} already.") from error
    found = by_id(connection, row)
    if found is None:
        raise AssertionError("the account was just written")
    return found


def rotate(
    connection: Connection,
    keyring: Keyring,
    account: Account,
    *,
    app_secret: str | None = None,
    verify_token: str | None = None,
    access_token: str | None = None,
    drop_previous: bool = False,
) -> None:
    """Replace secrets. The previous app secret stays valid together with the new one until drop_previous."""
    if app_secret is not None:
        # A secret is sealed for its column: one that moves must be sealed again.
        newest = open_secrets(keyring, account).app_secrets[:1]
        _set(connection, account, "app_secret_before", _seal(keyring, account.id, "app_secret_before", newest[0] if newest else None))
        _set(connection, account, "app_secret", _seal(keyring, account.id, "app_secret", app_secret))
    if drop_previous:
        _set(connection, account, "app_secret_before", None)
    if verify_token is not None:
        _set(connection, account, "verify_token", _seal(keyring, account.id, "verify_token", verify_token))
    if access_token is not None:
        _set(connection, account, "access_token", _seal(keyring, account.id, "access_token", access_token))
        if account.state == "needs_attention":
            set_state(connection, account, "active")


def set_state(connection: Connection, account: Account, state: str, reason: str | None = None) -> None:
    """Set an account active, paused or needs_attention. Once it is active again, the platform's last limit is forgotten."""
    if state == "active":
        connection.execute(text("select resume_account(:id)"), {"id": account.id})
        return
    connection.execute(
        text("update accounts set state = :state, state_reason = :reason where id = :id"),
        {"state": state, "reason": reason, "id": account.id},
    )


def set_answers_groups(connection: Connection, account: Account, *, answers: bool) -> None:
    """Say whether the bot answers in groups, where it is spoken to."""
    connection.execute(text("update accounts set answers_groups = :answers where id = :id"), {"answers": answers, "id": account.id})


def open_secrets(keyring: Keyring, account: Account) -> OpenedSecrets:
    """Decrypt an account's secrets. Raises CannotOpen."""
    columns = ("app_secret", "app_secret_before")
    return OpenedSecrets(
        app_secrets=tuple(_open_either(keyring, account, sealed, columns) for sealed in account.app_secrets),
        verify_token=_open(keyring, account, account.verify_token, "verify_token"),
        access_token=_open(keyring, account, account.access_token, "access_token"),
    )


def _open(keyring: Keyring, account: Account, sealed: Sealed | None, column: str) -> str | None:
    return None if sealed is None else keyring.open(sealed, table="accounts", row=account.id, column=column)


def _open_either(keyring: Keyring, account: Account, sealed: Sealed, columns: tuple[str, str]) -> str:
    column = columns[0] if sealed is account.app_secrets[0] else columns[1]
    return keyring.open(sealed, table="accounts", row=account.id, column=column)


def _seal(keyring: Keyring, row: UUID, column: str, plain: str | None) -> bytes | None:
    return keyring.seal(plain, table="accounts", row=row, column=column).token if plain else None


def _set(connection: Connection, account: Account, column: str, token: bytes | None) -> None:
    connection.execute(
        text(f"update accounts set {column} = :token where id = :id"),  # noqa: S608 - the column is one of this module's literals
        {"token": token, "id": account.id},
    )


def _account(row: Row[Any]) -> Account:
    return Account(
        id=row.id,
        tenant_id=row.tenant_id,
        bot_id=row.bot_id,
        channel=ChannelKind(row.channel),
        name=row.name,
        external_id=row.external_id,
        state=row.state,
        state_reason=row.state_reason,
        slow_until=row.slow_until,
        slow_reason=row.slow_reason,
        app_secrets=() if row.app_secret is None else tuple(Sealed(token=t) for t in (row.app_secret, row.app_secret_before) if t),
        verify_token=Sealed(token=row.verify_token) if row.verify_token else None,
        access_token=Sealed(token=row.access_token) if row.access_token else None,
        login_type=row.login_type,
        parent_id=row.parent_id,
        app_id=row.app_id,
        persona_version=row.persona_version,
        answers_groups=row.answers_groups,
    )
