"""Real vLLM with the whole service against `vllm bench serve` directly at the same engine: tokens a second, 1 to 32 conversations at once.

SmolLM2 on the CPU, one engine for all rows. Both sides send the same kind of prompt (the same words, another number in each) and ask for at
most 256 tokens; both are read from the engine's own counters over the time in which all conversations were busy. The two take turns, since
a machine's speed drifts, and medians are compared; while `vllm bench serve` runs the service is frozen, so that it has the machine to itself.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report, serving
from bench.in_flight import AS_SHIPPED
from chinwag.local import engine as local
from inference.engines.vllm import Vllm
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import Processes, until
from tests.support.stack import Stack

_TOKENS = 256
_AIM = 0.95
_SLOTS = 32
#: So many waves of answers in one measurement; the first and the last are not counted.
_WAVES = {1: 4, 8: 3, 32: 3}
#: A model of this size repeats itself at the default 0.3, and the service asks again for a text that repeats itself.
_TEMPERATURE, _TOP_P = 0.9, 0.9
_ASKED = (
    "Letter number {n}. Write me a long story about the keeper of an old lighthouse on a small island, his daughter who wants to be a "
    "sailor, and the night of the great storm. Describe the sea, the house, the lamp, the stairs, the visitors who come by boat on Sundays, "
    "what they eat and what they talk about, and do not stop before everybody is safe at home. Take your time, and begin with the morning."
)
_SETTINGS = AS_SHIPPED | {
    "CHINWAG_LOG_LEVEL": "warning",
    "CHINWAG_DEBOUNCE_S": "0",
    "CHINWAG_DEBOUNCE_CAP_S": "0",
    "CHINWAG_ANSWER_TOKENS": str(_TOKENS),
    "CHINWAG_MODEL_TEMPERATURE": str(_TEMPERATURE),
    "CHINWAG_MODEL_TOP_P": str(_TOP_P),
    # On a CPU 32 answers at once take minutes, and `vllm bench serve` has no deadline either.
    "CHINWAG_MODEL_FIRST_TOKEN_S": "300",
    "CHINWAG_MODEL_SILENCE_S": "120",
    "CHINWAG_MODEL_TOTAL_S": "600",
    "CHINWAG_TASK_DEADLINE_S": "1200",
}
#: When more than this share of the CPU time goes to other programs, a figure says little about the service.
_QUIET = 0.05
_FROZEN = ("web", "worker-", "dispatcher", "platform", "model")


@dataclass
class _Watch:
    """The engine's counters and the CPU seconds of all parts, read once a second while something runs."""

    engine: Vllm
    rows: list[tuple[float, dict[str, float], dict[str, float]]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(1.0):
            found = self.engine.metrics()
            if found:
                self.rows.append((time.monotonic(), found, serving.cpu_s()))

    def window(self, at_once: int, total: int) -> dict[str, Any]:
        """What happened between the end of the first wave of answers and the start of the last one."""
        finished = [row[1].get("vllm:request_success_total", 0.0) - self._before for row in self.rows]
        inside = [row for row, count in zip(self.rows, finished, strict=True) if at_once <= count <= total - at_once]
        assert len(inside) > 2, f"the window is too short: {finished}"
        (began, first, cpu_first), (ended, last, cpu_last) = inside[0], inside[-1]
        grown = {name: last[name] - first.get(name, 0.0) for name in last if name.endswith(("_total", "_sum", "_count"))}
        seconds, tokens = ended - began, grown["vllm:generation_tokens_total"]
        answers = grown["vllm:request_success_total"]
        return {
            "seconds": round(seconds, 1),
            "tokens_per_s": round(tokens / seconds, 2),
            "answers": int(answers),
            "tokens_an_answer": round(
                grown["vllm:request_generation_tokens_sum"] / max(1, grown["vllm:request_generation_tokens_count"]), 1
            ),
            "prompt_tokens": round(grown["vllm:request_prompt_tokens_sum"] / max(1, grown["vllm:request_prompt_tokens_count"]), 1),
            "busy_slots": round(statistics.fmean(row[1].get("vllm:num_requests_running", 0.0) for row in inside), 2),
            "cpu_s": serving.cpu_between(cpu_first, cpu_last),
        }

    def begin(self) -> None:
        """Count answers from here."""
        self._before = serving.figures(self.engine).get("vllm:request_success_total", 0.0)
        self.rows.clear()


@contextmanager
def _watched(engine: Vllm) -> Iterator[_Watch]:
    watch = _Watch(engine)
    watch.begin()
    with watch:
        yield watch


class Bench:
    """One engine, one service on it, and both ways to load the engine."""

    def __init__(self, engine: Vllm, model: local.Checkpoint, stack: Stack, folder: Path) -> None:
        self._engine, self._model, self._stack, self._folder = engine, model, stack, folder
        self._asked = 0

    def _words(self) -> str:
        self._asked += 1
        return _ASKED.format(n=1000 + self._asked)

    def straight(self, at_once: int, total: int) -> dict[str, Any]:
        """Let `vllm bench serve` send requests, alone on the machine with the engine."""
        asked = self._folder / "asked.json"
        rows = [{"conversations": [{"value": self._words()}, {"value": "."}]} for _ in range(total)]
        asked.write_text(json.dumps(rows), encoding="utf-8")
        command = [
            *(str(local.venv() / "bin" / "vllm"), "bench", "serve", "--backend", "openai-chat", "--endpoint", "/v1/chat/completions"),
            *("--base-url", self._engine.url, "--model", str(self._model.folder), "--served-model-name", self._model.name),
            *("--dataset-name", "sharegpt", "--dataset-path", str(asked), "--sharegpt-output-len", str(_TOKENS), "--disable-tqdm"),
            *("--num-prompts", str(total), "--max-concurrency", str(at_once)),
            *("--temperature", str(_TEMPERATURE), "--top-p", str(_TOP_P)),
            *("--save-result", "--result-dir", str(self._folder), "--result-filename", "said.json"),
        ]
        with self._frozen(), _watched(self._engine) as watch:
            process = Processes(self._folder).start_command("bench", command, {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"})
            assert process.popen.wait(1800) == 0, process.printed()[-2000:]
        said = json.loads((self._folder / "said.json").read_text(encoding="utf-8"))
        assert said["completed"] == total, said
        # Its own figure includes the start and the end, when fewer requests are in progress.
        return watch.window(at_once, total) | {"said_itself": round(said["output_throughput"], 2)}

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        processes = [one for one in self._stack.processes.all if one.name.startswith(_FROZEN) and one.alive()]
        for one in processes:
            one.freeze()
        try:
            yield
        finally:
            for one in processes:
                one.thaw()

    def service(self, at_once: int, total: int) -> dict[str, Any]:
        """Keep so many people in conversation with the service: whoever has an answer is replaced by the next person."""
        seen = max((entry["n"] for entry in self._stack.platform.log()), default=0)
        waiting: set[str] = set()
        begun = 0
        until(self._stack.web_is_ready, what="the web is back")
        calls = self._calls()
        with (
            httpx.Client(base_url=self._stack.platform.url, timeout=30, trust_env=False) as platform,
            _watched(self._engine) as watch,
        ):
            while begun < total or waiting:
                while begun < total and len(waiting) < at_once:
                    person = build.a_person()
                    waiting.add(person.number)
                    self._post(person)
                    begun += 1
                # The platform answers as soon as there is something new: no time is spent on polling.
                for entry in platform.get("/_practice/log", params={"after": seen, "wait": 5}).raise_for_status().json()["entries"]:
                    seen = entry["n"]
                    if entry["kind"] == "message":
                        waiting.discard(str(entry.get("to") or "").lstrip("+"))
        return watch.window(at_once, total) | self._outcomes(calls, total)

    def _post(self, person: build.Person) -> None:
        body = build.a_webhook(messages=[build.a_text(person, self._words())], people=[person])
        until(lambda: self._stack.post(body) == 200, what="the webhook was taken", timeout_s=60)

    def _calls(self) -> dict[str, int]:
        rows = self._stack.rows("select outcome, count(*) as n from model_calls group by outcome")
        return {row["outcome"]: row["n"] for row in rows}

    def _outcomes(self, before: dict[str, int], total: int) -> dict[str, Any]:
        """How many calls there were for so many answers; the others were garbage and asked again, or failed."""
        sent = until(
            lambda: self._stack.one("select count(*) from outbox where status not in ('queued', 'sending')"), what="something was sent"
        )
        grown = {name: count - before.get(name, 0) for name, count in self._calls().items()}
        return {"calls": {name: count for name, count in grown.items() if count}, "people": total, "sent_so_far": sent}


def _compare(rounds: int, at_once: int, waves: int, *, straight: _Side, service: _Side) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {"straight": [], "service": []}
    for n in range(rounds):
        for name, side in (("straight", straight), ("service", service)):
            found[name].append(side(at_once, at_once * waves))
            print(f"{at_once} at once, {n + 1} of {rounds}, {name}: {found[name][-1]}", flush=True)
    medians = {name: statistics.median(row["tokens_per_s"] for row in rows) for name, rows in found.items()}
    pairs = [mine["tokens_per_s"] / theirs["tokens_per_s"] for mine, theirs in zip(found["service"], found["straight"], strict=True)]
    return {
        "at_once": at_once,
        "straight_tokens_per_s": medians["straight"],
        "service_tokens_per_s": medians["service"],
        "ratio": round(medians["service"] / medians["straight"], 3),
        "ratio_of_each_pair": [round(pair, 3) for pair in pairs],
        **found,
    }


_Side = Callable[[int, int], dict[str, Any]]


def _shares(row: dict[str, Any], side: str) -> dict[str, float]:
    """Of the machine's CPU time in the windows of one side, what each part used."""
    cores = report.machine()["cores"]
    whole = sum(one["seconds"] for one in row[side]) * cores
    names = dict.fromkeys(name for one in row[side] for name in one["cpu_s"])
    return {name: round(sum(one["cpu_s"].get(name, 0.0) for one in row[side]) / whole, 4) for name in names}


def main() -> None:
    """Measure every row and write the result."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is measured")
    parser.add_argument("--only", type=int, choices=list(_WAVES), help="one row alone")
    given = parser.parse_args()
    model, rows = serving.checkpoint(), []
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        work = Path(folder) / "stack"
        work.mkdir()
        with (
            serving.real_engine(model, Path(folder), slots=_SLOTS) as engine,
            Stack(cluster, work, settings=_SETTINGS, persona="") as stack,
        ):
            stack.env |= {"CHINWAG_MODEL_URL": f"{engine.url}/v1", "CHINWAG_MODEL_NAME": engine.model}
            stack.register_number(batch_ms=500.0)
            stack.start_web()
            stack.start_worker()
            stack.start_dispatcher()
            bench = Bench(engine, model, stack, Path(folder))
            for at_once, waves in _WAVES.items():
                if given.only in {None, at_once}:
                    rows.append(_compare(given.rounds, at_once, waves, straight=bench.straight, service=bench.service))
    for row in rows:
        row["cpu_share"] = {side: _shares(row, side) for side in ("straight", "service")}
        # How much of the cores the service left to the engine: its cost when all share them, without the machine's
        # drift. What a thread of the engine burns while it waits for another counts as the engine's.
        row["engine_cpu_ratio"] = round(row["cpu_share"]["service"]["engine"] / row["cpu_share"]["straight"]["engine"], 3)
    report.table(rows, ["at_once", "straight_tokens_per_s", "service_tokens_per_s", "ratio", "engine_cpu_ratio"])
    for row in rows:
        print(f"{row['at_once']} at once, share of the machine's CPU time: {row['cpu_share']}")
        if max(shares["others"] for shares in row["cpu_share"].values()) > _QUIET:
            print(f"{row['at_once']} at once: something else used this machine meanwhile, so the ratio says little; measure again")
    setting = {
        "model": model.name,
        "dtype": serving.dtype(),
        "answer_tokens": _TOKENS,
        "temperature": _TEMPERATURE,
        "top_p": _TOP_P,
        "slots": _SLOTS,
    }
    report.keep("engine", {**setting, "rounds": given.rounds, "aim_at_32": _AIM, "rows": rows}, given.json)
    report.bars(
        "engine",
        "Tokens a second of one real vLLM, directly and through the whole service",
        "tokens/s",
        {
            f"{row['at_once']} at once: {row['ratio']:.2f}": {
                "vllm bench serve": row["straight_tokens_per_s"],
                "the whole service": row["service_tokens_per_s"],
            }
            for row in rows
        },
    )


if __name__ == "__main__":
    main()
