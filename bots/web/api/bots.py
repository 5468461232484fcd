"""Bots over JSON: settings take effect at once, a changed persona is a draft until it is published, any version can be tried."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from bots.admin.acting import Operator
from bots.admin.bots import diff, editor, forms, trial, versions
from bots.domain import Bot, Role
from bots.storage import personas
from bots.web.admin_site import AdminSite

_NO_NUL = r"^[^\x00]*$"
_MOST_VERSION = 2**31 - 1
_MAY_MISS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such bot or version."}}
_MAY_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"description": "The name is taken, there is a newer version, or the bot is in use."}
}
_CLEARED = ("apology_text", "language", "first_contact", "budget_contact_day", "budget_month", "time_zone")

_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=forms.MOST_NAME, pattern=forms.NAME)]
_Persona = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=forms.MOST_PERSONA, pattern=_NO_NUL)]
_Profile = Annotated[str, StringConstraints(pattern=forms.PROFILE)]
_Language = Annotated[str, StringConstraints(max_length=35, pattern=forms.LANGUAGE)]
_Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=forms.MOST_TEXT, pattern=_NO_NUL)]
_Budget = Annotated[float, Field(gt=0, le=forms.MOST_BUDGET, allow_inf_nan=False, description="USD; null: no limit.")]
_MayLeave = Annotated[bool, Field(description="Whether conversations may go to hosted endpoints, which another company runs.")]
_Message = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=_NO_NUL)]
_Key = Annotated[str, StringConstraints(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
_Thread = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9-]+$")]
_Number = Annotated[int, Field(ge=1, le=_MOST_VERSION)]
_Limit = Annotated[int, Query(ge=1, le=200)]
_Kinds = Annotated[
    list[str],
    Field(max_length=50, description="Kinds of facts that are not remembered."),
    AfterValidator(lambda named: list(forms.kinds_off(named))),
]
_Zone = Annotated[str, Field(max_length=60, description="The name of a time zone, such as Europe/Madrid."), AfterValidator(forms.time_zone)]


class NewBot(BaseModel):
    """A bot to create."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    persona: _Persona
    profile: _Profile = "default"
    fallback_text: Annotated[_Text, Field(min_length=1)] | None = None
    apology_text: _Text | None = None
    memory_on: bool = True
    language: _Language | None = None
    first_contact: _Text | None = None
    data_may_leave: _MayLeave = False
    budget_contact_day: _Budget | None = None
    budget_month: _Budget | None = None
    kinds_off: _Kinds = []
    sensitive_on: bool = True
    keeps_messages: bool = False
    time_zone: _Zone | None = None


class BotChange(BaseModel):
    """What to change. What is left out stays; null clears the apology, the language, the first message, a budget or the time zone."""

    model_config = ConfigDict(extra="forbid")

    name: _Name | None = None
    #: Becomes a draft.
    persona: _Persona | None = None
    #: The newest version when the edit was begun: 409 when there is a newer one.
    base_version: _Number | None = None
    profile: _Profile | None = None
    fallback_text: Annotated[_Text, Field(min_length=1)] | None = None
    apology_text: _Text | None = None
    memory_on: bool | None = None
    language: _Language | None = None
    first_contact: _Text | None = None
    data_may_leave: _MayLeave | None = None
    budget_contact_day: _Budget | None = None
    budget_month: _Budget | None = None
    kinds_off: _Kinds | None = None
    sensitive_on: bool | None = None
    keeps_messages: bool | None = None
    time_zone: _Zone | None = None


class ToPublish(BaseModel):
    """Which version should answer."""

    model_config = ConfigDict(extra="forbid")

    version: _Number


