"""What is checked in every call to the practice Graph API: its version, its token, the proof of the app's secret, its parameters."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from bots.channels.signature import app_secret_proof
from chinwag.practice.accounts import Account
from chinwag.practice.refusals import Refusal, missing

Json = dict[str, Any]

_VERSION = re.compile(r"v([1-9][0-9]{0,2})\.[0-9]")


@dataclass(frozen=True, slots=True)
class Versions:
    """The supported versions; calls to older ones are served by the oldest of them."""

    oldest: int = 20
    newest: int = 26

    def served(self, version: str, path: str) -> str:
        """Return the version that serves a call. Raises Refusal for one that does not exist yet."""
        found = _VERSION.fullmatch(version)
        if found is None or int(found[1]) > self.newest:
            raise Refusal(2500, message=f"Unknown path components: /{path}", kind="GraphMethodException")
        return f"v{max(int(found[1]), self.oldest)}.0"

    def headers(self, version: str) -> dict[str, str]:
        """Return the header that says which version answers; none for one that does not exist."""
        try:
            return {"facebook-api-version": self.served(version, "")}
        except Refusal:
            return {}


def bearer(request: Request) -> str:
    """Return the access token of a request. Raises Refusal without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    if token := request.query_params.get("access_token", ""):
        return token
    raise Refusal(190, message="An access token is required to request this resource.")


def prove(given: str | None, token: str, accounts: Iterable[Account]) -> None:
    """Check appsecret_proof whenever it is given, and that it is given when the app requires it. Raises Refusal."""
    for account in accounts:
        if given is None:
            if account.require_proof:
                raise Refusal(100, message="API calls from the server require an appsecret_proof argument", kind="GraphMethodException")
        elif not hmac.compare_digest(app_secret_proof(token, account.app_secret).encode(), given.encode("utf-8", "surrogateescape")):
            raise Refusal(100, message="Invalid appsecret_proof provided in the API argument", kind="GraphMethodException")


def unknown_object(object_id: str, verb: str) -> Refusal:
    """Return the refusal for an id that this token cannot see."""
    message = (
        f"Unsupported {verb} request. Object with ID '{object_id}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation. Please read the Graph API documentation."
    )
    return Refusal(100, message=message, subcode=33, kind="GraphMethodException")


async def parameters(request: Request) -> Json:
    """Return a call's parameters: those of the address and those of a JSON or form body. Raises Refusal."""
    found: Json = dict(request.query_params)
    raw = await request.body()
    if not raw.strip():
        return found
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        return found | dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        body: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refusal(100, message="(#100) The body is not JSON.") from error
    if not isinstance(body, dict):
        raise Refusal(100, message="(#100) The body has to be a JSON object.")
    return found | cast("Json", body)


def required(values: Json, name: str) -> str:
    """Return a parameter that has to be a string that is not empty. Raises Refusal."""
    value = values.get(name)
    if value is None or value == "":
        raise missing(name)
    if not isinstance(value, str):
        raise Refusal(100, message=f"(#100) Param {name} must be a string.")
    return value


def json_answer(content: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return JSON as the Graph API does."""
    return Response(json.dumps(content), status, headers, media_type="application/json; charset=UTF-8")
