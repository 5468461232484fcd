"""The web, put together: engines, keyring, endpoints. Plain constructor calls, top to bottom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bots.admin.acting import NotAllowed, Operator
from bots.admin.deps import Deps
from bots.admin.figures import FigureCache
from bots.crypto import Keyring
from bots.errors import Conflict, NotFound, StorageUnavailable
from bots.extract.unfinished import waits
from bots.phrases.book import book
from bots.settings import Settings
from bots.storage import chat
from bots.storage.database import open_engine
from bots.storage.line import Line
from bots.web.admin_site import AdminSite, Refused, as_invalid, as_json
from bots.web.api import (
    accounts,
    attention,
    audit,
    batches,
    bots,
    conversations,
    endpoints,
    figures,
    me,
    memories,
    operators,
    profiles,
    tokens,
    usage,
)
from bots.web.auth import Auth
from bots.web.chat.endpoints import Simulator
from bots.web.chat.live import Live
from bots.web.chat.phone import Phone
from bots.web.headers import SafeHeaders
from bots.web.health import Health
from bots.web.limits import TooLarge, TooSlow
from bots.web.metrics import CountWebhooks, Metrics
from bots.web.pages.accounts import AccountPages
from bots.web.pages.attention import AttentionPages
from bots.web.pages.audit import AuditPages
from bots.web.pages.batches import BatchPages
from bots.web.pages.bots import BotPages
from bots.web.pages.contacts import ContactPages
from bots.web.pages.conversations import ConversationPages
from bots.web.pages.home import HomePages
from bots.web.pages.me import MePages
from bots.web.pages.models import ModelPages
from bots.web.pages.operators import OperatorPages
from bots.web.pages.profiles import ProfilePages
from bots.web.pages.sign_in import SignInPages
from bots.web.pages.usage import UsagePages
from bots.web.pages.wizard import WizardPages
from bots.web.static_files import StaticFiles
from bots.web.thread_pool import ThreadPool
from bots.web.views import HERE, Views
from bots.web.webhooks.endpoints import Posts, Webhooks
from bots.web.webhooks.intake import Intake
from bots.web.webhooks.lane import Lane
from inference.catalog import Catalog, load

log = structlog.get_logger()

#: A watch lasts 15 s, so two renewals may fail.
_WATCH_EVERY_S = 5.0
#: Postgres connections of each of the admin's two roles.
_ADMIN_POOL = 6
#: Transactions of webhooks that are under way at the same time: while one waits for the disk another works, and more would share their cost among fewer.
_LANES = 2
#: The largest body of an API call, which FastAPI reads before it is known who calls.
_JSON_BYTES = 1024 * 1024


def create(settings: Settings, catalog: Catalog | None = None) -> FastAPI:
    """Build the application, with the shipped models unless others are given. `app.state.live` ends the open streams at a stop."""
    # Each message that comes in is compared with their words, which are read once.
    book()
    waits("read the words")
    web = open_engine(settings.web_database_url, pool=settings.web_pool, name="web")
    crossing = open_engine(settings.crossing_database_url, pool=settings.web_pool, name="web crossing", statement_timeout_s=2)
    keyring = Keyring.from_settings(settings)
    threads, live, views = ThreadPool(settings.web_pool), Live(), Views()
    phone = Phone(web=web, crossing=crossing, settings=settings)
    site = _site(settings, keyring, views, catalog or load())
    together = open_engine(settings.crossing_database_url, pool=_LANES, name="web together", statement_timeout_s=2)
    lanes = [Lane(Line(together), settings) for _ in range(_LANES)]
    intake = Intake(engine=crossing, keyring=keyring, settings=settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None, None]:
        watching = None
        if settings.simulator:
            threads.pump(partial(chat.notices, settings.web_database_url), live.notice)
            watching = asyncio.create_task(_keep_watching(live, phone, threads))
        log.info("web_started", simulator=settings.simulator)
        yield
        live.close()
        threads.stop()
        if watching is not None:
            watching.cancel()
        for lane in lanes:
            lane.close()
        for engine in (web, crossing, together, site.deps.web, site.deps.crossing):
            engine.dispose()

    app = FastAPI(title="Chinwag", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.live = live
    app.state.site = site
    webhooks = Webhooks(
        intake=intake, lanes=lanes, threads=threads, max_body_bytes=settings.web_max_body_bytes, max_concurrent=settings.web_max_concurrent
    )
    app.add_middleware(Posts, webhooks=webhooks)
    app.add_middleware(SafeHeaders)
    app.add_middleware(CountWebhooks)
    app.add_exception_handler(Exception, _our_error)
    app.router.routes += webhooks.routes
    app.router.routes += Health(engine=crossing, threads=threads).routes
    #: What the process's own /metrics reads besides its counters.
    app.state.collectors = ()
    if settings.web_hooks_only:
        return app
    _serve_admin(app, site)
    metrics = Metrics(site)
    app.router.routes += metrics.routes
    app.state.collectors = (metrics.work,)
    if settings.simulator:
        app.router.routes += Simulator(phone=phone, live=live, threads=threads, views=views).routes
    app.router.routes += StaticFiles(HERE / "static").routes
    return app


def _site(settings: Settings, keyring: Keyring, views: Views, catalog: Catalog) -> AdminSite:
    """What pages and API share, with connections and threads of its own: a slow search or check must not hold up webhooks."""
    web = open_engine(settings.web_database_url, pool=_ADMIN_POOL, name="web admin")
    crossing = open_engine(settings.crossing_database_url, pool=_ADMIN_POOL, name="web admin crossing", statement_timeout_s=2)
    threads = ThreadPool(2 * _ADMIN_POOL)
    deps = Deps(web=web, crossing=crossing, keyring=keyring, settings=settings)
    auth = Auth(deps=deps, threads=threads)
    return AdminSite(
        deps=deps,
        threads=threads,
        views=views,
        auth=auth,
        figures=FigureCache(),
        catalog=catalog,
    )


def _serve_admin(app: FastAPI, site: AdminSite) -> None:
    """Pages and API for operators."""
    for pages in (
        SignInPages,
        HomePages,
        ConversationPages,
        ContactPages,
        BotPages,
        WizardPages,
        AccountPages,
        BatchPages,
        ModelPages,
        ProfilePages,
        UsagePages,
        AttentionPages,
        OperatorPages,
        AuditPages,
        MePages,
    ):
        app.router.routes += pages(site).routes
    for noun in (
        figures,
        conversations,
        memories,
        bots,
        accounts,
        batches,
        endpoints,
        profiles,
        usage,
        attention,
        operators,
        tokens,
        audit,
        me,
    ):
        # Files of batches are taken piece by piece, and have a bound of their own.
        app.include_router(noun.router(site), max_body_size=None if noun is batches else _JSON_BYTES)
    for error in (Refused, NotAllowed, NotFound, Conflict, StorageUnavailable, TooLarge, TooSlow):
        app.add_exception_handler(error, as_json)
    app.add_exception_handler(RequestValidationError, as_invalid)

    async def describe(_request: Request, _operator: Operator) -> Response:
        return JSONResponse(app.openapi())

    # Only for operators and tokens: it shows everything that can be done here.
    app.router.routes.append(Route("/openapi.json", site.api(describe), methods=["GET"]))


async def _keep_watching(live: Live, phone: Phone, threads: ThreadPool) -> None:
    """Tell the workers every few seconds which conversations are open in a page."""
    told: list[UUID] = []
    waited_s = 0.0
    while True:
        conversations = live.conversations
        if conversations and (waited_s >= _WATCH_EVERY_S or conversations != told):
            try:
                await threads.run(partial(phone.watch, conversations))
                told, waited_s = list(conversations), 0.0
            except StorageUnavailable:
                log.warning("watch_not_renewed")
        pause_s = 0.2 if live.count else 1.0
        await asyncio.sleep(pause_s)
        waited_s += pause_s


async def _our_error(_request: Request, error: Exception) -> Response:
    log.error("web_error", exc_info=error)
    return JSONResponse({"error": "internal error"}, status_code=500)
