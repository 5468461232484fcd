"""An account as an operator describes it, typed now or read from what is stored, and what its checks say about it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from bots.channels.graph import is_plain
from bots.crypto import Keyring
from bots.domain import Account, ChannelKind
from bots.errors import BotsError, CannotOpen, Conflict
from bots.storage import accounts

State = Literal["ok", "warn", "bad", "wait"]

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
BAD_CHARACTERS = "This contains spaces, line breaks or characters that do not belong there. Copy it again."
_DIGITS_ONLY = "An id consists of digits only."


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The result of one check."""

    key: str
    title: str
    state: State
    message: str
    #: What to do about it.
    fix: str = ""
    #: The form's field that it is about.
    field: str = ""


class AccountRejected(BotsError):
    """The account cannot be connected or changed like this."""

    def __init__(self, errors: dict[str, str], checks: tuple[Check, ...] = ()) -> None:
        super().__init__("; ".join(f"{name}: {message}" for name, message in errors.items()) or "Not every check passed.")
        self.errors, self.checks = errors, checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What is needed to connect an account."""

    channel: ChannelKind
    name: str
    external_id: str
    app_id: str = ""
    app_secret: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    parent_id: str = ""
    login_type: str = "page"

    @property
    def by_login(self) -> bool:
        """Whether it is Instagram without a Facebook page."""
        return self.channel is ChannelKind.INSTAGRAM and self.login_type == "login"


def shape_errors(offer: Offer) -> dict[str, str]:
    """What can be seen to be wrong without asking the platform, by field."""
    errors: dict[str, str] = {}
    needed = {"app_id": offer.app_id, "app_secret": offer.app_secret, "access_token": offer.access_token}
    if offer.channel is not ChannelKind.INSTAGRAM:
        needed["external_id"] = offer.external_id
    if offer.channel is ChannelKind.WHATSAPP or (offer.channel is ChannelKind.INSTAGRAM and not offer.by_login):
        needed["parent_id"] = offer.parent_id
    for name, value in needed.items():
        if not value:
            errors[name] = "This is required."
        elif name in {"app_secret", "access_token"} and not is_plain(value):
            errors[name] = BAD_CHARACTERS
        elif name in {"app_id", "parent_id"} and not _is_id(value):
            errors[name] = _DIGITS_ONLY
    phone = offer.channel is ChannelKind.WHATSAPP and set(offer.external_id) <= set("+0123456789 ()-./")
    if offer.external_id and not _is_id(offer.external_id) and not phone:
        errors["external_id"] = _DIGITS_ONLY
    return errors


def id_errors(**ids: str) -> dict[str, str]:
    """Say which of these ids, where they are given, are none."""
    return {name: _DIGITS_ONLY for name, value in ids.items() if value and not _is_id(value)}


def stored_offer(keyring: Keyring, account: Account) -> tuple[Offer, str]:
    """What an account was connected with, and its verify token. Raises Conflict when that is not enough to ask the platform."""
    try:
        opened = accounts.open_secrets(keyring, account)
    except CannotOpen as error:
        raise Conflict("The account's secrets cannot be decrypted: the key that encrypted them is missing.") from error
    offer = Offer(
        channel=account.channel,
        name=account.name,
        external_id=account.external_id,
        app_id=account.app_id or "",
        app_secret=opened.app_secrets[0] if opened.app_secrets else "",
        access_token=opened.access_token or "",
        parent_id=account.parent_id or "",
        login_type=account.login_type,
    )
    missing = shape_errors(offer)
    if account.channel is ChannelKind.CONSOLE:
        raise Conflict("This is the chat page's account; there is no platform to check it with.")
    if missing:
        names = {"app_id": "the app's id", "app_secret": "the app secret", "access_token": "the access token"}
        names |= {"parent_id": "the id of the business account or page"}
        lacks = ", ".join(names.get(name, name) for name in missing)
        raise Conflict(f"The account lacks what the platform needs: {lacks}.")
    return offer, opened.verify_token or ""


def audit_subject(account: Account) -> str:
    """What the audit trail calls an account."""
    return f"account:{account.channel.value}/{account.name}"


def _is_id(value: str) -> bool:
    return value.isascii() and value.isdigit()
