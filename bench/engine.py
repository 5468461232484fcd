"""Real vLLM with the whole service against `vllm bench serve` at the same engine, with the same prompts: tokens a second, 1 to 32 talks at once.

SmolLM2 on the CPU, one engine for all rows. `vllm bench serve` sends the prompts that the service makes of the same messages, and asks for the same
number of tokens; each side does the same number of requests, and its tokens are divided by the time from its first request, or message, to its last
answer. The two take turns, and change their order, since a machine's speed drifts; while `vllm bench serve` runs the service is frozen.

On one machine the service takes CPU time from the engine. How much is counted in two ways. By arithmetic: the CPU time that the engine needed for a token,
on each side. And measured, with `--cores apart`: the engine has half of the cores for itself, as it has its GPUs elsewhere, and all else the others.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import engine_meter, report, serving
from bench.engine_sides import Sides
from bench.in_flight import AS_SHIPPED
from chinwag.local import engine as local
from tests.support.cluster import Cluster
from tests.support.stack import Stack

_AIM = 0.97
_SLOTS = 32
#: People who are answered before anything is measured.
_WARM = 16
#: Requests of one measurement, as a multiple of those at once.
_WAVES = {1: 4, 8: 2, 32: 2}
#: A model of this size repeats itself at the default 0.3, and the service asks again for a text that repeats itself.
_TEMPERATURE, _TOP_P = 0.9, 0.9
_SETTINGS = AS_SHIPPED | {
    "CHINWAG_DEBOUNCE_S": "0",
    "CHINWAG_DEBOUNCE_CAP_S": "0",
    "CHINWAG_MODEL_TEMPERATURE": str(_TEMPERATURE),
    "CHINWAG_MODEL_TOP_P": str(_TOP_P),
    **local.SETTINGS,
}
#: When more than this share of the CPU time goes to other programs, a figure says little about the service.
_QUIET = 0.05
_Side: TypeAlias = Callable[[int, int], dict[str, Any]]


@contextmanager
def _sides(folder: Path, model: local.Checkpoint, *, tokens: int, apart: bool) -> Iterator[Sides]:
    """The engine and the service on it; apart: each on cores of its own."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    if apart:
        # Inherited by what is started, and the engine takes a thread for each core that it may use.
        os.sched_setaffinity(0, cores[:half])
    try:
        with serving.real_engine(model, folder, slots=_SLOTS) as engine:
            if apart:
                os.sched_setaffinity(0, cores[half:])
            work = folder / "stack"
            work.mkdir()
            settings = _SETTINGS | {"CHINWAG_ANSWER_TOKENS": str(tokens)}
            with Cluster(folder) as cluster, Stack(cluster, work, settings=settings, persona="") as stack:
                stack.register_number(batch_ms=500.0)
                stack.start_web()
                stack.start_worker()
                stack.start_dispatcher()
                sides = Sides(engine, model, stack, folder, tokens=tokens, temperature=_TEMPERATURE, top_p=_TOP_P)
                sides.connect()
                sides.warm(_WARM)
                yield sides
    finally:
        os.sched_setaffinity(0, cores)


