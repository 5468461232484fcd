"""The apps of the accounts: their own tokens, and where webhooks go: to a number's override, its business account's, or the app's address."""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chinwag.practice.accounts import ANY_APP, Account, Accounts, write_private
from chinwag.practice.refusals import Refusal


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: The fields of each object that concern messaging.
FIELDS: dict[str, tuple[str, ...]] = {
    "whatsapp_business_account": _words(
        "messages account_alerts account_review_update account_update business_capability_update history message_template_components_update "
        "message_template_quality_update message_template_status_update phone_number_name_update phone_number_quality_update security "
        "smb_app_state_sync smb_message_echoes template_category_update user_id_update user_preferences calls flows"
    ),
    "page": _words(
        "messages messaging_postbacks messaging_optins messaging_referrals message_deliveries message_reads message_reactions "
        "message_echoes message_edits messaging_handovers standby messaging_account_linking messaging_policy_enforcement "
        "messaging_feedback messaging_game_plays messaging_payments feed"
    ),
    "instagram": _words(
        "messages messaging_postbacks messaging_seen message_reactions messaging_referral messaging_optins messaging_handover standby "
        "comments live_comments mentions story_insights"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """An app's address for one object, or an owner's subscription to an app."""

    #: At an owner: the address that overrides the app's.
    callback_url: str = ""
    fields: tuple[str, ...] = ()


class Apps:
    """What the apps have subscribed to. An account that was registered with an address counts as subscribed."""

    def __init__(self, accounts: Accounts, state: Path | None) -> None:
        self._accounts = accounts
        self._path = state / "apps.json" if state is not None else None
        #: By app and object; by owner and app; by number.
        self._subscriptions: dict[str, dict[str, Subscription]] = {}
        self._owners: dict[str, dict[str, Subscription]] = {}
        self._overrides: dict[str, str] = {}
        if self._path is not None and self._path.exists():
            known = json.loads(self._path.read_text(encoding="utf-8"))
            self._subscriptions, self._owners = _read(known["subscriptions"]), _read(known["owners"])
            self._overrides = known["overrides"]

    def of_token(self, token: str) -> str:
        """Return the id of the app whose own token this is, `id|secret`. Raises Refusal."""
        app_id, bar, secret = token.partition("|")
        if not bar:
            raise Refusal(15, message="(#15) This method must be called with an app access_token.")
        mine = [one for one in self._accounts.all() if one.app_id in ("", app_id)]
        if not mine:
            raise Refusal(101, message="Error validating application. Cannot get application info due to a system error.")
        given = secret.encode("utf-8", "surrogateescape")
        if not any(hmac.compare_digest(one.app_secret.encode(), given) for one in mine):
            raise Refusal(190, message="Invalid OAuth access token signature.")
        return app_id

    def callback(self, account: Account, field: str) -> str:
        """Return where webhooks of an account's field go; empty: nowhere."""
        if not (self._overrides or self._owners or self._subscriptions):
            return account.webhook_url
        owner = self._owners.get(account.owner_id, {}).get(account.app_id or ANY_APP)
        override = self._overrides.get(account.id) or (owner.callback_url if owner is not None else "")
        if override:
            return override
        app = self._subscriptions.get(account.app_id or ANY_APP, {}).get(account.webhook_object)
        if app is None or (owner is None and not account.webhook_url):
            return account.webhook_url
        # A linked Instagram account: its page may be subscribed to any field.
        allowed = app.fields if owner is None or _is_linked(account) else owner.fields
        return app.callback_url if field in app.fields and field in allowed else ""

    def subscriptions(self, app_id: str) -> dict[str, Subscription]:
        """Return an app's addresses by object: those that were set, else those of its registered accounts."""
        found = {
            one.webhook_object: Subscription(callback_url=one.webhook_url, fields=FIELDS[one.webhook_object])
            for one in self._accounts.all()
            if one.app_id == app_id and one.webhook_url
        }
        return found | self._subscriptions.get(app_id, {})

    def subscribe(self, app_id: str, name: str, subscription: Subscription) -> None:
        """Set an app's address for an object."""
        self._subscriptions.setdefault(app_id, {})[name] = subscription
        self._keep()

    def unsubscribe(self, app_id: str, name: str | None) -> None:
        """Forget an app's address for an object, or for all."""
        for one in list(self._subscriptions.get(app_id, {})) if name is None else [name]:
            self._subscriptions.get(app_id, {}).pop(one, None)
        self._keep()

    def subscribed(self, account: Account) -> dict[str, Subscription]:
        """Return the apps that an account's owner is subscribed to."""
        found = {account.app_id or ANY_APP: Subscription(fields=FIELDS[account.webhook_object])} if account.webhook_url else {}
        return found | self._owners.get(account.owner_id, {})

    def follow(self, account: Account, subscription: Subscription) -> None:
        """Subscribe an account's owner to its app."""
        self._owners.setdefault(account.owner_id, {})[account.app_id or ANY_APP] = subscription
        self._keep()

    def unfollow(self, account: Account) -> None:
        """Unsubscribe an account's owner from its app."""
        self._owners.get(account.owner_id, {}).pop(account.app_id or ANY_APP, None)
        self._keep()

    def override(self, number_id: str, url: str) -> None:
        """Send one number's webhooks elsewhere; an empty address ends that."""
        if url:
            self._overrides[number_id] = url
        else:
            self._overrides.pop(number_id, None)
        self._keep()

    def hooks(self, account: Account) -> dict[str, str]:
        """Return a number's addresses by level, without missing ones: its own, its business account's, the app's."""
        app = self.subscriptions(account.app_id).get(account.webhook_object) if account.app_id else None
        owner = self.subscribed(account).get(account.app_id or ANY_APP)
        levels = {
            "phone_number": self._overrides.get(account.id, ""),
            "whatsapp_business_account": owner.callback_url if owner is not None else "",
            "application": app.callback_url if app is not None else account.webhook_url,
        }
        return {level: url for level, url in levels.items() if url}

    def _keep(self) -> None:
        if self._path is not None:
            content = {"subscriptions": _written(self._subscriptions), "owners": _written(self._owners), "overrides": self._overrides}
            write_private(self._path, content)


def _is_linked(account: Account) -> bool:
    return account.webhook_object == "instagram" and account.owner_id != account.id


def _read(known: dict[str, dict[str, Any]]) -> dict[str, dict[str, Subscription]]:
    return {
        key: {name: Subscription(callback_url=one["callback_url"], fields=tuple(one["fields"])) for name, one in inner.items()}
        for key, inner in known.items()
    }


def _written(known: dict[str, dict[str, Subscription]]) -> dict[str, dict[str, Any]]:
    return {key: {name: asdict(one) for name, one in inner.items()} for key, inner in known.items()}
