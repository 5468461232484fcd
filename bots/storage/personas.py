"""Bots and their personas. Changing a persona makes a new version; all versions stay, and one of them is published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.exc import IntegrityError

from bots.domain import Bot
from bots.errors import Conflict, NameTaken, NotFound

_BOTS = """
select b.id, b.tenant_id, b.name, b.profile, b.fallback_text, b.apology_text, b.memory_on, b.language, b.first_contact,
    b.data_may_leave, b.budget_contact_day, b.budget_month, b.kinds_off, b.sensitive_on, b.keeps_messages, b.time_zone,
    p.version as persona_version, p.text as persona
from bots b join personas p on p.tenant_id = b.tenant_id and p.bot_id = b.id and p.version = coalesce(cast(:version as integer), b.persona_version)
"""
#: Accounts with this are used to try a version out in the editor; lists of accounts leave them out.
_TRIAL = "persona_version is not null"
_LARGEST_VERSION = 2**31 - 1
_BATCHES = "Batches were answered by this bot, so it cannot be removed."


@dataclass(frozen=True, slots=True, kw_only=True)
class BotLine:
    """A bot as lists show it."""

    bot: Bot
    #: The newest version; if it is newer than the published one, it is a draft.
    newest: int
    accounts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a persona."""

    version: int
    text: str
    created_at: datetime
    created_by: str | None


def trial_name(bot: UUID, version: int) -> str:
    """The name of the trial account of a bot's version. Each version has its own, since workers cache accounts for a while."""
    return f"try-{bot.hex}-{version}"


def put(
    connection: Connection,
    *,
    tenant: UUID,
    name: str,
    persona: str | None = None,
    profile: str | None = None,
    by: str | None = None,
) -> Bot:
    """Make a bot, or give it a profile and a persona; a changed persona becomes the next version and is published at once."""
    before = get(connection, tenant=tenant, name=name)
    made = before or Bot(id=UUID(int=0), tenant_id=tenant, name=name)
    values = _settings(made) | {"profile": made.profile if profile is None else profile}
    bot = connection.execute(
        text(
            "insert into bots (tenant_id, name, profile, fallback_text, apology_text, memory_on)"
            " values (:tenant, :name, :profile, :fallback, :apology, :memory)"
            " on conflict (tenant_id, name) do update set profile = excluded.profile returning id"
        ),
        values,
    ).scalar_one()
    if before is None or (persona is not None and persona != before.persona):
        version = _append(connection, tenant=tenant, bot=bot, persona=persona or "", by=by)
        publish(connection, tenant=tenant, bot=bot, version=version)
    return _wanted(connection, tenant=tenant, bot=bot)


def make(connection: Connection, bot: Bot, *, by: str) -> Bot:
    """Make a bot with the name, persona and settings of this one; version 1 is published. Raises Conflict when the name is taken."""
    try:
        made = connection.execute(
            text(
                "insert into bots (tenant_id, name, profile, fallback_text, apology_text, memory_on, language, first_contact, data_may_leave,"
                " budget_contact_day, budget_month, kinds_off, sensitive_on, keeps_messages, time_zone)"
                " values (:tenant, :name, :profile, :fallback, :apology, :memory, :language, :first_contact, :data_may_leave,"
                " :budget_contact_day, :budget_month, :kinds_off, :sensitive_on, :keeps_messages, :time_zone) returning id"
            ),
            _settings(bot),
        ).scalar_one()
    except IntegrityError as error:
        raise NameTaken(f"There is already a bot named {bot.name}.") from error
    _append(connection, tenant=bot.tenant_id, bot=made, persona=bot.persona, by=by)
    return _wanted(connection, tenant=bot.tenant_id, bot=made)


def save(connection: Connection, bot: Bot) -> None:
    """Write all of a bot's settings except its persona; they take effect at once. Raises Conflict when the name is taken, NotFound."""
    try:
        done = connection.execute(
            text(
                "update bots set name = :name, profile = :profile, fallback_text = :fallback, apology_text = :apology,"
                " memory_on = :memory, language = :language, first_contact = :first_contact, data_may_leave = :data_may_leave,"
                " budget_contact_day = :budget_contact_day, budget_month = :budget_month, kinds_off = :kinds_off,"
                " sensitive_on = :sensitive_on, keeps_messages = :keeps_messages, time_zone = :time_zone"
                " where tenant_id = :tenant and id = :bot returning id"
            ),
            _settings(bot),
        ).one_or_none()
    except IntegrityError as error:
        raise NameTaken(f"There is already a bot named {bot.name}.") from error
    if done is None:
        raise NotFound("There is no such bot.")


