"""Who acts: a session's cookie or an API token becomes an Operator, and what belongs to a session keeps other pages out."""

from __future__ import annotations

import hashlib
import hmac
from functools import partial

from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import Response

from bots.admin.acting import Operator
from bots.storage import operators
from bots.storage.database import hot
from bots.web.loopback import is_same_origin
from bots.web.threads import Threads

#: No token of ours is longer.
_LONGEST = 200


class Auth:
    """Knows operators by their cookie or token."""

    def __init__(self, *, web: Engine, threads: Threads) -> None:
        self._web, self._threads = web, threads

    async def operator(self, request: Request) -> Operator | None:
        """Who sent the request. Raises StorageUnavailable."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        by_token = scheme.lower() == "bearer"
        secret = (token.strip() if by_token else request.cookies.get(cookie(request), ""))[:_LONGEST]
        if not secret:
            return None
        known = await self._threads.run(partial(self._find, secret, by_token=by_token))
        if known is None:
            return None
        return Operator(id=known.id, tenant_id=known.tenant_id, name=known.name, role=known.role, by_token=by_token)

    def _find(self, secret: str, *, by_token: bool) -> operators.Known | None:
        with hot(self._web) as connection:
            return operators.by_token(connection, secret) if by_token else operators.by_session(connection, secret)


def cookie(request: Request) -> str:
    """The name of the session's cookie."""
    # The prefix makes browsers insist on https, so plain loopback goes without it.
    return "__Host-chinwag" if is_https(request) else "chinwag"


def is_https(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to a proxy before us."""
    # The word of the TLS proxy. Whoever lies here changes nothing but the name and the flags of their own cookie.
    return request.headers.get("x-forwarded-proto", request.url.scheme).split(",")[0].strip() == "https"


def let_in(request: Request, answer: Response, session: str) -> None:
    """Set the session's cookie on an answer."""
    answer.set_cookie(
        cookie(request),
        session,
        max_age=operators.SESSION_HOURS * 3600,
        httponly=True,
        samesite="strict",
        secure=is_https(request),
        path="/",
    )


def let_out(request: Request, answer: Response) -> None:
    """Take the session's cookie away."""
    answer.delete_cookie(cookie(request), path="/", secure=is_https(request), httponly=True, samesite="strict")


def csrf(request: Request) -> str:
    """The word that every form of this session carries: only who holds the cookie can work it out."""
    session = request.cookies.get(cookie(request), "")[:_LONGEST]
    return hashlib.sha256(b"csrf:" + session.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def is_ours(request: Request, word: str) -> bool:
    """Whether a page of this very session sent the request."""
    return is_same_origin(request) and hmac.compare_digest(word.encode("utf-8", "surrogatepass"), csrf(request).encode())
