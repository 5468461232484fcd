"""The whole stack on one machine: its parts, the settings of each, and the order in which they start."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

import httpx
import psycopg
from sqlalchemy import make_url

from bots.errors import BotsError
from bots.settings import LISTENER, Settings
from chinwag.local import demo, engine, gpus, llamacpp, models
from chinwag.local.answering import Answering
from chinwag.local.ground import Ground, Secrets
from chinwag.local.llamacpp import LocalModels
from chinwag.local.own_endpoints import OwnEndpoints
from chinwag.local.postgres import Running, start_postgres
from chinwag.local.processes import CannotStart, Child, start
from chinwag.local.progress import Report
from chinwag.local.redis import RunningRedis, start_redis, try_redis
from chinwag.local.settings import ROOT, LocalSettings
from chinwag.local.supervisor import Part, Supervisor
from inference.engines.asking import Asking
from inference.engines.loading import Tail, step_of
from inference.errors import BadModelSetting
from inference.settings import ModelSettings
from workers.gpu import is_ours

_HOST = "127.0.0.1"
_DISK_BYTES = 300_000_000
#: vLLM starts in half a minute on two free cores, and in several where others use them.
_VLLM_S = 600.0


class Stack:
    """The parts and their settings. Tests start some of them in a folder of their own; `make run` starts all."""

    def __init__(self, settings: LocalSettings, *, report: Report, env: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.report = report
        self.ground = Ground(settings.data)
        self.supervisor = Supervisor(report)
        #: The CHINWAG_ variables of every process.
        self.variables: dict[str, str] = {key: value for key, value in (env or {}).items() if key.startswith("CHINWAG_")}
        self._inherited = {key: value for key, value in (env or os.environ).items() if not is_ours(key)}
        self.port = settings.port
        #: The web's. It outlives the web's process: whoever connects while that is started again waits.
        self._listener = socket.socket()
        self.platform_url = ""
        self.model_line = ""
        #: The models on llama.cpp, if it serves any.
        self.models: LocalModels | None = None
        self.answering = Answering(self.ground)
        self.own_endpoints: OwnEndpoints | None = None
        #: What this machine's GPUs could serve; empty without any.
        self.offer_line = ""
        #: The model for vLLM, once it is converted.
        self._checkpoint: engine.Checkpoint | None = None

    def start(self) -> str:
        """Start everything; returns the token of the admin link. Raises CannotStart."""
        self.check_model()
        self.check_room()
        secrets = self.ground.secrets()
        self.tell()
        self.prepare_model()
        embedder, platform = self.start_embedder(), self.start_platform()
        began = time.monotonic()
        self.start_postgres(secrets)
        self.start_redis()
        engine, engine_began = self.start_model(), time.monotonic()
        self.migrate()
        settings = Settings.from_env(self.variables)
        token = demo.prepare(settings, secrets)
        self.own_endpoints = OwnEndpoints(settings)
        if self.own_endpoints.settle(self.models.first if self.models is not None else None):
            self.variables.setdefault("CHINWAG_MODEL_MEASURE", "false")
        parts = [self.start_web(), self.start_worker(), self.start_dispatcher()]
        self._await("Practice", platform, self.platform_url, began)
        demo.register(self.platform_url, f"http://{_HOST}:{self.port}", secrets)
        self._await("Embeddings", embedder, self.variables["CHINWAG_EMBED_URL"], began)
        if engine is not None:
            self._await("Chat model", engine, self.variables["CHINWAG_MODEL_NAME"], engine_began)
        for part in parts:
            self._await(
                part.name, part, f"http://{_HOST}:{self.port}" if part.name == "Web" else "running", part.child.started if part.child else 0
            )
        self.ground.publish({**self.variables, "PORT": str(self.port), "FAKE_PLATFORM_URL": self.platform_url})
        return token

    def check_model(self) -> None:
        """Raise CannotStart for a MODEL= that can never work."""
        if self.settings.engine == "vllm":
            engine.check(self.settings)
        else:
            models.check(self.settings)

    def prepare_model(self) -> None:
        """Install vLLM and convert the model for it, if it is wanted: that takes minutes, so it comes before everything else."""
        if self.settings.engine == "vllm":
            logs = self.ground.folder / "logs"
            engine.install(self.report, logs)
            self._checkpoint = engine.prepare(self.settings, self.report, logs)

    def check_room(self) -> None:
        """Raise CannotStart when the disk is full or the port is taken."""
        folder = self.ground.folder
        if shutil.disk_usage(folder if folder.exists() else folder.parent).free < _DISK_BYTES:
            raise CannotStart(f"the disk of {folder} is full: free at least 300 MB and start again")
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((_HOST, self.port))
        except OSError as error:
            reason = "is taken" if error.errno == 98 else f"cannot be used ({error.strerror})"
            raise CannotStart(f"port {self.port} {reason}: give another with PORT=, for instance PORT={self.port + 1 or 8080}") from error
        self.port = self._listener.getsockname()[1]

    def start_postgres(self, secrets: Secrets) -> Running | None:
        """Start the embedded Postgres, or try the given one; the roles' addresses become variables."""
        began = time.monotonic()
        if self.settings.database_url:
            _try_postgres(self.settings.database_url)
            running, owner = None, self.settings.database_url
        else:
            running = start_postgres(self.ground.folder / "postgres")
            part = Part(
                name="Postgres", start=lambda: start_postgres(self.ground.folder / "postgres").child, is_store=True, child=running.child
            )
            self.supervisor.parts.append(part)
            owner = running.owner_url
        self.variables["CHINWAG_OWNER_DATABASE_URL"] = owner
        for role, password in secrets.passwords.items():
            url = make_url(owner).set(username=role, password=password).render_as_string(hide_password=False)
            self.variables[f"CHINWAG_{role.removeprefix('chinwag_').upper()}_DATABASE_URL"] = url
        self.report.done("Postgres", "the one at DATABASE_URL" if running is None else "18 with pgvector", time.monotonic() - began)
        return running

    def start_redis(self) -> RunningRedis | None:
        """Start the embedded Redis, or take the given one."""
        began, folder = time.monotonic(), self.ground.folder / "redis"
        if self.settings.redis_url:
            try_redis(self.settings.redis_url)
        running = None if self.settings.redis_url else start_redis(folder)
        if running is not None:
            self.supervisor.parts.append(Part(name="Redis", start=lambda: start_redis(folder).child, is_store=True, child=running.child))
        self.variables["CHINWAG_REDIS_URL"] = running.url if running else self.settings.redis_url
        self.report.done("Redis", "the one at REDIS_URL" if running is None else "Valkey 9", time.monotonic() - began)
        return running

    def start_model(self) -> Part | None:
        """Start the chat engine with the wanted model, or use the hosted one."""
        if self.settings.model_url:
            self.variables["CHINWAG_MODEL_URL"] = self.settings.model_url
            self.variables["CHINWAG_MODEL_NAME"] = self.settings.model_name
            if self.settings.model_key_file:
                self.variables["CHINWAG_MODEL_KEY_FILE"] = self.settings.model_key_file
            self.answering.tell(model=self.settings.model_name)
            self._try_model(time.monotonic())
            return None
        if self._checkpoint is not None:
            return self._start_vllm(self._checkpoint)
        self.models = LocalModels(
            self.settings, supervisor=self.supervisor, report=self.report, answering=self.answering, launch=self._launch
        )
        part, served = self.models.start()
        self.variables["CHINWAG_MODEL_URL"], self.variables["CHINWAG_MODEL_NAME"] = served.url, served.model
        for name, value in llamacpp.SETTINGS.items():
            self.variables.setdefault(name, value)
        first = self.models.chosen.first
        self.model_line = (
            f"{first.name} answers{f': {first.about}' if first.about else ''}. {self.models.chosen.why} Another one: make run "
            "MODEL=path/to/file.gguf, MODEL=hf:owner/repo/file.gguf, or MODEL_URL=https://.../v1 MODEL_NAME=... MODEL_KEY_FILE=..."
        )
        self.offer_line = gpus.offer(gpus.names())
        return part

    def go_on(self) -> None:
        """Say which better models could be had, and begin to fetch the one that is wanted."""
        if self.models is not None and self.own_endpoints is not None:
            if offered := self.models.offer_line():
                self.report.line(offered)
            self.models.fetch_better(self.own_endpoints)

    def tick(self) -> None:
        """Restart what died, and go on with the better model."""
        self.supervisor.tick()
        if self.models is not None:
            self.models.tick()

    def _start_vllm(self, checkpoint: engine.Checkpoint) -> Part:
        """Start a GPU worker with vLLM on this machine's CPU: it consumes once its engine has generated a token."""
        url, log = f"http://{_HOST}:{(port := free_port())}", self.ground.folder / "logs" / "engine.log"
        self.variables["CHINWAG_MODEL_URL"], self.variables["CHINWAG_MODEL_NAME"] = f"{url}/v1", checkpoint.name
        for name, value in engine.SETTINGS.items():
            self.variables.setdefault(name, value)
        self.model_line = f"{checkpoint.name} answers, served by vLLM on this machine's CPU (log: {log})."
        self.answering.tell(model=checkpoint.name)
        asking, tail, told = Asking(url), Tail(log), set[str]()

        def is_ready() -> bool:
            for step in filter(None, map(step_of, tail.lines())):
                line = f"{'Chat model':<14}{step.message}" + ("" if step.fraction is None else f" {100 * step.fraction:.0f} %")
                if line not in told:
                    told.add(line)
                    self.report.line(line)
            return asking.health() == 200 and asking.one_token(checkpoint.name) == 200

        own = ["--profile", "default", "--engine", "local", "--grace", "1.5"]
        options = (*own, "--log", str(log), "--", *engine.command(checkpoint, port=port))
        log.unlink(missing_ok=True)
        start = partial(self._python, "Chat model", "workers.gpu", *options, **engine.cpu_env())
        return self.supervisor.launch(Part(name="Chat model", start=start, ready=is_ready, deadline_s=_VLLM_S))

    def start_embedder(self) -> Part:
        """Start the embedding server; workers ask it, or the one that CHINWAG_EMBED_URL names."""
        port = free_port()
        self.variables.setdefault("CHINWAG_EMBED_URL", f"http://{_HOST}:{port}/v1")
        return self._launch("Embeddings", "inference.embed_server", "--port", str(port), port=port)

    def start_platform(self) -> Part:
        """Start the practice platform."""
        port = free_port()
        self.platform_url = f"http://{_HOST}:{port}"
        # An address of the real Graph API is left as it is; the demo account then has no platform.
        self.variables.setdefault("CHINWAG_GRAPH_URL", self.platform_url)
        self.variables.setdefault("CHINWAG_INSTAGRAM_GRAPH_URL", self.platform_url)
        # Its pictures are on this machine, where no other picture may be fetched from.
        self.variables.setdefault("CHINWAG_MEDIA_HOSTS", f"{Settings().media_hosts},{self.platform_url}")
        state = str(self.ground.folder / "platform")
        return self._launch("Practice", "chinwag", "fake-platform", "--port", str(port), "--state", state, port=port)

    def start_web(self) -> Part:
        """Start the web, on a socket that outlives it."""
        self._listener.listen()
        return self._launch("Web", "bots.web", ready=f"http://{_HOST}:{self.port}/readyz", listener=self._listener.fileno())

    def start_worker(self) -> Part:
        """Start one Celery worker."""
        slots = str(Settings.from_env(self.variables).worker_slots)
        options = (
            "-A",
            "workers.app",
            "worker",
            "--pool",
            "threads",
            "--concurrency",
            slots,
            "--queues",
            # An engine's own worker takes the batches, and conversations first: this one has those of a lost engine, to apologise.
            "reply.default,deliver" if self._checkpoint is not None else "reply.default,deliver,batch.default",
        )
        return self._launch("Worker", "celery", *options, "--without-gossip", "--without-mingle", "--loglevel", "warning")

    def start_dispatcher(self) -> Part:
        """Start the dispatcher."""
        return self._launch("Dispatcher", "workers.dispatch")

    def migrate(self) -> None:
        """Bring the database up to date. Raises CannotStart."""
        began = time.monotonic()
        child = self._python("Migrations", "chinwag", "migrate")
        while child.is_alive():
            time.sleep(0.02)
        if child.process.returncode != 0:
            raise CannotStart(f"the database could not be brought up to date: {child.last_words()} (log: {child.log})")
        self.report.done("Migrations", "up to date", time.monotonic() - began)

    def stop(self) -> None:
        """Stop every part."""
        self.supervisor.stop()
        self._listener.close()

    def tell(self) -> None:
        """Set what does not depend on any part's address."""
        self.variables["CHINWAG_KEYS_FILE"] = str(self.ground.keys_file)
        self.variables["CHINWAG_WEB_HOST"] = _HOST
        self.variables["CHINWAG_WEB_PORT"] = str(self.port)
        self.variables["CHINWAG_SIMULATOR"] = "1"
        self.variables["CHINWAG_ANSWERING_FILE"] = str(self.answering.file)
        # A small engine on a few cores: more turns at once would only wait in its queue.
        self.variables.setdefault("CHINWAG_WORKER_SLOTS", "16")

    def _try_model(self, began: float) -> None:
        """Report whether the hosted model can be reached; the stack starts even if it cannot."""
        name, url = self.settings.model_name, self.settings.model_url
        try:
            httpx.get(f"{url}/models", timeout=5, trust_env=urlsplit(url).hostname not in {_HOST, "localhost"})
        except httpx.HTTPError as error:
            self.report.failed("Chat model", f"{url} cannot be reached ({error}); until it can, the bot sends its fallback text")
            self.model_line = f"{name} at {url} should answer but cannot be reached now: check MODEL_URL= and the network."
        else:
            self.report.done("Chat model", f"{name} at {url}", time.monotonic() - began)
            self.model_line = f"{name} at {url} answers."
        try:
            leaves_house = ModelSettings.from_env(self.variables).open_endpoint().leaves_house
        except BadModelSetting as error:
            raise CannotStart(str(error)) from error
        if leaves_house:
            self.model_line += (
                " What people write leaves your servers: only bots that allow this are answered (chinwag bot set demo --data-may-leave)."
                " If that server is your own, set CHINWAG_MODEL_LEAVES_HOUSE=no."
            )

    def _await(self, what: str, part: Part, how: str, began: float) -> None:
        try:
            self.supervisor.await_ready(part)
        except CannotStart as error:
            if part.name != "Chat model":
                raise
            raise CannotStart(f"the chat model could not be loaded: is the file complete, and does it fit into memory? {error}") from error
        self.report.done(what, how, time.monotonic() - began)

    def _launch(
        self,
        name: str,
        module: str,
        /,
        *options: str,
        ready: str | Callable[[], bool] = "",
        port: int = 0,
        deadline_s: float = 60,
        listener: int | None = None,
    ) -> Part:
        def is_ready() -> bool:
            if callable(ready):
                return ready()
            return _answers(ready) if ready else _listens(port) if port else True

        part = Part(
            name=name, start=partial(self._python, name, module, *options, listener=listener), ready=is_ready, deadline_s=deadline_s
        )
        return self.supervisor.launch(part)

    def _python(self, name: str, module: str, *options: str, listener: int | None = None, **more: str) -> Child:
        # Loopback addresses never go through a proxy; threads of numeric libraries would fight over the few cores.
        own = {"NO_PROXY": f"{_HOST},localhost", "no_proxy": f"{_HOST},localhost", "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
        env = {**self._inherited, **own, "C_FORCE_ROOT": "1", **more, **self.variables}
        if listener is not None:
            env[LISTENER] = str(listener)
        keep = () if listener is None else (listener,)
        log = self.ground.folder / "logs" / f"{name.lower().replace(' ', '-')}.log"
        return start([sys.executable, "-m", module, *options], name=name, log=log, env=env, cwd=ROOT, keep=keep)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((_HOST, port)) == 0


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _try_postgres(url: str) -> None:
    try:
        psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), connect_timeout=5).close()
    except (psycopg.Error, BotsError) as error:
        reason = " ".join(str(error).split())
        raise CannotStart(f"DATABASE_URL= cannot be used ({reason}): check address, role and password") from error
