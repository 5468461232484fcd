"""Damages webhooks on their way, as wrong set-ups and proxies do: for practising with the signature doctor."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable

from bots.channels.signature import sign_meta
from chinwag.practice.accounts import Account

SIGNATURE = "x-hub-signature-256"
WAYS = ("wrong_secret", "other_app", "reencode", "plus_to_space", "strip_header")


def encode(content: object) -> bytes:
    """Write JSON as Meta does: no spaces, Unicode and slashes escaped."""
    return json.dumps(content, separators=(",", ":")).replace("/", "\\/").encode()


def mangle(how: str, body: bytes, account: Account, others: Iterable[Account]) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers as they arrive."""
    if how == "strip_header":
        return body, {}
    if how == "wrong_secret":
        return body, {SIGNATURE: sign_meta(body, secrets.token_hex(16))}
    if how == "other_app":
        other = next((one.app_secret for one in others if one.app_secret != account.app_secret), "practice-other-app-secret")
        return body, {SIGNATURE: sign_meta(body, other)}
    if how == "plus_to_space" and b"+" not in body and body.startswith(b"{"):
        # There has to be something that can be lost.
        body = b'{"practice":"1+1",' + body[1:]
    headers = {SIGNATURE: sign_meta(body, account.app_secret)}
    if how == "plus_to_space":
        return body.replace(b"+", b" "), headers
    return _reencoded(body), headers


def _reencoded(body: bytes) -> bytes:
    try:
        return json.dumps(json.loads(body), ensure_ascii=False).encode("utf-8", "surrogatepass")
    except ValueError:
        return body + b"\n"
