"""Replacing an account's secrets without downtime: app secret, access token, verify token."""

from __future__ import annotations

import secrets
from dataclasses import replace
from uuid import UUID

from bots.admin import audit
from bots.admin.accounts import checks, health
from bots.admin.accounts.offer import BAD_CHARACTERS, AccountRejected, Check, audit_subject, stored_offer
from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.channels.graph import is_plain
from bots.domain import Account
from bots.storage import accounts, setups
from bots.storage.database import unit


def rotate(
    deps: Deps,
    operator: Operator,
    account: UUID,
    *,
    app_secret: str = "",
    access_token: str = "",
    unchecked: bool = False,
) -> tuple[Check, ...]:
    """Replace secrets once they pass the checks, or `unchecked`; the previous app secret stays valid along with the new one.

    Raises AccountRejected, NotFound, Conflict.
    """
    given = {name: value for name, value in (("app_secret", app_secret), ("access_token", access_token)) if value}
    if not given:
        raise AccountRejected({"app_secret": "Enter a new app secret, a new access token, or both."})
    wrong = {name: BAD_CHARACTERS for name, value in given.items() if not is_plain(value)}
    if wrong:
        raise AccountRejected(wrong)
    with unit(deps.web) as connection:
        found = setups.mine(connection, tenant=operator.tenant_id, account=account)
    if unchecked:
        _store(deps, operator, found, given)
        return ()
    before, _ = stored_offer(deps.keyring, found)
    checked = checks.run(replace(before, **given), deps.settings)
    if not checked.good:
        raise AccountRejected(checked.errors, checked.checks)
    _store(deps, operator, found, given)
    health.store(deps, found, checked)
    return checked.checks


def drop_previous_secret(deps: Deps, operator: Operator, account: UUID) -> None:
    """Stop accepting the previous app secret. Raises NotFound."""
    with unit(deps.web) as connection:
        found = setups.mine(connection, tenant=operator.tenant_id, account=account)
        accounts.rotate(connection, deps.keyring, found, drop_previous=True)
        audit.record(connection, operator, "account.drop_before", audit_subject(found))


def new_verify_token(deps: Deps, operator: Operator, account: UUID) -> str:
    """Create a new verify token and return it this once. Raises NotFound."""
    made = secrets.token_hex(16)
    with unit(deps.web) as connection:
        found = setups.mine(connection, tenant=operator.tenant_id, account=account)
        accounts.rotate(connection, deps.keyring, found, verify_token=made)
        audit.record(connection, operator, "account.verify_token", audit_subject(found))
    return made


def _store(deps: Deps, operator: Operator, account: Account, given: dict[str, str]) -> None:
    with unit(deps.web) as connection:
        accounts.rotate(connection, deps.keyring, account, app_secret=given.get("app_secret"), access_token=given.get("access_token"))
        audit.record(connection, operator, "account.rotate", audit_subject(account), {"secrets": sorted(given)})
