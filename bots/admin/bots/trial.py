"""Trying a bot beside its editor: what an operator says goes the whole way of a console contact, to a version of their choice.

Each version that is tried has an account of its own (`personas.trial_name`), made on demand; each talk is a contact of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Engine

from bots.crypto import Keyring
from bots.domain import Account, ChannelKind, EventKind, Identity, IdentityKind, InboundEvent
from bots.errors import Conflict, NotFound
from bots.settings import Settings
from bots.storage import accounts, inbox, personas, talk
from bots.storage.database import hot, unit
from bots.storage.queues import reply_queue


class Trials:
    """Speaks and reads for operators who try a bot."""

    def __init__(self, *, web: Engine, crossing: Engine, keyring: Keyring, settings: Settings) -> None:
        self._web, self._crossing, self._keyring, self._settings = web, crossing, keyring, settings

    def say(self, *, tenant: UUID, operator: UUID, bot: UUID, version: int | None, thread: str, key: str, words: str) -> int:
        """Put an operator's words into the inbox and return the version that will answer; None asks for the newest. Raises NotFound."""
        with unit(self._web) as connection:
            if version is None:
                version = personas.versions(connection, tenant=tenant, bot=bot, limit=1)[0].version
            found = personas.by_id(connection, tenant=tenant, bot=bot, version=version)
        if found is None:
            raise NotFound("There is no such version.")
        account = self._account(tenant=tenant, bot=bot, version=version)
        event = InboundEvent(
            kind=EventKind.MESSAGE,
            event_key=f"try:{operator}:{thread}:{key}",
            account_external_id=account.external_id,
            identities=(Identity(kind=IdentityKind.CONSOLE, value=_slug(operator, thread)),),
            text=words,
            occurred_at=datetime.now(UTC),
            reply_at_once=words.startswith("/"),
        )
        with hot(self._crossing) as connection:
            inbox.accept(
                connection,
                account,
                [event],
                queue=reply_queue(found.profile),
                debounce_s=self._settings.debounce_s,
                debounce_cap_s=self._settings.debounce_cap_s,
            )
        return version

    def lines(self, *, tenant: UUID, operator: UUID, bot: UUID, version: int, thread: str) -> talk.Talk:
        """Read an operator's own talk with a version; empty before the first word. Raises NotFound."""
        with hot(self._web) as connection:
            personas.version(connection, tenant=tenant, bot=bot, version=version)
        account = self._find(tenant=tenant, bot=bot, version=version)
        if account is None:
            return talk.Talk()
        with hot(self._crossing) as connection:
            contact = talk.contact(connection, tenant=tenant, scope=str(account.id), slug=_slug(operator, thread))
        if contact is None:
            return talk.Talk()
        with unit(self._web, contact=contact) as connection:
            return talk.lines(connection, contact)

    def _account(self, *, tenant: UUID, bot: UUID, version: int) -> Account:
        found = self._find(tenant=tenant, bot=bot, version=version)
        if found is not None:
            return found
        name = personas.trial_name(bot, version)
        try:
            with unit(self._web) as connection:
                return accounts.add(
                    connection,
                    self._keyring,
                    tenant=tenant,
                    bot=bot,
                    channel=ChannelKind.CONSOLE,
                    name=name,
                    external_id=name,
                    persona_version=version,
                )
        except Conflict:
            # Somebody else's first word came a moment before, or the bot was removed.
            found = self._find(tenant=tenant, bot=bot, version=version)
            if found is None:
                raise NotFound("There is no such bot.") from None
            return found

    def _find(self, *, tenant: UUID, bot: UUID, version: int) -> Account | None:
        with hot(self._web) as connection:
            found = accounts.find(connection, channel=ChannelKind.CONSOLE, name=personas.trial_name(bot, version))
        return found if found is not None and found.tenant_id == tenant else None


def is_waiting(found: talk.Talk) -> bool:
    """Whether an answer, or a part of it, is still to come."""
    is_asked = any(line.side == "in" and line.kind == "message" and line.turn is None for line in found.lines)
    is_sending = any(line.side == "out" and line.status in {"queued", "sending"} for line in found.lines)
    return is_asked or is_sending or found.turn is not None


def _slug(operator: UUID, thread: str) -> str:
    return f"try-{operator}-{thread}"
