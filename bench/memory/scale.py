"""What a recall costs among many contacts: pages, milliseconds at an offered rate with turns written beside, and bytes a turn.

    python -m bench.memory scale --contacts 1000 20000 --turns 300 --rate 100 --seconds 60

Every turn is really there, and lies where time would have put it: turns of all contacts come interleaved, and are moved in runs as settle_episodes
moves them. Only the moving of a round is done for all contacts by one statement, since it would take hours otherwise.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection

from bench import report
from bots.sought import Sought
from bots.storage import episodes
from bots.storage.database import to_json
from inference.embed_server import DIMENSIONS, MODEL
from tests.support.cluster import Cluster
from tests.support.storage_fixture import QUEUE, StorageFixture, open_storage

#: As in lay_episodes.
_RUN, _MERGES = 8, 4
_THREADS = 16
_SHOWN = 6
#: Words of a talk, and how many each side of a turn has.
_VOCABULARY, _STEMS = 2000, 16

_COLUMNS = "tenant_id, contact_id, turn_id, bot_id, conversation_id, number, said_at, config, words, sides, asks, first_person, time_words, embedder, vector"
_POOL = (
    "insert into pool select %s, %s::halfvec, word_numbers('english', x, 0) || word_numbers('english', x, 1), x from (select %s) as one(x)"
)
#: A round of turns as they come: for each of its turns, one of every contact.
_TURNS = """
insert into turns (tenant_id, id, conversation_id, contact_id, number, state, opened_at, finished_at, asked, answer)
select v.tenant_id, gen_random_uuid(), v.id, v.contact_id, s.n, 'answered', s.at, s.at, p.text, p.text
from (select n, now() - interval '400 days' + n * interval '1 day' as at from generate_series(%(first)s::int, %(last)s::int) n) s
cross join conversations v join pool p on p.n = abs(hashtext(v.id::text || s.n)) %% 1000
order by s.n, v.newest_at
"""
_EPISODES = f"""
insert into episodes ({_COLUMNS})
select t.tenant_id, t.contact_id, t.id, %(bot)s, t.conversation_id, t.number, t.opened_at, 'english', p.words, 3, false, true, 0, embedder_of('{MODEL}'), p.vector
from turns t join pool p on p.n = abs(hashtext(t.conversation_id::text || t.number)) %% 1000
where t.number between %(first)s and %(last)s order by t.contact_id, t.number
"""
_MERGE = f"""
with gone as (delete from episodes where run = %(run)s returning {_COLUMNS})
insert into episodes ({_COLUMNS}, run) select {_COLUMNS}, %(run)s::int + 1 from gone order by contact_id, number
"""


@dataclass(kw_only=True)
class _Load:
    """What came of an offered load."""

    recalls: list[float] = field(default_factory=list[float])
    writes: list[float] = field(default_factory=list[float])
    failed: int = 0


def main() -> int:
    """Build, measure and print."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--contacts", type=int, nargs="+", default=[1000, 20000])
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--rate", type=float, default=100.0, help="recalls offered a second; as many turns are written")
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        for contacts in given.contacts:
            database = cluster.database()
            rows.append(_measured(cluster, database, contacts, given.turns, rate=given.rate, seconds=given.seconds))
            report.table(rows, list(rows[0]))
            cluster.drop(database)
    report.keep("memory_scale", {"rows": rows}, given.json)
    return 0


