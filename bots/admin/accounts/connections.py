"""Connecting accounts: the checks, the account, its webhook's registration. No transaction is open during a call to a platform.

Nothing returned here holds a secret, except for a verify token when it is made.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from bots.admin import audit
from bots.admin.accounts import checks, health, status, webhook
from bots.admin.accounts.checks import Checked
from bots.admin.accounts.offer import NAME, AccountRejected, Check, Offer, audit_subject, shape_errors, stored_offer
from bots.admin.accounts.webhook import Address, Hook
from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.domain import Account
from bots.errors import NotFound
from bots.storage import accounts, personas, setups
from bots.storage.database import hot, unit

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """An account that was just connected."""

    account: Account
    checks: tuple[Check, ...]
    #: The result of registering the webhook.
    steps: tuple[Check, ...]
    address: Address
    #: Shown this once: it is pasted on the platform's pages where the API cannot set it.
    verify_token: str = field(repr=False)

    @property
    def by_hand(self) -> bool:
        """Whether something is left to paste."""
        return any(step.state == "bad" for step in self.steps)


def check(deps: Deps, operator: Operator, offer: Offer) -> Checked:
    """Check an account against the platform without storing anything. Raises AccountRejected for values that cannot even be checked."""
    errors = _errors(deps, operator, offer)
    if errors:
        raise AccountRejected(errors)
    return checks.run(offer, deps.settings)


def connect(deps: Deps, operator: Operator, offer: Offer, bot: UUID, *, base: str) -> Connected:
    """Check everything, store the account, register its webhook. Raises AccountRejected, NotFound for the bot, Conflict."""
    checked = check(deps, operator, offer)
    if not checked.good:
        raise AccountRejected(checked.errors, checked.checks)
    offer = checked.offer
    address = webhook.address(deps.settings, base, offer.channel, offer.name)
    hook = Hook(url=address.url, verify_token=secrets.token_hex(16))
    with unit(deps.web) as connection:
        if personas.by_id(connection, tenant=operator.tenant_id, bot=bot) is None:
            raise NotFound("There is no such bot.")
        account = accounts.add(
            connection,
            deps.keyring,
            tenant=operator.tenant_id,
            bot=bot,
            channel=offer.channel,
            name=offer.name,
            external_id=offer.external_id,
            app_secret=offer.app_secret,
            verify_token=hook.verify_token,
            access_token=offer.access_token,
            login_type=offer.login_type,
            parent_id=offer.parent_id or None,
            app_id=offer.app_id,
        )
        setups.keep_address(connection, account, "" if deps.settings.public_url else base)
        audit.record(connection, operator, "account.connect", audit_subject(account))
    steps = _register(deps, offer, hook, address, take_over=False)
    log.info("account_connected", account=account.name, channel=account.channel.value, steps_bad=sum(one.state == "bad" for one in steps))
    health.store(deps, account, checked)
    return Connected(account=account, checks=checked.checks, steps=steps, address=address, verify_token=hook.verify_token)


def register(deps: Deps, operator: Operator, account: UUID, *, base: str = "", take_over: bool = False) -> tuple[Check, ...]:
    """Register the webhook's address with the platform again. Raises NotFound, Conflict."""
    found = status.get(deps, operator, account, base=base)
    offer, verify_token = stored_offer(deps.keyring, found.account)
    # Exactly what is stored is registered.
    base = base or found.setup.public_url
    address = webhook.address(deps.settings, base, found.account.channel, found.account.name)
    steps = _register(deps, offer, Hook(url=address.url, verify_token=verify_token), address, take_over=take_over)
    with unit(deps.web) as connection:
        setups.keep_address(connection, found.account, "" if deps.settings.public_url else base)
        audit.record(connection, operator, "account.register", audit_subject(found.account))
    return steps


def subscribe(deps: Deps, operator: Operator, account: UUID, *, base: str = "") -> tuple[Check, ...]:
    """Subscribe the account's app to every webhook field that is read here, and check the account again. Raises NotFound, Conflict."""
    found = status.get(deps, operator, account, base=base)
    offer, verify_token = stored_offer(deps.keyring, found.account)
    url = found.address.url

    def hook_at(other: str) -> Hook | None:
        """The webhook of another account here whose address the app has."""
        root, _, name = other.rpartition("/")
        if root != url.rpartition("/")[0]:
            return None
        with hot(deps.web) as connection:
            theirs = accounts.find(connection, channel=offer.channel, name=name)
        if theirs is None or theirs.tenant_id != operator.tenant_id:
            return None
        return Hook(url=other, verify_token=accounts.open_secrets(deps.keyring, theirs).verify_token or "")

    steps = tuple(webhook.subscribe(offer, Hook(url=url, verify_token=verify_token), deps.settings, hook_at))
    with unit(deps.web) as connection:
        audit.record(connection, operator, "account.subscribe", audit_subject(found.account))
    health.check(deps, operator, account, base=base)
    return steps


def _errors(deps: Deps, operator: Operator, offer: Offer) -> dict[str, str]:
    errors = shape_errors(offer)
    if not NAME.fullmatch(offer.name):
        errors["name"] = "Use lower-case letters, digits and dashes, at most 40: the name becomes part of the webhook's address."
    with hot(deps.web) as connection:
        if "name" not in errors and accounts.find(connection, channel=offer.channel, name=offer.name) is not None:
            errors["name"] = f"There is already a {offer.channel.value} account with this name."
        known = accounts.find(connection, channel=offer.channel, external_id=offer.external_id) if offer.external_id else None
    if known is not None and "external_id" not in errors:
        where = f", as {known.name}" if known.tenant_id == operator.tenant_id else ""
        errors["external_id"] = f"This account is already connected{where}."
    return errors


def _register(deps: Deps, offer: Offer, hook: Hook, address: Address, *, take_over: bool) -> tuple[Check, ...]:
    if not address.usable:
        message = "Not registered, because the platform would refuse this address."
        return (Check(key="app", title="Webhook", state="bad", message=message, fix=address.fix),)
    return tuple(webhook.register(offer, hook, deps.settings, take_over=take_over))
