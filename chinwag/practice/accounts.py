"""The business accounts that this practice platform hosts. They survive a restart in the state folder, readable by the owner only."""

from __future__ import annotations

import hmac
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from chinwag.practice.refusals import Refusal

Json = dict[str, Any]

#: The app of accounts that name none.
ANY_APP = "100200300400500"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What accounts of all channels share: a webhook, secrets, and how the platform treats them."""

    #: Where webhooks go unless the app's subscription or an override says otherwise; empty: nowhere until then.
    webhook_url: str = ""
    app_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    verify_token: str = field(default="", repr=False)
    #: Empty: an app of any id with this secret.
    app_id: str = ""
    #: Refuse calls that do not prove that the caller holds the app's secret.
    require_proof: bool = False
    #: What `debug_token` says about the access token; no scopes: those that the channel needs.
    scopes: tuple[str, ...] = ()
    #: Seconds since 1970; 0: never.
    expires_at: int = 0
    is_valid: bool = True
    #: Created by the platform for a person who practises, not by a call.
    is_of_world: bool = False
    #: [status, milliseconds after acceptance] in the order of sending; an empty list sends none.
    statuses: tuple[tuple[str, float], ...] = ()
    #: The delay before each answer.
    latency_ms: float = 0.0
    #: Statuses due within this time are sent in one webhook, as Meta may aggregate them; 0 sends each alone.
    batch_ms: float = 0.0
    #: Refuse messages to people who have not written here within 24 hours.
    enforce_window: bool = False
    #: The waits before the retries of a webhook; the last one repeats for up to give_up_s.
    retry_delays_s: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
    give_up_s: float = 36 * 3600.0

    @property
    def id(self) -> str:
        """Return the platform's id of the account."""
        raise NotImplementedError

    @property
    def kind(self) -> str:
        """Return the channel's name."""
        raise NotImplementedError

    @property
    def token_kind(self) -> str:
        """Return what `debug_token` calls the access token."""
        return "SYSTEM_USER"

    @property
    def webhook_object(self) -> str:
        """Return what the app's subscription for this channel is called."""
        raise NotImplementedError

    @property
    def owner_id(self) -> str:
        """Return the id whose subscribed apps receive this account's webhooks."""
        return self.id

    @property
    def account(self) -> str:
        """Return the last piece of the webhook's path, which is the account's name."""
        return self.webhook_url.rstrip("/").rsplit("/", 1)[-1]

    @property
    def granted(self) -> tuple[str, ...]:
        """Return what the access token may do."""
        return self.scopes

    def speaks_as(self, sender: str) -> bool:
        """Say whether messages are sent for this account at /{sender}/messages."""
        return sender == self.id

    def check_token(self) -> None:
        """Raise Refusal when the access token has expired or was invalidated."""
        if self.expires_at and self.expires_at <= time.time():
            raise Refusal(190, message="Error validating access token: Session has expired.", subcode=463)
        if not self.is_valid:
            raise Refusal(190, message="Error validating access token: The session has been invalidated.", subcode=460)


def read_values(given: Mapping[str, Any], kind: type[Account], needed: tuple[str, ...], usual: Mapping[str, float]) -> Json:
    """Read the control API's JSON into the values of an account. Raises ValueError that says what is wrong."""
    values = dict(given)
    if "url" in values:
        values["webhook_url"] = values.pop("url")
    known = {one.name for one in fields(kind)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    _check(values, needed)
    if "statuses" in values:
        values["statuses"] = read_statuses(values["statuses"], usual)
    if "scopes" in values:
        values["scopes"] = tuple(str(one) for one in values["scopes"])
    if "retry_delays_s" in values:
        values["retry_delays_s"] = tuple(float(delay) for delay in values["retry_delays_s"]) or (60.0,)
    for name in ("latency_ms", "batch_ms", "give_up_s"):
        if name in values:
            values[name] = float(values[name])
    return values


def _check(values: Json, needed: tuple[str, ...]) -> None:
    # Without an app, only the address itself says where webhooks go.
    for name in (*needed, *(() if values.get("app_id") else ("webhook_url",))):
        if not isinstance(values.get(name), str) or not values[name]:
            raise ValueError(f"{name} has to be a string that is not empty")
    if values.get("webhook_url") and not str(values["webhook_url"]).startswith(("http://", "https://")):
        raise ValueError("webhook_url has to begin with http:// or https://")


def read_statuses(given: Any, usual: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Read a list of names, or of [name, milliseconds]."""
    return tuple((one, usual.get(one, 400.0)) if isinstance(one, str) else (str(one[0]), float(one[1])) for one in given)


class Accounts:
    """All accounts, by their ids."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._accounts: dict[str, Account] = {}

    def keep_in(self, path: Path) -> None:
        """Write every change to a file from now on."""
        self._path = path

    def register(self, account: Account) -> None:
        """Add an account, or replace the one with its id."""
        self._accounts[account.id] = account
        if self._path is not None:
            write_private(self._path, [asdict(one) for one in self._accounts.values()])

    def get(self, account_id: str) -> Account | None:
        """Return the account with this id."""
        return self._accounts.get(account_id)

    def all(self) -> list[Account]:
        """Return every account."""
        return list(self._accounts.values())

    def of_token(self, token: str) -> list[Account]:
        """Return the accounts that an access token opens."""
        given = token.encode("utf-8", "surrogateescape")
        return [one for one in self._accounts.values() if hmac.compare_digest(one.access_token.encode(), given)]

    def opened(self, token: str) -> list[Account]:
        """Return the accounts that a valid access token opens. Raises Refusal when it opens none."""
        found = self.of_token(token)
        if not found:
            raise Refusal(190, message="Error validating access token: this token is not known here.")
        found[0].check_token()
        return found


def write_private(path: Path, content: Any) -> None:
    """Write a JSON file that only its owner may read, whole or not at all."""
    aside = path.with_suffix(".new")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        json.dump(content, out)
    aside.replace(path)
