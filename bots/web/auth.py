"""Who acts: a session's cookie or an API token becomes an Operator, and a token in each form proves that it comes from a page of that session."""

from __future__ import annotations

import hashlib
import hmac
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from bots.admin import sign_in
from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.web.loopback import is_same_origin
from bots.web.serving.schedule import KNOWN
from bots.web.thread_pool import ThreadPool

#: No token of ours is longer.
_LONGEST = 200


class Auth:
    """Knows operators by their cookie or token."""

    def __init__(self, *, deps: Deps, threads: ThreadPool) -> None:
        self._deps, self._threads = deps, threads

    async def operator(self, request: Request) -> Operator | None:
        """Who sent the request. Raises StorageUnavailable."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        by_token = scheme.lower() == "bearer"
        secret = (token.strip() if by_token else request.cookies.get(cookie(request), ""))[:_LONGEST]
        if not secret:
            return None
        found = await self._threads.run(partial(sign_in.who, self._deps, secret, by_token=by_token))
        request.scope.setdefault("state", {})[KNOWN] = found is not None
        return found


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
        max_age=sign_in.SESSION_HOURS * 3600,
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