def draft(connection: Connection, *, tenant: UUID, bot: UUID, persona: str, by: str, base: int | None = None) -> int:
    """Store a text as the newest version, unless it is the newest already; returns the version's number.

    base is the version that was the newest when editing began. Raises Conflict when there is a newer one by now, NotFound.
    """
    _lock(connection, tenant=tenant, bot=bot)
    newest = versions(connection, tenant=tenant, bot=bot, limit=1)[0]
    if newest.text == persona:
        return newest.version
    if base is not None and base != newest.version:
        raise Conflict(f"{newest.created_by or 'Somebody'} saved version {newest.version} in the meantime.")
    return _append(connection, tenant=tenant, bot=bot, persona=persona, by=by)


def publish(connection: Connection, *, tenant: UUID, bot: UUID, version: int) -> int:
    """Publish a version, newer or older, and return the one that was published before. Raises NotFound."""
    before = _lock(connection, tenant=tenant, bot=bot)
    done = connection.execute(
        text(
            "update bots set persona_version = p.version from personas p"
            " where bots.tenant_id = :tenant and bots.id = :bot and p.tenant_id = :tenant and p.bot_id = :bot and p.version = :version"
            " returning p.version"
        ),
        {"tenant": tenant, "bot": bot, "version": _fitting(version)},
    ).one_or_none()
    if done is None:
        raise NotFound("There is no such version.")
    return before


def remove(connection: Connection, *, tenant: UUID, bot: UUID) -> None:
    """Remove a bot with its versions and trial accounts. Raises Conflict when accounts or batches use it, NotFound."""
    _lock(connection, tenant=tenant, bot=bot)
    check_unused(connection, tenant=tenant, bot=bot)
    values = {"tenant": tenant, "bot": bot}
    try:
        connection.execute(text(f"delete from accounts where tenant_id = :tenant and bot_id = :bot and {_TRIAL}"), values)  # noqa: S608 - our own words
        connection.execute(text("delete from bots where tenant_id = :tenant and id = :bot"), values)
    except IntegrityError as error:
        raise Conflict(_BATCHES) from error


def check_unused(connection: Connection, *, tenant: UUID, bot: UUID) -> None:
    """Raise Conflict, with names, when accounts or batches use a bot."""
    users = used_by(connection, tenant=tenant, bot=bot)
    if users:
        raise Conflict(f"This bot answers on {', '.join(users)}. Give these accounts another bot first.")
    has_batches = connection.execute(
        text("select exists (select from batches where tenant_id = :tenant and bot_id = :bot)"), {"tenant": tenant, "bot": bot}
    ).scalar()
    if has_batches:
        raise Conflict(_BATCHES)


def erase_trials(connection: Connection, *, tenant: UUID, bot: UUID) -> None:
    """Erase a bot's trial accounts with their conversations. Needs the crossing role."""
    connection.execute(
        text(f"select remove_account(tenant_id, id) from accounts where tenant_id = :tenant and bot_id = :bot and {_TRIAL}"),  # noqa: S608 - our own words
        {"tenant": tenant, "bot": bot},
    )


def used_by(connection: Connection, *, tenant: UUID, bot: UUID) -> list[str]:
    """The accounts that a bot answers on, as `whatsapp/demo`, without trial accounts."""
    rows = connection.execute(
        text(f"select channel, name from accounts where tenant_id = :tenant and bot_id = :bot and not ({_TRIAL}) order by channel, name"),  # noqa: S608 - our own words
        {"tenant": tenant, "bot": bot},
    )
    return [f"{row.channel}/{row.name}" for row in rows]


def get(connection: Connection, *, tenant: UUID, name: str) -> Bot | None:
    """Find a bot by its name."""
    found = connection.execute(
        text(_BOTS + " where b.tenant_id = :tenant and b.name = :name"), {"tenant": tenant, "name": name, "version": None}
    )
    row = found.mappings().one_or_none()
    return None if row is None else _bot(row)


def by_id(connection: Connection, *, tenant: UUID, bot: UUID, version: int | None = None) -> Bot | None:
    """Find a bot by its id, with its published persona or that of a version."""
    values = {"tenant": tenant, "bot": bot, "version": None if version is None else _fitting(version)}
    found = connection.execute(text(_BOTS + " where b.tenant_id = :tenant and b.id = :bot"), values)
    row = found.mappings().one_or_none()
    return None if row is None else _bot(row)


def list_all(connection: Connection, *, tenant: UUID) -> list[Bot]:
    """All bots of a tenant, by name."""
    rows = connection.execute(text(_BOTS + " where b.tenant_id = :tenant order by b.name"), {"tenant": tenant, "version": None})
    return [_bot(row) for row in rows.mappings()]