class ToSay(BaseModel):
    """A message to a version of the bot. Sending it again with the same key changes nothing."""

    model_config = ConfigDict(extra="forbid")

    text: _Message
    #: Names the trial; a new name starts a new one.
    thread: _Thread
    key: _Key
    #: Left out: the newest.
    version: _Number | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotView:
    """A bot with its published persona."""

    id: UUID
    name: str
    profile: str
    language: str | None
    persona: str
    persona_version: int
    newest_version: int
    fallback_text: str
    apology_text: str | None
    first_contact: str | None
    memory_on: bool
    data_may_leave: bool
    budget_contact_day: float | None
    budget_month: float | None
    kinds_off: list[str]
    sensitive_on: bool
    keeps_messages: bool
    time_zone: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotLine:
    """A bot in a list."""

    id: UUID
    name: str
    profile: str
    persona_version: int
    newest_version: int
    accounts: int
    memory_on: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionView:
    """One version of a persona."""

    version: int
    persona: str
    created_at: datetime
    created_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PieceView:
    """A piece of text that is the `same`, was inserted (`ins`) or deleted (`del`)."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The message is stored; this version answers it."""

    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkLine:
    """One message of a trial: the operator's (`in`) or the bot's (`out`)."""

    id: UUID
    side: str
    text: str
    at: datetime
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkView:
    """A trial as it is now."""

    typing: bool
    waiting: bool
    lines: list[TalkLine]


