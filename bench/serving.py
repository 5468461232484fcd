"""Real vLLM for a bench, as `make run ENGINE=vllm MODEL=tiny` serves it: SmolLM2 on the CPU; and the CPU seconds of each part."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from chinwag.local import engine as local
from chinwag.local.processes import CannotStart
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings
from inference.engines.vllm import Vllm
from tests.support.processes import until
from tests.support.stack import a_free_port
from workers.gpu import engine_env

#: A start of real vLLM takes 25 s on two idle cores.
_START_S = 400.0
#: Far longer than any answer of one token takes.
_TOKEN_S = 60.0
#: Enough for all that a bench sends: a full cache is never what is measured. 46,000 tokens in float32.
_KV_GIB = "2"
#: A part of the first argument of a process of ours, and its name in the figures.
_GROUPS = {
    "serve": "engine",
    "bench": "vllm bench serve",
    "bots.web": "web",
    "celery": "worker",
    "workers.gpu": "worker",
    "workers.dispatch": "dispatcher",
    "fake-platform": "platform",
}


def checkpoint(model: str = "tiny") -> local.Checkpoint:
    """A model in a form that vLLM serves, SmolLM2 by default, from the cache; vLLM is installed and the model converted if necessary."""
    report, settings = Report(), LocalSettings.from_env(os.environ | {"MODEL": model})
    logs = settings.data / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    if not (local.venv() / "bin" / "vllm").is_file():
        local.install(report, logs)
    return local.prepare(settings, report, logs)


@contextmanager
def real_engine(model: local.Checkpoint, folder: Path, *, slots: int) -> Iterator[Vllm]:
    """A serving vLLM with so many slots; it ends with the block. Raises CannotStart with the end of its log."""
    command = local.command(model, port=a_free_port())
    command[command.index("--max-num-seqs") + 1] = str(slots)
    log = folder / "vllm.log"
    env = engine_env(os.environ) | local.cpu_env() | {"VLLM_CPU_KVCACHE_SPACE": _KV_GIB}
    engine = Vllm([*command, "--dtype", dtype()], log=log, env=env, token_s=_TOKEN_S)
    engine.start()
    try:
        until(lambda: engine.ready() or not engine.alive(), what="vLLM answers", timeout_s=_START_S, every_s=0.5)
        if not engine.alive():
            raise CannotStart(f"vLLM ended: {engine.reason().message}\n{log.read_text('utf-8', errors='replace')[-3000:]}")
        yield engine
    finally:
        engine.stop(20)


def dtype() -> str:
    """The type that this CPU computes fastest in: without instructions for bfloat16 eight answers at once came at 18 tokens/s, in float32 at 50."""
    words = set(Path("/proc/cpuinfo").read_text("utf-8").split())
    return "bfloat16" if words & {"avx512_bf16", "amx_bf16", "bf16"} else "float32"


def figures(engine: Vllm) -> dict[str, float]:
    """The engine's own figures; asked again when its busy HTTP server does not answer at once."""
    return dict(until(engine.metrics, what="the engine's figures", timeout_s=30, every_s=0.2))


def cpu_s() -> dict[str, float]:
    """CPU seconds so far of everything that this bench has started, by part, of the bench itself, and of everything else on this machine."""
    ours = psutil.Process()
    found = {"this bench": _own(ours)}
    parts = {ours.pid: ""}
    # Parents come before their children.
    for process in ours.children(recursive=True):
        with suppress(psutil.Error):
            parts[process.pid] = parts.get(process.ppid()) or _part(process)
            found[parts[process.pid]] = found.get(parts[process.pid], 0.0) + _spent(process)
    whole = psutil.cpu_times()
    found["everything"] = sum(whole) - whole.idle - whole.iowait - getattr(whole, "guest", 0.0) - getattr(whole, "guest_nice", 0.0)
    return found


def cpu_between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What each part used between two readings, and `others`: everything outside this bench."""
    used = {name: after[name] - before.get(name, 0.0) for name in after}
    others = used.pop("everything") - sum(used.values())
    return {name: round(value, 2) for name, value in {**used, "others": max(0.0, others)}.items()}


class Meanwhile:
    """What else this machine did since the last reading."""

    def __init__(self) -> None:
        self._at, self._spent = time.monotonic(), cpu_s()

    def others_share(self) -> float:
        """The share of all cores' time that other programs used; near 0 on a quiet machine."""
        at, spent = time.monotonic(), cpu_s()
        used, took = cpu_between(self._spent, spent)["others"], at - self._at
        self._at, self._spent = at, spent
        return round(used / (took * len(os.sched_getaffinity(0))), 4)


def _part(process: psutil.Process) -> str:
    words = process.cmdline()
    for word in words:
        if word in _GROUPS:
            return _GROUPS[word]
    name = process.name()
    return "Postgres" if "postgres" in " ".join(words) else "Redis" if "valkey" in name or "redis" in name else "idle parts"


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    # Includes what its ended children used: those are no longer listed.
    return times.user + times.system + times.children_user + times.children_system


def _own(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