def overview(connection: Connection, *, tenant: UUID) -> list[BotLine]:
    """All bots of a tenant, as lists show them, by name."""
    bots = list_all(connection, tenant=tenant)
    rows = connection.execute(
        text(
            "select b.id, (select max(version) from personas p where p.tenant_id = b.tenant_id and p.bot_id = b.id) as newest,"  # noqa: S608 - our own words
            f" (select count(*) from accounts where tenant_id = b.tenant_id and bot_id = b.id and not ({_TRIAL})) as accounts"
            " from bots b where b.tenant_id = :tenant"
        ),
        {"tenant": tenant},
    )
    counts = {row.id: (row.newest, row.accounts) for row in rows}
    return [BotLine(bot=bot, newest=counts[bot.id][0], accounts=counts[bot.id][1]) for bot in bots if bot.id in counts]


def versions(connection: Connection, *, tenant: UUID, bot: UUID, before: int | None = None, limit: int = 200) -> list[Version]:
    """The versions of a bot's persona, newest first. Raises NotFound when the bot does not exist."""
    rows = connection.execute(
        text(
            "select version, text, created_at, created_by from personas where tenant_id = :tenant and bot_id = :bot"
            " and version < coalesce(cast(:before as bigint), 4294967296) order by version desc limit :limit"
        ),
        {"tenant": tenant, "bot": bot, "before": before, "limit": limit},
    )
    found = [Version(**row) for row in rows.mappings()]
    if not found and before is None:
        raise NotFound("There is no such bot.")
    return found


def version(connection: Connection, *, tenant: UUID, bot: UUID, version: int) -> Version:
    """Find one version of a bot's persona. Raises NotFound."""
    row = (
        connection.execute(
            text(
                "select version, text, created_at, created_by from personas"
                " where tenant_id = :tenant and bot_id = :bot and version = :version"
            ),
            {"tenant": tenant, "bot": bot, "version": _fitting(version)},
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound("There is no such version.")
    return Version(**row)


def profiles(connection: Connection) -> list[str]:
    """The model profiles for which workers are running."""
    rows = connection.execute(
        text(
            "select distinct substr(profile_queue(queue), 7) as profile from worker_heartbeats, unnest(queues) queue"
            " where at > now() - interval '15 s' and queue like 'reply.%' order by 1"
        )
    )
    return [row.profile for row in rows]


def without_plain_worker(connection: Connection) -> set[str]:
    """The model profiles that only engines' own workers serve: while the engine is down, no worker tries the next endpoint."""
    rows = connection.execute(
        text(
            "select substr(profile_queue(queue), 7) as profile from worker_heartbeats, unnest(queues) queue"
            " where at > now() - interval '15 s' and queue like 'reply.%' group by 1 having bool_and(queue like 'reply.%.@%')"
        )
    )
    return {row.profile for row in rows}


def _append(connection: Connection, *, tenant: UUID, bot: UUID, persona: str, by: str | None) -> int:
    return connection.execute(
        text(
            "insert into personas (tenant_id, bot_id, version, text, created_by)"
            " select :tenant, :bot, coalesce(max(version), 0) + 1, :persona, :by from personas where tenant_id = :tenant and bot_id = :bot"
            " returning version"
        ),
        {"tenant": tenant, "bot": bot, "persona": persona, "by": by},
    ).scalar_one()


def _lock(connection: Connection, *, tenant: UUID, bot: UUID) -> int:
    """Lock the bot until the transaction ends, and return its published version."""
    row = connection.execute(
        text("select persona_version from bots where tenant_id = :tenant and id = :bot for update"), {"tenant": tenant, "bot": bot}
    ).one_or_none()
    if row is None:
        raise NotFound("There is no such bot.")
    return row.persona_version


def _wanted(connection: Connection, *, tenant: UUID, bot: UUID) -> Bot:
    found = by_id(connection, tenant=tenant, bot=bot)
    if found is None:
        raise AssertionError("the bot was just written")
    return found


def _bot(row: RowMapping) -> Bot:
    values: dict[str, Any] = {**row, "kinds_off": tuple(row["kinds_off"])}
    return Bot(**values)


def _settings(bot: Bot) -> dict[str, object]:
    return {
        "tenant": bot.tenant_id,
        "bot": bot.id,
        "name": bot.name,
        "profile": bot.profile,
        "fallback": bot.fallback_text,
        "apology": bot.apology_text,
        "memory": bot.memory_on,
        "language": bot.language,
        "first_contact": bot.first_contact,
        "data_may_leave": bot.data_may_leave,
        "budget_contact_day": bot.budget_contact_day,
        "budget_month": bot.budget_month,
        "kinds_off": list(bot.kinds_off),
        "sensitive_on": bot.sensitive_on,
        "keeps_messages": bot.keeps_messages,
        "time_zone": bot.time_zone,
    }


def _fitting(version: int) -> int:
    """Return the number if the column can store it, else 0, which is never a version."""
    return version if 0 < version <= _LARGEST_VERSION else 0
