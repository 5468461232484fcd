"""The parts of a worker process, assembled in one place, top to bottom."""

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
from bots.storage import accounts, claims, personas
from bots.storage.claims import Claims
from bots.storage.database import open_engine, unit
from bots.storage.outbox import Acceptances
from bots.storage.turns import Finishes
from inference.router import Router
from inference.settings import ModelSettings
from workers.elsewhere import Elsewhere
from workers.embedding import Embedding
from workers.hearing import Hearing
from workers.in_flight import InFlight
from workers.model_routes import ModelRoutes
from workers.portions import Portions
from workers.refusals import RefusalNotes
from workers.timed_cache import TimedCache
from workers.typing import TypingKeeper

#: After a pause of this length the next message starts a new session: what was remembered meanwhile enters the prompt.
_SESSION_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAccount:
    """An account, the bot on it, its channel, and its opened credentials."""

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
    claims: Claims
    finishes: Finishes
    acceptances: Acceptances
    keyring: Keyring
    channels: Mapping[ChannelKind, Channel]
    media: Media
    model_settings: ModelSettings
    routes: ModelRoutes
    refusals: RefusalNotes
    in_flight: InFlight
    typing: TypingKeeper
    embedding: Embedding
    hearing: Hearing
    portions: Portions
    #: The Celery queues that this process consumes.
    queues: Sequence[str] = ()
    #: For which of them a task of another gives up its slot.
    elsewhere: Elsewhere
    #: What bots have spent this month in USD; workers.budget says what the ten seconds mean.
    month_spending: TimedCache[UUID, float] = field(default_factory=partial(TimedCache[UUID, float], fresh_s=10.0, stale_s=30.0))
    #: The address and name of each tenant's models that passed the trial (workers/trial.py).
    trials: TimedCache[UUID, frozenset[tuple[str, str]]] = field(
        default_factory=partial(TimedCache[UUID, frozenset[tuple[str, str]]], fresh_s=10.0, stale_s=60.0)
    )
    #: For two seconds a changed persona, a pause or a rotated token may go unnoticed.
    _accounts: TimedCache[UUID, OpenAccount] = field(default_factory=partial(TimedCache[UUID, OpenAccount], fresh_s=2.0, stale_s=10.0))

    @property
    def router(self) -> Router:
        """The router, which chooses the endpoint of each call. Raises StorageUnavailable while nothing is known of the endpoints."""
        return self.routes.router

    def open_account(self, account: UUID) -> OpenAccount:
        """The account with its bot, at most about two seconds old. Raises NotFound when it was removed, and CannotOpen."""
        return self._accounts.get(account, partial(self._read_account, account))

    def _read_account(self, account: UUID) -> OpenAccount:
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
        return OpenAccount(account=found, bot=bot, channel=self.channels[found.channel], credentials=credentials)


def build(env: Mapping[str, str], *, queues: Sequence[str] = ()) -> Deps:
    """Put a worker's parts together. Raises BadSetting and BadModelSetting."""
    settings = Settings.from_env(env)
    model_settings = ModelSettings.from_env(env)
    graph, login = (
        GraphClient(base_url=url, version=settings.graph_version, deadline_s=settings.send_deadline_s)
        for url in (settings.graph_url, settings.instagram_graph_url)
    )
    half = max(2, settings.worker_pool // 2)
    crossing = open_engine(settings.crossing_database_url, pool=half, name="crossing")
    # Each call is one statement; usage.roll relies on this timeout.
    worker = open_engine(settings.worker_database_url, pool=half, name="worker", statement_timeout_s=10)
    keyring = Keyring.from_settings(settings)
    boot = uuid4()
    return Deps(
        settings=settings,
        boot=boot,
        worker=worker,
        crossing=crossing,
        claims=Claims(crossing, boot=boot, lease_s=settings.lease_s, session_s=_SESSION_S),
        finishes=Finishes(worker, boot=boot, stale_s=settings.stale_s),
        acceptances=Acceptances(worker, reconcile_s=settings.reconcile_s, next_part_s=settings.next_part_s),
        keyring=keyring,
        channels={
            ChannelKind.WHATSAPP: WhatsApp(graph),
            ChannelKind.MESSENGER: Messenger(graph),
            ChannelKind.INSTAGRAM: Instagram(page=graph, login=login),
            ChannelKind.CONSOLE: Console(),
        },
        media=Media(AllowedHosts(settings.media_hosts), max_bytes=settings.media_max_bytes, deadline_s=settings.media_deadline_s),
        model_settings=model_settings,
        routes=ModelRoutes(worker, keyring, model_settings),
        refusals=RefusalNotes(worker),
        in_flight=InFlight(),
        typing=TypingKeeper(),
        embedding=Embedding(settings),
        hearing=Hearing(settings),
        portions=Portions(model_settings),
        queues=tuple(queues),
        elsewhere=Elsewhere(
            tuple(queues), lambda: {queue.queue: queue.due for queue in claims.waiting(crossing, reserve=settings.batch_reserve)}
        ),
    )
