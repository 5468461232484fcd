"""Accounts to practise with: per channel one that nobody has connected yet, with what a person would find on Meta's pages."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from chinwag.practice.accounts import Account, Accounts
from chinwag.practice.apps import Apps
from chinwag.practice.numbers import Number
from chinwag.practice.pages import Page

Json = dict[str, Any]

_CHANNELS = ("whatsapp", "messenger", "instagram", "instagram_login")


class World:
    """The accounts that can be connected."""

    def __init__(self, accounts: Accounts, apps: Apps) -> None:
        self._accounts = accounts
        self._apps = apps

    def show(self) -> Json:
        """Return one account per channel and login type whose webhooks go nowhere yet; once it is connected, a new one follows."""
        return {name: _told(self._fresh(name)) for name in _CHANNELS}

    def _fresh(self, name: str) -> Account:
        for one in self._accounts.all():
            if one.is_of_world and _name_of(one) == name and not self._apps.callback(one, "messages"):
                return one
        made = _make(name)
        self._accounts.register(made)
        return made


def _make(name: str) -> Account:
    base: Json = {"app_id": _digits(16, "3"), "app_secret": secrets.token_hex(16), "access_token": f"EAAPractice{secrets.token_hex(24)}"}
    base["is_of_world"] = True
    if name == "whatsapp":
        phone = _digits(11, "1555")
        waba_id, number_id = _digits(15, "9"), _digits(15, "7")
        return Number(**base, phone_number_id=number_id, waba_id=waba_id, display_phone_number=phone, verified_name="Practice Bakery")
    page_id = _digits(15, "2")
    if name == "messenger":
        return Page(**base, channel="messenger", account_id=page_id, page_id=page_id, title="Practice Bakery")
    insta: Json = {"channel": "instagram", "account_id": _digits(17, "17841"), "title": "Practice Bakery", "username": "practice.bakery"}
    if name == "instagram":
        return Page(**base, **insta, page_id=page_id)
    base["access_token"] = f"IGAAPractice{secrets.token_hex(24)}"
    return replace(Page(**base, **insta, door="login"), app_scoped_id=_digits(17, "24"))


def _name_of(one: Account) -> str:
    return "instagram_login" if isinstance(one, Page) and one.is_login else one.kind


def _told(one: Account) -> Json:
    found: Json = {
        "channel": one.kind,
        "door": "page",
        "app_id": one.app_id,
        "app_secret": one.app_secret,
        "access_token": one.access_token,
    }
    found["external_id"] = one.id
    if isinstance(one, Number):
        found |= {"phone_number_id": one.id, "waba_id": one.waba_id, "parent_id": one.waba_id}
        return found | {"display_phone_number": one.display_phone_number, "title": one.verified_name}
    assert isinstance(one, Page)
    found |= {"page_id": one.page_id, "title": one.title, "door": one.door, "parent_id": one.page_id if one.channel == "instagram" else ""}
    return found | ({"instagram_id": one.account_id, "username": one.username} if one.channel == "instagram" else {})


def _digits(length: int, start: str) -> str:
    return start + "".join(str(secrets.randbelow(10)) for _ in range(length - len(start)))
