"""The pages of conversations: a live list with search, and one conversation with its turns, which a person can take over and answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bots.admin import conversations
from bots.admin.acting import Operator
from bots.admin.attention.reasons import explain
from bots.domain import Role
from bots.errors import Conflict
from bots.storage.conversations import Head, State
from bots.storage.dialogue import Bubble, Dialogue, TurnSum
from bots.web import marks
from bots.web.admin_site import AdminSite
from bots.web.charts import seconds
from bots.web.media import picture_answer

_PAGE = 50
_LINES = 100
_FILTERS = (("", "All"), ("taken", "Taken over"), ("waiting", "Waiting for the bot"), ("unanswered", "Unanswered"))
#: What a status is called on the page.
STATUS_WORDS = {
    "queued": "waiting to be sent",
    "sending": "being sent",
    "unknown": "may not have arrived",
    "accepted": "accepted by the platform",
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "failed": "not sent",
}
#: Why a picture is not shown, or a recording was not heard.
PICTURE_WORDS = {
    "unreachable": "the platform did not deliver it",
    "gone": "the platform no longer has it",
    "forbidden_address": "its address does not belong to the platform (CHINWAG_MEDIA_HOSTS)",
    "too_large": "it is too large",
    "not_a_picture": "the file is not a picture",
    "too_old": "it is too old",
    "no_words": "no words could be heard in it",
    "too_long": "it is longer than ten minutes",
    "empty": "the file is empty",
    "no_sound": "the file has no sound",
    "unreadable": "the file is no recording that can be read",
    "voice_unavailable": "the server that hears recordings did not answer (CHINWAG_HEARING_URL)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A bubble, and the turn that ends with it."""

    bubble: Bubble
    why: str
    turn: TurnSum | None


