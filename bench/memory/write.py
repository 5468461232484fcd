"""The CPU that memory adds to a turn: a worker and its Postgres with memory on against off, the same messages in the same run, round by round.

    python -m bench.memory write --rounds 8

The messages are what the people of the recall set write. The answer comes from a model server that repeats what was said. An embedder is not asked: its
time is its own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import report
from bench.memory import people, spent
from bots import extract, telemetry
from bots.domain import Account, ChannelKind
from bots.phrases.book import book
from bots.storage import accounts, personas
from bots.storage.database import unit
from tests.support.cluster import Cluster
from tests.support.one_worker import BATCHES, OneWorker, one_worker
from tests.support.storage_fixture import QUEUE, a_message, a_phone
from workers.embed_turns import embed_one
from workers.turn.reply import reply_one

#: Messages of each person in a round.
_EACH = 5
_AIM_MS = 1.0


@dataclass(kw_only=True)
class _Cost:
    """Milliseconds of CPU a turn, one of each round."""

    worker: list[float] = field(default_factory=list[float])
    postgres: list[float] = field(default_factory=list[float])
    #: Of both, once the talks are quiet: moving rows so that they can be recalled.
    background: list[float] = field(default_factory=list[float])

    def row(self, name: str) -> dict[str, Any]:
        """The median of the rounds."""
        found = {part: round(report.percentile(getattr(self, part), 0.5), 2) for part in ("worker", "postgres", "background")}
        return {"memory": name, **found, "together": round(sum(found.values()), 2)}


def main() -> int:
    """Work the rounds and print."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=8)
    given = parser.parse_args()
    written = _messages()
    # As a worker does when it starts.
    extract.load()
    book()
    telemetry.configure("warning")
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster, one_worker(cluster) as worker:
        costs = {True: _Cost(), False: _Cost()}
        rooms = {on: _account(worker, on=on) for on in costs}
        for n in range(given.rounds + 1):
            # Who comes first finds what the other's round has put into the caches: they take turns.
            for on in (True, False) if n % 2 else (False, True):
                # The first round reads words and plans statements.
                _work(cluster, worker, rooms[on], [texts[n * _EACH : (n + 1) * _EACH] for texts in written], costs[on] if n else _Cost())
    rows = [costs[True].row("on"), costs[False].row("off")]
    report.table(rows, list(rows[0]))
    added = round(rows[0]["together"] - rows[1]["together"], 2)
    print(f"memory adds {added} ms of CPU a turn (aim {_AIM_MS})")
    report.keep(
        "memory_write", {"rows": rows, "added_ms": added, "aim_ms": _AIM_MS, "turns": given.rounds * _EACH * len(written)}, given.json
    )
    return 0


def _messages() -> Sequence[Sequence[str]]:
    """What each person writes, in order."""
    return [[turn["text"] for turn in talk["turns"] if turn["speaker"] != "assistant"] for talk in people.talks()]


def _account(worker: OneWorker, *, on: bool) -> Account:
    """An account of a bot that remembers, or of one that does not; what is sent there leaves nothing."""
    storage, name = worker.storage, "remembers" if on else "forgets"
    tenant = storage.account.tenant_id
    with unit(storage.web) as connection:
        bot = personas.put(connection, tenant=tenant, name=name, persona="You are the assistant of a clinic.")
        connection.exec_driver_sql("update bots set memory_on = %s where id = %s", (on, bot.id))
        return accounts.add(
            connection, storage.keyring, tenant=tenant, bot=bot.id, channel=ChannelKind.CONSOLE, name=name, external_id=name
        )


def _work(cluster: Cluster, worker: OneWorker, account: Account, written: Sequence[Sequence[str]], cost: _Cost) -> None:
    """Answer these messages of everybody, one of each person at a time."""
    worker.storage.account = account
    own, postgres, turns = 0.0, 0.0, 0
    for texts in zip(*written, strict=True):
        for person, text in enumerate(texts):
            worker.storage.let_in(a_message(text, by=(a_phone(f"346{person:08d}"),)))
        took, count = _cpu(cluster, lambda: reply_one(worker.deps, QUEUE))
        own, postgres, turns = own + took[0], postgres + took[1], turns + count
    assert turns >= _EACH * len(written), "not every message was answered"
    cost.worker.append(own / turns)
    cost.postgres.append(postgres / turns)
    worker.storage.do("update conversations set settle_at = now() where settle_at is not null")
    took, _ = _cpu(cluster, lambda: embed_one(worker.deps, BATCHES))
    cost.background.append(sum(took) / turns)


def _cpu(cluster: Cluster, one: Callable[[], bool]) -> tuple[tuple[float, float], int]:
    """Milliseconds of this process and of Postgres for all that is due, and how many that were."""
    folder, count = cluster.folder / "postgres" / "data", 0
    postgres, own = spent.of_postgres(folder), time.process_time()
    while one():
        count += 1
    own = 1000 * (time.process_time() - own)
    return (own, spent.of_postgres(folder) - postgres), count
