"""Trying a bot next to its editor: an operator's messages are processed like those of a console contact, by a version of their choice.

Each version that is tried has an account of its own (`personas.trial_name`), created on demand; each thread is a contact of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.commands import is_command
from bots.domain import Account, ChannelKind, EventKind, Identity, IdentityKind, InboundEvent
from bots.errors import Conflict, NotFound
from bots.extract.unfinished import expecting
from bots.storage import accounts, chat, inbox, personas, work_notices
from bots.storage.database import hot, unit
from bots.storage.queues import reply_queue


def say(deps: Deps, operator: Operator, bot: UUID, message: str, *, version: int | None, thread: str, key: str) -> int:
    """Put an operator's message into the inbox and return the version that will answer; None asks for the newest. Raises NotFound."""
    with unit(deps.web) as connection:
        if version is None:
            version = personas.versions(connection, tenant=operator.tenant_id, bot=bot, limit=1)[0].version
        found = personas.by_id(connection, tenant=operator.tenant_id, bot=bot, version=version)
    if found is None:
        raise NotFound("There is no such version.")
    account = _account(deps, operator, bot, version)
    event = InboundEvent(
        kind=EventKind.MESSAGE,
        event_key=f"try:{operator.id}:{thread}:{key}",
        account_external_id=account.external_id,
        identities=(Identity(kind=IdentityKind.CONSOLE, value=_slug(operator, thread)),),
        text=message,
        occurred_at=datetime.now(UTC),
        reply_at_once=is_command(message),
    )
    with hot(deps.crossing) as connection:
        inbox.accept(
            connection,
            account,
            expecting([event]),
            queue=reply_queue(found.profile),
            debounce_s=deps.settings.debounce_s,
            debounce_cap_s=deps.settings.debounce_cap_s,
        )
    work_notices.tell(deps.crossing)
    return version


def read(deps: Deps, operator: Operator, bot: UUID, *, version: int, thread: str) -> chat.Talk:
    """Read the operator's own trial of a version; it is empty before the first message. Raises NotFound."""
    with hot(deps.web) as connection:
        personas.version(connection, tenant=operator.tenant_id, bot=bot, version=version)
    account = _find(deps, operator, bot, version)
    if account is None:
        return chat.Talk()
    with hot(deps.crossing) as connection:
        contact = chat.contact(connection, tenant=operator.tenant_id, scope=str(account.id), slug=_slug(operator, thread))
    if contact is None:
        return chat.Talk()
    with unit(deps.web, contact=contact) as connection:
        return chat.lines(connection, contact)


def is_waiting(found: chat.Talk) -> bool:
    """Whether an answer, or a part of it, is still to come."""
    is_asked = any(line.side == "in" and line.kind == "message" and line.turn is None for line in found.lines)
    is_sending = any(line.side == "out" and line.status in {"queued", "sending"} for line in found.lines)
    return is_asked or is_sending or found.turn is not None


def _account(deps: Deps, operator: Operator, bot: UUID, version: int) -> Account:
    found = _find(deps, operator, bot, version)
    if found is not None:
        return found
    name = personas.trial_name(bot, version)
    try:
        with unit(deps.web) as connection:
            return accounts.add(
                connection,
                deps.keyring,
                tenant=operator.tenant_id,
                bot=bot,
                channel=ChannelKind.CONSOLE,
                name=name,
                external_id=name,
                persona_version=version,
            )
    except Conflict:
        # Another operator's first message came a moment earlier, or the bot was removed.
        found = _find(deps, operator, bot, version)
        if found is None:
            raise NotFound("There is no such bot.") from None
        return found


def _find(deps: Deps, operator: Operator, bot: UUID, version: int) -> Account | None:
    with hot(deps.web) as connection:
        found = accounts.find(connection, channel=ChannelKind.CONSOLE, name=personas.trial_name(bot, version))
    return found if found is not None and found.tenant_id == operator.tenant_id else None


def _slug(operator: Operator, thread: str) -> str:
    return f"try-{operator.id}-{thread}"
