"""Who changed what, for owners: the newest first, by actor or kind of action."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from bots.admin import audit
from bots.admin.acting import Operator
from bots.domain import Role
from bots.storage.audit import Entry
from bots.web import marks
from bots.web.admin_site import AdminSite

_A_PAGE = 50


class AuditPages:
    """The endpoint of the page."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        self.routes = [site.page("/admin/audit", self._list, role=Role.OWNER)]

    async def _list(self, request: Request, operator: Operator) -> Response:
        asked = {key: request.query_params.get(key, "").replace("\0", "").strip()[:80] for key in ("actor", "action")}
        before = marks.identity(request.query_params.get("before", ""))
        entries = await self._site.run(
            audit.newest, operator, actor=asked["actor"] or None, action=asked["action"] or None, before=before, limit=_A_PAGE + 1
        )
        older = None
        if len(entries) > _A_PAGE:
            entries = entries[:_A_PAGE]
            older = "/admin/audit?" + urlencode({key: word for key, word in asked.items() if word} | {"before": str(entries[-1].id)})
        return self._site.render(
            request,
            operator,
            "audit.html",
            entries=[(entry, _detail(entry)) for entry in entries],
            values=asked,
            older=older,
            before=before,
        )


def _detail(entry: Entry) -> str:
    """The detail as in `version 3, before 2`."""
    return ", ".join(f"{key.replace('_', ' ')} {_text(value)}" for key, value in (entry.detail or {}).items())


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in cast("list[object]", value))
    return str(value)
