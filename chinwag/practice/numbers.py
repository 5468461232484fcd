"""A business phone number on WhatsApp, hosted by this practice platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chinwag.practice import accounts
from chinwag.practice.accounts import Account

#: The statuses of each accepted message, with the milliseconds after its acceptance.
_STATUSES = (("sent", 40.0), ("delivered", 120.0), ("read", 400.0))

_SCOPES = ("whatsapp_business_management", "whatsapp_business_messaging")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Account):
    """A business phone number with its webhook and secrets."""

    phone_number_id: str
    waba_id: str = "900100200300400"
    display_phone_number: str = "15550102030"
    verified_name: str = "Practice"
    quality_rating: str = "GREEN"
    status: str = "CONNECTED"
    throughput: str = "STANDARD"
    messaging_limit: str = "TIER_250"
    statuses: tuple[tuple[str, float], ...] = _STATUSES
    #: Refuse (131056) more than one message per 6 s to one person, beyond a burst of 45.
    enforce_pair_limit: bool = False

    @property
    def id(self) -> str:
        """Return the platform's id of the number."""
        return self.phone_number_id

    @property
    def kind(self) -> str:
        """Return the channel's name."""
        return "whatsapp"

    @property
    def webhook_object(self) -> str:
        """Return what the app's subscription for this channel is called."""
        return "whatsapp_business_account"

    @property
    def granted(self) -> tuple[str, ...]:
        """Return what the access token may do."""
        return self.scopes or _SCOPES

    @property
    def owner_id(self) -> str:
        """Return the business account whose subscribed apps receive the webhooks."""
        return self.waba_id


def build(given: dict[str, Any]) -> Number:
    """Build a number from the control API's JSON. Raises ValueError that says what is wrong."""
    return Number(**accounts.read_values(given, Number, ("phone_number_id", "app_secret", "access_token"), dict(_STATUSES)))


def read_statuses(given: Any) -> tuple[tuple[str, float], ...]:
    """Read a list of names, or of [name, milliseconds]."""
    return accounts.read_statuses(given, dict(_STATUSES))
