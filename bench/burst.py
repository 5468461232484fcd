"""A burst on the whole service: 20 messages a second, then 200 for half a minute, then 20 again. What each webhook is answered, and how soon.

Of the quiet people it also says where their time went, and of each phase what every part took of the two cores. Everything runs on this machine, with the
product's own settings and a model that takes 1.0 s. Most messages are of people who keep writing; the quiet ones write once each, five a second throughout.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import answers, load, report
from bench.house_round import Cpu
from bench.in_flight import AS_SHIPPED
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.stack import Stack
from tests.support.strangers import HOOK

_AIM_P95 = 1.2
_MODEL_S = 1.0
_QUIET_PER_S = 5
#: People who keep writing.
_PEOPLE = 1000
_LAST_S = 10.0
_PHASES = (("calm", 20), ("burst", 200), ("after", 20))


class _Sender:
    """Posts webhooks when they are due, however long the answers take."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, body: bytes) -> tuple[int, float]:
        """Post one; the status of the answer, and how long it took."""
        request = load.request(HOOK, body)
        began = time.perf_counter()
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        took = time.perf_counter() - began
        self._free.append((reader, writer))
        return int(answer[9:12]), took


#: Seconds of one message: until it was claimed, until its answer was written (the model takes one of them), until the request to send it was answered.
_STEPS = """
    select i.value as number, extract(epoch from t.claimed_at - n.received_at) as claimed, extract(epoch from t.finished_at - t.claimed_at) as answered,
        extract(epoch from a.finished_at - t.finished_at) as sent
    from inbox n join contact_identities i on i.contact_id = n.contact_id join turns t on t.id = n.turn_id
    join outbox o on o.turn_id = t.id and o.part = 1 join send_attempts a on a.message_id = o.id and a.n = 1
    where starts_with(i.value, '1666') and a.finished_at is not null
"""


async def _phase(sender: _Sender, cpu: Cpu, per_s: int, seconds: float, *, first: int, busy: list[build.Person]) -> dict[str, Any]:
    """One phase: statuses of all, times of the quiet people's webhooks, when each of those wrote, and CPU by part."""
    before = await asyncio.to_thread(cpu.read)
    quiet_took: list[float] = []
    all_took: list[float] = []
    statuses: Counter[int] = Counter()
    wrote: dict[str, float] = {}

    async def one(person: build.Person, *, is_quiet: bool) -> None:
        status, took = await sender.post(build.a_webhook(messages=[build.a_text(person, "Where do I begin?")], people=[person]))
        statuses[status] += 1
        all_took.append(took)
        if is_quiet:
            quiet_took.append(took)

    began = time.monotonic()
    tasks: list[asyncio.Task[None]] = []
    for n in range(int(per_s * seconds)):
        await asyncio.sleep(max(0.0, began + n / per_s - time.monotonic()))
        is_quiet = n % (per_s // _QUIET_PER_S) == 0
        person = build.Person(number=f"1666{first + n:08d}") if is_quiet else busy[(first + n) % len(busy)]
        if is_quiet:
            wrote[person.number] = time.time()
        tasks.append(asyncio.create_task(one(person, is_quiet=is_quiet)))
    await asyncio.gather(*tasks)
    after = await asyncio.to_thread(cpu.read)
    cores = {part: round((value - before.get(part, 0.0)) / seconds, 3) for part, value in after.items()}
    return {"statuses": dict(statuses), "took": all_took, "quiet_took": quiet_took, "wrote": wrote, "cores": cores}


def measure(cluster: Cluster, *, slots: int, burst_s: float) -> list[dict[str, Any]]:
    """The three phases, a row for each."""
    settings = AS_SHIPPED | {"CHINWAG_LOG_LEVEL": "warning", "CHINWAG_WORKER_SLOTS": str(slots)}
    with answers.service(cluster, settings, model_s=_MODEL_S, batch_ms=500.0) as stack:
        found = asyncio.run(_all_phases(stack.web_port, burst_s, Cpu(stack)))
        replies, steps = _ends(stack, {number for phase in found for number in phase["wrote"]})
    rows: list[dict[str, Any]] = []
    for (name, per_s), phase in zip(_PHASES, found, strict=True):
        known = [steps[number] for number in phase["wrote"] if number in steps]
        waits = [replies.get(number, float("inf")) - at for number, at in phase["wrote"].items()]
        rows.append({
            "phase": name,
            "per_s": per_s,
            "statuses": phase["statuses"],
            "p95_ms": round(1000 * report.percentile(phase["took"], 0.95), 1),
            "p99_ms": round(1000 * report.percentile(phase["took"], 0.99), 1),
            "quiet_p95_ms": round(1000 * report.percentile(phase["quiet_took"], 0.95), 1),
            "quiet_reply_p50_s": round(report.percentile(waits, 0.5), 2),
            "quiet_reply_p95_s": round(report.percentile(waits, 0.95), 2),
            **{f"{step}_p95_s": round(report.percentile([float(row[step]) for row in known], 0.95), 2) for step in ("claimed", "answered", "sent")},
            "cores": {part: value for part, value in sorted(phase["cores"].items(), key=lambda one: -one[1]) if value >= 0.01},
        })  # fmt: skip
    return rows


def _ends(stack: Stack, quiet: set[str]) -> tuple[dict[str, float], dict[str, dict[str, Any]]]:
    """When the quiet people were answered, and the steps to it; who is not within some seconds of the last phase counts as not answered."""
    end = time.monotonic() + _LAST_S
    while True:
        replies, steps = answers.first(stack), {row["number"]: row for row in stack.rows(_STEPS)}
        if (replies.keys() >= quiet and steps.keys() >= quiet) or time.monotonic() > end:
            return replies, steps
        time.sleep(0.5)


async def _all_phases(port: int, burst_s: float, cpu: Cpu) -> list[dict[str, Any]]:
    sender, busy = _Sender(port), [build.Person(number=f"1777{n:07d}") for n in range(_PEOPLE)]
    found: list[dict[str, Any]] = []
    first = 0
    for name, per_s in _PHASES:
        seconds = burst_s if name == "burst" else 15.0
        found.append(await _phase(sender, cpu, per_s, seconds, first=first, busy=busy))
        first += int(per_s * seconds)
    return found


def main() -> None:
    """Measure the phases and compare them with the calm."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--slots", type=int, default=256, help="the worker's slots")
    parser.add_argument("--burst-s", type=float, default=30.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        rows = measure(cluster, slots=given.slots, burst_s=given.burst_s)
    report.table(rows, [name for name in rows[0] if name != "cores"])
    for row in rows:
        print(
            f"cores in {row['phase']}, {round(sum(row['cores'].values()), 2)} in all:",
            ", ".join(f"{part} {value}" for part, value in row["cores"].items()),
        )
    refused = sum(count for row in rows for status, count in row["statuses"].items() if status != 200)
    calm, burst = rows[0], rows[1]
    ratios = {of: round(burst[of] / calm[of], 2) for of in ("quiet_p95_ms", "quiet_reply_p95_s")}
    print(f"answers that are not 200: {refused} (aim 0); quiet people in the burst to the calm, p95: {ratios} (aim {_AIM_P95})")
    report.keep("burst", {"slots": given.slots, "rows": rows, "refused": refused, "ratios": ratios, "aim": _AIM_P95}, given.json)
    shown = {row["phase"]: {"webhook, ms": row["quiet_p95_ms"], "reply, ms": 1000 * row["quiet_reply_p95_s"]} for row in rows}
    report.bars("burst", "Quiet people before, in and after a burst (95 of 100 wait less)", "ms", shown)


if __name__ == "__main__":
    main()
