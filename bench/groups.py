"""What webhooks cost Postgres and the web's storage calls, by how many are stored together and by what is in them, beside inserts of one row each.

    python -m bench.groups --kind text --kind large

CPU is that of the backend and of this process, by message or status; times are by call. Rounds are interleaved. Nobody else uses the database.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from sqlalchemy import Connection

from bench import load, report
from bench.ingress import SENT
from bots.channels.by_kind import PARSERS
from bots.domain import ChannelKind
from bots.extract.unfinished import expecting
from bots.storage import arrivals, inbox
from bots.storage.arrivals import Arrival
from bots.storage.database import hot
from bots.storage.line import Line
from tests.support import build
from tests.support.arrivals import accept_many
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.storage_fixture import QUEUE, StorageFixture, open_storage

_PEOPLE, _ANSWERS = 500, 100_000
_STEPS = ("sent", "delivered", "read")
_INSERT = "insert into bare (id, body) values (%s, %s) on conflict do nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One kind of load: so many webhooks at once, of so many events each."""

    kind: str
    what: str
    webhooks: int = 1
    events: int = 1


_ROWS = (
    _Row(kind="text", what="insert"),
    *(_Row(kind="text", what="text", webhooks=count) for count in (1, 4, 16, 64)),
    _Row(kind="status", what="status", webhooks=16),
    _Row(kind="status", what="status", webhooks=4, events=24),
    _Row(kind="large", what="status", events=300),
    _Row(kind="large", what="status", events=900),
    _Row(kind="large", what="unknown status", events=900),
    _Row(kind="large", what="text", events=300),
    _Row(kind="large", what="text and status", events=300),
)


class _Bench:
    """A database with people and answers, and one connection on which webhooks are stored."""

    def __init__(self, storage: StorageFixture, connection: Connection) -> None:
        self._storage, self._connection, self._line = storage, connection, Line(storage.crossing)
        self._said = self._told = 0
        self._pids: list[int] = [connection.exec_driver_sql("select pg_backend_pid()").scalar_one()]
        self._line.open()
        self._line.send("select pg_backend_pid()")
        until(self._line.read, what="the backend says who it is")
        self._pids.append(int(self._line.answer() or b"0"))

    def arrival(self, what: str, events: int) -> Arrival:
        """A webhook, read and not stored."""
        items: list[dict[str, Any]] = []
        statuses: list[dict[str, Any]] = []
        people: dict[str, build.Person] = {}
        for place in range(events):
            if what == "text" or (what == "text and status" and place % 2):
                self._said += 1
                person = build.Person(number=f"1444{self._said % _PEOPLE:07d}")
                people[person.number] = person
                items.append(build.a_text(person, "What should I see first in Porto?", wamid=f"wamid.IN{self._said:024d}"))
            else:
                self._told += 1
                answer = self._told // 3 + (_ANSWERS if what == "unknown status" else 0)
                statuses.append(build.a_status(load.external_id(answer), _STEPS[self._told % 3], to="15550001111"))
        body = build.a_webhook(messages=items, statuses=statuses, people=list(people.values()))
        return Arrival(account=self._storage.account, queue=QUEUE, body=body, events=expecting(PARSERS[ChannelKind.WHATSAPP](body).events))

    def store(self, group: list[Arrival]) -> None:
        """Store webhooks as the web does: together if each is plain."""
        if all(arrivals.is_plain(one.events, one.body) for one in group):
            left_out = accept_many(self._line, group, debounce_s=1.5, debounce_cap_s=15.0)
            assert not left_out
            return
        for one in group:
            inbox.accept(
                self._connection, one.account, one.events, queue=QUEUE, body=one.body, debounce_s=1.5, debounce_cap_s=15.0, within_s=60.0
            )

    def plan_anew(self) -> None:
        """Have plans made for the tables as they are now."""
        self._connection.exec_driver_sql(arrivals.PLAN_ANEW)
        self._line.send(arrivals.PLAN_ANEW)
        until(self._line.read, what="the plans are discarded")

    def insert(self, group: list[Arrival]) -> None:
        """Insert each body, as the endpoint does with which the real one is compared."""
        for one in group:
            self._connection.exec_driver_sql(_INSERT, (uuid.uuid4(), one.body))

    def measure(self, row: _Row, seconds: float) -> dict[str, Any]:
        """Store groups for a while."""
        store: Callable[[list[Arrival]], None] = self.insert if row.what == "insert" else self.store
        what = "text" if row.what == "insert" else row.what
        took: list[float] = []
        backend, own, wal = 0.0, 0.0, self._wal()
        while sum(took) < seconds:
            group = [self.arrival(what, row.events) for _ in range(row.webhooks)]
            before = self._backend(), time.process_time(), time.perf_counter()
            store(group)
            after = self._backend(), time.process_time(), time.perf_counter()
            backend, own = backend + after[0] - before[0], own + after[1] - before[1]
            took.append(after[2] - before[2])
        events = len(took) * row.webhooks * row.events
        return {
            "what": row.what,
            "webhooks": row.webhooks,
            "events": row.events,
            "p50_ms": round(1e3 * statistics.median(took), 2),
            "p99_ms": round(1e3 * report.percentile(took, 0.99), 2),
            "postgres_us": round(1e6 * backend / events),
            "python_us": round(1e6 * own / events),
            "wal": round((self._wal() - wal) / events),
        }

    def _backend(self) -> float:
        """Seconds of CPU of both backends so far."""
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) for pid in self._pids) / 1e9

    def _wal(self) -> int:
        return int(self._connection.exec_driver_sql("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn").scalar_one())


def main() -> None:
    """Measure each row in turn, several rounds, and take the median of each."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--kind", choices=sorted({row.kind for row in _ROWS}), action="append")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rows = [row for row in _ROWS if not given.kind or row.kind in given.kind]
    found: dict[_Row, list[dict[str, Any]]] = {row: [] for row in rows}
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as top, Cluster(Path(top)) as cluster:
        database = cluster.database()
        storage = open_storage(cluster, database)
        owner = cluster.engine(database)
        with owner.begin() as connection:
            connection.exec_driver_sql(
                "create table bare (id uuid primary key, body bytea not null, at timestamptz not null default now())"
            )
            connection.exec_driver_sql("grant insert on bare to chinwag_crossing")
            connection.exec_driver_sql(SENT.format(answers=_ANSWERS, people=_PEOPLE))
        with hot(storage.crossing) as connection:
            bench = _Bench(storage, connection)
            for _ in range(2 * _PEOPLE // 16):
                bench.store([bench.arrival("text", 1) for _ in range(16)])
            with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
                other.exec_driver_sql("analyze")
            for n in range(given.rounds):
                bench.plan_anew()
                for row in rows if n % 2 == 0 else reversed(rows):
                    found[row].append(bench.measure(row, given.seconds))
    shown = [sorted(results, key=lambda one: one["postgres_us"])[len(results) // 2] for results in found.values()]
    report.table(shown, list(shown[0]))
    report.keep("groups", {"rows": shown}, given.json)


if __name__ == "__main__":
    main()
