"""Accounts with the state of their set-up: all, or one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bots.admin.accounts import setup_steps, webhook
from bots.admin.accounts.offer import Check
from bots.admin.accounts.webhook import Address
from bots.admin.acting import Operator
from bots.admin.attention import reasons
from bots.admin.attention.reasons import Reason
from bots.admin.deps import Deps
from bots.channels import graph_setup
from bots.domain import Account, ChannelKind
from bots.errors import NotFound
from bots.storage import account_notices, accounts, setups
from bots.storage.account_notices import StoredNotice
from bots.storage.database import hot, unit
from bots.storage.setups import Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A notice of the platform, explained."""

    notice: StoredNotice
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """An account with its set-up and the steps of it."""

    account: Account
    setup: Setup
    address: Address
    setup_steps: tuple[Check, ...]
    #: Why nothing is sent, where the account is parked or slowed down.
    trouble: Reason | None
    #: What the platform reported, the newest first; in a list of accounts it is left out.
    said: tuple[Said, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether every step is done."""
        return all(step.state == "ok" for step in self.setup_steps)


def list_all(deps: Deps, operator: Operator, *, base: str = "") -> list[AccountStatus]:
    """Every account of the tenant; `base` is the address that the operator uses, for accounts that were connected without one."""
    with unit(deps.crossing) as connection:
        found = setups.overview(connection, tenant=operator.tenant_id)
    return [_status(deps, account, setup, base) for account, setup in found]


def get(deps: Deps, operator: Operator, account: UUID, *, base: str = "") -> AccountStatus:
    """One account. Raises NotFound."""
    with unit(deps.crossing) as connection:
        found, setup = setups.of(connection, tenant=operator.tenant_id, account=account)
        notices = account_notices.of(connection, tenant=operator.tenant_id, account=account)
    said = tuple(Said(notice=one, reason=reasons.explain("notice", one.reason, channel=found.channel)) for one in notices)
    return replace(_status(deps, found, setup, base), said=said)


def find(deps: Deps, operator: Operator, channel: ChannelKind, name: str) -> Account:
    """Find an account by its name. Raises NotFound."""
    with hot(deps.web) as connection:
        found = accounts.find(connection, channel=channel, name=name)
    if found is None or found.tenant_id != operator.tenant_id:
        raise NotFound(f"There is no {channel.value} account named {name}; `chinwag account list` shows all.")
    return found


def is_practice(deps: Deps) -> bool:
    """Whether accounts are on a practice platform."""
    return not graph_setup.is_meta(deps.settings.graph_url)


def practice_world(deps: Deps, _operator: Operator) -> dict[str, Any] | None:
    """The accounts that a practice platform has to connect, with their secrets, which protect nothing; None when it does not answer."""
    return graph_setup.practice_world(deps.settings.graph_url)


def _status(deps: Deps, account: Account, setup: Setup, base: str) -> AccountStatus:
    address = webhook.address(deps.settings, setup.public_url or base, account.channel, account.name)
    steps = () if account.channel is ChannelKind.CONSOLE else tuple(setup_steps.list_all(account, setup, address, deps.settings))
    return AccountStatus(account=account, setup=setup, address=address, setup_steps=steps, trouble=_trouble(account))


def _trouble(account: Account) -> Reason | None:
    if account.state == "needs_attention":
        return reasons.explain("account", account.state_reason, channel=account.channel)
    if account.state == "active" and account.slow_until is not None and account.slow_until > datetime.now(UTC):
        slowed = reasons.explain("account", account.slow_reason, channel=account.channel)
        return replace(slowed, message=f"{slowed.message} Nothing is sent until {account.slow_until:%Y-%m-%d %H:%M} UTC.")
    return None
