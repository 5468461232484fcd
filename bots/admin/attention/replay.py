"""A quarantined webhook, once more: the kept body is parsed again and its events are taken in. Synchronous; safe to repeat."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Engine
from sqlalchemy.exc import DataError

from bots.channels.by_kind import PARSERS
from bots.crypto import Keyring
from bots.domain import Account, InboundEvent
from bots.errors import CannotOpen, Conflict
from bots.settings import Settings
from bots.storage import accounts, attention, audit, inbox, personas
from bots.storage.database import hot, unit
from bots.storage.placing import reply_queue


def replay_envelope(crossing: Engine, keyring: Keyring, settings: Settings, *, tenant: UUID, envelope: UUID, actor: str) -> int:
    """Take a quarantined webhook in again; returns how many events it held. Raises NotFound, Conflict when it is still not understood."""
    with hot(crossing) as connection:
        kept = attention.kept(connection, tenant=tenant, envelope=envelope)
        account = accounts.by_id(connection, kept.account)
    if account is None or kept.body is None:
        raise Conflict(f"The body is gone: bodies are kept for {settings.envelope_days} days.")
    parse = PARSERS.get(account.channel)
    if parse is None:
        raise Conflict(f"Nothing here reads webhooks of {account.channel.value}.")
    received = parse(kept.body)
    batches, foreign = _sorted(crossing, keyring, account, received.events)
    reason = received.reason or foreign
    # Each of them, whatever became of the one before.
    stored = [_take_in(crossing, settings, owner, events, kept.body) for owner, events in batches]
    if reason is None and not all(stored):
        reason = "not_storable"
    with unit(crossing) as connection:
        attention.set_replayed(connection, tenant=tenant, envelope=envelope, reason=reason)
        audit.record(
            connection,
            tenant=tenant,
            actor=actor,
            action="attention.replay",
            subject=f"envelope:{envelope}",
            detail={"events": len(received.events), "understood": reason is None},
        )
    if reason is not None:
        raise Conflict(f"Still not understood: {'something in it cannot be stored' if reason == 'not_storable' else reason}.")
    return len(received.events)


def _sorted(
    crossing: Engine, keyring: Keyring, account: Account, events: Sequence[InboundEvent]
) -> tuple[list[tuple[Account, list[InboundEvent]]], str | None]:
    """Sort events by the account that they are for, and say whose are left over."""
    by_id: dict[str, list[InboundEvent]] = {account.external_id: []}
    for event in events:
        by_id.setdefault(event.account_external_id or account.external_id, []).append(event)
    batches: list[tuple[Account, list[InboundEvent]]] = []
    left: str | None = None
    for external_id, found in by_id.items():
        owner = account if external_id == account.external_id else _neighbour(crossing, keyring, account, external_id)
        if owner is None:
            left = f"{len(found)} events of an account that is not here: {external_id[:64]}"
        elif found:
            batches.append((owner, found))
    return batches, left


def _neighbour(crossing: Engine, keyring: Keyring, account: Account, external_id: str) -> Account | None:
    """Another account of this tenant that the same signature opens, since it shares an app secret."""
    with hot(crossing) as connection:
        other = accounts.find(connection, channel=account.channel, external_id=external_id)
    if other is None or other.tenant_id != account.tenant_id:
        return None
    try:
        ours, theirs = (set(accounts.open_secrets(keyring, one).app_secrets) for one in (account, other))
    except CannotOpen:
        return None
    return other if ours & theirs else None


def _take_in(crossing: Engine, settings: Settings, account: Account, events: list[InboundEvent], body: bytes) -> bool:
    """Store events of one account, and say whether all of them are known now."""
    keys = sorted({event.event_key for event in events})
    with hot(crossing) as connection:
        bot = personas.by_id(connection, tenant=account.tenant_id, bot=account.bot_id)
        if bot is None:
            raise Conflict("The account's bot is gone.")
        inbox.accept(
            connection,
            account,
            events,
            queue=reply_queue(bot.profile),
            body=body,
            debounce_s=settings.debounce_s,
            debounce_cap_s=settings.debounce_cap_s,
            hold_s=settings.human_hold_s,
        )
        try:
            return attention.stored_keys(connection, account=account.id, keys=keys) == len(keys)
        except DataError:
            return False
