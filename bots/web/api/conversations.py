"""Conversations over JSON: list and search, read, take over, answer, give back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from bots.admin import conversations
from bots.admin.acting import Operator
from bots.domain import Role
from bots.storage.chat import Story
from bots.storage.conversations import Head, State
from bots.storage.dialogue import Bubble, Cost, TurnSum
from bots.storage.memories import Stored
from bots.storage.usage import ContactSpent
from bots.web import marks
from bots.web.admin_site import AdminSite

_NO_NUL = r"^[^\x00]*$"
_Search = Annotated[str, Query(max_length=100, pattern=_NO_NUL, description="Part of a name, a number or a recent message.")]
_Before = Annotated[str | None, Query(max_length=marks.LONGEST, description="The `before` of the previous page.")]
_Limit = Annotated[int, Query(ge=1, le=200)]


class Answer(BaseModel):
    """A person's answer."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=conversations.LONGEST_ANSWER, pattern=_NO_NUL)
    #: A second request with the same key changes nothing.
    key: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """A page of conversations, the one with the newest message first."""

    conversations: list[Head]
    #: Where the next page begins; null: nothing is left.
    before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class One:
    """A conversation with its last messages, the oldest of them first."""

    head: Head
    identities: list[tuple[str, str]]
    messages: list[Bubble]
    turns: list[TurnSum]
    memories: list[Stored]
    cost: Cost
    spent: ContactSpent
    #: Where older messages begin; null: nothing is left.
    before: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The turn of a person's answer; its parts are being sent."""

    turn: UUID


def router(site: AdminSite) -> APIRouter:
    """Build the endpoints of conversations."""
    api = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])
    viewer, agent = site.may(Role.VIEWER), site.may(Role.AGENT)

    @api.get("")
    async def newest(  # noqa: PLR0917 - parameters of a query
        q: _Search = "",
        account: UUID | None = None,
        only: Literal["taken", "waiting", "unanswered"] | None = None,
        before: _Before = None,
        limit: _Limit = 50,
        operator: Operator = viewer,
    ) -> Heads:
        """List conversations, or find them."""
        found = await site.run(
            conversations.list_newest,
            operator,
            search=q.strip(),
            account=account,
            only=None if only is None else State(only),
            before=_place(marks.read(before)) if before is not None else None,
            limit=limit,
        )
        last = found[-1] if len(found) == limit else None
        return Heads(conversations=found, before=marks.after(last.newest_at, last.id) if last is not None and last.newest_at else None)

    @api.get("/{conversation}")
    async def one(conversation: UUID, before: _Before = None, limit: _Limit = 100, operator: Operator = viewer) -> One:
        """Read a conversation: messages with statuses, turns with time and cost, memories with their sources."""
        place = _place(marks.read_line(before)) if before is not None else None
        page = await site.run(conversations.read, operator, conversation, before=place, limit=limit)
        found = page.dialogue
        return One(
            head=page.head,
            identities=list(found.identities),
            messages=list(found.bubbles),
            turns=list(found.turns),
            memories=list(found.memories),
            cost=found.cost,
            spent=found.spent,
            before=marks.after_line(*found.bubbles[0].place) if found.has_more else None,
        )

    @api.get("/{conversation}/turns/{turn}")
    async def story(conversation: UUID, turn: UUID, operator: Operator = viewer) -> Story:
        """Read what happened in a turn, with the exact prompts."""
        return (await site.run(conversations.read_turn, operator, conversation, turn))[1]

    @api.post("/{conversation}/take")
    async def take(conversation: UUID, operator: Operator = agent) -> Head:
        """Take a conversation over: the bot does not answer until it is given back."""
        await site.run(conversations.take, operator, conversation)
        return await site.run(conversations.get, operator, conversation)

    @api.post("/{conversation}/answer")
    async def answer(conversation: UUID, body: Answer, operator: Operator = agent) -> Answered:
        """Answer as a person, in a conversation that you have taken over."""
        wrong = conversations.check_answer(body.text)
        if wrong is not None:
            raise HTTPException(422, wrong)
        return Answered(turn=await site.run(conversations.answer, operator, conversation, body.text, key=body.key or uuid4()))

    @api.post("/{conversation}/give-back")
    async def give_back(conversation: UUID, operator: Operator = agent) -> Head:
        """Let the bot answer again."""
        await site.run(conversations.give_back, operator, conversation)
        return await site.run(conversations.get, operator, conversation)

    return api


def _place(found: Any) -> Any:
    if found is None:
        raise HTTPException(422, "before is not valid: take it from the previous page.")
    return found
