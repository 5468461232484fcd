"""Bots and their personas. A changed persona is a new version; the old ones stay."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, text

from bots.domain import Bot

_BOTS = """
select b.id, b.tenant_id, b.name, b.profile, b.fallback_text, b.apology_text, b.memory_on, b.language, b.first_contact,
    p.version as persona_version, p.text as persona
from bots b join personas p on p.tenant_id = b.tenant_id and p.bot_id = b.id and p.version = coalesce(cast(:version as integer), b.persona_version)
"""


def put(
    connection: Connection,
    *,
    tenant: UUID,
    name: str,
    persona: str | None = None,
    profile: str | None = None,
    fallback_text: str | None = None,
    apology_text: str | None = None,
    memory_on: bool | None = None,
) -> Bot:
    """Make a bot, or change what is given of it; a changed persona becomes the next version."""
    before = get(connection, tenant=tenant, name=name)
    made = before or Bot(id=UUID(int=0), tenant_id=tenant, name=name)
    values = {
        "tenant": tenant,
        "name": name,
        "profile": made.profile if profile is None else profile,
        "fallback": made.fallback_text if fallback_text is None else fallback_text,
        "apology": made.apology_text if apology_text is None else apology_text,
        "memory": made.memory_on if memory_on is None else memory_on,
    }
    bot = connection.execute(
        text(
            "insert into bots (tenant_id, name, profile, fallback_text, apology_text, memory_on)"
            " values (:tenant, :name, :profile, :fallback, :apology, :memory)"
            " on conflict (tenant_id, name) do update set profile = excluded.profile, fallback_text = excluded.fallback_text,"
            " apology_text = excluded.apology_text, memory_on = excluded.memory_on returning id"
        ),
        values,
    ).scalar_one()
    if before is None or (persona is not None and persona != before.persona):
        connection.execute(
            text(
                "with v as (insert into personas (tenant_id, bot_id, version, text)"
                " select :tenant, :bot, coalesce(max(version), 0) + 1, :persona from personas where tenant_id = :tenant and bot_id = :bot"
                " returning version)"
                " update bots set persona_version = v.version from v where tenant_id = :tenant and id = :bot"
            ),
            {"tenant": tenant, "bot": bot, "persona": persona or ""},
        )
    found = get(connection, tenant=tenant, name=name)
    if found is None:
        raise AssertionError("the bot was just written")
    return found


def get(connection: Connection, *, tenant: UUID, name: str) -> Bot | None:
    """Find a bot by its name."""
    found = connection.execute(
        text(_BOTS + " where b.tenant_id = :tenant and b.name = :name"), {"tenant": tenant, "name": name, "version": None}
    )
    row = found.mappings().one_or_none()
    return None if row is None else Bot(**row)


def by_id(connection: Connection, *, tenant: UUID, bot: UUID, version: int | None = None) -> Bot | None:
    """Find a bot by its id, with its published persona or that of a version."""
    values = {"tenant": tenant, "bot": bot, "version": version}
    found = connection.execute(text(_BOTS + " where b.tenant_id = :tenant and b.id = :bot"), values)
    row = found.mappings().one_or_none()
    return None if row is None else Bot(**row)


def list_all(connection: Connection, *, tenant: UUID) -> list[Bot]:
    """All bots of a tenant, by name."""
    rows = connection.execute(text(_BOTS + " where b.tenant_id = :tenant order by b.name"), {"tenant": tenant, "version": None})
    return [Bot(**row) for row in rows.mappings()]
