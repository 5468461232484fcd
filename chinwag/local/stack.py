"""The whole stack on one machine: its parts, the settings of each, and the order in which they start."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bots.settings import LISTENER, Settings
from chinwag.cli import migrate
from chinwag.local import demo, engine, forks, gpus, hosted, llamacpp, models, ports, voice
from chinwag.local.answering import Answering
from chinwag.local.ground import Ground, Secrets
from chinwag.local.llamacpp import LocalModels
from chinwag.local.own_endpoints import OwnEndpoints
from chinwag.local.ports import HOST, free_port
from chinwag.local.processes import CannotStart, Child, start
from chinwag.local.progress import Report
from chinwag.local.settings import ROOT, LocalSettings
from chinwag.local.stores import Stores
from chinwag.local.supervisor import Part, Supervisor
from inference.engines.asking import Asking
from inference.engines.loading import Tail, step_of
from inference.errors import BadModelSetting
from inference.settings import ModelSettings
from workers.gpu import is_ours

_DISK_BYTES = 300_000_000
#: vLLM starts in half a minute on two free cores, and in several where others use them.
_VLLM_S = 600.0
#: How often a look at what is starting is worth it.
_LOOK_S = 0.02


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
        #: That people's words leave this house, if they do.
        self._warning = ""
        #: The models on llama.cpp, if it serves any.
        self.models: LocalModels | None = None
        self.answering = Answering(self.ground)
        self.own_endpoints: OwnEndpoints | None = None
        #: What this machine's GPUs could serve; empty without any.
        self.offer_line = ""
        #: Where the embedder listens; 0: there is another one.
        self._embed_port = 0
        #: What hears voice messages; None: another server does, or nobody.
        self.voice: voice.Voice | None = None
        #: What the chat page does not wait for.
        self._pending: list[Part] = []
        #: The model for vLLM, once it is converted.
        self._checkpoint: engine.Checkpoint | None = None

    def start(self) -> str:
        """Start everything up to the chat page, which answers afterwards; returns the token of the admin link. Raises CannotStart.

        What the page does not need is on its way then: `finish` waits for it.
        """
        self.check_model()
        self.check_room()
        secrets = self.ground.secrets()
        self.tell()
        self.prepare_model()
        stores = Stores.launch(self.settings, self.ground, secrets, self.supervisor)
        self.variables |= stores.variables
        model = self.start_model()
        # While these come up, this process imports what the other parts run.
        forks.warm_up()
        stores.wait(self.report)
        self.migrate()
        settings = Settings.from_env(self.variables)
        token = demo.prepare(settings, secrets)
        self.own_endpoints = OwnEndpoints(settings)
        if self.own_endpoints.settle(self.models.first if self.models is not None else None):
            self.variables.setdefault("CHINWAG_MODEL_MEASURE", "false")
        self.place()
        self.voice = voice.planned(self.settings, self.variables, log=self._log("Voice"), supervisor=self.supervisor, report=self.report)
        # The page before the others: on few cores they would all come later together.
        self._await([self.start_web()])
        if self.settings.model_url:
            self._look_at_model()
        # A small engine on a few cores: more turns at once would only wait in its queue.
        self.variables.setdefault("CHINWAG_WORKER_SLOTS", str(hosted.FEW))
        others = [self.start_worker(), self.start_dispatcher(), self.start_platform(secrets), self.start_embedder(), model]
        self._pending = [part for part in others if part is not None]
        self.answering.waits_for(*(part.name for part in self._pending))
        self.ground.publish({**self.variables, "PORT": str(self.port), "FAKE_PLATFORM_URL": self.platform_url})
        return token

    def finish(self) -> None:
        """Wait for the parts that the chat page did not wait for. Raises CannotStart."""
        self._await(self._pending)

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
            self._listener.bind((HOST, self.port))
        except OSError as error:
            reason = "is taken" if error.errno == 98 else f"cannot be used ({error.strerror})"
            raise CannotStart(f"port {self.port} {reason}: give another with PORT=, for instance PORT={self.port + 1 or 8080}") from error
        self.port = self._listener.getsockname()[1]

    def start_model(self) -> Part | None:
        """Start the chat engine with the wanted model, or use the hosted one."""
        if self.settings.model_url:
            self.variables["CHINWAG_MODEL_URL"] = self.settings.model_url
            self.variables["CHINWAG_MODEL_NAME"] = self.settings.model_name
            if self.settings.model_key_file:
                self.variables["CHINWAG_MODEL_KEY_FILE"] = self.settings.model_key_file
            self.answering.tell(model=self.settings.model_name)
            self._note_where_words_go()
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
        if self.voice is not None:
            self.voice.begin()

    def tick(self) -> None:
        """Restart what died, and go on with the better model."""
        self.supervisor.tick()
        if self.models is not None:
            self.models.tick()
        if self.voice is not None:
            self.voice.tick()

    def _start_vllm(self, checkpoint: engine.Checkpoint) -> Part:
        """Start a GPU worker with vLLM on this machine's CPU: it consumes once its engine has generated a token."""
        url, log = f"http://{HOST}:{(port := free_port())}", self.ground.folder / "logs" / "engine.log"
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
        return self.supervisor.launch(Part(name="Chat model", start=start, ready=is_ready, how=checkpoint.name, deadline_s=_VLLM_S))

    def place(self) -> None:
        """Choose where practice platform and embedder will listen: the others are told before they start."""
        self.platform_url = f"http://{HOST}:{free_port()}"
        # An address of the real Graph API is left as it is; the demo account then has no platform.
        self.variables.setdefault("CHINWAG_GRAPH_URL", self.platform_url)
        self.variables.setdefault("CHINWAG_INSTAGRAM_GRAPH_URL", self.platform_url)
        # Its pictures are on this machine, where no other picture may be fetched from.
        self.variables.setdefault("CHINWAG_MEDIA_HOSTS", f"{Settings().media_hosts},{self.platform_url}")
        if "CHINWAG_EMBED_URL" not in self.variables:
            self._embed_port = free_port()
            self.variables["CHINWAG_EMBED_URL"] = f"http://{HOST}:{self._embed_port}/v1"

    def start_embedder(self) -> Part | None:
        """Start the embedding server, unless CHINWAG_EMBED_URL names another one."""
        port, url = self._embed_port, self.variables["CHINWAG_EMBED_URL"]
        return (
            self._launch("Embeddings", "inference.embed_server", "--port", str(port), ready=partial(ports.listens, port), how=url)
            if port
            else None
        )

    def start_platform(self, secrets: Secrets) -> Part:
        """Start the practice platform, which gets to know the demo accounts when it listens."""
        port, state = urlsplit(self.platform_url).port or 0, str(self.ground.folder / "platform")

        def is_ready() -> bool:
            if not ports.listens(port):
                return False
            try:
                demo.register(self.platform_url, f"http://{HOST}:{self.port}", secrets)
            except httpx.TransportError:
                # Killed meanwhile: it registers them once it is back.
                return False
            return True

        options = ("fake-platform", "--port", str(port), "--state", state)
        return self._launch("Practice", "chinwag", *options, ready=is_ready, how=self.platform_url)

    def start_web(self) -> Part:
        """Start the web, on a socket that outlives it."""
        url = f"http://{HOST}:{self.port}"
        self._listener.listen()
        return self._launch("Web", "bots.web", ready=partial(ports.answers, f"{url}/readyz"), how=url, listener=self._listener.fileno())

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
        """Bring the database up to date: in a process of its own where there is a revision to go to, which needs much that nobody needs later."""
        began, settings = time.monotonic(), Settings.from_env(self.variables)
        if migrate.is_at_head(settings):
            migrate.migrate(settings)
        else:
            # Nothing else runs yet.
            child = self._python("Migrations", "chinwag", "migrate", "--at-rest")
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
        self.variables["CHINWAG_WEB_HOST"] = HOST
        self.variables["CHINWAG_WEB_PORT"] = str(self.port)
        self.variables["CHINWAG_SIMULATOR"] = "1"
        self.variables["CHINWAG_ANSWERING_FILE"] = str(self.answering.file)

    def _look_at_model(self) -> None:
        """Report whether the hosted model can be reached; the stack runs even if it cannot. The worker gets as many slots as it bears."""
        began, name, url = time.monotonic(), self.settings.model_name, self.settings.model_url
        found = hosted.look(url)
        self.variables.setdefault("CHINWAG_WORKER_SLOTS", str(found.slots))
        if found.problem:
            self.report.failed("Chat model", f"{url} cannot be reached ({found.problem}); until it can, the bot sends its fallback text")
            said = f"{name} at {url} should answer but cannot be reached now: check MODEL_URL= and the network."
        else:
            self.report.done("Chat model", f"{name} at {url}", time.monotonic() - began)
            said = f"{name} at {url} answers."
        self.model_line = said + self._warning

    def _note_where_words_go(self) -> None:
        """Say so where people's words leave this house. Raises CannotStart for a setting that cannot be used."""
        try:
            leaves_house = ModelSettings.from_env(self.variables).open_endpoint().leaves_house
        except BadModelSetting as error:
            raise CannotStart(str(error)) from error
        if leaves_house:
            self._warning = (
                " What people write leaves your servers: only bots that allow this are answered (chinwag bot set demo --data-may-leave)."
                " If that server is your own, set CHINWAG_MODEL_LEAVES_HOUSE=no."
            )

    def _await(self, parts: Sequence[Part]) -> None:
        """Wait until all of them are ready, and report each when it is. Raises CannotStart for one that ends by itself.

        What is killed meanwhile is restarted, be it one of them or not.
        """
        waiting = list(parts)
        while waiting:
            for part in tuple(waiting):
                try:
                    if _is_to_restart(part) or not self.supervisor.is_ready(part):
                        continue
                except CannotStart as error:
                    if _is_to_restart(part):
                        # Killed while it was looked at.
                        continue
                    if part.name != "Chat model":
                        raise
                    raise CannotStart(
                        f"the chat model could not be loaded: is the file complete, and does it fit into memory? {error}"
                    ) from error
                waiting.remove(part)
                self.answering.waits_for(*(other.name for other in waiting))
                self.report.done(part.name, part.how, _age_s(part.child))
            self.supervisor.tick(starting=[part for part in waiting if not _is_to_restart(part)])
            time.sleep(_LOOK_S)

    def _launch(
        self,
        name: str,
        module: str,
        /,
        *options: str,
        ready: Callable[[], bool] = lambda: True,
        how: str = "running",
        deadline_s: float = 60,
        listener: int | None = None,
    ) -> Part:
        """Start one of our own modules: as a fork, unless it is an engine, whose native library belongs into no other process."""
        run = self._python if module.startswith("inference.engines.") else self._fork
        return self.supervisor.launch(
            Part(name=name, start=partial(run, name, module, *options, listener=listener), ready=ready, how=how, deadline_s=deadline_s)
        )

    def _fork(self, name: str, module: str, *options: str, listener: int | None = None) -> Child:
        if not forks.may_fork():
            return self._python(name, module, *options, listener=listener)
        env, keep = self._env(), () if listener is None else (listener,)
        if listener is not None:
            env[LISTENER] = str(listener)
        return forks.fork(module, options, name=name, log=self._log(name), env=env, cwd=ROOT, keep=keep)

    def _python(self, name: str, module: str, *options: str, listener: int | None = None, **more: str) -> Child:
        env, keep = self._env() | more, () if listener is None else (listener,)
        if listener is not None:
            env[LISTENER] = str(listener)
        return start([sys.executable, "-m", module, *options], name=name, log=self._log(name), env=env, cwd=ROOT, keep=keep)

    def _env(self) -> dict[str, str]:
        # Loopback addresses never go through a proxy; threads of numeric libraries would fight over the few cores.
        own = {"NO_PROXY": f"{HOST},localhost", "no_proxy": f"{HOST},localhost", "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
        return {**self._inherited, **own, "C_FORCE_ROOT": "1", **self.variables}

    def _log(self, name: str) -> Path:
        return self.ground.folder / "logs" / f"{name.lower().replace(' ', '-')}.log"


def _is_to_restart(part: Part) -> bool:
    """Whether a part was killed before it was ready; a model that is killed while it is loaded does not fit into memory."""
    return part.name != "Chat model" and (part.child is None or (part.child.process.poll() or 0) < 0)


def _age_s(child: Child | None) -> float:
    return 0.0 if child is None else time.monotonic() - child.started
