"""A Facebook page on Messenger, or an Instagram account of either login type, hosted by this practice platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from chinwag.practice import accounts
from chinwag.practice.accounts import Account

_STATUSES = (("echo", 40.0), ("delivered", 120.0), ("read", 400.0))
#: Scopes of each channel and login type.
_SCOPES = {
    ("messenger", "page"): ("pages_messaging", "pages_manage_metadata", "pages_show_list"),
    ("instagram", "page"): ("instagram_basic", "instagram_manage_messages", "pages_manage_metadata", "pages_messaging"),
    ("instagram", "login"): ("instagram_business_basic", "instagram_business_manage_messages"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Account):
    """An account with threads: a page, or an Instagram account."""

    channel: Literal["messenger", "instagram"]
    #: The page's id, or the Instagram professional account's as webhooks name it.
    account_id: str
    #: Whose token it is: the page itself, or the page that an Instagram account is linked to; empty for Instagram login.
    page_id: str = ""
    door: Literal["page", "login"] = "page"
    #: With Instagram login `/me` has an id of its own besides user_id.
    app_scoped_id: str = ""
    title: str = "Practice Page"
    username: str = "practice.account"
    statuses: tuple[tuple[str, float], ...] = _STATUSES

    @property
    def id(self) -> str:
        """Return the platform's id of the account."""
        return self.account_id

    @property
    def kind(self) -> str:
        """Return the channel's name."""
        return self.channel

    @property
    def is_login(self) -> bool:
        """Say whether this is Instagram without a Facebook page."""
        return self.door == "login"

    @property
    def owner_id(self) -> str:
        """Return the id whose subscribed apps receive this account's webhooks: a linked Instagram account's page."""
        return self.account_id if self.is_login else self.page_id

    @property
    def granted(self) -> tuple[str, ...]:
        """Return what the access token may do."""
        return self.scopes or _SCOPES[self.channel, self.door]

    @property
    def token_kind(self) -> str:
        """Return what `debug_token` calls the access token."""
        return "USER" if self.is_login else "PAGE"

    @property
    def webhook_object(self) -> str:
        """Return what the app's subscription for this channel is called."""
        return "page" if self.channel == "messenger" else "instagram"

    def speaks_as(self, sender: str) -> bool:
        """Say whether messages are sent for this account at /{sender}/messages."""
        return sender in {"me", self.account_id if self.is_login else self.page_id}


def build(given: dict[str, Any]) -> Page:
    """Build a page or an Instagram account from the control API's JSON. Raises ValueError that says what is wrong."""
    values = accounts.read_values(given, Page, ("account_id", "app_secret", "access_token"), {"sent": 40.0, **dict(_STATUSES)})
    channel, door = values.get("channel"), values.setdefault("door", "page")
    if (channel, door) not in _SCOPES:
        raise ValueError("channel has to be messenger or instagram; door page, or login for instagram")
    if channel == "messenger":
        values["page_id"] = values["account_id"]
    elif door == "page" and not values.get("page_id"):
        raise ValueError("page_id is needed: the page that the Instagram account is linked to")
    return Page(**values)
