"""What is measured of a peer: replies and CPU when many write at once, memory, the added time of a lone turn, and what outlives kill -9."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers import load
from bench.peers.load import Said
from bench.peers.outside import MODEL_S, Outside, a_person
from bench.peers.peer import Peer, Running
from bench.report import percentile

#: Whole questions, so that nobody has a reason to wait for more.
QUESTIONS = (
    "What should I see first in Porto?",
    "How do I get to the river from the station?",
    "Is there a market on Saturdays, and when does it open?",
    "Which bridge is the best one to walk over?",
    "Where can I eat close to the cathedral?",
)
#: What a turn leaves behind, such as statuses and rows, belongs to it.
_SETTLE_S = 1.0
_KILLED_AFTER_S = 0.6

Say = Callable[[str], None]


def bursts(running: Running, outside: Outside, size: int, rounds: int, say: Say) -> dict[str, Any]:
    """So many people write at once, once to warm up and then in some rounds: medians."""
    people, found = [a_person() for _ in range(size)], list[dict[str, Any]]()
    for n in range(rounds + 1):
        parts = running.tree.cpu_by_part()
        said = load.write(running, people, QUESTIONS[n % len(QUESTIONS)])
        load.await_answers(outside, said)
        time.sleep(_SETTLE_S)
        one = of_burst(said, spent(parts, running.tree.cpu_by_part()))
        say(f"  {size} at once{'' if n else ', to warm up'}: {one['per_s']:.1f}/s, {one['cpu_ms']:.1f} ms, {one['unanswered']} unanswered")
        found += [one] if n else []
    middle = {name: round(statistics.median(one[name] for one in found), 2) for name in ("per_s", "cpu_ms")}
    sums = {name: sum(one[name] for one in found) for name in ("unanswered", "refused", "twice")}
    parts = {part: round(statistics.median(one["parts_ms"].get(part, 0.0) for one in found), 2) for part in found[0]["parts_ms"]}
    return {"at_once": size, "rounds": rounds, **middle, **sums, "messages": size * rounds, "parts_ms": parts}


def spent(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """CPU seconds by part between two looks; of parts whose processes have ended in between nothing is known."""
    return {part: max(0.0, seconds - before.get(part, 0.0)) for part, seconds in after.items()}


def of_burst(said: Sequence[Said], cpu_s: Mapping[str, float]) -> dict[str, Any]:
    """What one burst gave: replies a second are counted from the first post to the last answer."""
    answered = [one for one in said if one.answers]
    lasted = max((one.answers[0] for one in answered), default=0.0) - min(one.posted for one in said)
    each = max(1, len(answered))
    return {
        "per_s": len(answered) / lasted if answered else 0.0,
        "cpu_ms": 1000 * sum(cpu_s.values()) / each,
        "parts_ms": {part: 1000 * seconds / each for part, seconds in cpu_s.items()},
        "unanswered": sum(1 for one in said if one.acknowledged and not one.answers),
        "refused": sum(one.refused for one in said),
        "twice": sum(1 for one in said if len(one.answers) > 1),
    }


def memory(running: Running, outside: Outside, size: int) -> dict[str, float]:
    """The most memory by part while so many write at once."""
    seen, over = list[dict[str, float]](), threading.Event()

    def look() -> None:
        while not over.wait(0.4):
            seen.append(running.tree.pss_by_part())

    looking = threading.Thread(target=look)
    looking.start()
    load.await_answers(outside, load.write(running, [a_person() for _ in range(size)], QUESTIONS[0]))
    over.set()
    looking.join()
    return max(seen, key=lambda one: sum(one.values()), default={})


def lone(running: Running, outside: Outside, texts: Sequence[str]) -> dict[str, float]:
    """One person after the other writes: milliseconds of an answer beyond the model's own time."""
    added = list[float]()
    for text in texts:
        said = load.write(running, [a_person()], text)
        load.await_answers(outside, said)
        added += [1000 * (one.answers[0] - one.posted - MODEL_S) for one in said if one.answers]
        time.sleep(0.2)
    return {"p50_ms": round(percentile(added, 0.5), 1), "p95_ms": round(percentile(added, 0.95), 1)} if added else {}


def killed(
    peer: Peer, running: Running, outside: Outside, folder: Path, *, count: int, patience_s: float
) -> tuple[Running, dict[str, Any]]:
    """Kill every process of it in the middle of so many turns, start it again, and count what the acknowledged became."""
    people, asked = [a_person() for _ in range(count)], outside.model_calls()
    said = load.write(running, people, QUESTIONS[0], patience_s=10.0)
    end = time.time() + _KILLED_AFTER_S
    while outside.model_calls() < asked + count and time.time() < end:
        time.sleep(0.02)
    running.tree.kill()
    killed_at, in_turn = time.time(), outside.model_calls() - asked
    again = peer.start(folder, outside)
    load.await_answers(outside, said, patience_s=patience_s)
    # What was answered before is nothing that could be lost.
    owed = [one for one in said if one.acknowledged and not any(at <= killed_at for at in one.answers)]
    return again, {
        "acknowledged": sum(1 for one in said if one.acknowledged),
        "at_the_model": in_turn,
        "owed": len(owed),
        "answered": sum(1 for one in owed if one.answers),
        "twice": sum(1 for one in said if len(one.answers) > 1),
        "last_after_s": round(max((at for one in owed for at in one.answers), default=killed_at) - killed_at, 1),
    }
