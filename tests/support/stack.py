"""The whole service of one test: fresh database and Redis, fake platform, scripted model; web, workers and dispatcher on demand."""

from __future__ import annotations

import atexit
import collections
import itertools
import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx
from sqlalchemy import Engine, create_engine, text

from bots.crypto import Keyring
from bots.domain import Account, ChannelKind
from bots.settings import Settings
from bots.storage import accounts, personas, tenants
from chinwag.local.redis import start_redis
from tests.support import build, invariants
from tests.support.cluster import Cluster
from tests.support.fakes import Model, Platform
from tests.support.processes import Process, Processes, until
from tests.support.proxy import FaultProxy

#: Windows shortened for tests, by settings alone.
WINDOWS = {
    "CHINWAG_LEASE_S": "4",
    "CHINWAG_LEASE_RENEW_S": "1",
    "CHINWAG_HEARTBEAT_S": "0.5",
    "CHINWAG_DEBOUNCE_S": "0.1",
    "CHINWAG_DEBOUNCE_CAP_S": "0.5",
    "CHINWAG_RECONCILE_S": "2",
    "CHINWAG_NEXT_PART_S": "0.5",
    "CHINWAG_SEND_DEADLINE_S": "2",
    "CHINWAG_JOURNAL_TO_BYTES_S": "2",
    "CHINWAG_TASK_RUN_S": "3",
    "CHINWAG_STOP_GRACE_S": "3",
    "CHINWAG_ASK_AGAIN_S": "0.5",
    "CHINWAG_OWN_ERROR_DELAYS_S": "0.2,0.5,1,2,4",
    "CHINWAG_WORKER_SLOTS": "16",
    "CHINWAG_WORKER_POOL": "12",
}

#: Not the tests' own chance, which begins anew with each test.
_CHANCE = random.SystemRandom()


def a_free_port() -> int:
    """A loopback port that nobody else is given, neither by this function nor by the kernel for a connection.

    Of several test processes side by side each has its own, and walks through them. The last ones given stay bound here without listening,
    so that a server with SO_REUSEADDR, as all of ours are, may take its port, and an outgoing connection may not.
    """
    for port in itertools.islice(_PORTS, 100):
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("127.0.0.1", port))
        except OSError:
            held.close()
            continue
        _HELD.append(held)
        if len(_HELD) > _MOST_HELD:
            _HELD.popleft().close()
        return port
    raise AssertionError("no free port among a hundred")


def _ports() -> Iterator[int]:
    processes, mine = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    ports = range(12_000 + mine, 32_000, processes)
    start = _CHANCE.randrange(len(ports))
    return itertools.cycle([*ports[start:], *ports[:start]])


_PORTS = _ports()
_HELD = collections.deque[socket.socket]()
_MOST_HELD = 64


@atexit.register
def _give_back() -> None:
    for held in _HELD:
        held.close()


