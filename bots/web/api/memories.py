"""What is remembered of a contact over JSON: read, search, add, correct, end, erase, export, switch off."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from bots.admin import memories
from bots.admin.acting import Operator
from bots.admin.memories import Known
from bots.domain import Role
from bots.storage.memories import Switches
from bots.storage.people import Found
from bots.web.admin_site import AdminSite

_NO_NUL = r"^[^\x00]*$"
_Value = Annotated[str, Field(min_length=1, max_length=memories.LONGEST_VALUE, pattern=_NO_NUL)]
_Most = Annotated[int, Query(ge=1, le=memories.MOST_ASKED)]
_Search = Annotated[str, Query(min_length=1, max_length=200, pattern=_NO_NUL, description="Words, or a number in any spelling.")]


class New(BaseModel):
    """A memory to add, in the operator's name."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(max_length=40, pattern=_NO_NUL)
    value: _Value
    #: The day of a plan, and its last day where it has several.
    day: date | None = None
    last_day: date | None = None


class Correction(BaseModel):
    """What takes a memory's place."""

    model_config = ConfigDict(extra="forbid")

    value: _Value


class Switch(BaseModel):
    """What is to be remembered of this contact; null leaves it as it is."""

    model_config = ConfigDict(extra="forbid")

    memory_on: bool | None = None
    sensitive_on: bool | None = None


def router(site: AdminSite) -> APIRouter:
    """Build the endpoints of memories."""
    api = APIRouter(prefix="/api/v1/contacts/{contact}", tags=["memories"])
    _reads(api, site)
    _changes(api, site)
    return api


def _reads(api: APIRouter, site: AdminSite) -> None:
    viewer, agent = site.may(Role.VIEWER), site.may(Role.AGENT)

    @api.get("/memories")
    async def read(contact: UUID, limit: _Most = memories.MOST_READ, operator: Operator = viewer) -> Known:
        """Read what is and was remembered of a contact, with the messages it came from: what lives first, then the newest."""
        return await site.run(memories.read, operator, contact, limit=limit)

    @api.get("/search")
    async def search(
        contact: UUID, q: _Search, limit: Annotated[int, Query(ge=1, le=200)] = 50, operator: Operator = viewer
    ) -> list[Found]:
        """Search all of a contact's talk."""
        return await site.run(memories.search, operator, contact, q, limit=limit)

    @api.get("/memories/export")
    async def export(contact: UUID, operator: Operator = agent) -> dict[str, Any]:
        """Export what is remembered of a contact, to hand to them."""
        return await site.run(memories.export, operator, contact)


def _changes(api: APIRouter, site: AdminSite) -> None:
    agent, owner = site.may(Role.AGENT), site.may(Role.OWNER)

    @api.post("/memories")
    async def add(contact: UUID, body: New, operator: Operator = agent) -> Known:
        """Add a memory; it is marked with your name."""
        _check(body.kind, body.value, day=body.day, last_day=body.last_day)
        await site.run(memories.add, operator, contact, kind=body.kind, value=body.value, day=body.day, last_day=body.last_day)
        return await site.run(memories.read, operator, contact)

    @api.post("/memories/{memory}/correct")
    async def correct(contact: UUID, memory: UUID, body: Correction, operator: Operator = agent) -> Known:
        """Put another value in a memory's place."""
        _check(await site.run(memories.kind_of, operator, contact, memory), body.value)
        await site.run(memories.correct, operator, contact, memory, value=body.value)
        return await site.run(memories.read, operator, contact)

    @api.post("/memories/{memory}/end")
    async def end(contact: UUID, memory: UUID, operator: Operator = agent) -> Known:
        """Say that a memory is true no longer."""
        await site.run(memories.end, operator, contact, memory)
        return await site.run(memories.read, operator, contact)

    @api.delete("/memories/{memory}")
    async def erase(contact: UUID, memory: UUID, operator: Operator = owner) -> Known:
        """Erase a memory with every copy of its words."""
        await site.run(memories.erase, operator, contact, memory)
        return await site.run(memories.read, operator, contact)

    @api.delete("/memories")
    async def erase_all(contact: UUID, operator: Operator = owner) -> Known:
        """Erase everything that was said by or remembered of a contact."""
        await site.run(memories.erase, operator, contact, None)
        return await site.run(memories.read, operator, contact)

    @api.patch("/memories")
    async def switch(contact: UUID, body: Switch, operator: Operator = agent) -> Switches:
        """Switch on or off what is remembered of a contact."""
        return await site.run(memories.switch, operator, contact, memory_on=body.memory_on, sensitive_on=body.sensitive_on)


def _check(kind: str, value: str, *, day: date | None = None, last_day: date | None = None) -> None:
    wrong = memories.check(kind, value, day=day, last_day=last_day)
    if wrong is not None:
        raise HTTPException(422, wrong)
