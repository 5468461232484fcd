"""Bots: the list, the editor with its versions and a trial beside it, what changed between versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from bots.admin.acting import Operator
from bots.admin.bots import diff, editor
from bots.domain import Bot, Role
from bots.errors import Conflict, NameTaken
from bots.storage import personas, usage
from bots.storage.database import hot, unit
from bots.web.admin_site import AdminSite

_LANGUAGES = (("en", "English"), ("es", "Español"), ("pt", "Português"))


class BotPages:
    """The endpoints of the pages."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        self.routes = [
            site.page("/admin/bots", self._list),
            site.page("/admin/bots/new", self._new, role=Role.OPERATOR),
            site.post("/admin/bots/new", self._make, role=Role.OPERATOR),
            site.page("/admin/bots/{bot:uuid}", self._show),
            site.post("/admin/bots/{bot:uuid}", self._save, role=Role.OPERATOR),
            site.page("/admin/bots/{bot:uuid}/versions/{version:int}", self._version),
            site.page("/admin/bots/{bot:uuid}/diff", self._diff),
            site.post("/admin/bots/{bot:uuid}/publish", self._publish, role=Role.OPERATOR),
            site.post("/admin/bots/{bot:uuid}/remove", self._remove, role=Role.OPERATOR),
        ]

    async def _list(self, request: Request, operator: Operator) -> Response:
        def read() -> list[personas.BotLine]:
            with hot(self._site.web) as connection:
                return personas.overview(connection, tenant=operator.tenant_id)

        return self._site.render(request, operator, "bots.html", lines=await self._site.do(read))

    async def _new(self, request: Request, operator: Operator) -> Response:
        return await self._new_page(request, operator, _values(_blank(operator)), {})

    async def _new_page(self, request: Request, operator: Operator, values: Mapping[str, str], errors: Mapping[str, str]) -> Response:
        def read() -> list[str]:
            with hot(self._site.web) as connection:
                return personas.profiles(connection)

        shown = {"values": values, "errors": errors, "profiles": await self._site.do(read), "languages": _LANGUAGES}
        return self._site.render(request, operator, "bot_new.html", status=422 if errors else 200, **shown)

    async def _make(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        wanted, errors = editor.read(form, _blank(operator))

        def make() -> Bot:
            with unit(self._site.web) as connection:
                return editor.make(connection, wanted, actor=operator.name)

        if not errors:
            try:
                made = await self._site.do(make)
                return self._site.see_other(f"/admin/bots/{made.id}", flash="The bot is made. Try it here; then connect an account to it.")
            except Conflict as error:
                errors = {"name": str(error)}
        return await self._new_page(request, operator, _values(wanted) | _as_typed(form, errors), errors)

    async def _show(self, request: Request, operator: Operator) -> Response:
        return await self._show_page(request, operator)

    async def _show_page(
        self,
        request: Request,
        operator: Operator,
        *,
        values: Mapping[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
        base: int | None = None,
    ) -> Response:
        identity: UUID = request.path_params["bot"]

        def read() -> tuple[Bot, list[personas.Version], list[str], list[str], list[str]]:
            with unit(self._site.web) as connection:
                found = editor.wanted(connection, tenant=operator.tenant_id, bot=identity)
                return (
                    found,
                    personas.versions(connection, tenant=operator.tenant_id, bot=identity),
                    personas.used_by(connection, tenant=operator.tenant_id, bot=identity),
                    personas.profiles(connection),
                    usage.unpriced(connection, tenant=operator.tenant_id, profile=found.profile),
                )

        def read_spent() -> float:
            return usage.bot_month(self._site.crossing, tenant=operator.tenant_id, bot=identity)

        bot, versions, accounts, profiles, unpriced = await self._site.do(read)
        spent = await self._site.do(read_spent)
        return self._site.render(
            request,
            operator,
            "bot.html",
            status=422 if errors else 200,
            bot=bot,
            versions=versions,
            newest=versions[0].version,
            base=base or versions[0].version,
            accounts=accounts,
            profiles=profiles,
            languages=_LANGUAGES,
            spent=spent,
            unpriced=unpriced,
            values=values or _values(replace(bot, persona=versions[0].text)),
            errors=errors or {},
        )

    async def _save(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        identity: UUID = request.path_params["bot"]
        base = _number(form.get("base", ""))
        publishes = form.get("then") == "publish"

        def read() -> Bot:
            with hot(self._site.web) as connection:
                return editor.wanted(connection, tenant=operator.tenant_id, bot=identity)

        wanted, errors = editor.read(form, await self._site.do(read))

        def save() -> editor.Saved:
            with unit(self._site.web) as connection:
                saved = editor.save(connection, wanted, persona=wanted.persona, actor=operator.name, base=base)
                if publishes:
                    editor.publish(connection, tenant=operator.tenant_id, bot=identity, version=saved.newest, actor=operator.name)
                return saved

        if not errors:
            try:
                return self._site.see_other(f"/admin/bots/{identity}", flash=_told(await self._site.do(save), publishes=publishes))
            except NameTaken as error:
                errors = {"name": str(error)}
            except Conflict as error:
                # Shown once: saved again, what was typed here goes on top of what the other saved.
                errors = {"persona": f"{error} Compare below; save again to put your wording on top."}
                base = None
        return await self._show_page(request, operator, values=_values(wanted) | _as_typed(form, errors), errors=errors, base=base)

    async def _version(self, request: Request, operator: Operator) -> Response:
        identity, number = request.path_params["bot"], request.path_params["version"]

        def read() -> tuple[Bot, personas.Version]:
            with unit(self._site.web) as connection:
                bot = editor.wanted(connection, tenant=operator.tenant_id, bot=identity)
                return bot, personas.version(connection, tenant=operator.tenant_id, bot=identity, version=number)

        bot, version = await self._site.do(read)
        return self._site.render(request, operator, "bot_version.html", bot=bot, version=version)

    async def _diff(self, request: Request, operator: Operator) -> Response:
        identity: UUID = request.path_params["bot"]
        asked = [_number(request.query_params.get(key, "")) for key in ("old", "new")]

        def read() -> tuple[Bot, list[personas.Version], personas.Version, personas.Version, list[diff.Piece]]:
            tenant = operator.tenant_id
            with unit(self._site.web) as connection:
                bot = editor.wanted(connection, tenant=tenant, bot=identity)
                versions = personas.versions(connection, tenant=tenant, bot=identity)
                new = personas.version(connection, tenant=tenant, bot=identity, version=asked[1] or versions[0].version)
                old = personas.version(connection, tenant=tenant, bot=identity, version=asked[0] or bot.persona_version)
            return bot, versions, old, new, diff.compare(old.text, new.text)

        bot, versions, old, new, pieces = await self._site.do(read)
        return self._site.render(request, operator, "bot_diff.html", bot=bot, versions=versions, old=old, new=new, pieces=pieces)

    async def _publish(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        identity: UUID = request.path_params["bot"]
        version = _number(form.get("version", "")) or 0

        def go() -> Bot:
            with unit(self._site.web) as connection:
                return editor.publish(connection, tenant=operator.tenant_id, bot=identity, version=version, actor=operator.name)

        found = await self._site.do(go)
        return self._site.see_other(f"/admin/bots/{identity}", flash=f"Version {found.persona_version} answers from now on.")

    async def _remove(self, request: Request, operator: Operator) -> Response:
        site, identity = self._site, request.path_params["bot"]
        name = await site.do(partial(editor.remove, site.web, site.crossing, tenant=operator.tenant_id, bot=identity, actor=operator.name))
        return site.see_other("/admin/bots", flash=f"{name} is removed.")


def _blank(operator: Operator) -> Bot:
    return Bot(id=UUID(int=0), tenant_id=operator.tenant_id, name="")


def _values(bot: Bot) -> dict[str, str]:
    return {
        "name": bot.name,
        "persona": bot.persona,
        "profile": bot.profile,
        "language": bot.language or "",
        "fallback_text": bot.fallback_text,
        "first_contact": bot.first_contact or "",
        "apology_text": bot.apology_text or "",
        "memory_on": "on" if bot.memory_on else "",
        "data_may_leave": "on" if bot.data_may_leave else "",
        "budget_contact_day": _typed(bot.budget_contact_day),
        "budget_month": _typed(bot.budget_month),
    }


def _as_typed(form: Mapping[str, str], errors: Mapping[str, str]) -> dict[str, str]:
    """What was typed into fields that cannot be read."""
    return {key: form[key] for key in errors if key in form}


def _typed(usd: float | None) -> str:
    """A budget as it is typed."""
    return "" if usd is None else f"{usd:.9f}".rstrip("0").rstrip(".")


def _number(word: str) -> int | None:
    """A version's number out of a form or address; 0 is none."""
    return int(word) if word.isascii() and word.isdecimal() and len(word) < 10 else None


def _told(saved: editor.Saved, *, publishes: bool) -> str:
    if publishes:
        return f"Saved. Version {saved.newest} answers from now on."
    if saved.is_new:
        return f"Saved. The persona is version {saved.newest}, a draft: try it, then publish it."
    return "Saved."