def _compare(sides: Sides, rounds: int, at_once: int, *, cores: str, token_by_token: bool) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {"straight": [], "service": [], "token_by_token": []}
    ways: list[tuple[str, _Side]] = [("straight", sides.straight), ("service", sides.service)]
    if token_by_token:
        ways.append(("token_by_token", sides.token_by_token))
    try:
        for n in range(rounds):
            for name, side in ways if n % 2 else reversed(ways):
                found[name].append(side(at_once, at_once * _WAVES[at_once]))
                print(f"{at_once} at once, cores {cores}, {n + 1} of {rounds}, {name}: {found[name][-1]}", flush=True)
    except KeyboardInterrupt:
        print("interrupted: what there is counts", flush=True)
    straight, service = found["straight"], found["service"]
    assert min(len(straight), len(service)) > 0, "interrupted before each side was measured once"
    lengths = [engine_meter.median(rows, "prompt_tokens") for rows in (straight, service)]
    assert abs(lengths[0] - lengths[1]) < 1, f"the two sides sent other prompts: {lengths} tokens"
    pairs = [mine["tokens_per_s"] / theirs["tokens_per_s"] for mine, theirs in zip(service, straight, strict=False)]
    cpu = [engine_meter.median(rows, "engine_cpu_ms_a_token") for rows in (straight, service)]
    return {
        "at_once": at_once,
        "cores": cores,
        "straight_tokens_per_s": engine_meter.median(straight, "tokens_per_s"),
        "service_tokens_per_s": engine_meter.median(service, "tokens_per_s"),
        "ratio": round(engine_meter.median(service, "tokens_per_s") / engine_meter.median(straight, "tokens_per_s"), 3),
        "ratio_of_each_pair": [round(pair, 3) for pair in pairs],
        #: The CPU time that the engine itself needs for a token.
        "ratio_by_engine_cpu": round(cpu[0] / cpu[1], 3),
        "straight_running": engine_meter.median(straight, "running"),
        "service_running": engine_meter.median(service, "running"),
        "straight_cached": engine_meter.median(straight, "cached_share"),
        "service_cached": engine_meter.median(service, "cached_share"),
        "ours_cpu_ms_a_s": round(sum(map(engine_meter.ours_ms, service)) / len(service), 1),
        **({"token_by_token_per_s": engine_meter.median(found["token_by_token"], "tokens_per_s")} if found["token_by_token"] else {}),
        "bench_serve_cpu_ms_a_s": round(sum(row["cpu_ms_a_s"].get("vllm bench serve", 0.0) for row in straight) / len(straight), 1),
        **found,
    }


def main() -> None:
    """Measure every row and write the result."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=3, help="how often each side is measured")
    parser.add_argument("--only", type=int, choices=list(_WAVES), help="one row alone")
    parser.add_argument("--cores", choices=("shared", "apart", "both"), default="both", help="whether the engine has cores of its own")
    parser.add_argument("--tokens", type=int, default=64, help="the most tokens of an answer")
    parser.add_argument("--token-by-token", action="store_true", help="measure the service with one token a piece, too")
    parser.add_argument("--model", default="tiny", help="tiny, or small for one of 0.5 B")
    given = parser.parse_args()
    model, rows = serving.checkpoint(given.model), list[dict[str, Any]]()
    for cores in ("shared", "apart") if given.cores == "both" else (given.cores,):
        if cores == "apart" and len(os.sched_getaffinity(0)) < 2:
            print("one core cannot be shared out: only the shared figures are measured")
            continue
        with (
            tempfile.TemporaryDirectory(prefix="chinwag-bench-", ignore_cleanup_errors=True) as folder,
            _sides(Path(folder), model, tokens=given.tokens, apart=cores == "apart") as sides,
        ):
            for at_once in _WAVES:
                if given.only in {None, at_once}:
                    rows.append(_compare(sides, given.rounds, at_once, cores=cores, token_by_token=given.token_by_token))
    _show(rows)
    setting = {
        "model": model.name,
        "dtype": serving.dtype(),
        "answer_tokens": given.tokens,
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
            f"{row['at_once']} at once,\ncores {row['cores']}: {row['ratio']:.2f}": {
                "vllm bench serve": row["straight_tokens_per_s"],
                "the whole service": row["service_tokens_per_s"],
            }
            for row in rows
        },
    )


def _show(rows: list[dict[str, Any]]) -> None:
    report.table(
        rows, ["at_once", "cores", "straight_tokens_per_s", "service_tokens_per_s", "ratio", "ratio_by_engine_cpu", "ours_cpu_ms_a_s"]
    )
    for row in rows:
        if max(map(engine_meter.others_share, (*row["straight"], *row["service"]))) > _QUIET:
            print(f"{row['at_once']} at once: something else used this machine meanwhile, so the ratio says little; measure again")


if __name__ == "__main__":
    main()
