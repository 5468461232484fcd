"""The admin page: parts, accounts, and what is dead, unknown or quarantined. A one-time link lets an operator in."""

from __future__ import annotations

from functools import partial

import structlog
from sqlalchemy import Engine
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bots.errors import StorageUnavailable
from bots.storage import admin, attention
from bots.storage.database import hot, unit
from bots.web.limits import Bucket
from bots.web.threads import Threads
from bots.web.views import Views

log = structlog.get_logger()

_SESSION_S = 12 * 3600
#: Workers beat every 5 s; three missed beats are a silence.
_SILENT_AFTER_S = 16.0


class AdminPage:
    """The admin page's endpoints."""

    def __init__(self, *, web: Engine, crossing: Engine, threads: Threads, views: Views) -> None:
        self._web, self._crossing, self._threads, self._views = web, crossing, threads, views
        self._wrong = Bucket(tries=20, per_s=60.0)
        self.routes = [Route("/admin", self.show), Route("/admin/enter", self.enter)]

    async def enter(self, request: Request) -> Response:
        """Trade a one-time link for a session."""
        if self._wrong.is_empty:
            return self._closed(429, "Too many wrong links. Wait a minute.")
        try:
            session = await self._threads.run(partial(self._enter, request.query_params.get("token", "")[:200]))
        except StorageUnavailable:
            return self._closed(503, "Postgres does not answer. Try this link again in a moment.")
        if session is None:
            self._wrong.take()
            log.warning("admin_link_refused")
            return self._closed(403, "This link was used already, or is too old.")
        log.info("admin_entered")
        answer = RedirectResponse("/admin", status_code=303, headers={"Cache-Control": "no-store"})
        answer.set_cookie(
            _cookie(request),
            session,
            max_age=_SESSION_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            path="/",
        )
        return answer

    async def show(self, request: Request) -> Response:
        """Show the page to whoever has a session."""
        session = request.cookies.get(_cookie(request), "")[:200]
        try:
            overview = await self._threads.run(partial(self._overview, session))
        except StorageUnavailable:
            return self._closed(503, "Postgres does not answer. Nothing can be stored now; platforms send their webhooks again.")
        if overview is None:
            return self._closed(401, "This page needs a sign-in.")
        return self._views.page("admin.html", overview=overview, parts=_parts(overview), troubles=_troubles(overview))

    def _closed(self, status: int, why: str) -> Response:
        return self._views.page("closed.html", status=status, why=why)

    def _enter(self, token: str) -> str | None:
        with unit(self._web) as connection:
            return admin.enter(connection, token)

    def _overview(self, session: str) -> attention.Overview | None:
        with hot(self._web) as connection:
            if not session or not admin.session_valid(connection, session):
                return None
        with hot(self._crossing) as connection:
            return attention.overview(connection)


def _cookie(request: Request) -> str:
    # The prefix makes browsers insist on https, so plain loopback goes without it.
    return "__Host-chinwag" if request.url.scheme == "https" else "chinwag"


def _parts(overview: attention.Overview) -> list[tuple[str, str, str]]:
    """Name each part with ok, bad or unknown, and a word on it. Redis shows through the workers that live on it."""
    parts = [("Postgres", "ok", "answers")]
    alive = [beat for beat in overview.heartbeats if beat.age_s < _SILENT_AFTER_S]
    workers = [beat for beat in alive if beat.slots > 0]
    if workers:
        busy, slots = sum(beat.busy for beat in workers), sum(beat.slots for beat in workers)
        parts.append(("Workers", "ok", f"{len(workers)} alive, {busy} of {slots} slots busy"))
    else:
        parts.append(("Workers", "bad", "no sign of life; nothing is answered"))
    dispatchers = [beat for beat in alive if beat.slots == 0]
    late = overview.work.oldest_due_s
    if late > _SILENT_AFTER_S:
        parts.append(("Dispatcher and Redis", "bad", f"work is due since {late:.0f} s"))
    elif dispatchers or workers:
        parts.append(("Dispatcher and Redis", "ok", "nothing is late"))
    else:
        parts.append(("Dispatcher and Redis", "unknown", "no work and no worker to judge by"))
    model = overview.model
    if model is None:
        parts.append(("Model", "unknown", "not asked yet"))
    else:
        took = f", {model.total_ms:.0f} ms" if model.total_ms is not None else ""
        parts.append(("Model", "ok" if model.outcome in {"ok", "answered"} else "bad", f"{model.model}: {model.outcome}{took}"))
    return parts


def _troubles(overview: attention.Overview) -> list[tuple[str, str, tuple[attention.Trouble, ...], str, str]]:
    """List each kind of trouble: id, title, rows, what to say when there are none, what it means."""
    unsure = "The platform did not say whether it took the message; its status or one more try settles it."
    return [
        ("dead", "Dead turns", overview.dead, "No turn is dead.", "Our own error five times; the contact got no answer."),
        ("unknown", "Unknown sends", overview.unknown, "No send is unknown.", unsure),
        ("failed", "Failed sends", overview.failed, "No send failed.", "The platform refused the message for good."),
        (
            "quarantined",
            "Quarantined webhooks",
            overview.quarantined,
            "Nothing is quarantined.",
            "Signed and not understood. The raw body is kept.",
        ),
    ]
