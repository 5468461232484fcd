"""What a recall costs among many contacts: pages, bytes a turn, and milliseconds at an offered rate with turns written beside.

    python -m bench.memory scale --contacts 1000 5000 20000 --turns 300 --rate 100
    python -m bench.memory scale --contacts 200 --turns 30 100 300 1000 3000 --rate 3 --rounds 3 --keep memory_turns

Every turn is really there. All sizes are built first, Postgres is started anew as it ships, and each is then measured in turn, round by round. A few
contacts come through the functions that a worker calls: theirs lie in the same runs, and their pages are shown beside.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection

from bench import report
from bench.memory import laid, spent
from bots.sought import Sought
from bots.storage import episodes
from bots.storage.database import to_json
from chinwag.local.postgres import start_postgres
from inference.embed_server import MODEL
from tests.support.cluster import Cluster
from tests.support.storage_fixture import StorageFixture, open_storage

_THREADS = 16
_SHOWN = 6
#: Contacts that come through the functions that a worker calls (fewer with many turns), and how far their pages may be from the others'.
_WRITTEN, _FEWEST_WRITTEN, _FAR = 24, 8, 0.1
_LOOKED_AT = 200
#: As many contacts as are only reckoned with, and the entries of a page of the index: 52 bytes each, in pages of which half or a little more is full.
_MANY, _FANOUT = 100_000, 90
_QUESTIONS = 256
#: What is lost when the machine stops is built again.
_TO_BUILD = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "1GB",
    "autovacuum": "off",
}

_Asked = tuple[Sought, list[float]]


@dataclass(kw_only=True)
class _Round:
    """What came of an offered load."""

    #: From when a recall was due; from when it began; and of writing a turn.
    recalls: list[float] = field(default_factory=list[float])
    served: list[float] = field(default_factory=list[float])
    writes: list[float] = field(default_factory=list[float])
    failed: int = 0
    #: CPU for each recall with its write: Postgres, and who asks.
    postgres_ms: float = 0.0
    client_ms: float = 0.0


@dataclass(kw_only=True)
class _Size:
    """One database, and what is measured there."""

    contacts: int
    turns: int
    database: str
    storage: StorageFixture
    built_s: float
    bytes_a_turn: float
    #: Conversations by contact.
    people: list[tuple[UUID, UUID]]
    pages: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    #: Of those that were not in a buffer, how many of each table and of its indexes, at the mean.
    cold: dict[str, float] = field(default_factory=dict[str, float])
    rounds: list[_Round] = field(default_factory=list[_Round])

    def ms(self, what: str, share: float) -> float:
        """The milliseconds below which this share of a round's are, at the median of the rounds: what else the machine did spoils one of them."""
        return round(report.percentile([report.percentile(getattr(one, what), share) for one in self.rounds], 0.5), 1)


