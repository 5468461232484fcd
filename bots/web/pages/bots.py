"""Bots: the list, the editor with versions and a trial beside it, the differences between versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID
from zoneinfo import available_timezones

from starlette.requests import Request
from starlette.responses import Response

from bots.admin.acting import Operator
from bots.admin.bots import editor, forms, versions
from bots.admin.memories import KIND_WORDS
from bots.domain import Bot, Role
from bots.errors import Conflict, NameTaken
from bots.kinds import kinds
from bots.web.admin_site import AdminSite

_LANGUAGES = (
    ("en", "English"),
    ("es", "Español"),
    ("pt", "Português"),
    ("fr", "Français"),
    ("de", "Deutsch"),
    ("it", "Italiano"),
    ("hi", "हिन्दी"),
    ("ar", "العربية"),
    ("id", "Bahasa Indonesia"),
    ("tr", "Türkçe"),
)
#: Zones named after a place: the others are aliases and offsets.
_ZONES = tuple(sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/", "US/"))))


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
        return self._site.render(request, operator, "bots.html", lines=await self._site.run(editor.list_all, operator))

    async def _new(self, request: Request, operator: Operator) -> Response:
        return await self._new_page(request, operator, _values(_blank(operator)), {})

    async def _new_page(self, request: Request, operator: Operator, values: Mapping[str, str], errors: Mapping[str, str]) -> Response:
        profiles = await self._site.run(editor.profiles, operator)
        shown = {
            "values": values,
            "errors": errors,
            "profiles": profiles,
            "languages": _LANGUAGES,
            "kind_words": KIND_WORDS,
            "zones": _ZONES,
        }
        return self._site.render(request, operator, "bot_new.html", status=422 if errors else 200, **shown)

    async def _make(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        wanted, errors = forms.read(form, _blank(operator))

        if not errors:
            try:
                made = await self._site.run(editor.create, operator, wanted)
                return self._site.see_other(
                    f"/admin/bots/{made.id}", flash="The bot was created. Try it here, then connect an account to it."
                )
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
        found = await self._site.run(editor.details, operator, request.path_params["bot"])
        bot, history = found.bot, found.versions
        return self._site.render(
            request,
            operator,
            "bot.html",
            status=422 if errors else 200,
            bot=bot,
            versions=history,
            newest=history[0].version,
            base=base or history[0].version,
            accounts=found.accounts,
            profiles=found.profiles,
            languages=_LANGUAGES,
            kind_words=KIND_WORDS,
            zones=_ZONES,
            spent=found.spent,
            unpriced=found.unpriced,
            values=values or _values(replace(bot, persona=history[0].text)),
            errors=errors or {},
        )

    async def _save(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        identity: UUID = request.path_params["bot"]
        base = _number(form.get("base", ""))
        publishes = form.get("then") == "publish"
        wanted, errors = forms.read(form, await self._site.run(editor.get, operator, identity))
        settings = {key: getattr(wanted, key) for key in forms.SETTINGS}

        if not errors:
            try:
                saved = await self._site.run(
                    editor.change, operator, identity, settings, persona=wanted.persona, base=base, publish=publishes
                )
                return self._site.see_other(f"/admin/bots/{identity}", flash=_told(saved, publishes=publishes))
            except NameTaken as error:
                errors = {"name": str(error)}
            except Conflict as error:
                # Refused once: saved again, what was typed here becomes the version after the other one.
                errors = {"persona": f"{error} Compare the versions below; save again to store your text as the newest version."}
                base = None
        return await self._show_page(request, operator, values=_values(wanted) | _as_typed(form, errors), errors=errors, base=base)

    async def _version(self, request: Request, operator: Operator) -> Response:
        identity = request.path_params["bot"]
        bot = await self._site.run(editor.get, operator, identity)
        version = await self._site.run(versions.get, operator, identity, request.path_params["version"])
        return self._site.render(request, operator, "bot_version.html", bot=bot, version=version)

    async def _diff(self, request: Request, operator: Operator) -> Response:
        old, new = (_number(request.query_params.get(key, "")) for key in ("old", "new"))
        found = await self._site.run(versions.compare, operator, request.path_params["bot"], old=old, new=new)
        pieces = await self._site.do(lambda: found.pieces)
        return self._site.render(
            request, operator, "bot_diff.html", bot=found.bot, versions=found.versions, old=found.old, new=found.new, pieces=pieces
        )

    async def _publish(self, request: Request, operator: Operator) -> Response:
        form = await self._site.form(request)
        version = _number(form.get("version", "")) or 0
        found = await self._site.run(versions.publish, operator, request.path_params["bot"], version)
        return self._site.see_other(f"/admin/bots/{found.id}", flash=f"Version {found.persona_version} answers from now on.")

    async def _remove(self, request: Request, operator: Operator) -> Response:
        name = await self._site.run(editor.remove, operator, request.path_params["bot"])
        return self._site.see_other("/admin/bots", flash=f"{name} was removed.")


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
        "sensitive_on": "on" if bot.sensitive_on else "",
        "keeps_messages": "on" if bot.keeps_messages else "",
        "time_zone": bot.time_zone or "",
        **{f"kind_{name}": "" if name in bot.kinds_off else "on" for name in kinds()},
    }


def _as_typed(form: Mapping[str, str], errors: Mapping[str, str]) -> dict[str, str]:
    """What was typed into fields that cannot be read."""
    return {key: form[key] for key in errors if key in form}


def _typed(usd: float | None) -> str:
    """A budget as it is typed."""
    return "" if usd is None else f"{usd:.9f}".rstrip("0").rstrip(".")


def _number(typed: str) -> int | None:
    """A version's number from a form or address; no version is 0."""
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 10 else None


def _told(saved: editor.Saved, *, publishes: bool) -> str:
    if publishes:
        return f"Saved. Version {saved.newest} answers from now on."
    if saved.is_new:
        return f"Saved. The persona is version {saved.newest}, a draft: try it, then publish it."
    return "Saved."
