"""The contacts' side of the chat page: what a visitor writes as a contact enters the inbox like any webhook. Synchronous."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Connection, Engine

from bots.channels.picture import Picture, shrink
from bots.channels.sound import media_type_of
from bots.commands import is_command
from bots.domain import (
    SOUND,
    Account,
    ChannelKind,
    DeliveryStatus,
    EventKind,
    Identity,
    IdentityKind,
    InboundEvent,
    MediaReference,
    StatusUpdate,
)
from bots.errors import StorageUnavailable
from bots.extract.unfinished import expecting
from bots.settings import Settings
from bots.storage import accounts, chat, endpoints, inbox, media, personas
from bots.storage.database import hot, unit
from bots.storage.queues import reply_queue
from bots.storage.work_notices import Teller
from bots.web.chat import answering

#: The account that the stack makes for the chat page.
ACCOUNT = "console"


class Phone:
    """Writes and reads for the console's contacts."""

    def __init__(self, *, web: Engine, crossing: Engine, settings: Settings) -> None:
        self._web, self._crossing, self._settings = web, crossing, settings
        self._dispatcher = Teller(crossing)
        self._known: tuple[Account, str] | None = None

    def contacts(self) -> tuple[chat.TalkContact, ...]:
        """List the contacts that have written."""
        account = self._account()
        with hot(self._crossing) as connection:
            return chat.contacts(connection, scope=str(account.id), tenant=account.tenant_id)

    def say(self, *, slug: str, key: str, text: str, name: str, picture: bytes = b"", recording: bytes = b"") -> None:
        """Put a contact's text and picture, or a recording, into the inbox, and watch for the answer. Raises MediaError."""
        small = shrink(picture) if picture else None
        event_key = f"console:{slug}:{key}"
        media_type = small.media_type if small is not None else media_type_of(recording) if recording else None
        kind = "image" if small is not None else SOUND if recording else "text"
        event = InboundEvent(
            kind=EventKind.MESSAGE,
            event_key=event_key,
            account_external_id=self._account().external_id,
            identities=(Identity(kind=IdentityKind.CONSOLE, value=slug),),
            contact_name=name or None,
            # Postgres cannot store NUL in text.
            text=text.replace("\0", "") or None,
            content_type=kind,
            occurred_at=datetime.now(UTC),
            reply_at_once=is_command(text),
            media=() if media_type is None else (MediaReference(kind=kind, reference=event_key, media_type=media_type),),
        )
        self._let_in(event, small, recording if kind == SOUND else b"")
        self._dispatcher.tell()

    def see(self, *, slug: str, statuses: Sequence[tuple[str, DeliveryStatus]]) -> None:
        """Report messages of the bot as delivered or read."""
        events = [
            InboundEvent(
                kind=EventKind.STATUS,
                event_key=f"{external_id}:{status}",
                account_external_id=self._account().external_id,
                identities=(Identity(kind=IdentityKind.CONSOLE, value=slug),),
                content_type="status",
                occurred_at=datetime.now(UTC),
                status=StatusUpdate(external_id=external_id, status=status, correlation=external_id.removeprefix("console:")),
            )
            for external_id, status in statuses
        ]
        with hot(self._crossing) as connection:
            self._accept(connection, events)

    def talk(self, slug: str) -> tuple[UUID | None, chat.Talk]:
        """Read a contact's conversation; empty for a contact that has not written yet."""
        account = self._account()
        contact = self._contact(account, slug)
        if contact is None:
            return None, chat.Talk()
        with unit(self._web, contact=contact) as connection:
            return contact, chat.lines(connection, contact)

    def picture(self, slug: str, picture: UUID) -> media.StoredPicture | None:
        """Read a picture of this contact."""
        contact = self._contact(self._account(), slug)
        if contact is None:
            return None
        with unit(self._web, contact=contact) as connection:
            return media.load(connection, [picture]).get(picture)

    def story(self, slug: str, turn: UUID) -> chat.Story | None:
        """Read what happened in a turn of this contact."""
        account = self._account()
        contact = self._contact(account, slug)
        if contact is None:
            return None
        with unit(self._web, contact=contact) as connection:
            return chat.what_happened(connection, turn)

    def model_line(self) -> str:
        """What the page says about the model that answers."""
        with hot(self._crossing) as connection:
            account = accounts.find(connection, channel=ChannelKind.CONSOLE, name=ACCOUNT)
            bot = None if account is None else personas.by_id(connection, tenant=account.tenant_id, bot=account.bot_id)
            places = () if bot is None else endpoints.profiles(connection, bot.tenant_id).get(bot.profile, ())
        return answering.line(self._settings.answering_file, places[0][1].model if places else "")

    def watch(self, conversations: Sequence[UUID]) -> None:
        """Ask the workers for partial texts of these conversations."""
        with hot(self._crossing) as connection:
            chat.watch(connection, conversations)

    def _contact(self, account: Account, slug: str) -> UUID | None:
        with hot(self._crossing) as connection:
            return chat.contact(connection, tenant=account.tenant_id, scope=str(account.id), slug=slug)

    def _let_in(self, event: InboundEvent, picture: Picture | None, recording: bytes) -> None:
        # One transaction: the message may be claimed as soon as it is stored, and then its picture must be there, and that a page watches.
        with unit(self._crossing) as connection:
            contacts = self._accept(connection, [event])
            if picture is not None:
                media.put(
                    connection,
                    account=self._account().id,
                    event_key=event.event_key,
                    media_type=picture.media_type,
                    width=picture.width,
                    height=picture.height,
                    data=picture.data,
                )
            if recording:
                media.put_sound(
                    connection,
                    account=self._account().id,
                    event_key=event.event_key,
                    media_type=media_type_of(recording),
                    data=recording,
                )
            if contacts:
                chat.watch_contact(connection, contacts[0])

    def _accept(self, connection: Connection, events: Sequence[InboundEvent]) -> tuple[UUID, ...]:
        account, queue = self._console()
        return inbox.accept(
            connection,
            account,
            expecting(events),
            queue=queue,
            debounce_s=self._settings.debounce_s,
            debounce_cap_s=self._settings.debounce_cap_s,
        )

    def _account(self) -> Account:
        return self._console()[0]

    def _console(self) -> tuple[Account, str]:
        if self._known is None:
            with hot(self._crossing) as connection:
                account = accounts.find(connection, channel=ChannelKind.CONSOLE, name=ACCOUNT)
                bot = None if account is None else personas.by_id(connection, tenant=account.tenant_id, bot=account.bot_id)
            if account is None or bot is None:
                raise StorageUnavailable("the console account does not exist yet")
            self._known = (account, reply_queue(bot.profile))
        return self._known
