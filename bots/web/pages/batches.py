"""The pages of batches: send a file, see what there is; one batch with its progress, its answers and what failed."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from bots.admin.acting import Operator
from bots.domain import Role
from bots.errors import Conflict, NotFound
from bots.storage import batch_results, batches, personas
from bots.storage.batch_intake import NewBatch, Submission, Submitted
from bots.storage.batches import Batch, FailedItem, Spent
from bots.storage.database import hot
from bots.web.admin_site import AdminSite
from bots.web.api.batches import act, refusal

_DONE = {
    "pause": "Paused.",
    "resume": "It goes on.",
    "cancel": "Cancelled. Answers that are there stay.",
    "retry": "What failed is asked again.",
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
        def read() -> tuple[list[Batch], list[str]]:
            with hot(self._site.web) as connection:
                bots = [bot.name for bot in personas.list_all(connection, tenant=operator.tenant_id)]
                return batches.newest(connection, tenant=operator.tenant_id, limit=_SHOWN), bots

        found, bots = await self._site.do(read)
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
            # A file that is refused as a whole has no line to name.
            bad=named,
            bad_count=refused.bad_count if refused and named else 0,
        )

    async def _paste(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        lines = form.get("lines", "")
        if not lines.strip():
            return await self._list_page(request, operator, values=form, errors={"lines": "Choose a file, or paste at least one line."})
        new = NewBatch(
            tenant=operator.tenant_id,
            bot=form.get("bot", "")[:200],
            name="pasted lines",
            key=form.get("key", "").strip()[:200] or None,
            actor=operator.name,
        )
        try:
            found = await self._site.do(partial(self._submit, new, lines.encode("utf-8", "replace")))
        except NotFound:
            return await self._list_page(request, operator, values=form, errors={"bot": "There is no such bot any more."})
        except Conflict as error:
            return await self._list_page(request, operator, values=form, errors={"key": str(error)})
        if found.batch is None:
            errors = {"lines": str(refusal(found)["error"])}
            return await self._list_page(request, operator, values=form, errors=errors, refused=found)
        return self._site.see_other(f"/admin/batches/{found.batch}")

    def _submit(self, new: NewBatch, data: bytes) -> Submitted:
        submission = Submission(self._site.web, new, line_bytes=self._site.settings.batch_line_bytes)
        submission.feed(data)
        return submission.finish()

    async def _show(self, request: Request, operator: Operator) -> Response:
        def read() -> tuple[Batch, list[FailedItem], Spent, bool]:
            with hot(self._site.web) as connection:
                batch = batches.get(connection, request.path_params["batch"], tenant=operator.tenant_id)
                failed = batches.failed_items(connection, batch.id, tenant=operator.tenant_id, limit=_SHOWN)
                cost = batches.spent(connection, batch.id, tenant=operator.tenant_id)
                return batch, failed, cost, batches.is_served(connection, batch.queue)

        batch, failed, cost, served = await self._site.do(read)
        shown = [(item, batch_results.reason_in_words(item.reason)) for item in failed]
        return self._site.render(request, operator, "batch.html", batch=batch, failed=shown, cost=cost, served=served)

    async def _act(self, action: str, request: Request, operator: Operator) -> Response:
        batch = request.path_params["batch"]
        await self._site.do(partial(act, self._site, action, batch, operator))
        return self._site.see_other(f"/admin/batches/{batch}", flash=_DONE[action])

    async def _remove(self, request: Request, operator: Operator) -> Response:
        work = partial(batches.remove, self._site.web, request.path_params["batch"], tenant=operator.tenant_id, actor=operator.name)
        items = await self._site.do(work)
        return self._site.see_other("/admin/batches", flash=f"Removed, with its {items} questions and answers.")
