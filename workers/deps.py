"""What a worker process is made of, put together in one place, top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID, uuid4

from sqlalchemy import Engine

from bots.channels.base import Channel, Credentials
from bots.channels.console import Console
from bots.channels.graph import GraphClient
from bots.channels.instagram import Instagram
from bots.channels.media import Media
from bots.channels.media_hosts import AllowedHosts
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
from workers.in_flight import InFlight
from workers.kept import Kept
from workers.routes import Routes
from workers.typing import TypingKeeper

#: How long a changed persona, a pause or a rotated token may go unnoticed; what a bot has spent; and how long a busy process may go on
#: with it meanwhile.
_SEAT_FRESH_S, _SEAT_STALE_S = 2.0, 10.0
_MONTH_FRESH_S, _MONTH_STALE_S = 10.0, 30.0


def _new_seats() -> Kept[UUID, Seat]:
    return Kept(fresh_s=_SEAT_FRESH_S, stale_s=_SEAT_STALE_S)


def _new_months() -> Kept[UUID, float]:
    return Kept(fresh_s=_MONTH_FRESH_S, stale_s=_MONTH_STALE_S)


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
    #: What bots have spent this month in USD.
    months: Kept[UUID, float] = field(default_factory=_new_months)
    _seats: Kept[UUID, Seat] = field(default_factory=_new_seats)

    @property
    def router(self) -> Router:
        """What chooses the endpoint of a call. Raises StorageUnavailable while nothing is known of the endpoints."""
        return self.routes.router

    def seat(self, account: UUID) -> Seat:
        """The account with its bot, about two seconds old. Raises NotFound when it was removed."""
        return self._seats.get(account, partial(self._read_seat, account))

    def _read_seat(self, account: UUID) -> Seat:
        with unit(self.worker) as connection:
            found = accounts.by_id(connection, account)
            bot = found and personas.by_id(connection, tenant=found.tenant_id, bot=found.bot_id, version=found.persona_version)
        if found is None or bot is None:
            raise NotFound("The account was removed.")
        opened = accounts.open_secrets(self.keyring, found)
        credentials = Credentials(
            access_token=opened.access_token or "",
            app_secret=opened.app_secrets[0] if opened.app_secrets else "",
            login_type=found.login_type,
        )
        return Seat(account=found, bot=bot, channel=self.channels[found.channel], credentials=credentials)


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
        media=Media(AllowedHosts(settings.media_hosts), max_bytes=settings.media_max_bytes, deadline_s=settings.media_deadline_s),
        model_settings=model_settings,
        routes=Routes(worker, keyring, model_settings),
        in_flight=InFlight(),
        typing=TypingKeeper(),
        queues=tuple(queues),
    )
