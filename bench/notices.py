"""What telling the dispatcher costs: commits a second of many connections that store a row, with a notice in each transaction, beside them, and with none."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from bots.settings import Settings
from bots.storage.database import open_engine
from bots.storage.work_notices import Teller
from tests.support.cluster import Cluster

_CONNECTIONS = 16
_WAYS = ("none", "in the transaction", "beside")


def rounds(cluster: Cluster, *, each_s: float, count: int) -> Iterator[dict[str, Any]]:
    """Measure each way in turn, some times over, the order swapped each time."""
    database = cluster.database()
    engine = open_engine(Settings.from_env(cluster.addresses(database)).crossing_database_url, pool=1, name="notices")
    address = cluster.owner_url(database).replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("create table noted (n bigint, body text)")
    teller = Teller(engine)
    with ExitStack() as held:
        connections = [held.enter_context(closing(psycopg.connect(address))) for _ in range(_CONNECTIONS)]
        listener = held.enter_context(closing(psycopg.connect(address, autocommit=True)))
        listener.execute("listen chinwag_work")
        for n in range(count):
            for way in _WAYS if n % 2 else reversed(_WAYS):
                yield {"notice": way, "commits_a_s": _commits(connections, way, teller, each_s)}
    engine.dispose()
    cluster.drop(database)


def _commits(connections: list[psycopg.Connection[Any]], way: str, teller: Teller, each_s: float) -> float:
    done, end = [0] * len(connections), time.monotonic() + each_s

    def store(n: int) -> None:
        while time.monotonic() < end:
            connections[n].execute("insert into noted values (1, repeat('x', 400))")
            if way == "in the transaction":
                connections[n].execute("select pg_notify('chinwag_work', '')")
            connections[n].commit()
            if way == "beside":
                teller.tell()
            done[n] += 1

    threads = [threading.Thread(target=store, args=(n,)) for n in range(len(connections))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / each_s


def main() -> None:
    """Measure on a fresh Postgres."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        found = list(rounds(cluster, each_s=given.seconds, count=given.rounds))
    middle = {way: report.percentile([row["commits_a_s"] for row in found if row["notice"] == way], 0.5) for way in _WAYS}
    rows = [{"notice": way, "commits_a_s": round(middle[way]), "of_none": round(middle[way] / middle["none"], 2)} for way in _WAYS]
    report.table(rows, ["notice", "commits_a_s", "of_none"])
    report.keep("notices", {"connections": _CONNECTIONS, "rounds": found, "rows": rows}, given.json)


if __name__ == "__main__":
    main()