def main() -> int:
    """Build, measure and print."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--contacts", type=int, nargs="+", default=[1000, 20000])
    parser.add_argument("--turns", type=int, nargs="+", default=[300])
    parser.add_argument("--rate", type=float, default=100.0, help="recalls offered a second; as many turns are written")
    parser.add_argument("--seconds", type=float, default=16.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=5, help="of each size, one size after the other")
    parser.add_argument("--keep", default="memory_scale", help="the name of the result in bench/results")
    parser.add_argument("--folder", type=Path, help="where the databases are built; they are removed afterwards")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-", dir=given.folder) as folder, Cluster(Path(folder)) as cluster:
        _restart(cluster, _TO_BUILD)
        written = {turns: _written(cluster, turns) for turns in given.turns}
        sizes = [_built(cluster, contacts, turns) for contacts, turns in product(given.contacts, given.turns)]
        _restart(cluster, {})
        for size in sizes:
            _look(cluster, size)
        for n in range(given.rounds):
            for size in sizes:
                _offer(cluster, size, n, rate=given.rate, seconds=given.seconds)
                _say(f"round {n + 1}: {size.contacts} x {size.turns}")
        for size in sizes:
            _close(size.storage)
    rows = [_row(size, written[size.turns]) for size in sizes]
    report.table(rows, list(rows[0]))
    _compare(sizes, rows)
    print(f"by arithmetic: {_by_arithmetic(sizes[-1], _MANY)}")
    for size in sizes:
        print(f"cold pages of {size.contacts} x {size.turns}: {size.cold}")
    cold = [size.cold for size in sizes]
    result = {"rate": given.rate, "seconds": given.seconds * given.rounds, "rows": rows, "cold": cold}
    report.keep(given.keep, result, given.json)
    return 0


def _restart(cluster: Cluster, options: dict[str, str]) -> None:
    """Start Postgres anew, with nothing in its buffers."""
    cluster.postgres.stop()
    cluster.postgres = start_postgres(cluster.folder / "postgres", options=options)


def _written(cluster: Cluster, turns: int) -> int:
    """The pages of a recall of contacts that came through the functions that a worker calls, at the median."""
    database = cluster.database()
    storage = open_storage(cluster, database)
    with cluster.engine(database).connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        laid.write(owner, storage, max(_FEWEST_WRITTEN, min(_WRITTEN, _WRITTEN * 300 // turns)), turns)
        people = [row[0] for row in owner.exec_driver_sql("select contact_id from conversations").all()]
        for contact in people:
            assert laid.sizes(owner, contact) == laid.expected(turns), "a worker's functions lay turns in other runs"
        pages = _median([_pages(owner, storage, contact)[0] for contact in people][5:])
    _close(storage)
    cluster.drop(database)
    return pages


def _built(cluster: Cluster, contacts: int, turns: int) -> _Size:
    database, began = cluster.database(), time.monotonic()
    storage = open_storage(cluster, database)
    with cluster.engine(database).connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        laid.build(owner, storage, contacts, turns)
        people = [(row[0], row[1]) for row in owner.exec_driver_sql("select contact_id, id from conversations order by contact_id").all()]
        assert laid.sizes(owner, people[0][0]) == laid.expected(turns)
        tables = "pg_total_relation_size('episodes') + pg_total_relation_size('fresh_episodes')"
        size = owner.exec_driver_sql(f"select {tables}").scalar_one()
    _close(storage)
    built_s = time.monotonic() - began
    _say(f"built {contacts} x {turns} in {built_s:.0f} s")
    values: dict[str, Any] = {"contacts": contacts, "turns": turns, "database": database, "storage": storage, "people": people}
    return _Size(**values, built_s=built_s, bytes_a_turn=size / (contacts * turns))


def _look(cluster: Cluster, size: _Size) -> None:
    """Count the pages of recalls of contacts that nobody has read since Postgres was started."""
    with cluster.engine(size.database).connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        chosen = random.Random(7).sample(size.people, min(_LOOKED_AT, len(size.people)))
        # Of the first recalls of a connection the catalog is read, too.
        for contact, _ in chosen[:5]:
            _pages(owner, size.storage, contact)
        before = _read_so_far(owner)
        size.pages = [_pages(owner, size.storage, contact) for contact, _ in chosen[5:]]
        after = _read_so_far(owner)
        size.cold = {name: round((after[name] - before[name]) / len(size.pages), 1) for name in after if after[name] > before[name]}


def _read_so_far(owner: Connection) -> dict[str, int]:
    """Pages that were read into buffers, by table, heap and indexes apart."""
    owner.exec_driver_sql("select pg_stat_force_next_flush()")
    owner.exec_driver_sql("select pg_stat_clear_snapshot()")
    rows = owner.exec_driver_sql("select relname, heap_blks_read, coalesce(idx_blks_read, 0) from pg_statio_user_tables").all()
    return {f"{name} {part}": count for name, *counts in rows for part, count in zip(("rows", "index"), counts, strict=True)}


def _close(storage: StorageFixture) -> None:
    """Give its connections back; it connects again when it is used."""
    for engine in (storage.web, storage.worker, storage.crossing):
        engine.dispose()


def _questions() -> list[_Asked]:
    chance = random.Random(11)
    found = list[_Asked]()
    for _ in range(_QUESTIONS):
        # A turn then has a third of one of them, as of LoCoMo's questions.
        words = laid.words(chance, 6, frequent=2)
        found.append((Sought(words=words, configs=("english", "simple"), text=words, side="contact"), laid.vector(chance)))
    return found


def _pages(owner: Connection, storage: StorageFixture, contact: UUID) -> tuple[int, int]:
    """The pages that a recall touches, of tables, indexes and catalog, with the few turns that are shown; and those of them that were not in a buffer."""
    question, vector = random.Random(str(contact)).choice(_QUESTIONS_ASKED)
    ask = to_json(episodes.as_asked(question, vector, MODEL))
    values = (contact, uuid4(), storage.account.bot_id, ask, _SHOWN)
    statement = "explain (analyze, buffers, costs off, timing off) select recall_turns(%s, %s, 1, %s, %s::jsonb, %s, 0)"
    for setting in ("role = chinwag_worker", "enable_seqscan = off", "enable_bitmapscan = off", "plan_cache_mode = force_generic_plan"):
        owner.exec_driver_sql(f"set {setting}")
    lines = [str(row[0]) for row in owner.exec_driver_sql(statement, values).all()]
    owner.exec_driver_sql("reset role")
    used = next(line for line in lines if "Buffers: shared" in line)
    counts = {name: int(number) for name, _, number in (part.partition("=") for part in used.split() if part.startswith(("hit=", "read=")))}
    return sum(counts.values()), counts.get("read", 0)


_QUESTIONS_ASKED = _questions()


def _offer(cluster: Cluster, size: _Size, n: int, *, rate: float, seconds: float) -> None:
    """Offer recalls at a rate, each followed by a turn of the same contact; a time counts from when the recall was due."""
    storage, lock, chance = size.storage, threading.Lock(), random.Random(f"{size.contacts} {n}")
    count, came = int(rate * seconds), _Round()

    def work(due: float, contact: UUID, conversation: UUID, asked: _Asked, number: int) -> None:
        values: dict[str, Any] = {"bot": storage.account.bot_id, "model": MODEL, "history_from": size.turns + 1, "limit": _SHOWN}
        began = time.monotonic()
        try:
            episodes.recall(storage.worker, contact=contact, question=asked[0], vector=asked[1], conversation=conversation, **values)
            recalled = time.monotonic()
            _write(storage, conversation, number)
            written = time.monotonic()
        except Exception:  # noqa: BLE001 - whatever it is, it is counted
            with lock:
                came.failed += 1
            return
        with lock:
            came.recalls.append(1000 * (recalled - due))
            came.served.append(1000 * (recalled - began))
            came.writes.append(1000 * (written - recalled))

    folder = cluster.folder / "postgres" / "data"
    postgres, client = spent.of_postgres(folder), time.process_time()
    begin = time.monotonic()
    with ThreadPoolExecutor(_THREADS) as pool:
        for k in range(count):
            due = begin + k / rate
            time.sleep(max(0.0, due - time.monotonic()))
            contact, conversation = chance.choice(size.people)
            pool.submit(work, due, contact, conversation, chance.choice(_QUESTIONS_ASKED), size.turns + 1 + n * count + k)
    came.client_ms = 1000 * (time.process_time() - client) / count
    came.postgres_ms = (spent.of_postgres(folder) - postgres) / count
    size.rounds.append(came)


def _write(storage: StorageFixture, conversation: UUID, number: int) -> None:
    new = {
        "config": "english",
        "asked": "word1 word2 word3 and more",
        "answered": "word4 word5",
        "asks": False,
        "first_person": True,
        "time_words": 0,
    }
    with storage.crossing.connect() as connection:
        connection.exec_driver_sql(
            "with t as (insert into turns (tenant_id, conversation_id, contact_id, number, state, finished_at, asked, answer)"
            " select tenant_id, id, contact_id, %s, 'answered', now(), 'asked', 'answered' from conversations where id = %s returning id)"
            " select id from t",
            (number, conversation),
        )
        connection.exec_driver_sql(
            "select remember_episode((select id from turns where conversation_id = %s and number = %s), %s::jsonb)",
            (conversation, number, to_json(new)),
        )


def _row(size: _Size, written: int) -> dict[str, Any]:
    return {
        "contacts": size.contacts,
        "turns": size.turns,
        "built s": round(size.built_s),
        "bytes a turn": round(size.bytes_a_turn),
        "pages p50": _median([both for both, _ in size.pages]),
        "as written": written,
        "cold p50": _median([read for _, read in size.pages]),
        "cold max": max(read for _, read in size.pages),
        **{f"p{share}": size.ms("recalls", share / 100) for share in (50, 95, 99)},
        "served p50": size.ms("served", 0.5),
        "write p50": size.ms("writes", 0.5),
        "write p99": size.ms("writes", 0.99),
        "Postgres CPU": round(report.percentile([one.postgres_ms for one in size.rounds], 0.5), 2),
        "client CPU": round(report.percentile([one.client_ms for one in size.rounds], 0.5), 2),
        "recalls": sum(len(one.recalls) for one in size.rounds),
        "failed": sum(one.failed for one in size.rounds),
    }


def _compare(sizes: Sequence[_Size], rows: Sequence[dict[str, Any]]) -> None:
    """Say how the largest compares to the first, and where built rows do not lie as written ones."""
    if len(rows) > 1:
        print(
            f"p99 of {sizes[-1].contacts} x {sizes[-1].turns} is {rows[-1]['p99'] / rows[0]['p99']:.2f} of {sizes[0].contacts} x {sizes[0].turns}"
        )
    for row in rows:
        if abs(row["pages p50"] - row["as written"]) > _FAR * row["as written"]:
            print(f"{row['contacts']} x {row['turns']}: built turns lie on {row['pages p50']} pages, written ones on {row['as written']}")


def _by_arithmetic(size: _Size, contacts: int) -> str:
    """What more contacts with as many turns would take: the rows of each lie as they do here, and only the index grows, by its depth."""
    more = _depth(contacts * size.turns) - _depth(size.contacts * size.turns)
    gb = size.bytes_a_turn * contacts * size.turns / 2**30
    return f"{contacts:,} x {size.turns}: {gb:.0f} GB, {more} pages more than among {size.contacts:,} contacts"


def _depth(entries: int) -> int:
    levels = 1
    while entries > _FANOUT:
        entries, levels = entries // _FANOUT, levels + 1
    return levels


def _median(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2]


def _say(what: str) -> None:
    """Tell how far it is, since it takes long."""
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()
