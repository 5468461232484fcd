"""Whole conversations for use elsewhere. Needs the crossing role, since it reads across contacts; every statement is limited to one tenant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text


class Exchange(msgspec.Struct, frozen=True):
    """What was asked and answered in one turn."""

    asked: str
    answer: str


class Talk(msgspec.Struct, frozen=True):
    """A conversation's answered turns, in order, and the persona that answers now."""

    id: UUID
    persona: str
    turns: list[Exchange]


def talks(connection: Connection, *, tenant: UUID, bot: str | None = None, days: int, limit: int) -> Iterator[Talk]:
    """Conversations with a message in the last days, newest first, as prompts contain them: no commands, no memories."""
    heads = connection.execute(
        text(
            "select c.id, p.text as persona from conversations c join accounts a on a.tenant_id = c.tenant_id and a.id = c.account_id"
            " join bots b on b.tenant_id = a.tenant_id and b.id = a.bot_id"
            " join personas p on p.tenant_id = b.tenant_id and p.bot_id = b.id and p.version = b.persona_version"
            " where c.tenant_id = :tenant and c.newest_at > now() - make_interval(days => :days)"
            " and b.name = coalesce(cast(:bot as text), b.name) and a.persona_version is null order by c.newest_at desc limit :limit"
        ),
        {"tenant": tenant, "days": days, "bot": bot, "limit": limit},
    ).all()
    for head in heads:
        found: Any = connection.execute(
            text(
                "select jsonb_agg(jsonb_build_object('asked', asked, 'answer', answer) order by number) from turns"
                " where conversation_id = :id and state = 'answered' and in_history and asked is not null and answer is not null"
            ),
            {"id": head.id},
        ).scalar()
        if found:
            yield msgspec.convert({"id": head.id, "persona": head.persona, "turns": found}, Talk)
