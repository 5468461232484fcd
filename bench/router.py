"""Where conversations should go: cache hits and spread of load over 8 simulated engines, for random, round robin, a plain hash, and ours.

The engines are simulated: each has a finite prefix cache that drops the least used conversations first, and takes time for what is not cached,
and for writing. The choice is the router's own (inference.affinity). The first block of every prompt, the bot's persona, is left out: all engines hold it.

The choice uses loads: the dispatcher knows those of all workers, a worker process that spreads over replicas only its own calls.
"""

from __future__ import annotations

import heapq
import random
import statistics
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from inference.affinity import choose

_CONVERSATIONS, _ENGINES, _TURNS = 2000, 8, 40_000
#: Tokens of a conversation's first turn, of each further turn, and the most that a prompt repeats.
_BEGINS, _TURN, _LONGEST = 300, 90, 2000
#: Tokens that an engine's cache holds: all caches together hold about 60 % of the conversations at their longest.
_CACHE = int(0.6 * _CONVERSATIONS * _LONGEST / _ENGINES)
_PREFILL_PER_S, _WRITING_S = 6000.0, 1.5
#: Turns a second, all conversations together: about 24 in progress at an engine.
_PER_S = 110.0
#: Worker processes, to which the turns come at random.
_PROCESSES = 8
#: Engine 3 is down for the third quarter of the run.
_AWAY, _GONE_FROM, _GONE_TO = 3, 0.5, 0.75

#: Chooses an engine for a conversation among those that are up, perhaps at random, in a worker process.
_Choice = Callable[[int, "list[_Engine]", random.Random, int], "_Engine"]


@dataclass
class _Engine:
    """One engine: how many turns are in progress, and which conversations' prefixes it holds."""

    name: str
    #: Turns in progress, by the process that asked.
    loads: list[int] = field(default_factory=lambda: [0] * _PROCESSES)
    held: int = 0
    cache: OrderedDict[int, int] = field(default_factory=OrderedDict)

    @property
    def load(self) -> int:
        return sum(self.loads)

    def take(self, conversation: int, tokens: int) -> int:
        """Cache a conversation's prompt, and return how much of it was cached already."""
        cached = self.cache.pop(conversation, 0)
        self.cache[conversation] = tokens
        self.held += tokens - cached
        while self.held > _CACHE:
            self.held -= self.cache.popitem(last=False)[1]
        return min(cached, tokens)


def _key(conversation: int) -> bytes:
    return blake2b(conversation.to_bytes(8, "big"), digest_size=16).digest()


def _ours(conversation: int, engines: list[_Engine], loads: dict[str, int]) -> _Engine:
    liked = choose(_key(conversation), loads)[0]
    return next(engine for engine in engines if engine.name == liked)


def _dispatcher(conversation: int, engines: list[_Engine], _: random.Random, _process: int) -> _Engine:
    return _ours(conversation, engines, {engine.name: engine.load for engine in engines})


def _worker(conversation: int, engines: list[_Engine], _: random.Random, process: int) -> _Engine:
    return _ours(conversation, engines, {engine.name: engine.loads[process] for engine in engines})


def _round_robin() -> _Choice:
    turns = iter(range(sys.maxsize))
    return lambda _conversation, engines, _chance, _process: engines[next(turns) % len(engines)]


_CHOICES: dict[str, Callable[[], _Choice]] = {
    "random": lambda: lambda _conversation, engines, chance, _: chance.choice(engines),
    "round robin": _round_robin,
    "hash mod n": lambda: lambda conversation, engines, *_: engines[int.from_bytes(_key(conversation)[:8], "big") % len(engines)],
    "ours, dispatcher": lambda: _dispatcher,
    "ours, 8 workers": lambda: _worker,
}


def measure(choice: _Choice, *, seed: int) -> dict[str, Any]:
    """Run the same turns with one way to choose."""
    chance = random.Random(seed)
    engines = [_Engine(f"engine-{n}") for n in range(_ENGINES)]
    # A few people write much, many little.
    weights = [1 / (n + 20) for n in range(_CONVERSATIONS)]
    said = chance.choices(range(_CONVERSATIONS), weights, k=_TURNS)
    length = [0] * _CONVERSATIONS
    ends: list[tuple[float, int, int]] = []
    by_process = random.Random(seed + 1)
    now, prompt, cached, after, after_cached = 0.0, 0, 0, 0, 0
    first_word: list[float] = []
    spread: list[float] = []
    for n, conversation in enumerate(said):
        now += chance.expovariate(_PER_S)
        while ends and ends[0][0] <= now:
            _, place, process = heapq.heappop(ends)
            engines[place].loads[process] -= 1
        away = _GONE_FROM <= n / _TURNS < _GONE_TO
        if away:
            engines[_AWAY].cache.clear()
            engines[_AWAY].held = 0
        living = [engine for number, engine in enumerate(engines) if not (away and number == _AWAY)]
        process = by_process.randrange(_PROCESSES)
        engine = choice(conversation, living, chance, process)
        length[conversation] = min(_LONGEST, max(_BEGINS, length[conversation] + _TURN))
        hit = engine.take(conversation, length[conversation])
        prompt, cached = prompt + length[conversation], cached + hit
        if _GONE_FROM <= n / _TURNS < _GONE_FROM + 0.05:
            after, after_cached = after + length[conversation], after_cached + hit
        # Prefill shares the engine with all other turns on it.
        first = (length[conversation] - hit) / _PREFILL_PER_S * (1 + engine.load / 8)
        first_word.append(first)
        engine.loads[process] += 1
        heapq.heappush(ends, (now + first + _WRITING_S, engines.index(engine), process))
        spread.append(max(one.load for one in living) / statistics.fmean(one.load for one in living))
    return {
        "hit_rate": round(cached / prompt, 4),
        "hit_rate_after_one_left": round(after_cached / after, 4),
        "busiest_to_mean": round(statistics.fmean(spread[_TURNS // 10 :]), 3),
        "busiest_to_mean_p99": round(report.percentile(spread[_TURNS // 10 :], 0.99), 3),
        "first_word_mean_ms": round(1000 * statistics.fmean(first_word), 1),
        "first_word_p95_ms": round(1000 * report.percentile(first_word, 0.95), 1),
    }


def main() -> None:
    """Measure every way to choose and write the result."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--seed", type=int, default=1, help="seed of every random choice")
    given = parser.parse_args()
    rows = [{"choice": name} | measure(make(), seed=given.seed) for name, make in _CHOICES.items()]
    report.table(rows, list(rows[0]))
    setting = {
        "conversations": _CONVERSATIONS,
        "engines": _ENGINES,
        "turns": _TURNS,
        "cache_tokens": _CACHE,
        "turns_per_s": _PER_S,
        "processes": _PROCESSES,
    }
    report.keep("router", {"simulated": setting, "seed": given.seed, "rows": rows}, given.json)
    report.bars(
        "router",
        "2,000 conversations over 8 simulated engines, by how the engine is chosen",
        "share, or ratio",
        {
            row["choice"]: {
                "prompt tokens from the cache": row["hit_rate"],
                "just after an engine left": row["hit_rate_after_one_left"],
                "busiest engine to the mean": row["busiest_to_mean"],
            }
            for row in rows
        },
    )


if __name__ == "__main__":
    main()