def router(site: AdminSite) -> APIRouter:  # noqa: C901 - endpoints side by side
    """Build the endpoints of bots."""
    api = APIRouter(prefix="/api/v1/bots", tags=["bots"])
    viewer, acting = site.may(Role.VIEWER), site.may(Role.OPERATOR)

    @api.get("")
    async def list_bots(operator: Operator = viewer) -> list[BotLine]:
        """List all bots by name."""
        return [_line(line) for line in await site.run(editor.list_all, operator)]

    @api.post("", status_code=201, responses=_MAY_CONFLICT)
    async def make_bot(body: NewBot, operator: Operator = acting) -> BotView:
        """Create a bot; its persona is version 1 and published."""
        bot = Bot(
            id=UUID(int=0),
            tenant_id=operator.tenant_id,
            name=body.name,
            profile=body.profile,
            persona=body.persona,
            apology_text=body.apology_text or None,
            memory_on=body.memory_on,
            language=body.language,
            first_contact=body.first_contact or None,
            data_may_leave=body.data_may_leave,
            budget_contact_day=body.budget_contact_day,
            budget_month=body.budget_month,
            kinds_off=tuple(body.kinds_off),
            sensitive_on=body.sensitive_on,
            keeps_messages=body.keeps_messages,
            time_zone=body.time_zone,
        )
        if body.fallback_text:
            bot = replace(bot, fallback_text=body.fallback_text)
        return _view(await site.run(editor.create, operator, bot), 1)

    @api.get("/{bot}", responses=_MAY_MISS)
    async def get_bot(bot: UUID, operator: Operator = viewer) -> BotView:
        """Read one bot."""
        return _view(await site.run(editor.get, operator, bot), await site.run(versions.newest, operator, bot))

    @api.patch("/{bot}", responses=_MAY_MISS | _MAY_CONFLICT)
    async def change_bot(bot: UUID, body: BotChange, operator: Operator = acting) -> BotView:
        """Change a bot. A changed persona is a draft: publish it. Everything else takes effect at once."""
        saved = await site.run(editor.change, operator, bot, _settings(body), persona=body.persona, base=body.base_version)
        return _view(saved.bot, saved.newest)

    @api.delete("/{bot}", status_code=204, responses=_MAY_MISS | _MAY_CONFLICT)
    async def remove_bot(bot: UUID, operator: Operator = acting) -> Response:
        """Remove a bot that no account and no batch uses."""
        await site.run(editor.remove, operator, bot)
        return Response(status_code=204)

    @api.get("/{bot}/versions", responses=_MAY_MISS)
    async def list_versions(
        bot: UUID,
        before: Annotated[int | None, Query(ge=1, le=_MOST_VERSION)] = None,
        limit: _Limit = 50,
        operator: Operator = viewer,
    ) -> list[VersionView]:
        """List the versions of a persona, the newest first."""
        return [_version(one) for one in await site.run(versions.list_all, operator, bot, before=before, limit=limit)]

    @api.get("/{bot}/versions/{version}", responses=_MAY_MISS)
    async def get_version(bot: UUID, version: _Number, operator: Operator = viewer) -> VersionView:
        """Read one version."""
        return _version(await site.run(versions.get, operator, bot, version))

    @api.get("/{bot}/diff", responses=_MAY_MISS)
    async def compare(
        bot: UUID,
        old: Annotated[int, Query(ge=1, le=_MOST_VERSION)],
        new: Annotated[int, Query(ge=1, le=_MOST_VERSION)],
        operator: Operator = viewer,
    ) -> list[PieceView]:
        """Show what changed between two versions."""
        before, after = await site.run(versions.get, operator, bot, old), await site.run(versions.get, operator, bot, new)
        pieces = await site.do(partial(diff.compare, before.text, after.text))
        return [PieceView(kind=piece.kind, text=piece.text) for piece in pieces]

    @api.post("/{bot}/publish", responses=_MAY_MISS)
    async def publish(bot: UUID, body: ToPublish, operator: Operator = acting) -> BotView:
        """Let a version answer, a newer or an older one."""
        # Read first: once the version is published, an error must not say that nothing was changed.
        newest = await site.run(versions.newest, operator, bot)
        return _view(await site.run(versions.publish, operator, bot, body.version), newest)

    @api.post("/{bot}/try", status_code=202, responses=_MAY_MISS)
    async def say(bot: UUID, body: ToSay, operator: Operator = acting) -> Taken:
        """Send a message to a version of the bot, over the console channel."""
        version = await site.run(trial.say, operator, bot, body.text, version=body.version, thread=body.thread, key=body.key)
        return Taken(version=version)

    @api.get("/{bot}/try", responses=_MAY_MISS)
    async def read_talk(
        bot: UUID,
        version: Annotated[int, Query(ge=1, le=_MOST_VERSION)],
        thread: Annotated[str, Query(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9-]+$")],
        operator: Operator = viewer,
    ) -> TalkView:
        """Read your own trial of a version of the bot."""
        found = await site.run(trial.read, operator, bot, version=version, thread=thread)
        lines = [TalkLine(id=line.id, side=line.side, text=line.text, at=line.at, status=line.status) for line in found.lines]
        return TalkView(typing=found.is_typing, waiting=trial.is_waiting(found), lines=lines)

    return api


def _settings(body: BotChange) -> dict[str, Any]:
    given = body.model_dump(exclude_unset=True, exclude={"persona", "base_version"})
    kept = {key: value for key, value in given.items() if value is not None}
    kept |= {"kinds_off": tuple(kept["kinds_off"])} if "kinds_off" in kept else {}
    return kept | {key: given[key] or None for key in _CLEARED if key in given}


def _line(line: personas.BotLine) -> BotLine:
    return BotLine(
        id=line.bot.id,
        name=line.bot.name,
        profile=line.bot.profile,
        persona_version=line.bot.persona_version,
        newest_version=line.newest,
        accounts=line.accounts,
        memory_on=line.bot.memory_on,
    )


def _view(bot: Bot, newest: int) -> BotView:
    return BotView(
        id=bot.id,
        name=bot.name,
        profile=bot.profile,
        language=bot.language,
        persona=bot.persona,
        persona_version=bot.persona_version,
        newest_version=newest,
        fallback_text=bot.fallback_text,
        apology_text=bot.apology_text,
        first_contact=bot.first_contact,
        memory_on=bot.memory_on,
        data_may_leave=bot.data_may_leave,
        budget_contact_day=bot.budget_contact_day,
        budget_month=bot.budget_month,
        kinds_off=list(bot.kinds_off),
        sensitive_on=bot.sensitive_on,
        keeps_messages=bot.keeps_messages,
        time_zone=bot.time_zone,
    )


def _version(found: personas.Version) -> VersionView:
    return VersionView(version=found.version, persona=found.text, created_at=found.created_at, created_by=found.created_by)
