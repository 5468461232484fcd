"""Filling in the wizard's form over HTTP: values of a practice account, and what a page says about them."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx

from tests.support.operators import SignedIn
from tests.support.stack import Stack

FIELDS = {
    "whatsapp": ("app_id", "app_secret", "external_id", "parent_id", "access_token"),
    "messenger": ("app_id", "app_secret", "external_id", "access_token"),
    "instagram": ("app_id", "app_secret", "external_id", "parent_id", "access_token"),
    "instagram_login": ("app_id", "app_secret", "external_id", "access_token"),
}


def a_form(stack: Stack, kind: str, **change: str) -> dict[str, str]:
    """The wizard's form as somebody fills it in who makes no mistake but the change."""
    told: dict[str, Any] = stack.platform.world()[kind]
    bot = str(stack.one("select id from bots where name = 'tester'"))
    found = {name: str(told[name]) for name in FIELDS[kind]}
    return found | {"name": f"shop-{kind.replace('_', '-')}", "bot": bot} | change


def send(signed_in: SignedIn, kind: str, form: dict[str, str]) -> httpx.Response:
    """Send the wizard's form."""
    return signed_in.post(f"/admin/accounts/connect/{kind}", **form)


def error_at(page: httpx.Response, field: str) -> str:
    """What the page says beside a field."""
    found = re.search(rf'id="{field}-error">(.*?)</p>', page.text, re.DOTALL)
    return html.unescape(found.group(1)) if found else ""


def account_id(stack: Stack, name: str) -> str:
    """The id of an account by its name."""
    return str(stack.one("select id from accounts where name = :name", name=name))


def setup_steps(signed_in: SignedIn, account: str) -> dict[str, str]:
    """The state of each step of an account's set-up."""
    answer = signed_in.get(f"/admin/accounts/{account}/setup_steps.json")
    assert answer.status_code == 200, answer.text
    return {step["key"]: step["state"] for step in answer.json()["setup_steps"]}


def register(stack: Stack, **body: Any) -> None:
    """Register an account with the practice platform, or replace it."""
    httpx.post(f"{stack.platform.url}/_practice/accounts", json=body, trust_env=False, verify=False, timeout=10).raise_for_status()


def paste(stack: Stack, **body: Any) -> dict[str, Any]:
    """Paste address and verify token on the practice platform's pages, as a person does."""
    return (
        httpx.post(f"{stack.platform.url}/_practice/dashboard", json=body, trust_env=False, verify=False, timeout=10)
        .raise_for_status()
        .json()
    )


def changed(stack: Stack, kind: str, **change: Any) -> dict[str, str]:
    """A form for an account of the practice world that the platform sees with a change."""
    form = a_form(stack, kind)
    body: dict[str, Any] = {key: form[key] for key in ("app_id", "app_secret", "access_token")}
    if kind == "whatsapp":
        body |= {"phone_number_id": form["external_id"], "waba_id": form["parent_id"]}
    else:
        body |= {"channel": "messenger", "account_id": form["external_id"], "page_id": form["external_id"]}
    register(stack, **body, **change)
    return form
