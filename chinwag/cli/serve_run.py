"""The running part of `model serve`: an engine of ours or somebody else's, kept up and shown until Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from chinwag.cli.serve_progress import Progress
from chinwag.local.ground import environment
from inference.engines.attached import Attached
from inference.engines.base import Engine, Reason
from inference.engines.follower import follow
from inference.engines.keeper import keep, stop_on_signals
from inference.engines.llamacpp import LlamaCpp
from inference.engines.process import EngineProcess
from inference.engines.vllm import Vllm
from inference.errors import EngineCannotStart
from inference.settings import ModelSettings
from workers.gpu import Consumer, engine_env


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenancy:
    """Who lives on the engine, and where its output goes."""

    profile: str
    #: This engine's name among the profile's.
    engine: str
    with_worker: bool
    log: Path


def serve_vllm(argv: Sequence[str], more: Mapping[str, str], tenancy: Tenancy) -> None:
    """Keep up the engine that a command starts. Raises EngineCannotStart, BotsError, InferenceError and ValueError, as all below."""
    _started(Vllm(argv, log=tenancy.log, env=engine_env(os.environ) | dict(more), api_key=_key("http://127.0.0.1")), tenancy)


def serve_gguf(model: Path, alias: str, tenancy: Tenancy, *, port: int, more: Sequence[str]) -> None:
    """Keep up llama.cpp on a model file."""
    _started(LlamaCpp(model, alias=alias, port=port, log=tenancy.log, env=engine_env(os.environ), more=more), tenancy)


def serve_follower(argv: Sequence[str], more: Mapping[str, str], *, log: Path) -> None:
    """Keep up a host that computes for the first one."""
    stopping = Event()

    def lost(reason: Reason, again_in_s: float) -> None:
        _say(f"Lost: {reason.message}; restarting in {again_in_s:.0f} s")

    stop_on_signals(stopping)
    _say(f"Computing for the first host; log: {log}")
    follow(argv, log=log, env=engine_env(os.environ) | dict(more), stopping=stopping, lost=lost)


def serve_attached(url: str, name: str, tenancy: Tenancy, *, slots: int) -> None:
    """Watch an engine that is already running, and answer with it."""
    base = url.rstrip("/").removesuffix("/v1")
    running = Attached(base, model=name, api_key=_key(base))
    _keep(running, _consumer(tenancy, name, slots), f"{base}/v1, model {name}")


def _started(running: EngineProcess, tenancy: Tenancy) -> None:
    _keep(running, _consumer(tenancy, running.model, running.slots), f"{running.url}/v1, model {running.model}, log {running.log}")


def _consumer(tenancy: Tenancy, model: str, slots: int) -> Consumer | None:
    """What answers the profile's conversations, in the stack that the environment names or that runs here."""
    if not tenancy.with_worker:
        return None
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CHINWAG_")}
    return Consumer(profile=tenancy.profile, engine=tenancy.engine, model=model, slots=slots, env=kept | environment(os.environ))


def _keep(running: Engine, inner: Consumer | None, where: str) -> None:
    began = time.monotonic()
    try:
        with Progress(where, inner) as progress:
            keep(running, progress)
    except EngineCannotStart as error:
        raise EngineCannotStart(f"after {time.monotonic() - began:.0f} s: {error}") from error


def _key(base: str) -> str:
    """The key that the engine at an address wants, where CHINWAG_MODEL_KEY_FILE names it."""
    return ModelSettings.from_env(dict(os.environ) | {"CHINWAG_MODEL_URL": f"{base}/v1"}).open_endpoint().api_key


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
