"""The home page: parts, accounts, and what wants attention."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from bots.storage import attention
from bots.storage.database import hot
from bots.web.auth import Operator
from bots.web.room import Room

#: Workers beat every 5 s; three missed beats are a silence.
_SILENT_AFTER_S = 16.0


class HomePages:
    """The home page's endpoint."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.routes = [room.page("/admin", self._show)]

    async def _show(self, request: Request, operator: Operator) -> Response:
        overview = await self._room.do(self._overview)
        return self._room.render(request, operator, "home.html", overview=overview, parts=_parts(overview), troubles=_troubles(overview))

    def _overview(self) -> attention.Overview:
        with hot(self._room.crossing) as connection:
            return attention.overview(connection)


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
