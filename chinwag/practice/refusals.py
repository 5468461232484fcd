"""The documented errors of the Graph API: the code, its HTTP status, and the JSON body that carries it."""

from __future__ import annotations

import secrets
from typing import Any

#: code: (HTTP status, type, title). An unlisted code is answered with 400.
CODES: dict[int, tuple[int, str, str]] = {
    1: (500, "OAuthException", "An unknown error occurred"),
    2: (503, "OAuthException", "Service temporarily unavailable"),
    4: (400, "OAuthException", "Application request limit reached"),
    15: (400, "OAuthException", "This method must be called with an app access_token"),
    10: (403, "OAuthException", "Application does not have permission for this action"),
    100: (400, "OAuthException", "Invalid parameter"),
    101: (400, "OAuthException", "Error validating application"),
    190: (401, "OAuthException", "Invalid OAuth access token"),
    200: (403, "OAuthException", "Permissions error"),
    368: (403, "OAuthException", "Temporarily blocked for policies violations"),
    551: (400, "OAuthException", "This person isn't available right now."),
    613: (400, "OAuthException", "Calls to this api have exceeded the rate limit."),
    1200: (500, "OAuthException", "Temporary send message failure. Please try again later."),
    2200: (400, "OAuthException", "Callback verification failed"),
    2500: (400, "OAuthException", "An active access token must be used to query information about the current user."),
    80007: (400, "OAuthException", "Rate limit issues"),
    130429: (400, "OAuthException", "Rate limit hit"),
    131000: (500, "OAuthException", "Something went wrong"),
    131008: (400, "OAuthException", "Required parameter is missing"),
    131009: (400, "OAuthException", "Parameter value is not valid"),
    131016: (500, "OAuthException", "Service unavailable"),
    131026: (400, "OAuthException", "Message undeliverable"),
    131031: (403, "OAuthException", "Account has been locked"),
    131042: (400, "OAuthException", "Business eligibility payment issue"),
    131047: (400, "OAuthException", "Re-engagement message"),
    131048: (400, "OAuthException", "Spam rate limit hit"),
    131051: (400, "OAuthException", "Unsupported message type"),
    131056: (400, "OAuthException", "Pair rate limit hit"),
    131057: (500, "OAuthException", "Account in maintenance mode"),
    131062: (400, "OAuthException", "Business-scoped user IDs are not supported for this message"),
    132001: (404, "OAuthException", "Template does not exist"),
}


class Refusal(Exception):
    """The platform refuses this request."""

    def __init__(
        self,
        code: int,
        details: str = "",
        *,
        message: str | None = None,
        subcode: int = 0,
        kind: str | None = None,
        http_status: int | None = None,
    ) -> None:
        status, default_kind, title = CODES.get(code, (400, "OAuthException", "Error"))
        self.code = code
        self.subcode = subcode
        self.details = details
        self.kind = kind or default_kind
        self.http_status = http_status or status
        self.message = message or f"(#{code}) {title}"
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """Return the JSON that the Graph API answers with."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind, "code": self.code}
        if self.subcode:
            error["error_subcode"] = self.subcode
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        error["fbtrace_id"] = "A" + secrets.token_urlsafe(16)
        return {"error": error}


def missing(name: str) -> Refusal:
    """Return the refusal of a request that lacks a parameter."""
    return Refusal(100, f"The parameter {name} is required.", message=f"(#100) The parameter {name} is required.")


def invalid(details: str, code: int = 100) -> Refusal:
    """Return the refusal of a parameter with a bad value."""
    return Refusal(code, details)
