"""What operators do with conversations: list, read, take over, answer, give back, export."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from bots.admin import audit
from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.channels.by_kind import FITTERS
from bots.domain import ChannelKind
from bots.errors import NotFound
from bots.storage import chat, conversations, dialogue, exports, media, work_notices
from bots.storage.conversations import Head, State
from bots.storage.database import hot, unit
from bots.storage.dialogue import Dialogue, Place
from bots.storage.media import StoredPicture

#: The longest answer that a person may type.
LONGEST_ANSWER = 20_000
#: What a turn's stored reason means, where an operator may want to act on it.
TURN_REASONS = {
    "filtered": "filtered: the model server does not answer these words, and the contact was told so in one sentence",
    "cut": "cut: the answer reached the limit of its length or time (CHINWAG_ANSWER_TOKENS), or the server ended it, and it ends at its last whole sentence",
    "fallback": "fallback: the model gave nothing that may be shown, so the bot's fallback text was sent",
    "unsupported": "unsupported: of a kind that the bot cannot read, and the contact was told so",
    "told_before": "told_before: of a kind that the bot cannot read, which the contact had been told within the hour, so nothing was sent",
    "voice_unavailable": "voice_unavailable: waits for the server that hears recordings, which did not answer (CHINWAG_HEARING_URL)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A conversation with its head."""

    head: Head
    dialogue: Dialogue


def list_newest(
    deps: Deps,
    operator: Operator,
    *,
    search: str = "",
    account: UUID | None = None,
    only: State | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Head]:
    """List conversations, the one with the newest message first."""
    with hot(deps.crossing) as connection:
        return conversations.newest(
            connection, tenant=operator.tenant_id, search=search, account=account, only=only, before=before, limit=limit
        )


def list_accounts(deps: Deps, operator: Operator) -> list[tuple[UUID, str, str]]:
    """Id, channel and name of the accounts, to filter by."""
    with hot(deps.crossing) as connection:
        return conversations.accounts_with_talks(connection, tenant=operator.tenant_id)


def get(deps: Deps, operator: Operator, conversation: UUID) -> Head:
    """Read a conversation's head. Raises NotFound."""
    with hot(deps.crossing) as connection:
        return conversations.get(connection, tenant=operator.tenant_id, conversation=conversation)


def read(deps: Deps, operator: Operator, conversation: UUID, *, before: Place | None = None, limit: int = 100) -> Page:
    """Read a conversation. Raises NotFound."""
    head = get(deps, operator, conversation)
    with unit(deps.web, contact=head.contact_id) as connection:
        found = dialogue.read(connection, contact=head.contact_id, conversation=conversation, before=before, limit=limit)
    return Page(head=head, dialogue=found)


def read_turn(deps: Deps, operator: Operator, conversation: UUID, turn: UUID) -> tuple[Head, chat.Story]:
    """Read what happened in one turn of a conversation, with the exact prompts. Raises NotFound."""
    head = get(deps, operator, conversation)
    with unit(deps.web, contact=head.contact_id) as connection:
        has = dialogue.has_turn(connection, conversation=conversation, turn=turn)
        story = chat.what_happened(connection, turn) if has else None
    if story is None:
        raise NotFound("There is no such turn.")
    return head, story


def read_picture(deps: Deps, operator: Operator, conversation: UUID, picture: UUID) -> StoredPicture:
    """Read a picture of a conversation. Raises NotFound."""
    head = get(deps, operator, conversation)
    with unit(deps.web, contact=head.contact_id) as connection:
        found = media.of_conversation(connection, conversation=conversation, media=picture)
    if found is None:
        raise NotFound("There is no such picture.")
    return found


def take(deps: Deps, operator: Operator, conversation: UUID, *, by: str | None = None) -> None:
    """Take a conversation over, in the operator's own name or as `by`. Raises NotFound, Conflict."""
    with unit(deps.crossing) as connection:
        conversations.take(connection, tenant=operator.tenant_id, conversation=conversation, by=by or operator.name)
        audit.record(connection, operator, "conversation.take", f"conversation:{conversation}")


def answer(deps: Deps, operator: Operator, conversation: UUID, text: str, *, key: UUID, by: str | None = None) -> UUID:
    """Send a person's answer through the outbox, as it was typed; returns its turn. A second call with the same key changes nothing. Raises NotFound, Conflict."""
    parts = FITTERS[get(deps, operator, conversation).channel](text)
    with unit(deps.crossing) as connection:
        turn = conversations.answer(
            connection,
            tenant=operator.tenant_id,
            conversation=conversation,
            by=by or operator.name,
            words=text,
            parts=parts,
            key=key,
        )
        detail = {"turn": str(turn), "parts": len(parts)}
        audit.record(connection, operator, "conversation.answer", f"conversation:{conversation}", detail)
    work_notices.tell(deps.crossing)
    return turn


def give_back(deps: Deps, operator: Operator, conversation: UUID) -> None:
    """Let the bot answer again. Raises NotFound, Conflict."""
    with unit(deps.crossing) as connection:
        conversations.give_back(connection, tenant=operator.tenant_id, conversation=conversation)
        audit.record(connection, operator, "conversation.give_back", f"conversation:{conversation}")
    work_notices.tell(deps.crossing)


def export(deps: Deps, operator: Operator, *, bot: str | None = None, days: int, limit: int) -> list[exports.Talk]:
    """Read the newest conversations in full: the persona, and what was asked and answered."""
    with unit(deps.crossing) as connection:
        found = list(exports.talks(connection, tenant=operator.tenant_id, bot=bot, days=days, limit=limit))
    with unit(deps.web) as connection:
        audit.record(connection, operator, "conversation.export", "conversations", {"count": len(found)})
    return found


def check_answer(text: str) -> str | None:
    """Say what is wrong with an answer that was typed; None when it can be sent."""
    if not text.strip():
        return "Type an answer."
    if len(text) > LONGEST_ANSWER:
        return f"At most {LONGEST_ANSWER:,} characters."
    if not FITTERS[ChannelKind.CONSOLE](text):
        return "Nothing in this answer would be visible."
    return None
