"""A GPU worker: owns one engine, and consumes its queues only while the engine answers.

`python -m workers.gpu --profile NAME --engine NAME (--attach URL --slots N | -- vllm serve MODEL ...)`. The Celery worker is a child process with
as many slots as the engine works on requests at once, and a few threads more. When the engine is lost the child ends first, its leases are released, and its row
among the workers is deleted, so that the dispatcher places those conversations elsewhere at once.
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import structlog
from sqlalchemy import Engine as Database

from bots import telemetry
from bots.errors import BotsError, StorageUnavailable
from bots.settings import Settings
from bots.storage import claims
from bots.storage.database import open_engine
from bots.storage.queues import batch_queue, engine_queue
from inference.engines import child
from inference.engines.asking import TOKEN_S
from inference.engines.attached import Attached
from inference.engines.base import Reason, Step
from inference.engines.keeper import Pauses, Watch, keep
from inference.engines.vllm import Vllm
from inference.errors import EngineCannotStart, InferenceError
from inference.settings import ModelSettings

log = structlog.get_logger()

#: What `make` exports for `make run`: addresses with passwords, and the path of a key.
_EXPORTED = frozenset({"DATABASE_URL", "REDIS_URL", "MODEL_KEY_FILE"})
_PROFILE = re.compile(r"[a-z0-9][a-z0-9._-]{0,59}")
#: For the turns in work when the engine is lost: their calls fail at once, a send on its way may still arrive.
_LOST_GRACE_S = 15.0
#: After the worker's own grace period and this one it is killed, and its leases are released here.
_BEYOND_GRACE_S = 5.0
#: A turn is also claimed, stored and sent, and its platform takes some tenths of a second to accept it: meanwhile the engine writes for nobody. So a
#: worker has a thread more for this many slots, as many as the dispatcher makes tasks for. With those the engine is full, and one or two wait in it.
_SLOTS_A_THREAD_MORE = 8


class Consumer:
    """The Celery worker on one engine; the engine's keeper starts and stops it (`Tenant`)."""

    def __init__(self, *, profile: str, engine: str, model: str, slots: int, env: Mapping[str, str], pauses: Pauses | None = None) -> None:
        """Raises BadSetting and BadModelSetting, and ValueError for a name that no queue can have."""
        if not _PROFILE.fullmatch(profile):
            raise ValueError("a profile's name consists of small letters, digits, dots, - and _")
        self._settings = Settings.from_env(env)
        ModelSettings.from_env(env)
        self._queues = (engine_queue(profile, engine), batch_queue(profile))
        #: The worker's name in Celery and in its row: no other engine of the profile has it, on any host.
        self.name = f"{profile}.{engine}@{socket.gethostname()}"
        self._model, self._endpoint, self._slots = model, engine, slots
        self._env = dict(env)
        self._crossing: Database = open_engine(self._settings.crossing_database_url, pool=1, name="gpu")
        self._pauses = pauses or Pauses()
        self._again_at = 0.0
        self._child: child.Child | None = None
        self._url = ""

    def step(self, step: Step) -> None:
        """Log how far the engine's start has come."""
        log.info(
            "engine_loading",
            engine=self._endpoint,
            step=step.message,
            percent=None if step.fraction is None else round(100 * step.fraction),
        )

    def ready(self, url: str) -> None:
        """Begin to consume."""
        self._url = url
        self._begin()
        log.info("engine_ready", engine=self._endpoint, slots=self._slots, queues=list(self._queues))

    def tick(self) -> None:
        """Start the Celery worker again when it ended by itself, as it does when a turn is stuck or its connection to Redis is lost.

        Between two starts there is a pause, so that a worker that cannot start at all does not loop; one that lived longer starts again at once.
        """
        if self._child is not None and not self._child.alive():
            log.warning("consumer_ended", engine=self._endpoint, code=self._child.code())
            self._again_at = self._child.started + self._pauses.after(time.monotonic() - self._child.started)
            self._end(0.0)
        if self._child is None and time.monotonic() >= self._again_at:
            self._begin()

    def lost(self, reason: Reason, again_in_s: float) -> None:
        """Stop consuming, and release the leases."""
        log.error("engine_lost", engine=self._endpoint, reason=reason.message, again_in_s=round(again_in_s, 1))
        self._end(_LOST_GRACE_S)

    def leave(self) -> None:
        """Finish the turns in work, and end."""
        self._end(self._settings.stop_grace_s + _BEYOND_GRACE_S)

    def _begin(self) -> None:
        command = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "--pool", "threads"]
        threads = self._slots + max(1, self._slots // _SLOTS_A_THREAD_MORE)
        command += ["--concurrency", str(threads), "--queues", ",".join(self._queues), "--hostname", self.name]
        command += ["--without-gossip", "--without-mingle", "--loglevel", "warning"]
        own = {
            "CHINWAG_MODEL_URL": f"{self._url}/v1",
            "CHINWAG_MODEL_NAME": self._model,
            "CHINWAG_MODEL_ENDPOINT": self._endpoint,
            "CHINWAG_MODEL_FIRST": "true",
            # What it says that it has. A batch may use these slots less the reserve.
            "CHINWAG_WORKER_SLOTS": str(self._slots),
        }
        self._child = child.start(command, log=None, env=self._env | own)

    def _end(self, grace_s: float) -> None:
        if self._child is None:
            return
        self._child.terminate()
        self._child.end(grace_s)
        self._child = None
        try:
            freed = claims.forget_worker(self._crossing, self.name)
        except StorageUnavailable:
            # Its heartbeat gets old and its leases run out by themselves.
            log.warning("storage_unavailable", engine=self._endpoint)
        else:
            log.info("consumer_gone", engine=self._endpoint, given_back=freed)


def engine_env(env: Mapping[str, str]) -> dict[str, str]:
    """The environment for an engine's process: ours without our settings and secrets."""
    return {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"} | {name: value for name, value in env.items() if not is_ours(name)}


def is_ours(variable: str) -> bool:
    """Whether a variable of the environment is a setting or a secret of ours, which a process gets only if it is passed on purpose."""
    return variable.startswith("CHINWAG_") or variable in _EXPORTED


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{message}; see python -m workers.gpu --help\n")
        raise SystemExit(2)


def _given(arguments: Sequence[str], env: Mapping[str, str]) -> tuple[argparse.Namespace, list[str]]:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = _Parser(
        prog="python -m workers.gpu", description="Serves a profile's conversations with an engine of its own.", allow_abbrev=False
    )
    parser.add_argument("--profile", default="default", help="whose conversations and batches it answers")
    parser.add_argument(
        "--engine", required=True, help="this engine's name, different from those of the profile's other engines: letters, digits, - and _"
    )
    parser.add_argument("--attach", default="", help="address of a running engine, instead of a command after --")
    parser.add_argument("--name", default=env.get("CHINWAG_MODEL_NAME", "default"), help="with --attach: the model's name there")
    parser.add_argument(
        "--slots", type=int, default=0, help="requests that the engine works on at once; by default the command's own --max-num-seqs"
    )
    parser.add_argument("--copies", type=int, default=1, help="data-parallel copies at that address, each with that many slots")
    parser.add_argument("--log", type=Path, default=Path("engine.log"), help="file for the engine's output")
    parser.add_argument("--probe", type=float, default=15.0, help="seconds without work after which the engine is asked for a token")
    parser.add_argument(
        "--token",
        type=float,
        default=TOKEN_S,
        help="seconds within which that token must come; when two in a row do not, the engine is lost",
    )
    parser.add_argument("--grace", type=float, default=45.0, help="seconds for the engine to end, once its turns are done")
    given = parser.parse_args(arguments[:split])
    command = list(arguments[split + 1 :])
    if bool(given.attach) == bool(command):
        parser.error("give either --attach URL, or after -- the command that starts the engine (vllm serve MODEL ...)")
    if given.copies < 1:
        parser.error("--copies must be at least 1")
    if given.attach and (given.slots < 1 or not given.attach.startswith(("http://", "https://"))):
        parser.error("--attach needs an http(s) address, and --slots: how many requests that engine works on at once")
    if given.probe <= 0 or given.token <= 0:
        parser.error("--probe and --token must be above 0 seconds")
    return given, command


def main(arguments: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> int:
    """Serve until SIGTERM. Writes one line and returns exit code 2 when it cannot."""
    env = dict(os.environ if env is None else env)
    given, command = _given(sys.argv[1:] if arguments is None else arguments, env)
    engine: Vllm | Attached
    try:
        key = ModelSettings.from_env(env | {"CHINWAG_MODEL_URL": given.attach or "http://127.0.0.1/v1"}).open_endpoint().api_key
        if command:
            engine = Vllm(command, log=given.log.resolve(), env=engine_env(env), api_key=key, token_s=given.token)
            slots = given.slots * given.copies or engine.slots
        else:
            engine = Attached(given.attach, model=given.name, api_key=key, token_s=given.token)
            slots = given.slots * given.copies
        consumer = Consumer(profile=given.profile, engine=given.engine, model=engine.model, slots=slots, env=env)
        telemetry.configure(Settings.from_env(env).log_level)
    except (BotsError, InferenceError, ValueError) as error:
        sys.stderr.write(f"Cannot serve: {error}\n")
        return 2
    try:
        keep(engine, consumer, watch=Watch(probe_s=given.probe, drain_s=given.grace, grace_s=given.grace))
    except EngineCannotStart as error:
        log.error("engine_cannot_start", reason=str(error))  # noqa: TRY400 - the reason says it all
        sys.stderr.write(f"Cannot serve: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
