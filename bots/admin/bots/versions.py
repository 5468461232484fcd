"""The versions of a bot's persona: read, compared, published and rolled back."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from bots.admin.acting import Operator
from bots.admin.audit import record
from bots.admin.bots import diff
from bots.admin.deps import Deps
from bots.domain import Bot
from bots.errors import Conflict, NotFound
from bots.storage import personas
from bots.storage.database import hot, unit
from bots.storage.personas import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two versions of a bot's persona, and all that there are."""

    bot: Bot
    versions: list[Version]
    old: Version
    new: Version

    @property
    def pieces(self) -> list[diff.Piece]:
        """What changed from the old to the new one."""
        return diff.compare(self.old.text, self.new.text)


def list_all(deps: Deps, operator: Operator, bot: UUID, *, before: int | None = None, limit: int = 200) -> list[Version]:
    """The versions, the newest first. Raises NotFound."""
    with hot(deps.web) as connection:
        return personas.versions(connection, tenant=operator.tenant_id, bot=bot, before=before, limit=limit)


def newest(deps: Deps, operator: Operator, bot: UUID) -> int:
    """The number of the newest version. Raises NotFound."""
    return list_all(deps, operator, bot, limit=1)[0].version


def get(deps: Deps, operator: Operator, bot: UUID, version: int) -> Version:
    """One version. Raises NotFound."""
    with hot(deps.web) as connection:
        return personas.version(connection, tenant=operator.tenant_id, bot=bot, version=version)


def compare(deps: Deps, operator: Operator, bot: UUID, *, old: int | None = None, new: int | None = None) -> Comparison:
    """Put two versions side by side: the published and the newest one unless others are named. Raises NotFound."""
    tenant = operator.tenant_id
    with unit(deps.web) as connection:
        found = published(connection, operator, bot)
        known = personas.versions(connection, tenant=tenant, bot=bot)
        return Comparison(
            bot=found,
            versions=known,
            old=personas.version(connection, tenant=tenant, bot=bot, version=old or found.persona_version),
            new=personas.version(connection, tenant=tenant, bot=bot, version=new or known[0].version),
        )


def publish(deps: Deps, operator: Operator, bot: UUID, version: int) -> Bot:
    """Let a version answer from now on, a newer or an older one. Raises NotFound."""
    with unit(deps.web) as connection:
        return publish_in(connection, operator, bot, version)


def roll_back(deps: Deps, operator: Operator, bot: UUID, version: int) -> Bot:
    """Publish an older version again. Raises Conflict for one that is not older, NotFound."""
    with unit(deps.web) as connection:
        found = published(connection, operator, bot)
        if version >= found.persona_version:
            raise Conflict(
                f"Version {version} is not older than the published version {found.persona_version};"
                f" `chinwag bot publish {found.name} {version}` publishes it."
            )
        return publish_in(connection, operator, bot, version)


def publish_in(connection: Connection, operator: Operator, bot: UUID, version: int) -> Bot:
    """Publish a version within a transaction that does more than this. Raises NotFound."""
    before = personas.publish(connection, tenant=operator.tenant_id, bot=bot, version=version)
    found = published(connection, operator, bot)
    if version != before:
        action = "bot.publish" if version > before else "bot.rollback"
        record(connection, operator, action, f"bot:{found.name}", {"version": version, "before": before})
    return found


def published(connection: Connection, operator: Operator, bot: UUID) -> Bot:
    """The bot with its published persona, within a transaction. Raises NotFound."""
    found = personas.by_id(connection, tenant=operator.tenant_id, bot=bot)
    if found is None:
        raise NotFound("There is no such bot.")
    return found
