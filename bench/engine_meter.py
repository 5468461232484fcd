"""What one engine did while something loaded it: its own counters before and after, how many requests ran, and the CPU time of every part meanwhile."""

from __future__ import annotations

import os
import statistics
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import psutil

from bench import serving
from inference.engines.vllm import Vllm

#: How the processes are called in which vLLM computes; the others of an engine are its HTTP server and what started them.
_CORE = "VLLM::"
#: What answers people; the practice platform and the people themselves are the bench's own.
OURS = ("worker", "Postgres", "dispatcher", "web", "Redis")
_RUNNING = "vllm:num_requests_running"


@dataclass(frozen=True, slots=True)
class _Reading:
    at: float
    figures: dict[str, float]
    cpu_s: dict[str, float]


@dataclass
class Meter:
    """Reads an engine's figures once a second while the block lasts."""

    engine: Vllm
    _rows: list[_Reading] = field(default_factory=list[_Reading])
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._before = serving.figures(self.engine)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._after = serving.figures(self.engine)

    def _run(self) -> None:
        while not self._over.wait(1.0):
            figures = self.engine.metrics()
            if figures:
                self._rows.append(_Reading(time.monotonic(), dict(figures), self._cpu_s()))

    def _cpu_s(self) -> dict[str, float]:
        found = serving.cpu_s()
        core = _core_s()
        return found | {"engine": found.get("engine", 0.0) - core, "engine's core": core}

    def found(self, seconds: float) -> dict[str, Any]:
        """What the engine did in the block; seconds: from the first request to the end of the last."""
        grown = {name: value - self._before.get(name, 0.0) for name, value in self._after.items()}
        busy = [row for row in self._rows if row.figures.get(_RUNNING, 0.0) > 0]
        assert len(busy) > 2, f"too short to be measured: {seconds:.1f} s"
        tokens, answers, steps = (
            grown["vllm:generation_tokens_total"],
            grown["vllm:request_success_total"],
            grown["vllm:iteration_tokens_total_count"],
        )
        cpu_s = serving.cpu_between(busy[0].cpu_s, busy[-1].cpu_s)
        took = busy[-1].at - busy[0].at
        return {
            "seconds": round(seconds, 2),
            "tokens_per_s": round(tokens / seconds, 2),
            "answers": int(answers),
            "tokens_an_answer": round(tokens / answers, 1),
            "prompt_tokens": round(grown["vllm:request_prompt_tokens_sum"] / answers, 2),
            "cached_share": round(grown["vllm:prefix_cache_hits_total"] / max(1.0, grown["vllm:prefix_cache_queries_total"]), 3),
            "running": round(statistics.fmean(row.figures.get(_RUNNING, 0.0) for row in busy), 2),
            "waiting": round(statistics.fmean(row.figures.get("vllm:num_requests_waiting", 0.0) for row in busy), 2),
            "steps_per_s": round(steps / seconds, 2),
            #: CPU milliseconds a second.
            "cpu_ms_a_s": {name: round(used / took * 1000, 1) for name, used in cpu_s.items()},
            "engine_cpu_ms_a_token": round((cpu_s["engine"] + cpu_s["engine's core"]) / took * seconds / tokens * 1000, 3),
        }


def _core_s() -> float:
    """CPU seconds so far of the engine's computing processes."""
    spent = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if _CORE in " ".join(process.cmdline()):
                times = process.cpu_times()
                spent += times.user + times.system
    return spent


def median(rows: list[dict[str, Any]], name: str) -> float:
    """The median of one figure over the rounds of a side."""
    return round(statistics.median(float(row[name]) for row in rows), 3)


def ours_ms(row: dict[str, Any]) -> float:
    """CPU milliseconds a second of what answers people."""
    return sum(row["cpu_ms_a_s"].get(name, 0.0) for name in OURS)


def others_share(row: dict[str, Any]) -> float:
    """The share of the machine that programs outside of the bench used."""
    return float(row["cpu_ms_a_s"]["others"]) / 1000 / (os.cpu_count() or 1)
