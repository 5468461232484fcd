"""The page of one contact: what is and was remembered of them, where it comes from, and a search through all that was said."""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bots.admin import memories
from bots.admin.acting import Operator
from bots.domain import Role
from bots.errors import Conflict
from bots.kinds import kinds
from bots.web.admin_site import AdminSite

_MOST_FOUND = 50


class ContactPages:
    """The endpoints of the page."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        one = "/admin/contacts/{contact:uuid}"
        memory = one + "/memories/{memory:uuid}"
        self.routes = [
            site.page(one, self._show),
            site.page(one + "/memories.json", self._export, role=Role.AGENT),
            site.post(one + "/memories", self._add, role=Role.AGENT),
            site.post(memory + "/correct", self._correct, role=Role.AGENT),
            site.post(memory + "/end", self._end, role=Role.AGENT),
            site.post(memory + "/erase", self._erase, role=Role.OWNER),
            site.post(one + "/erase", self._erase_all, role=Role.OWNER),
            site.post(one + "/switches", self._switch, role=Role.AGENT),
        ]

    async def _show(self, request: Request, operator: Operator) -> Response:
        return await self._page(request, operator)

    async def _page(
        self,
        request: Request,
        operator: Operator,
        *,
        status: int = 200,
        values: dict[str, str] | None = None,
        errors: dict[str, str] | None = None,
        refusal: str | None = None,
    ) -> Response:
        contact: UUID = request.path_params["contact"]
        known = await self._site.run(memories.read, operator, contact)
        typed = request.query_params.get("q", "").replace("\0", "").strip()[:200]
        found = await self._site.run(memories.search, operator, contact, typed, limit=_MOST_FOUND) if typed else None
        return self._site.render(
            request,
            operator,
            "contact.html",
            status=status,
            person=known.person,
            living=[one for one in known.memories if one.valid_to is None],
            ended=[one for one in known.memories if one.valid_to is not None],
            shown=len(known.memories),
            total=known.total,
            switches=known.switches,
            kind_words=memories.KIND_WORDS,
            kinds=[(name, memories.KIND_WORDS[name]) for name in kinds()],
            search=typed,
            found=found,
            most=_MOST_FOUND,
            values=values or {},
            errors=errors or {},
            refusal=refusal,
        )

    async def _export(self, request: Request, operator: Operator) -> Response:
        found = await self._site.run(memories.export, operator, request.path_params["contact"])
        body = json.dumps(msgspec.to_builtins(found), ensure_ascii=False, indent=1)
        headers = {"Content-Disposition": 'attachment; filename="memories.json"', "Cache-Control": "no-store"}
        return Response(body, media_type="application/json", headers=headers)

    async def _add(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        values = {name: form.get(name, "").strip() for name in ("kind", "value", "day", "last_day")}
        errors: dict[str, str] = {}
        days = {name: _day(values[name], name, errors) for name in ("day", "last_day")}
        wrong = memories.check(values["kind"], values["value"], **days)
        if wrong is not None:
            errors["value"] = wrong
        if not errors:
            try:
                await self._site.run(
                    memories.add, operator, request.path_params["contact"], kind=values["kind"], value=values["value"], **days
                )
            except Conflict as error:
                errors["value"] = str(error)
        if errors:
            return await self._page(request, operator, status=422, values=values, errors=errors)
        return self._done(request, "It is remembered.")

    async def _correct(self, request: Request, operator: Operator) -> Response:
        contact, memory = request.path_params["contact"], request.path_params["memory"]
        value = (await self._site.form(request)).get("value", "").strip()
        wrong = memories.check(await self._site.run(memories.kind_of, operator, contact, memory), value)
        if wrong is None:
            try:
                await self._site.run(memories.correct, operator, contact, memory, value=value)
            except Conflict as error:
                wrong = str(error)
        return (
            await self._page(request, operator, status=422, refusal=wrong) if wrong is not None else self._done(request, "It is corrected.")
        )

    async def _end(self, request: Request, operator: Operator) -> Response:
        await self._site.run(memories.end, operator, request.path_params["contact"], request.path_params["memory"])
        return self._done(request, "It is no longer told to the bot. It stays on this page as ended.")

    async def _erase(self, request: Request, operator: Operator) -> Response:
        await self._site.run(memories.erase, operator, request.path_params["contact"], request.path_params["memory"])
        return self._done(request, "It is erased, and so are the messages, answers and prompts that had its words.")

    async def _erase_all(self, request: Request, operator: Operator) -> Response:
        if (await self._site.form(request)).get("sure") != "on":
            return await self._page(request, operator, status=422, errors={"sure": "Tick this first: it cannot be undone."})
        await self._site.run(memories.erase, operator, request.path_params["contact"], None)
        return self._done(request, "Everything that was said by this contact or remembered of them is erased.")

    async def _switch(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        on: dict[str, Any] = {f"{name}_on": form.get(f"{name}_on") == "on" for name in ("memory", "sensitive")}
        await self._site.run(memories.switch, operator, request.path_params["contact"], **on)
        return self._done(request, "Saved.")

    def _done(self, request: Request, flash: str) -> Response:
        kept = {"q": request.query_params["q"]} if request.query_params.get("q") else {}
        return self._site.see_other(
            f"/admin/contacts/{request.path_params['contact']}" + (f"?{urlencode(kept)}" if kept else ""), flash=flash
        )


def _day(typed: str, name: str, errors: dict[str, str]) -> date | None:
    """Read a day; what is wrong goes into the errors."""
    if not typed:
        return None
    try:
        return date.fromisoformat(typed)
    except ValueError:
        errors[name] = "Enter a day such as 2026-12-24."
        return None
