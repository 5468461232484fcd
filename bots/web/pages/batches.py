"""The pages of batches: submit a file, list them; one batch with its progress, its answers and what failed."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from bots.admin import batches
from bots.admin.acting import Operator
from bots.admin.bots import editor
from bots.domain import Role
from bots.errors import Conflict, NotFound
from bots.storage.batch_intake import Submitted
from bots.web.admin_site import AdminSite
from bots.web.api.batches import refusal

_ACTIONS = {"pause": batches.pause, "resume": batches.resume, "cancel": batches.cancel, "retry": batches.retry}
_DONE = {
    "pause": "Paused.",
    "resume": "Resumed.",
    "cancel": "Cancelled. The answers so far are still stored.",
    "retry": "The failed items are asked again.",
}
_SHOWN = 100


class BatchPages:
    """The endpoints of the pages."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        self.routes = [
            site.page("/admin/batches", self._list),
            site.post("/admin/batches", self._paste, role=Role.OPERATOR),
            site.page("/admin/batches/{batch:uuid}", self._show),
            *(site.post(f"/admin/batches/{{batch:uuid}}/{action}", partial(self._act, action), role=Role.OPERATOR) for action in _DONE),
            site.post("/admin/batches/{batch:uuid}/remove", self._remove, role=Role.OWNER),
        ]

    async def _list(self, request: Request, operator: Operator) -> Response:
        return await self._list_page(request, operator)

    async def _list_page(
        self,
        request: Request,
        operator: Operator,
        *,
        values: dict[str, str] | None = None,
        errors: dict[str, str] | None = None,
        refused: Submitted | None = None,
    ) -> Response:
        found = await self._site.run(batches.newest, operator, limit=_SHOWN)
        bots = [line.bot.name for line in await self._site.run(editor.list_all, operator)]
        named = [line for line in refused.bad if line.n] if refused else []
        return self._site.render(
            request,
            operator,
            "batches.html",
            status=422 if errors else 200,
            batches=found,
            bots=[(name, name) for name in bots],
            values=values or {},
            errors=errors or {},
            # A file that is refused as a whole has no bad lines to show.
            bad=named,
            bad_count=refused.bad_count if refused and named else 0,
        )

    async def _paste(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        lines = form.get("lines", "")
        if not lines.strip():
            return await self._list_page(request, operator, values=form, errors={"lines": "Choose a file, or paste at least one line."})
        key = form.get("key", "").strip()[:200] or None
        pieces = [lines.encode("utf-8", "replace")]
        try:
            found = await self._site.run(batches.submit, operator, pieces, bot=form.get("bot", "")[:200], name="pasted lines", key=key)
        except NotFound:
            return await self._list_page(request, operator, values=form, errors={"bot": "This bot no longer exists."})
        except Conflict as error:
            return await self._list_page(request, operator, values=form, errors={"key": str(error)})
        if found.batch is None:
            errors = {"lines": str(refusal(found)["error"])}
            return await self._list_page(request, operator, values=form, errors=errors, refused=found)
        return self._site.see_other(f"/admin/batches/{found.batch}")

    async def _show(self, request: Request, operator: Operator) -> Response:
        found = await self._site.run(batches.details, operator, request.path_params["batch"], limit=_SHOWN)
        failed = [(item, batches.reason(item)) for item in found.failed]
        return self._site.render(
            request, operator, "batch.html", batch=found.batch, failed=failed, spent=found.spent, served=found.is_served
        )

    async def _act(self, action: str, request: Request, operator: Operator) -> Response:
        batch = request.path_params["batch"]
        await self._site.run(_ACTIONS[action], operator, batch)
        return self._site.see_other(f"/admin/batches/{batch}", flash=_DONE[action])

    async def _remove(self, request: Request, operator: Operator) -> Response:
        items = await self._site.run(batches.remove, operator, request.path_params["batch"])
        return self._site.see_other("/admin/batches", flash=f"The batch was removed with its {items} questions and answers.")
