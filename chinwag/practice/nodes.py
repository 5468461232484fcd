"""What the Graph API returns about its nodes: a number, a business account, a page, an Instagram account, an app."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from chinwag.practice.accounts import ANY_APP, Account
from chinwag.practice.apps import Apps
from chinwag.practice.numbers import Number
from chinwag.practice.pages import Page
from chinwag.practice.refusals import Refusal

Json = dict[str, Any]

_FIELD = re.compile(r"\s*([a-z_]+)(?:\{([^{}]*)\})?\s*(?:,|\Z)")


def choose(node: Json, kind: str, wanted: str | None, usual: str) -> Json:
    """Return the wanted fields of a node, also `one{two,three}`, and always its id. Raises Refusal."""
    found: Json = {}
    text = wanted or usual
    at = 0
    while at < len(text):
        match = _FIELD.match(text, at)
        if match is None:
            raise Refusal(2500, message=f"Syntax error at character {at} in fields.")
        at = match.end()
        name, inner = match[1], match[2]
        if name not in node:
            raise Refusal(100, message=f"(#100) Tried accessing nonexisting field ({name}) on node type ({kind})")
        value = node[name]
        if value is None:
            # Missing fields are left out.
            continue
        linked = cast("Json", value) if isinstance(value, dict) else {}
        found[name] = choose(linked, kind, inner, "id") if "id" in linked else value
    return found | ({"id": node["id"]} if "id" in node else {})


def number(one: Number, apps: Apps) -> Json:
    """A phone number's node."""
    return {
        "id": one.phone_number_id,
        "display_phone_number": one.display_phone_number,
        "verified_name": one.verified_name,
        "quality_rating": one.quality_rating,
        "status": one.status,
        "code_verification_status": "VERIFIED",
        "name_status": "APPROVED",
        "platform_type": "CLOUD_API",
        "account_mode": "LIVE",
        "throughput": {"level": one.throughput},
        "webhook_configuration": apps.hooks(one),
        "health_status": {"can_send_message": "AVAILABLE" if one.status == "CONNECTED" else "BLOCKED", "entities": []},
        "whatsapp_business_manager_messaging_limit": one.messaging_limit,
    }


def business(numbers: list[Number]) -> Json:
    """A WhatsApp business account's node."""
    return {"id": numbers[0].waba_id, "name": numbers[0].verified_name, "account_review_status": "APPROVED", "timezone_id": "1"}


def page(one: Page, others: Iterable[Account]) -> Json:
    """A page's node."""
    linked = one if one.channel == "instagram" else None
    for other in others:
        if linked is None and isinstance(other, Page) and other.channel == "instagram" and other.page_id == one.page_id:
            linked = other
    return {
        "id": one.page_id,
        "name": one.title,
        "category": "Local business",
        "link": f"https://www.facebook.com/{one.page_id}",
        "username": None,
        "instagram_business_account": instagram(linked) if linked is not None else None,
        "connected_instagram_account": instagram(linked) if linked is not None else None,
    }


def instagram(one: Page) -> Json:
    """An Instagram account's node, through its page."""
    return {"id": one.account_id, "username": one.username, "name": one.title, "followers_count": 7, "profile_picture_url": None}


def by_login(one: Page) -> Json:
    """An Instagram account's node for Instagram login: `id` belongs to the app, `user_id` is the id in webhooks."""
    more = {"user_id": one.account_id, "account_type": "BUSINESS"}
    return instagram(one) | more | {"id": one.app_scoped_id or one.account_id}


def token(accounts: list[Account]) -> Json:
    """What `debug_token` says about an access token."""
    one = accounts[0]
    scopes = list(dict.fromkeys(scope for account in accounts for scope in account.granted))
    targets = sorted({account.owner_id for account in accounts})
    data: Json = {"app_id": one.app_id or ANY_APP, "type": one.token_kind, "application": "Practice", "is_valid": True}
    data |= {"expires_at": one.expires_at, "data_access_expires_at": 0, "issued_at": 1795500000, "scopes": scopes}
    data |= {"granular_scopes": [{"scope": scope, "target_ids": targets} for scope in scopes]}
    data |= {"profile_id": one.page_id, "user_id": "122000000000001"} if isinstance(one, Page) else {"user_id": "122000000000001"}
    try:
        one.check_token()
    except Refusal as refusal:
        data |= {"is_valid": False, "error": {"code": 190, "message": refusal.message, "subcode": refusal.subcode}}
    return data
