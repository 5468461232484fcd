"""Connecting accounts and keeping them well: checks, registration, hops, health, rotation, removal. Synchronous; page, API and CLI call it.

No transaction is open while a platform is asked. Nothing returned here holds a secret, but for a verify token at its making.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine

from bots.admin.accounts import checks as account_checks
from bots.admin.accounts import setup_steps as hops
from bots.admin.accounts import webhook as account_hooks
from bots.admin.accounts.checks import Check, Checked, Offer
from bots.admin.accounts.webhook import Address, Hook
from bots.channels.graph import is_plain
from bots.channels.graph_setup import is_meta, practice_message, practice_world
from bots.crypto import Keyring
from bots.domain import Account, Bot, ChannelKind
from bots.errors import BotsError, CannotOpen, Conflict, NotFound
from bots.settings import Settings
from bots.storage import accounts, audit, personas, setups
from bots.storage.database import hot, unit
from bots.storage.setups import Setup

log = structlog.get_logger()

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_WORST = ("bad", "warn", "ok")


class Unfit(BotsError):
    """The account cannot be connected like this."""

    def __init__(self, errors: dict[str, str], checks: tuple[Check, ...] = ()) -> None:
        super().__init__("; ".join(f"{name}: {words}" for name, words in errors.items()) or "Not every check passed.")
        self.errors, self.checks = errors, checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """An account that was just connected."""

    account: Account
    checks: tuple[Check, ...]
    #: What came of registering the webhook.
    steps: tuple[Check, ...]
    address: Address
    #: Shown now or never: it is pasted on the platform's pages where the API cannot do it.
    verify_token: str = field(repr=False)

    @property
    def by_hand(self) -> bool:
        """Whether something is left to paste."""
        return any(step.state == "bad" for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An account with its set-up and hops."""

    account: Account
    setup: Setup
    address: Address
    hops: tuple[Check, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Who acts, for whom, and the address that they came by."""

    tenant: UUID
    actor: str
    base: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """The work on accounts."""

    web: Engine
    crossing: Engine
    keyring: Keyring = field(repr=False)
    settings: Settings

    # Looking

    @property
    def practises(self) -> bool:
        """Whether accounts live on a practice platform."""
        return not is_meta(self.settings.graph_url)

    def world(self) -> dict[str, Any] | None:
        """What a practice platform has to connect: its secrets are playthings."""
        return practice_world(self.settings.graph_url)

    def all(self, desk: Desk) -> list[Standing]:
        """Every account of the tenant."""
        with unit(self.crossing) as connection:
            found = setups.overview(connection, tenant=desk.tenant)
        return [self._standing(account, setup, desk) for account, setup in found]

    def one(self, desk: Desk, account: UUID) -> Standing:
        """One account. Raises NotFound."""
        with unit(self.crossing) as connection:
            found, setup = setups.of(connection, tenant=desk.tenant, account=account)
        return self._standing(found, setup, desk)

    def bots(self, desk: Desk) -> list[Bot]:
        """The bots that may answer."""
        with hot(self.web) as connection:
            return personas.list_all(connection, tenant=desk.tenant)

    # Connecting

    def check(self, desk: Desk, offer: Offer) -> Checked:
        """Check an offer against the platform without keeping anything. Raises Unfit for what cannot even be asked."""
        errors = self._errors(desk, offer)
        if errors:
            raise Unfit(errors)
        return account_checks.run(offer, self.settings)

    def connect(self, desk: Desk, offer: Offer, bot: UUID) -> Connected:
        """Check everything, keep the account, register its webhook. Raises Unfit, NotFound for the bot, Conflict."""
        checked = self.check(desk, offer)
        if not checked.good:
            raise Unfit(checked.errors, checked.checks)
        offer = checked.offer
        address = account_hooks.address(self.settings, desk.base, offer.channel, offer.name)
        hook = Hook(url=address.url, verify_token=secrets.token_hex(16))
        with unit(self.web) as connection:
            if personas.by_id(connection, tenant=desk.tenant, bot=bot) is None:
                raise NotFound("There is no such bot.")
            account = accounts.add(
                connection,
                self.keyring,
                tenant=desk.tenant,
                bot=bot,
                channel=offer.channel,
                name=offer.name,
                external_id=offer.external_id,
                app_secret=offer.app_secret,
                verify_token=hook.verify_token,
                access_token=offer.access_token,
                door=offer.door,
                parent_id=offer.parent_id or None,
                app_id=offer.app_id,
            )
            setups.keep_address(connection, account, "" if self.settings.public_url else desk.base)
            self._audit(connection, desk, account, "connect")
        steps = self._register(offer, hook, address, take_over=False)
        log.info(
            "account_connected", account=account.name, channel=account.channel.value, steps_bad=sum(one.state == "bad" for one in steps)
        )
        self._keep_health(account, checked, None)
        return Connected(account=account, checks=checked.checks, steps=steps, address=address, verify_token=hook.verify_token)

    def register(self, desk: Desk, account: UUID, *, take_over: bool = False) -> tuple[Check, ...]:
        """Tell the platform again where webhooks go. Raises NotFound, Conflict."""
        standing = self.one(desk, account)
        offer, verify_token = self._offer(standing.account)
        # What the platform is told is what is kept.
        base = desk.base or standing.setup.public_url
        address = account_hooks.address(self.settings, base, standing.account.channel, standing.account.name)
        steps = self._register(offer, Hook(url=address.url, verify_token=verify_token), address, take_over=take_over)
        with unit(self.web) as connection:
            setups.keep_address(connection, standing.account, "" if self.settings.public_url else base)
            self._audit(connection, desk, standing.account, "register")
        return steps

    def new_verify_token(self, desk: Desk, account: UUID) -> str:
        """Make a new verify token and return it this once. Raises NotFound."""
        made = secrets.token_hex(16)
        with unit(self.web) as connection:
            found = setups.mine(connection, tenant=desk.tenant, account=account)
            accounts.rotate(connection, self.keyring, found, verify_token=made)
            self._audit(connection, desk, found, "verify_token")
        return made

    # Keeping well

    def look(self, desk: Desk, account: UUID) -> dict[str, Any]:
        """Look at the platform again and keep what was seen. Raises NotFound, Conflict."""
        standing = self.one(desk, account)
        offer, _ = self._offer(standing.account)
        checked = account_checks.run(offer, self.settings)
        return self._keep_health(standing.account, checked, standing.address.url)

    def rotate(self, desk: Desk, account: UUID, *, app_secret: str = "", access_token: str = "") -> tuple[Check, ...]:
        """Replace secrets once they pass the checks; the app secret before stays valid beside. Raises Unfit, NotFound, Conflict."""
        given = {name: value for name, value in (("app_secret", app_secret), ("access_token", access_token)) if value}
        if not given:
            raise Unfit({"app_secret": "Type a new app secret, a new access token, or both."})
        wrong = {name: "There are signs in it that none has: copy it again." for name, value in given.items() if not is_plain(value)}
        if wrong:
            raise Unfit(wrong)
        with unit(self.web) as connection:
            found = setups.mine(connection, tenant=desk.tenant, account=account)
        before, _ = self._offer(found)
        checked = account_checks.run(replace(before, **given), self.settings)
        if not checked.good:
            raise Unfit(checked.errors, checked.checks)
        with unit(self.web) as connection:
            accounts.rotate(connection, self.keyring, found, app_secret=app_secret or None, access_token=access_token or None)
            self._audit(connection, desk, found, "rotate", {"secrets": sorted(given)})
        self._keep_health(found, checked, None)
        return checked.checks

    def drop_before(self, desk: Desk, account: UUID) -> None:
        """Take the app secret before no more. Raises NotFound."""
        with unit(self.web) as connection:
            found = setups.mine(connection, tenant=desk.tenant, account=account)
            accounts.rotate(connection, self.keyring, found, drop_before=True)
            self._audit(connection, desk, found, "drop_before")

    def describe(self, desk: Desk, account: UUID, *, app_id: str, parent_id: str) -> None:
        """Add the ids that looking and registering need to an account made without them. Raises NotFound, Unfit."""
        wrong = {
            n: "An id is digits only." for n, v in (("app_id", app_id), ("parent_id", parent_id)) if v and not (v.isascii() and v.isdigit())
        }
        if wrong:
            raise Unfit(wrong)
        with unit(self.web) as connection:
            found = setups.mine(connection, tenant=desk.tenant, account=account)
            setups.describe(connection, found, app_id=app_id or found.app_id or "", parent_id=parent_id or found.parent_id or "")
            self._audit(connection, desk, found, "describe")

    def set_state(self, desk: Desk, account: UUID, state: str) -> Account:
        """Pause an account, or resume it. Raises NotFound."""
        with unit(self.web) as connection:
            found = setups.mine(connection, tenant=desk.tenant, account=account)
            accounts.set_state(connection, found, state)
            self._audit(connection, desk, found, "pause" if state == "paused" else "resume")
        return found

    def point(self, desk: Desk, account: UUID, bot: UUID) -> Account:
        """Let another bot answer. Raises NotFound."""
        with unit(self.web) as connection:
            found = setups.mine(connection, tenant=desk.tenant, account=account)
            setups.point(connection, found, bot=bot)
            self._audit(connection, desk, found, "bot")
        return found

    def remove(self, desk: Desk, account: UUID) -> dict[str, int]:
        """Erase an account with everything that came and went over it; returns how much of each. Raises NotFound, Conflict."""
        with unit(self.crossing) as connection:
            found = setups.mine(connection, tenant=desk.tenant, account=account)
            if found.channel is ChannelKind.CONSOLE:
                raise Conflict("The chat page's account stays.")
            counts = setups.erase(connection, tenant=desk.tenant, account=account)
            self._audit(connection, desk, found, "remove", counts)
        log.info("account_removed", account=found.name, **counts)
        return counts

    def practise(self, desk: Desk, account: UUID) -> bool:
        """Let a practice person write to a practice account. Raises NotFound."""
        with unit(self.web) as connection:
            found = setups.mine(connection, tenant=desk.tenant, account=account)
        return practice_message(self.settings.graph_url, found.external_id)

    # Inside

    def _standing(self, account: Account, setup: Setup, desk: Desk) -> Standing:
        address = account_hooks.address(self.settings, setup.public_url or desk.base, account.channel, account.name)
        steps = () if account.channel is ChannelKind.CONSOLE else tuple(hops.all_of(account, setup, address, self.settings))
        return Standing(account=account, setup=setup, address=address, hops=steps)

    def _errors(self, desk: Desk, offer: Offer) -> dict[str, str]:
        errors = account_checks.shape_errors(offer)
        if not NAME.fullmatch(offer.name):
            errors["name"] = "Small letters, digits and dashes, at most 40: it becomes part of the webhook's address."
        with hot(self.web) as connection:
            if "name" not in errors and accounts.find(connection, channel=offer.channel, name=offer.name) is not None:
                errors["name"] = f"There is a {offer.channel.value} account with this name already."
            known = accounts.find(connection, channel=offer.channel, external_id=offer.external_id) if offer.external_id else None
        if known is not None and "external_id" not in errors:
            where = f", as {known.name}" if known.tenant_id == desk.tenant else ""
            errors["external_id"] = f"This account is connected already{where}."
        return errors

    def _register(self, offer: Offer, hook: Hook, address: Address, *, take_over: bool) -> tuple[Check, ...]:
        if not address.usable:
            words = "Not registered: the platform would refuse this address."
            return (Check(key="app", title="Webhook", state="bad", words=words, mend=address.mend),)
        return tuple(account_hooks.register(offer, hook, self.settings, take_over=take_over))

    def _keep_health(self, account: Account, checked: Checked, expected: str | None) -> dict[str, Any]:
        """Keep a look; with the address that webhooks should go to, compare that too."""
        checks, facts = list(checked.checks), dict(checked.facts)
        numbers = facts.pop("hooks", {})
        if expected is not None and checked.checks and checked.checks[0].state != "bad":
            seen, actual = account_hooks.look(checked.offer, expected, self.settings, number_hooks=numbers)
            checks.append(seen)
            facts |= {"expected_url": expected, "actual_url": actual}
        worst = next((state for state in _WORST if any(check.state == state for check in checks)), "ok")
        listed = [{"key": one.key, "title": one.title, "state": one.state, "words": one.words, "mend": one.mend} for one in checks]
        health = {"state": worst, "checks": listed, "facts": facts}
        with unit(self.web) as connection:
            setups.keep_health(connection, account, health)
        return health

    def _offer(self, account: Account) -> tuple[Offer, str]:
        """What an account was connected with. Raises Conflict when that is not enough to ask the platform."""
        try:
            opened = accounts.open_secrets(self.keyring, account)
        except CannotOpen as error:
            raise Conflict("The account's secrets do not open: the key that sealed them is missing.") from error
        offer = Offer(
            channel=account.channel,
            name=account.name,
            external_id=account.external_id,
            app_id=account.app_id or "",
            app_secret=opened.app_secrets[0] if opened.app_secrets else "",
            access_token=opened.access_token or "",
            parent_id=account.parent_id or "",
            door=account.door,
        )
        missing = account_checks.shape_errors(offer)
        if account.channel is ChannelKind.CONSOLE or missing:
            names = {"app_id": "the app's id", "app_secret": "the app secret", "access_token": "the access token"}
            names |= {"parent_id": "the id of the business account or page"}
            lacks = ", ".join(names.get(name, name) for name in missing)
            raise Conflict(f"The account lacks what the platform wants to know: {lacks or 'it is the chat page'}.")
        return offer, opened.verify_token or ""

    def _audit(self, connection: Any, desk: Desk, account: Account, action: str, detail: dict[str, Any] | None = None) -> None:
        subject = f"account:{account.channel.value}/{account.name}"
        audit.record(connection, tenant=desk.tenant, actor=desk.actor, action=f"account.{action}", subject=subject, detail=detail)


def days_left(health: dict[str, Any] | None, now: datetime | None = None) -> int | None:
    """How many days an account's token lives on by the last look; None: for ever, or nobody knows."""
    ends = (health or {}).get("facts", {}).get("token_expires_at")
    return int((ends - (now or datetime.now(UTC)).timestamp()) // 86400) if isinstance(ends, int) and ends > 0 else None