def _measured(cluster: Cluster, database: str, contacts: int, turns: int, *, rate: float, seconds: float) -> dict[str, Any]:
    storage, began = open_storage(cluster, database), time.monotonic()
    with cluster.engine(database).connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        _build(owner, storage, contacts, turns)
        people = [(row[0], row[1]) for row in owner.exec_driver_sql("select contact_id, id from conversations").all()]
        size = owner.exec_driver_sql("select pg_total_relation_size('episodes')").scalar_one()
        built_s = time.monotonic() - began
        chosen = random.Random(7).sample(people, min(200, len(people)))
        # Of the first recalls of a connection the catalog is read, too.
        pages = [_pages(owner, storage, contact) for contact, _ in chosen][5:]
        touched, cold = sorted(both for both, _ in pages), sorted(read for _, read in pages)
    load = _offer(storage, people, turns, rate=rate, seconds=seconds)
    ms = {f"p{share}": f"{report.percentile(load.recalls, share / 100):.1f}" for share in (50, 95, 99)}
    for engine in (storage.web, storage.worker, storage.crossing):
        engine.dispose()
    return {
        "contacts": contacts,
        "turns": turns,
        "built s": round(built_s),
        "bytes a turn": round(size / (contacts * turns)),
        "pages p50": touched[len(touched) // 2],
        "cold p50": cold[len(cold) // 2],
        "cold max": cold[-1],
        **ms,
        "write p50": f"{report.percentile(load.writes, 0.5):.1f}",
        "write p99": f"{report.percentile(load.writes, 0.99):.1f}",
        "recalls": len(load.recalls),
        "failed": load.failed,
    }


def _build(owner: Connection, storage: StorageFixture, contacts: int, turns: int) -> None:
    owner.exec_driver_sql("set synchronous_commit = off")
    chance = random.Random(3)
    owner.exec_driver_sql("create unlogged table pool (n integer primary key, vector halfvec, words integer[], text text)")
    for n in range(1000):
        vector = [round(chance.random() - 0.5, 4) for _ in range(DIMENSIONS)]
        owner.exec_driver_sql(_POOL, (n, str(vector), _words(chance, _STEMS)))
    owner.exec_driver_sql("insert into contacts (tenant_id) select %s from generate_series(1, %s)", (storage.account.tenant_id, contacts))
    owner.exec_driver_sql(
        "insert into conversations (tenant_id, account_id, contact_id, queue, newest_at)"
        " select tenant_id, %s, id, %s, now() + random() * interval '1 day' from contacts",
        (storage.account.id, QUEUE),
    )
    for first in range(1, turns + 1, _RUN):
        values = {"first": first, "last": min(first + _RUN - 1, turns), "bot": storage.account.bot_id}
        owner.exec_driver_sql(_TURNS, values)
        owner.exec_driver_sql(_EPISODES, values)
        moved = first + _RUN - 1
        for run, rows in ((0, _RUN * _MERGES), (1, _RUN * _MERGES**2)):
            if moved % rows == 0:
                owner.exec_driver_sql(_MERGE, {"run": run})
                owner.exec_driver_sql("vacuum episodes")
    owner.exec_driver_sql("vacuum analyze")


def _words(chance: random.Random, count: int) -> str:
    """Words of which a few are frequent, as in any talk."""
    return " ".join(f"word{int(_VOCABULARY * chance.random() ** 3)}" for _ in range(count))


def _question(chance: random.Random) -> tuple[Sought, list[float]]:
    words = _words(chance, 6)
    vector = [chance.random() - 0.5 for _ in range(DIMENSIONS)]
    return Sought(words=words, configs=("english", "simple"), text=words, side="contact"), vector


def _pages(owner: Connection, storage: StorageFixture, contact: UUID) -> tuple[int, int]:
    """The pages that a recall touches, of tables, indexes and catalog, with the few turns that are shown; and those of them that were read from disk."""
    question, vector = _question(random.Random(str(contact)))
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


def _offer(storage: StorageFixture, people: Sequence[tuple[UUID, UUID]], turns: int, *, rate: float, seconds: float) -> _Load:
    """Offer recalls at a rate, each followed by a turn of the same contact; a time counts from when the recall was due."""
    load, lock, chance = _Load(), threading.Lock(), random.Random(11)

    def work(due: float, contact: UUID, conversation: UUID, number: int) -> None:
        question, vector = _question(random.Random(number))
        values: dict[str, Any] = {"bot": storage.account.bot_id, "model": MODEL, "history_from": turns + 1, "limit": _SHOWN}
        try:
            episodes.recall(storage.worker, contact=contact, question=question, vector=vector, conversation=conversation, **values)
            recalled = time.monotonic()
            _write(storage, conversation, number)
            written = time.monotonic()
        except Exception:  # noqa: BLE001 - whatever it is, it is counted
            with lock:
                load.failed += 1
            return
        with lock:
            load.recalls.append(1000 * (recalled - due))
            load.writes.append(1000 * (written - recalled))

    begin = time.monotonic()
    with ThreadPoolExecutor(_THREADS) as pool:
        for n in range(int(rate * seconds)):
            due = begin + n / rate
            time.sleep(max(0.0, due - time.monotonic()))
            contact, conversation = chance.choice(people)
            pool.submit(work, due, contact, conversation, turns + 1 + n)
    return load


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