class ConversationPages:
    """The endpoints of the pages."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site
        one = "/admin/conversations/{conversation:uuid}"
        self.routes = [
            site.page("/admin/conversations", self._list),
            site.page(one, self._show),
            site.page(one + "/turns/{turn:uuid}", self._story),
            site.page(one + "/pictures/{picture:uuid}", self._picture),
            site.post(one + "/take", self._take, role=Role.AGENT),
            site.post(one + "/answer", self._answer, role=Role.AGENT),
            site.post(one + "/give-back", self._give_back, role=Role.AGENT),
        ]

    async def _list(self, request: Request, operator: Operator) -> Response:
        asked = request.query_params
        search = asked.get("q", "").replace("\0", "").strip()[:100]
        only = asked.get("only", "")
        account = marks.identity(asked.get("account", ""))
        heads = await self._site.run(
            conversations.list_newest,
            operator,
            search=search,
            account=account,
            only=State(only) if only in {"taken", "waiting", "unanswered"} else None,
            before=marks.read(asked.get("before", "")),
            limit=_PAGE + 1,
        )
        more = None
        if len(heads) > _PAGE and (last := heads[_PAGE - 1]).newest_at is not None:
            kept = {"q": search, "only": only, "account": str(account or "")}
            more = "/admin/conversations?" + urlencode(
                {name: value for name, value in kept.items() if value} | {"before": marks.after(last.newest_at, last.id)}
            )
        values: dict[str, Any] = {"heads": heads[:_PAGE], "more": more, "waits": _waits, "is_first": "before" not in asked}
        if "part" in asked:
            return self._part(request, operator, "conversations_part.html", **values)
        accounts = await self._site.run(conversations.list_accounts, operator)
        return self._site.render(
            request,
            operator,
            "conversations.html",
            search=search,
            only=only,
            account=str(account or ""),
            accounts=accounts,
            filters=_FILTERS,
            **values,
        )

    async def _show(self, request: Request, operator: Operator) -> Response:
        return await self._conversation(request, operator)

    async def _conversation(
        self, request: Request, operator: Operator, *, status: int = 200, typed: str = "", error: str | None = None
    ) -> Response:
        conversation: UUID = request.path_params["conversation"]
        before = marks.read_line(request.query_params.get("before", ""))
        page = await self._site.run(conversations.read, operator, conversation, before=before, limit=_LINES)
        dialogue = page.dialogue
        earlier = None
        if dialogue.has_more and dialogue.bubbles:
            earlier = f"/admin/conversations/{conversation}?before={marks.after_line(*dialogue.bubbles[0].place)}"
        values: dict[str, Any] = {
            "head": page.head,
            "dialogue": dialogue,
            "entries": entries(dialogue),
            "earlier": earlier,
            "is_newest": before is None,
            "waits": _waits,
            "status_words": STATUS_WORDS,
            "turn_reasons": conversations.TURN_REASONS,
            "picture_words": PICTURE_WORDS,
            "say_seconds": seconds,
            "mine": page.head.taken_by == operator.name,
        }
        if "part" in request.query_params:
            return self._part(request, operator, "conversation_part.html", **values)
        return self._site.render(
            request,
            operator,
            "conversation.html",
            status=status,
            values={"words": typed},
            key=uuid4(),
            errors={"words": error} if error else {},
            **values,
        )

    def _part(self, request: Request, operator: Operator, template: str, **values: Any) -> Response:
        """The part of a page that is loaded repeatedly: its digest shows whether anything is new."""
        answer = self._site.render(request, operator, template, **values)
        tag = '"' + hashlib.sha256(bytes(answer.body)).hexdigest()[:20] + '"'
        if request.headers.get("if-none-match") == tag:
            answer = Response(status_code=304, headers={"Cache-Control": "no-store"})
        answer.headers["ETag"] = tag
        return answer

    async def _story(self, request: Request, operator: Operator) -> Response:
        conversation, turn = request.path_params["conversation"], request.path_params["turn"]
        head, story = await self._site.run(conversations.read_turn, operator, conversation, turn)
        prompts = [_prompt(call.prompt) for call in story.calls]
        template = "turn_part.html" if "part" in request.query_params else "turn.html"
        values: dict[str, Any] = {
            "head": head,
            "story": story,
            "prompts": prompts,
            "say_seconds": seconds,
            "turn_reasons": conversations.TURN_REASONS,
        }
        return self._site.render(request, operator, template, **values)

    async def _picture(self, request: Request, operator: Operator) -> Response:
        conversation, picture = request.path_params["conversation"], request.path_params["picture"]
        return picture_answer(await self._site.run(conversations.read_picture, operator, conversation, picture))

    async def _take(self, request: Request, operator: Operator) -> Response:
        conversation: UUID = request.path_params["conversation"]
        await self._site.run(conversations.take, operator, conversation)
        return self._site.see_other(
            f"/admin/conversations/{conversation}", flash="You have taken over this conversation. The bot does not answer in it now."
        )

    async def _give_back(self, request: Request, operator: Operator) -> Response:
        conversation: UUID = request.path_params["conversation"]
        await self._site.run(conversations.give_back, operator, conversation)
        return self._site.see_other(f"/admin/conversations/{conversation}", flash="Given back. The bot answers again.")

    async def _answer(self, request: Request, operator: Operator) -> Response:
        conversation: UUID = request.path_params["conversation"]
        form = await self._site.form(request)
        words = form.get("words", "").replace("\r\n", "\n")
        wrong = conversations.check_answer(words)
        if wrong is not None:
            # Another tenant's conversation is not found before anything is said about the form.
            return await self._conversation(request, operator, status=422, typed=words, error=wrong)
        try:
            key = marks.identity(form.get("key", "")) or uuid4()
            await self._site.run(conversations.answer, operator, conversation, words, key=key)
        except Conflict as error:
            # What was typed must not be lost because a colleague was faster.
            return await self._conversation(request, operator, status=409, typed=words, error=str(error))
        return self._site.see_other(f"/admin/conversations/{conversation}#answer")


def entries(dialogue: Dialogue) -> list[Entry]:
    """Put each turn under its last bubble."""
    turns = {turn.id: turn for turn in dialogue.turns}
    last = {bubble.turn: bubble.id for bubble in dialogue.bubbles}
    return [
        Entry(
            bubble=bubble,
            why=explain("send", bubble.reason, state=bubble.status or "").message if bubble.status in {"failed", "unknown"} else "",
            turn=turns.get(bubble.turn) if bubble.turn is not None and last[bubble.turn] == bubble.id else None,
        )
        for bubble in dialogue.bubbles
    ]


def _waits(head: Head) -> str:
    """How long the contact has waited; in whole minutes, so that a live page need not change each second."""
    if head.unanswered_since is None:
        return ""
    waited = (datetime.now(UTC) - head.unanswered_since).total_seconds()
    if waited < 60:
        return "less than a minute"
    return seconds(waited // 60 * 60) if waited >= 120 else "1 min"


class _Asked(msgspec.Struct):
    """One message of a prompt, as it is stored."""

    role: str = "?"
    content: str = ""
    images: int = 0


def _prompt(prompt: object) -> list[tuple[str, str]]:
    """A prompt as pairs of role and text; an unknown form is shown as it is."""
    try:
        messages = msgspec.convert(prompt, list[_Asked])
    except msgspec.ValidationError:
        return [("prompt", msgspec.json.format(msgspec.json.encode(prompt)).decode())]
    return [(message.role + _beside(message.images), message.content) for message in messages]


def _beside(images: int) -> str:
    return f", with {images} {'picture' if images == 1 else 'pictures'}" if images else ""