class Stack:
    """One test's service. Everything ends with the block; `check` asserts the invariants."""

    def __init__(
        self, cluster: Cluster, folder: Path, *, settings: dict[str, str] | None = None, persona: str = "You answer briefly."
    ) -> None:
        """`settings` stand in the place of the shortened windows."""
        self.cluster, self.folder, self._persona = cluster, folder, persona
        self.processes = Processes(folder, forks=not cluster.as_shipped)
        self._settings = WINDOWS if settings is None else {"CHINWAG_WORKER_SLOTS": "64"} | settings
        self._exit = ExitStack()
        #: False where a test starts nobody who answers: then only what holds at every moment is checked.
        self.settles = True
        #: wamid of every message whose webhook got 200, as I1 compares it.
        self.accepted: set[str] = set()

    def __enter__(self) -> Self:
        with ExitStack() as started:
            self.database = self.cluster.database()
            started.callback(self.cluster.drop, self.database)
            redis = start_redis(self.folder / "redis")
            started.callback(redis.stop)
            self.redis = redis
            started.callback(self.processes.end_all)
            self.web_port = a_free_port()
            self.env = {
                **self.cluster.addresses(self.database),
                "CHINWAG_REDIS_URL": redis.url,
                "CHINWAG_WEB_PORT": str(self.web_port),
                # A worker's questions about the model would stand among those that a test scripts and counts.
                "CHINWAG_MODEL_MEASURE": "false",
                **self._settings,
            }
            # Tests look many times a second: for them a connection stays open.
            self.owner = create_engine(self.cluster.owner_url(self.database), pool_size=2, max_overflow=30, pool_pre_ping=True)
            started.callback(self.owner.dispose)
            self.http = started.enter_context(httpx.Client(base_url=self.web_url, timeout=10, trust_env=False, verify=False))
            where = ["--port", "0", "--state", str(self.folder / "platform")]
            self.platform = started.enter_context(closing(Platform(self._listening("platform", ["chinwag", "fake-platform", *where]))))
            self.model = started.enter_context(closing(Model(self._listening("model", ["inference.scripted", "--port", "0"]))))
            self.env |= {
                "CHINWAG_GRAPH_URL": self.platform.url,
                "CHINWAG_INSTAGRAM_GRAPH_URL": self.platform.url,
                "CHINWAG_MEDIA_HOSTS": f"{Settings().media_hosts},{self.platform.url}",
                "CHINWAG_MODEL_URL": self.model.url + "/v1",
                "CHINWAG_MODEL_NAME": "scripted",
            }
            self._seat()
            self._exit = started.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._exit.close()

    @property
    def web_url(self) -> str:
        """Where the web listens."""
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def hook(self) -> str:
        """The webhook's address of the one WhatsApp account."""
        return f"{self.web_url}/webhooks/whatsapp/test"

    def _listening(self, name: str, arguments: list[str]) -> str:
        # These two are fakes: they get no address of a database.
        return self.processes.start(name, arguments, {}).wait_listening()

    def _seat(self) -> None:
        """Make one bot and one WhatsApp account on it, known to the fake platform."""
        keyring = Keyring.from_settings(Settings.from_env(self.cluster.addresses(self.database)))
        engine = self.engine("web")
        with engine.begin() as connection:
            tenant = tenants.default(connection)
            bot = personas.put(connection, tenant=tenant, name="tester", persona=self._persona)
            self.account = accounts.add(
                connection,
                keyring,
                tenant=tenant,
                bot=bot.id,
                channel=ChannelKind.WHATSAPP,
                name="test",
                external_id=build.PHONE_NUMBER_ID,
                app_secret=build.APP_SECRET,
                verify_token=build.VERIFY_TOKEN,
                access_token=build.ACCESS_TOKEN,
            )
        self.register_number()

    def register_number(self, **options: Any) -> None:
        """Make the account's number known to the fake platform, with its options."""
        self.platform.serve(
            phone_number_id=build.PHONE_NUMBER_ID, url=self.hook, app_secret=build.APP_SECRET, access_token=build.ACCESS_TOKEN, **options
        )

    def add_page(self, channel: ChannelKind, name: str = "page", *, login_type: str = "page", **options: Any) -> Account:
        """Make a Messenger page's or an Instagram account's account, of the one bot, known to the fake platform with its options."""
        is_messenger, number = channel is ChannelKind.MESSENGER, self.one("select count(*) from accounts")
        external_id = f"{'2003004005006' if is_messenger else '178414005006'}{number:02d}"
        page_id = external_id if is_messenger else f"2003004005007{number:02d}"
        secret, token = f"{build.APP_SECRET}-{number}", f"{build.ACCESS_TOKEN}-{number}"
        keyring = Keyring.from_settings(Settings.from_env(self.cluster.addresses(self.database)))
        with self.engine("web").begin() as connection:
            tenant = tenants.default(connection)
            bot = personas.get(connection, tenant=tenant, name="tester")
            assert bot is not None
            account = accounts.add(
                connection,
                keyring,
                tenant=tenant,
                bot=bot.id,
                channel=channel,
                name=name,
                external_id=external_id,
                login_type=login_type,
                parent_id=None if is_messenger or login_type == "login" else page_id,
                app_secret=secret,
                verify_token=build.VERIFY_TOKEN,
                access_token=token,
            )
        ids = {} if login_type == "login" else {"page_id": page_id}
        url = f"{self.web_url}/webhooks/{channel.value}/{name}"
        self.platform.serve_page(
            channel=channel.value, account_id=external_id, url=url, app_secret=secret, access_token=token, door=login_type, **ids, **options
        )
        return account

    # Starting parts

    def start_web(self, **extra: str) -> Process:
        """Start the web and wait until it is ready."""
        process = self.processes.start("web", ["bots.web"], self.env | extra)
        process.wait_ready(self.web_is_ready)
        return process

    def web_is_ready(self) -> bool:
        """Whether the web says that it is ready."""
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def start_dispatcher(self) -> Process:
        """Start a dispatcher."""
        return self.processes.start("dispatcher", ["workers.dispatch"], self.env)

    def start_worker(
        self,
        name: str = "a",
        *,
        database: FaultProxy | None = None,
        wait: bool = True,
        queues: str = "reply.default,deliver,batch.default",
        **extra: str,
    ) -> Process:
        """Start a Celery worker under a name, its database behind a proxy where one is given, and wait for its first heartbeat."""
        env = self.env | (self.cluster.addresses(self.database, proxy_port=database.port) if database else {}) | extra
        slots = env["CHINWAG_WORKER_SLOTS"]
        arguments = [
            "celery",
            "-A",
            "workers.app",
            "worker",
            "--pool",
            "threads",
            "--concurrency",
            slots,
            "--queues",
            queues,
        ]
        arguments += ["--without-gossip", "--without-mingle", "--loglevel", "warning", "--hostname", f"{name}@tests"]
        before = self.one("select count(*) from worker_heartbeats where at > now() - interval '1 hour'")
        since = self.one("select now()")
        process = self.processes.start(f"worker-{name}", arguments, env)
        if wait:
            process.wait_ready(lambda: self._beats_since(since, name) or self._more_beats(before))
        return process

    def _beats_since(self, since: Any, name: str) -> bool:
        found = self.one("select count(*) from worker_heartbeats where at > :since and name like :name", since=since, name=f"{name}@%")
        return bool(found)

    def _more_beats(self, before: int) -> bool:
        return self.one("select count(*) from worker_heartbeats where at > now() - interval '1 hour'") > before

    def database_proxy(self) -> FaultProxy:
        """A fault proxy before Postgres."""
        return self._exit.enter_context(FaultProxy(self.cluster.socket))

    def proxy_before(self, url: str) -> FaultProxy:
        """A fault proxy before an HTTP server."""
        there = httpx.URL(url)
        return self._exit.enter_context(FaultProxy((there.host, there.port or 80)))

    # Speaking to it

    def post(self, body: bytes, *, secret: str = build.APP_SECRET) -> int:
        """Post a signed webhook once; 0 stands for no answer."""
        try:
            return self.http.post(self.hook, content=body, headers=build.sign(body, secret)).status_code
        except httpx.TransportError:
            return 0

    def say(self, person: build.Person, words: str, *, wamid: str | None = None) -> str:
        """Let a person say something until the web takes it; returns the message's id."""
        message = build.a_text(person, build.marked(person, words), wamid=wamid)
        body = build.a_webhook(messages=[message], people=[person])
        until(lambda: self.post(body) == 200, what="the webhook was taken", timeout_s=20)
        self.accepted.add(message["id"])
        return message["id"]

    # Looking at it

    def engine(self, role: str) -> Engine:
        """A plain engine of a login role."""
        return self.cluster.engine(self.database, role)

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Read rows as the owner, who sees everything."""
        with self.owner.connect() as connection:
            return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    def one(self, statement: str, **values: Any) -> Any:
        """Read one value as the owner."""
        with self.owner.connect() as connection:
            return connection.execute(text(statement), values).scalar()

    def turn_of(self, wamid: str) -> UUID | None:
        """The turn that answers a message."""
        return self.one("select turn_id from inbox where event_key = :key", key=wamid)

    def wait_settled(self, timeout_s: float = 30.0) -> None:
        """Wait until every message has its turn, every turn its end, and every send its outcome."""
        open_work = """
            select (select count(*) from inbox where kind = 'message' and turn_id is null)
                + (select count(*) from turns where state = 'open')
                + (select count(*) from outbox where not_before is not null or status in ('queued', 'sending'))
        """
        end = time.monotonic() + timeout_s
        while left := self.one(open_work):
            if time.monotonic() > end:
                raise AssertionError(f"{left} things are not settled after {timeout_s} s:\n{self.describe()}")
            time.sleep(0.05)

    def describe(self) -> str:
        """Where everything stands, without people's words, for a failure's message."""
        asked = {
            "unanswered": "select event_key, kind, conversation_id from inbox where kind = 'message' and turn_id is null limit 20",
            "turns": "select id, number, state, reason, tries, token from turns where state <> 'answered' limit 20",
            "conversations": "select id, ready_at - now() as ready_in, leased_by, leased_until - now() as lease_left from conversations"
            " where ready_at is not null limit 20",
            "outbox": "select id, part, status, not_before - now() as due_in, sends, reason from outbox where not_before is not null limit 20",
            "attempts": "select message_id, n, outcome, http_status, error_code from send_attempts order by started_at desc limit 20",
            "workers": "select name, boot_id, busy, now() - at as age from worker_heartbeats",
        }
        lines = [f"{name}: {row}" for name, statement in asked.items() for row in self.rows(statement)]
        for process in self.processes.all:
            lines += [f"--- {process.name} (alive: {process.alive()})", process.printed()[-1500:]]
        return "\n".join(lines)

    def check(self) -> None:
        """Assert the invariants I1 to I9."""
        invariants.check(self, settled=self.settles)
