"""The business phone numbers that this practice platform hosts. They survive a restart in the state folder, readable by the owner only."""

from __future__ import annotations

import hmac
import json
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

#: What each accepted message goes through, with the milliseconds after its acceptance.
_STATUSES = (("sent", 40.0), ("delivered", 120.0), ("read", 400.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A business phone number with its webhook and secrets."""

    phone_number_id: str
    webhook_url: str
    app_secret: str = field(repr=False)
    access_token: str = field(repr=False)
    verify_token: str = field(default="", repr=False)
    waba_id: str = "900100200300400"
    display_phone_number: str = "15550102030"
    verified_name: str = "Practice"
    #: [status, milliseconds after acceptance] in the order of sending; an empty list sends none.
    statuses: tuple[tuple[str, float], ...] = _STATUSES
    #: The time before each answer.
    latency_ms: float = 0.0
    #: Statuses due within this time travel in one webhook, as Meta may aggregate them; 0 sends each alone.
    batch_ms: float = 0.0
    #: Refuse (131047) messages to people who have not written here within 24 hours.
    enforce_window: bool = False
    #: Refuse (131056) more than one message per 6 s to one person, beyond a burst of 45.
    enforce_pair_limit: bool = False
    #: The waits before the retries of a webhook; the last one repeats for up to give_up_s.
    retry_delays_s: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
    give_up_s: float = 36 * 3600.0

    @property
    def account(self) -> str:
        """Return the last piece of the webhook's path, which is the account's name."""
        return self.webhook_url.rstrip("/").rsplit("/", 1)[-1]


def build(given: dict[str, Any]) -> Number:
    """Build a number from the control API's JSON. Raises ValueError that says what is wrong."""
    values = dict(given)
    if "url" in values:
        values["webhook_url"] = values.pop("url")
    known = {one.name for one in fields(Number)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    for name in ("phone_number_id", "webhook_url", "app_secret", "access_token"):
        if not isinstance(values.get(name), str) or not values[name]:
            raise ValueError(f"{name} has to be a string that is not empty")
    if not str(values["webhook_url"]).startswith(("http://", "https://")):
        raise ValueError("webhook_url has to begin with http:// or https://")
    if "statuses" in values:
        values["statuses"] = read_statuses(values["statuses"])
    if "retry_delays_s" in values:
        values["retry_delays_s"] = tuple(float(delay) for delay in values["retry_delays_s"]) or (60.0,)
    for name in ("latency_ms", "batch_ms", "give_up_s"):
        if name in values:
            values[name] = float(values[name])
    return Number(**values)


def read_statuses(given: Any) -> tuple[tuple[str, float], ...]:
    """Read a list of names, or of [name, milliseconds]."""
    usual = dict(_STATUSES)
    return tuple((one, usual.get(one, 400.0)) if isinstance(one, str) else (str(one[0]), float(one[1])) for one in given)


class Numbers:
    """All registered numbers, by phone_number_id."""

    def __init__(self, state: Path | None) -> None:
        self._path = state / "numbers.json" if state is not None else None
        self._numbers: dict[str, Number] = {}
        if self._path is not None and self._path.exists():
            for one in json.loads(self._path.read_text(encoding="utf-8")):
                number = build(one)
                self._numbers[number.phone_number_id] = number

    def register(self, number: Number) -> None:
        """Add a number, or replace the one with its id."""
        self._numbers[number.phone_number_id] = number
        if self._path is None:
            return
        aside = self._path.with_suffix(".new")
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump([asdict(one) for one in self._numbers.values()], out)
        aside.replace(self._path)

    def get(self, phone_number_id: str) -> Number | None:
        """Return the number with this id."""
        return self._numbers.get(phone_number_id)

    def all(self) -> list[Number]:
        """Return every number."""
        return list(self._numbers.values())

    def of_token(self, token: str) -> list[Number]:
        """Return the numbers that an access token opens."""
        given = token.encode("utf-8", "surrogateescape")
        return [one for one in self._numbers.values() if hmac.compare_digest(one.access_token.encode(), given)]

    def is_app_token(self, token: str) -> bool:
        """Say whether this is an app's own token, `id|secret`."""
        secret = token.partition("|")[2].encode("utf-8", "surrogateescape")
        return any(hmac.compare_digest(one.app_secret.encode(), secret) for one in self._numbers.values())
