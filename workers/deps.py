"""What a worker process is made of, put together in one place, top to bottom."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from sqlalchemy import Engine

from bots.channels.base import Channel, Credentials
from bots.channels.console import Console
from bots.channels.graph import GraphClient
from bots.channels.instagram import Instagram
from bots.channels.media import Media
from bots.channels.media_hosts import Doors
from bots.channels.messenger import Messenger
from bots.channels.whatsapp import WhatsApp
from bots.crypto import Keyring
from bots.domain import Account, Bot, ChannelKind
from bots.errors import NotFound
from bots.settings import Settings
from bots.storage import accounts, personas
from bots.storage.database import open_engine, unit
from inference.router import Router
from inference.settings import ModelSettings
from workers.budget import Months
from workers.in_flight import InFlight
from workers.routes import Routes
from workers.typing import TypingKeeper

#: How long a changed persona, a pause or a rotated token may go unnoticed.
_FRESH_S = 2.0
#: How long a busy process may go on with it meanwhile.
_STALE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """An account, the bot on it, and the account's opened token."""

    account: Account
    bot: Bot
    channel: Channel
    credentials: Credentials = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Deps:
    """All that tasks use."""

    settings: Settings
    boot: UUID
    worker: Engine
    crossing: Engine
    keyring: Keyring
    channels: Mapping[ChannelKind, Channel]
    media: Media
    model_settings: ModelSettings
    routes: Routes
    in_flight: InFlight
    typing: TypingKeeper
    #: The Celery queues that this process consumes.
    queues: Sequence[str] = ()
    months: Months = field(default_factory=Months)
    _seats: dict[UUID, tuple[float, Seat]] = field(default_factory=dict[UUID, "tuple[float, Seat]"])
    _seats_lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def router(self) -> Router:
        """What chooses the endpoint of a call. Raises StorageUnavailable while nothing is known of the endpoints."""
        return self.routes.router

    def seat(self, account: UUID) -> Seat:
        """The account with its bot, about two seconds old. Raises NotFound when it was removed."""
        cached = self._seats.get(account)
        age_s = time.monotonic() - cached[0] if cached is not None else float("inf")
        if cached is not None and age_s < _FRESH_S:
            return cached[1]
        # One thread reads it again; the others go on with what they have, and wait only where that is nothing or old.
        if not self._seats_lock.acquire(blocking=age_s > _STALE_S) and cached is not None:
            return cached[1]
        try:
            return self._read_seat(account)
        finally:
            self._seats_lock.release()

    def _read_seat(self, account: UUID) -> Seat:
        cached = self._seats.get(account)
        if cached is not None and time.monotonic() - cached[0] < _FRESH_S:
            return cached[1]
        with unit(self.worker) as connection:
            found = accounts.by_id(connection, account)
            bot = found and personas.by_id(connection, tenant=found.tenant_id, bot=found.bot_id, version=found.persona_version)
        if found is None or bot is None:
            raise NotFound("The account was removed.")
        opened = accounts.open_secrets(self.keyring, found)
        credentials = Credentials(
            access_token=opened.access_token or "", app_secret=opened.app_secrets[0] if opened.app_secrets else "", door=found.door
        )
        seat = Seat(account=found, bot=bot, channel=self.channels[found.channel], credentials=credentials)
        self._seats[account] = (time.monotonic(), seat)
        return seat


def build(env: Mapping[str, str], *, queues: Sequence[str] = ()) -> Deps:
    """Put a worker's parts together. Raises BadSetting and BadModelSetting."""
    settings = Settings.from_env(env)
    model_settings = ModelSettings.from_env(env)
    graph, login = (
        GraphClient(base_url=url, version=settings.graph_version, deadline_s=settings.send_deadline_s)
        for url in (settings.graph_url, settings.instagram_graph_url)
    )
    half = max(2, settings.worker_pool // 2)
    # Each call is one statement; usage.roll counts on its end.
    worker = open_engine(settings.worker_database_url, pool=half, name="worker", statement_timeout_s=10)
    keyring = Keyring.from_settings(settings)
    return Deps(
        settings=settings,
        boot=uuid4(),
        worker=worker,
        crossing=open_engine(settings.crossing_database_url, pool=half, name="crossing"),
        keyring=keyring,
        channels={
            ChannelKind.WHATSAPP: WhatsApp(graph),
            ChannelKind.MESSENGER: Messenger(graph),
            ChannelKind.INSTAGRAM: Instagram(page=graph, login=login),
            ChannelKind.CONSOLE: Console(),
        },
        media=Media(Doors(settings.media_hosts), max_bytes=settings.media_max_bytes, deadline_s=settings.media_deadline_s),
        model_settings=model_settings,
        routes=Routes(worker, keyring, model_settings),
        in_flight=InFlight(),
        typing=TypingKeeper(),
        queues=tuple(queues),
    )
