"""A quarantined webhook, replayed: the stored body is parsed again and its events are accepted. Safe to repeat."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.exc import DataError

from bots.admin import audit
from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.channels.by_kind import PARSERS
from bots.channels.groups import settled
from bots.domain import Account, InboundEvent
from bots.errors import CannotOpen, Conflict
from bots.extract.edits import read_edits
from bots.storage import accounts, attention, inbox, personas
from bots.storage.database import hot, unit
from bots.storage.queues import reply_queue


def replay_webhook(deps: Deps, operator: Operator, envelope: UUID) -> int:
    """Accept a quarantined webhook again; returns how many events it held. Raises NotFound, Conflict when it is still not understood."""
    with hot(deps.crossing) as connection:
        webhook = attention.quarantined(connection, tenant=operator.tenant_id, envelope=envelope)
        account = accounts.by_id(connection, webhook.account)
    if account is None or webhook.body is None:
        raise Conflict(f"The body is no longer stored: bodies are stored for {deps.settings.envelope_days} days.")
    parse = PARSERS.get(account.channel)
    if parse is None:
        raise Conflict(f"Webhooks of {account.channel.value} cannot be parsed.")
    received = parse(webhook.body)
    batches, foreign = _by_account(deps, account, received.events)
    reason = received.reason or foreign
    # Every account gets its events, whatever happened with the one before.
    stored = [_accept(deps, owner, events, webhook.body) for owner, events in batches]
    if reason is None and not all(stored):
        reason = "not_storable"
    with unit(deps.crossing) as connection:
        attention.set_replayed(connection, tenant=operator.tenant_id, envelope=envelope, reason=reason)
        detail = {"events": len(received.events), "understood": reason is None}
        audit.record(connection, operator, "attention.replay", f"envelope:{envelope}", detail)
    if reason is not None:
        raise Conflict(f"Still not understood: {'something in it cannot be stored' if reason == 'not_storable' else reason}.")
    return len(received.events)


def _by_account(
    deps: Deps, account: Account, events: Sequence[InboundEvent]
) -> tuple[list[tuple[Account, list[InboundEvent]]], str | None]:
    """Group events by their account, and describe those that have none."""
    by_id: dict[str, list[InboundEvent]] = {account.external_id: []}
    for event in events:
        by_id.setdefault(event.account_external_id or account.external_id, []).append(event)
    batches: list[tuple[Account, list[InboundEvent]]] = []
    left: str | None = None
    for external_id, found in by_id.items():
        owner = account if external_id == account.external_id else _other_account(deps, account, external_id)
        if owner is None:
            what = "1 event" if len(found) == 1 else f"{len(found)} events"
            left = f"{what} of an account that is not here: {external_id[:64]}"
        elif found:
            batches.append((owner, found))
    return batches, left


def _other_account(deps: Deps, account: Account, external_id: str) -> Account | None:
    """Find another account of this tenant whose webhooks have the same signature, since it shares an app secret."""
    with hot(deps.crossing) as connection:
        other = accounts.find(connection, channel=account.channel, external_id=external_id)
    if other is None or other.tenant_id != account.tenant_id:
        return None
    try:
        ours, theirs = (set(accounts.open_secrets(deps.keyring, one).app_secrets) for one in (account, other))
    except CannotOpen:
        return None
    return other if ours & theirs else None


def _accept(deps: Deps, account: Account, events: list[InboundEvent], body: bytes) -> bool:
    """Store events of one account, and say whether all of them are known now."""
    keys = sorted({event.event_key for event in events})
    with hot(deps.crossing) as connection:
        bot = personas.by_id(connection, tenant=account.tenant_id, bot=account.bot_id)
        if bot is None:
            raise Conflict("The account's bot no longer exists.")
        inbox.accept(
            connection,
            account,
            read_edits(settled(events, answers=account.answers_groups), bot.time_zone, deps.settings.time_zone),
            queue=reply_queue(bot.profile),
            body=body,
            debounce_s=deps.settings.debounce_s,
            debounce_cap_s=deps.settings.debounce_cap_s,
            hold_s=deps.settings.human_hold_s,
            automatic_s=deps.settings.automatic_reply_s,
        )
        try:
            return attention.stored_keys(connection, account=account.id, keys=keys) == len(keys)
        except DataError:
            return False
