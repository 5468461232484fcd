"""What pages, API and commands do with conversations. Synchronous."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine

from bots.channels.by_kind import RENDERERS
from bots.domain import ChannelKind
from bots.errors import NotFound
from bots.storage import audit, conversations, dialogue, media, talk
from bots.storage.conversations import Head, State
from bots.storage.database import hot, unit
from bots.storage.dialogue import Dialogue, Place
from bots.storage.media import StoredPicture

#: The longest answer that a person may type.
LONGEST_ANSWER = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A conversation with what stands above it."""

    head: Head
    dialogue: Dialogue


class Conversations:
    """Reads and answers conversations of one tenant at a time."""

    def __init__(self, *, web: Engine, crossing: Engine) -> None:
        self._web, self._crossing = web, crossing

    def newest(
        self,
        tenant: UUID,
        *,
        search: str = "",
        account: UUID | None = None,
        only: State | None = None,
        before: tuple[datetime, UUID] | None = None,
        limit: int = 50,
    ) -> list[Head]:
        """List conversations, the one that was written in last first."""
        with hot(self._crossing) as connection:
            return conversations.newest(connection, tenant=tenant, search=search, account=account, only=only, before=before, limit=limit)

    def accounts(self, tenant: UUID) -> list[tuple[UUID, str, str]]:
        """Id, channel and name of the accounts, to filter by."""
        with hot(self._crossing) as connection:
            return conversations.accounts_with_talks(connection, tenant=tenant)

    def head(self, tenant: UUID, conversation: UUID) -> Head:
        """Read what stands above a conversation. Raises NotFound."""
        with hot(self._crossing) as connection:
            return conversations.get(connection, tenant=tenant, conversation=conversation)

    def page(self, tenant: UUID, conversation: UUID, *, before: Place | None = None, limit: int = 100) -> Page:
        """Read a conversation. Raises NotFound."""
        head = self.head(tenant, conversation)
        with unit(self._web, contact=head.contact_id) as connection:
            found = dialogue.read(connection, contact=head.contact_id, conversation=conversation, before=before, limit=limit)
        return Page(head=head, dialogue=found)

    def story(self, tenant: UUID, conversation: UUID, turn: UUID) -> tuple[Head, talk.Story]:
        """Tell what happened in one turn of a conversation, with the exact prompts. Raises NotFound."""
        head = self.head(tenant, conversation)
        with unit(self._web, contact=head.contact_id) as connection:
            has = dialogue.has_turn(connection, conversation=conversation, turn=turn)
            story = talk.what_happened(connection, turn) if has else None
        if story is None:
            raise NotFound("There is no such turn.")
        return head, story

    def picture(self, tenant: UUID, conversation: UUID, picture: UUID) -> StoredPicture:
        """Read a picture of a conversation. Raises NotFound."""
        head = self.head(tenant, conversation)
        with unit(self._web, contact=head.contact_id) as connection:
            found = media.of_conversation(connection, conversation=conversation, media=picture)
        if found is None:
            raise NotFound("There is no such picture.")
        return found

    def take(self, tenant: UUID, conversation: UUID, *, by: str, actor: str | None = None) -> None:
        """Take a conversation over. Raises NotFound, Conflict."""
        with unit(self._crossing) as connection:
            conversations.take(connection, tenant=tenant, conversation=conversation, by=by)
            audit.record(connection, tenant=tenant, actor=actor or by, action="conversation.take", subject=f"conversation:{conversation}")

    def answer(self, tenant: UUID, conversation: UUID, words: str, *, by: str, key: UUID, actor: str | None = None) -> UUID:
        """Send a person's answer by way of the outbox; returns its turn. Raises NotFound, Conflict."""
        parts = RENDERERS[self.head(tenant, conversation).channel](words)
        with unit(self._crossing) as connection:
            turn = conversations.answer(connection, tenant=tenant, conversation=conversation, by=by, words=words, parts=parts, key=key)
            audit.record(
                connection,
                tenant=tenant,
                actor=actor or by,
                action="conversation.answer",
                subject=f"conversation:{conversation}",
                detail={"turn": str(turn), "parts": len(parts)},
            )
        return turn

    def give_back(self, tenant: UUID, conversation: UUID, *, actor: str) -> None:
        """Let the bot answer again. Raises NotFound, Conflict."""
        with unit(self._crossing) as connection:
            conversations.give_back(connection, tenant=tenant, conversation=conversation)
            audit.record(connection, tenant=tenant, actor=actor, action="conversation.give_back", subject=f"conversation:{conversation}")


def wrong_with(words: str) -> str | None:
    """What is wrong with an answer that was typed, in plain words."""
    if not words.strip():
        return "Type an answer."
    if len(words) > LONGEST_ANSWER:
        return f"At most {LONGEST_ANSWER:,} characters."
    if not RENDERERS[ChannelKind.CONSOLE](words):
        return "There is nothing to read in this answer."
    return None
