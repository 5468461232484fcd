"""Meta's signature over a webhook's raw bytes, and the handshake that precedes it.

Without a secret everything is refused. Nothing computed here is ever logged, returned or put into an error.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from bots.errors import Forged

_HEADER = "x-hub-signature-256"
_PREFIX = "sha256="
_LENGTH = len(_PREFIX) + 64
#: Meta's challenge is a number of about ten digits.
_CHALLENGE_LIMIT = 256


def verify_meta(headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...]) -> None:
    """Check the signature in the headers (names in lower case) against any of the app secrets. Raises Forged."""
    given = headers.get(_HEADER)
    if given is None:
        raise Forged("The signature header is missing.")
    if len(given) != _LENGTH or not given.startswith(_PREFIX) or not given.isascii():
        raise Forged("The signature header does not have the form sha256=<64 hex digits>.")
    wanted, usable, matches = given[len(_PREFIX) :].lower(), 0, 0
    for secret in secrets:
        if secret:
            usable += 1
            # Each of them is compared, whichever matches.
            matches += hmac.compare_digest(hmac.digest(_as_bytes(secret), body, "sha256").hex(), wanted)
    if not usable:
        raise Forged("The account has no app secret, so its webhooks are refused.")
    if not matches:
        raise Forged


def sign_meta(body: bytes, secret: str) -> str:
    """Return the value of the signature header that the platform would send with this body."""
    return _PREFIX + hmac.new(_as_bytes(secret), body, hashlib.sha256).hexdigest()


def app_secret_proof(token: str, secret: str) -> str:
    """Return the proof that whoever calls with this token also has the app's secret."""
    return hmac.new(_as_bytes(secret), _as_bytes(token), hashlib.sha256).hexdigest()


def challenge(query: Mapping[str, str], verify_token: str | None) -> str | None:
    """Return the answer to the platform's handshake, or None when the request is not from the platform."""
    given, wanted = query.get("hub.verify_token"), query.get("hub.challenge")
    if not verify_token or given is None or not wanted:
        return None
    if not hmac.compare_digest(_as_bytes(given), _as_bytes(verify_token)):
        return None
    is_plain = wanted.isascii() and wanted.isprintable() and len(wanted) <= _CHALLENGE_LIMIT
    return wanted if is_plain and query.get("hub.mode") == "subscribe" else None


def _as_bytes(text: str) -> bytes:
    # A query may hold lone surrogates; they compare unequal instead of raising.
    return text.encode("utf-8", "surrogatepass")
