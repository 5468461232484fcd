"""What happens to signed webhooks: account -> signature -> parse -> stored, together with others or alone. Synchronous.

What is stored is everything in the body, understood or quarantined. Reading asks nobody; whatever raises StorageUnavailable asks Postgres.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from sqlalchemy import Connection, Engine

from bots.channels.by_kind import PARSERS
from bots.channels.groups import settled
from bots.channels.signature import challenge, verify_meta
from bots.crypto import Keyring
from bots.domain import Account, ChannelKind, EventKind, InboundEvent, Received
from bots.errors import CannotOpen, Forged, StorageUnavailable
from bots.extract.edits import read_edits
from bots.extract.unfinished import expecting
from bots.settings import Settings
from bots.storage import accounts, arrivals, inbox, personas, setup_notes
from bots.storage.arrivals import Arrival
from bots.storage.database import hot
from bots.storage.queues import reply_queue
from bots.storage.work_notices import Teller
from bots.web.webhooks.refusals import Refusals

log = structlog.get_logger()

#: An account's row is read again after this time, so a new secret or a pause takes effect within 2 s.
_CACHE_S = 2.0
#: Names that do not exist are cached too; strangers who guess must not fill the memory.
_CACHE_ROWS = 1024
#: How often to record that webhooks arrive: not each time, since storing a webhook should take a single round trip.
_NOTE_S = 60.0
#: With more accounts than these in one body, an operator replays it.
_MOST_OTHERS = 100
#: Each platform's name for the id by which an event names its account.
_ID_NAMES = {ChannelKind.WHATSAPP: "phone_number_id", ChannelKind.MESSENGER: "page", ChannelKind.INSTAGRAM: "Instagram account"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAccount:
    """An account with its decrypted secrets."""

    account: Account
    #: The queue of this account's conversations, by its bot's profile.
    queue: str
    #: The bot's, for contacts whose number tells none.
    time_zone: str | None = None
    app_secrets: tuple[str, ...] = field(default=(), repr=False)
    verify_token: str | None = field(default=None, repr=False)


@dataclass(slots=True, kw_only=True)
class Webhook(Arrival):
    """One webhook whose signature is valid."""

    found: WebhookAccount
    headers: Mapping[str, str] = field(repr=False)
    received: Received = field(repr=False)
    #: Whether it may be stored together with others.
    is_plain: bool


class Intake:
    """Accepts webhooks for one process."""

    def __init__(self, *, engine: Engine, keyring: Keyring, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._keyring, self._settings, self._clock = engine, keyring, settings, clock
        self._known: dict[tuple[str, str, str], tuple[float, WebhookAccount | None]] = {}
        self._noted: dict[UUID, float] = {}
        self._refusals = Refusals(engine=engine, keyring=keyring, clock=clock)
        self._dispatcher = Teller(engine)

    def find(self, channel: ChannelKind, name: str) -> WebhookAccount | None:
        """Find a channel's account of this name; None when there is none. Raises StorageUnavailable."""
        return self._cached(("name", channel, name), lambda connection: accounts.find(connection, channel=channel, name=name))

    def shake_hands(self, channel: ChannelKind, name: str, query: Mapping[str, str]) -> tuple[WebhookAccount | None, str | None]:
        """The account of this name, and what to answer to the platform's handshake. Raises StorageUnavailable."""
        found = self.find(channel, name)
        if found is None:
            return None, None
        answer = challenge(query, found.verify_token)
        if answer is None:
            self._refusals.handshake(found.account, query, found.verify_token)
        else:
            setup_notes.note_handshake(self._engine, found.account.id)
        return found, answer

    def known(self, channel: ChannelKind, name: str) -> tuple[WebhookAccount | None] | None:
        """What `find` would return without asking Postgres; None where it would ask."""
        known = self._known.get(("name", channel, name))
        return (known[1],) if known is not None and self._clock() - known[0] < _CACHE_S else None

    def is_account(self, channel: ChannelKind, name: str) -> bool:
        """Whether there was an account of this name a moment ago."""
        return self._known.get(("name", channel, name), (0.0, None))[1] is not None

    def read(self, found: WebhookAccount, headers: Mapping[str, str], body: bytes) -> Webhook:
        """Check the signature of one body, and read it. Raises Forged."""
        verify_meta(headers, body, found.app_secrets)
        received = PARSERS[found.account.channel](body)
        events = settled(received.events, answers=found.account.answers_groups)
        own = received.reason is None and all(event.account_external_id in (None, found.account.external_id) for event in received.events)
        is_plain = own and arrivals.is_plain(events, body)
        return Webhook(
            account=found.account,
            queue=found.queue,
            body=body,
            events=expecting(events) if is_plain else events,
            found=found,
            headers=headers,
            received=received,
            is_plain=is_plain,
        )

    def records_refusal(self, found: WebhookAccount) -> bool:
        """Whether `refuse` would record something now."""
        return self._refusals.is_due(found.account)

    def refuse(self, found: WebhookAccount, headers: Mapping[str, str], body: bytes) -> None:
        """Record why a webhook was refused."""
        # The next valid one is noted at once: it shows that the problem is fixed.
        self._noted.pop(found.account.id, None)
        self._refusals.webhook(found.account, headers, body, found.app_secrets)

    def stored(self, webhooks: Iterable[Webhook]) -> set[UUID]:
        """Tell the dispatcher of webhooks that were stored together; returns the accounts for which that is yet to be noted. Asks nobody."""
        accounts: set[UUID] = set()
        says_something = False
        for webhook in webhooks:
            accounts.add(webhook.account.id)
            says_something = says_something or _says_something(webhook.events)
        if says_something:
            self._dispatcher.tell()
        now = self._clock()
        return {account for account in accounts if now - self._noted.get(account, -_NOTE_S) >= _NOTE_S}

    def store_alone(self, webhook: Webhook) -> None:
        """Store one webhook, whatever it holds. Raises StorageUnavailable."""
        try:
            self._store(webhook.found, webhook.headers, webhook.body, webhook.received)
        except StorageUnavailable:
            log.warning("webhook_storage_unavailable", account=webhook.account.name)
            raise
        self.note(webhook.account.id)

    def note(self, account: UUID) -> None:
        """Record once a minute that webhooks arrive. The webhook itself is stored already, so nothing is lost if this fails."""
        now = self._clock()
        if now - self._noted.get(account, -_NOTE_S) < _NOTE_S:
            return
        self._noted[account] = now
        try:
            setup_notes.note_webhook(self._engine, account)
        except StorageUnavailable:
            log.warning("webhook_not_noted", account=str(account))

    def _store(self, found: WebhookAccount, headers: Mapping[str, str], body: bytes, received: Received) -> None:
        ends_at = self._clock() + inbox.WITHIN_S
        zone = self._settings.time_zone
        own, others = _sort(received.events, found.account)
        reason = received.reason
        batches: list[tuple[WebhookAccount, Sequence[InboundEvent], str | None]] = []
        own = _expected(own, found, zone)
        for external_id, events in others.items():
            other = self._other_account(found.account.channel, external_id, headers, body) if len(batches) < _MOST_OTHERS else None
            if other is None:
                what = "1 event" if len(events) == 1 else f"{len(events)} events"
                reason = f"{what} of an account that is not here: {_ID_NAMES[found.account.channel]} {external_id[:64]}"
            else:
                batches.append((other, _expected(events, other, zone), None))
        if own or reason is not None or not batches:
            batches.insert(0, (found, own, reason))
        with hot(self._engine) as connection:
            for owner, events, why in batches:
                inbox.accept(
                    connection,
                    owner.account,
                    events,
                    queue=owner.queue,
                    body=body,
                    quarantine=why,
                    debounce_s=self._settings.debounce_s,
                    debounce_cap_s=self._settings.debounce_cap_s,
                    hold_s=self._settings.human_hold_s,
                    automatic_s=self._settings.automatic_reply_s,
                    within_s=ends_at - self._clock(),
                )
                if _says_something(events):
                    self._dispatcher.tell()
                log.debug("webhook_stored", account=owner.account.name, events=len(events), quarantined=why is not None)

    def _other_account(self, channel: ChannelKind, external_id: str, headers: Mapping[str, str], body: bytes) -> WebhookAccount | None:
        """Find the account of another number or page for which this same signature is valid."""
        found = self._cached(
            ("external_id", channel, external_id),
            lambda connection: accounts.find(connection, channel=channel, external_id=external_id),
        )
        if found is None:
            return None
        try:
            verify_meta(headers, body, found.app_secrets)
        except Forged:
            return None
        return found

    def _cached(self, key: tuple[str, str, str], read: Callable[[Connection], Account | None]) -> WebhookAccount | None:
        now = self._clock()
        known = self._known.get(key)
        if known is not None and now - known[0] < _CACHE_S:
            return known[1]
        with hot(self._engine) as connection:
            account = read(connection)
            bot = None if account is None else personas.by_id(connection, tenant=account.tenant_id, bot=account.bot_id)
        found = None if account is None or bot is None else self._opened(account, reply_queue(bot.profile), bot.time_zone)
        if len(self._known) >= _CACHE_ROWS:
            # Whoever guesses names must not make those be forgotten that exist.
            self._known = {key: row for key, row in list(self._known.items()) if row[1] is not None}
        self._known[key] = (now, found)
        return found

    def _opened(self, account: Account, queue: str, time_zone: str | None) -> WebhookAccount:
        try:
            secrets = accounts.open_secrets(self._keyring, account)
        except CannotOpen:
            log.exception("account_secrets_do_not_open", account=account.name)
            return WebhookAccount(account=account, queue=queue, time_zone=time_zone)
        return WebhookAccount(
            account=account, queue=queue, time_zone=time_zone, app_secrets=secrets.app_secrets, verify_token=secrets.verify_token
        )


def _expected(events: Sequence[InboundEvent], owner: WebhookAccount, zone: str) -> Sequence[InboundEvent]:
    """The events of an account as it takes them, with all that is read in their words."""
    return expecting(read_edits(settled(events, answers=owner.account.answers_groups), owner.time_zone, zone))


def _says_something(events: Sequence[InboundEvent]) -> bool:
    """Whether these give the dispatcher work."""
    # A reaction may be an answer.
    return any(event.kind in (EventKind.MESSAGE, EventKind.REACTION) for event in events)


def _sort(events: Sequence[InboundEvent], account: Account) -> tuple[list[InboundEvent], dict[str, list[InboundEvent]]]:
    """Split a webhook's events into this account's own and those of others."""
    own: list[InboundEvent] = []
    others: dict[str, list[InboundEvent]] = {}
    for event in events:
        if event.account_external_id in (None, account.external_id):
            own.append(event)
        else:
            others.setdefault(event.account_external_id or "", []).append(event)
    return own, others
