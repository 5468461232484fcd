"""What each operation costs among 1,000 contacts and among a million: buffers, milliseconds, WAL, and the ratio to 10,000 contacts (behind a backlog to 100,000,
of whom as many wait).

    python -m bench.growth
    python -m bench.growth --sizes 1000 10000 100000 --only search home

Every row is really there (bench/grown.py), and each operation goes through the function that the product calls. Postgres is started anew as it ships
before the sizes are measured; each call is about another contact, so what is not in its buffers is read. A ratio above 1.2 is marked.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import grown, report
from bench.growth_meter import Cost, Meter, opened
from bench.growth_pages import PAGES
from bench.growth_phases import STATES, Phase
from bench.growth_steps import OPERATIONS, Operation, Place
from bots.storage import figures
from chinwag.local.postgres import start_postgres
from tests.support.cluster import Cluster
from tests.support.storage_fixture import open_storage

#: What is lost when the machine stops is built again.
_TO_BUILD = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "1GB",
    "autovacuum": "off",
}
#: While it is measured nothing else may work: what autovacuum reads would push pages out.
_TO_MEASURE = {"autovacuum": "off", "checkpoint_timeout": "1h", "max_wal_size": "4GB"}
_STATES = ((Phase(operations=OPERATIONS + PAGES),), *STATES)
_MOST = 1.2
_DRAWN = 30
#: Few pages more are no growth: an index has one level more for some hundred times the rows.
_FEW = 12


def main() -> int:
    """Build, measure and print; returns 1 where something grows."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000], help="contacts")
    parser.add_argument("--calls", type=int, default=15, help="of each operation at each size")
    parser.add_argument("--only", nargs="+", default=[], help="operations whose name has one of these words")
    parser.add_argument("--folder", type=Path, help="where the databases are built (16 GB for a million); they are removed afterwards")
    parser.add_argument("--keep", type=Path, help="the same, but they stay, and the next run with this folder measures them again")
    given = parser.parse_args()
    chosen = [
        one
        for phases in _STATES
        for phase in phases
        for one in phase.operations
        if not given.only or any(word in one.name for word in given.only)
    ]
    with _folder(given.folder, given.keep) as folder, ReopenedCluster(folder) as cluster:
        built = cluster.built
        if missing := [contacts for contacts in given.sizes if contacts not in built]:
            _restart(cluster, _TO_BUILD)
            for contacts in missing:
                cluster.remember(contacts, *_built(cluster, contacts))
        _restart(cluster, _TO_MEASURE)
        measured = [_measured(cluster, contacts, built[contacts][0], chosen, given.calls) for contacts in given.sizes]
    rows = [_row(one, dict(sorted(zip(given.sizes, [costs[one.name] for costs in measured], strict=True)))) for one in chosen]
    report.table(rows, list(rows[0]))
    grows = [row["operation"] for row in rows if row["grows"]]
    print(f"grows: {', '.join(grows) or 'nothing'}")
    tables = {contacts: built[contacts][1] for contacts in given.sizes}
    built_rows = {f"{contacts:,} contacts": sum(counted.values()) for contacts, counted in tables.items()}
    print(f"rows: {', '.join(f'{count:,} for {size}' for size, count in built_rows.items())}")
    result = {"sizes": sorted(given.sizes), "rows": rows, "tables": {str(contacts): counted for contacts, counted in tables.items()}}
    report.keep("growth", result | {"built_rows": [built_rows]}, given.json)
    _draw(rows, given.sizes)
    return 1 if grows else 0


class ReopenedCluster(Cluster):
    """A cluster that can be opened again, with what it has built: its key, and by their contacts the databases and the rows of each table."""

    built: dict[int, tuple[str, dict[str, int]]]

    def __enter__(self) -> Self:
        self._note = self.folder / "built.json"
        if self._note.exists():
            kept = json.loads(self._note.read_text())
            self.key, self.built = kept["key"], {int(contacts): (name, rows) for contacts, (name, rows) in kept["built"].items()}
            self.postgres = start_postgres(self.folder / "postgres", options=_TO_MEASURE)
            # What was not finished would be in the way.
            for n in range(1, 10):
                self.drop(f"test_{n}")
            return self
        self.built = {}
        return super().__enter__()

    def remember(self, contacts: int, database: str, rows: dict[str, int]) -> None:
        """Note a database that is built, by a name of its own."""
        self._owner("postgres", f"alter database {database} rename to grown_{contacts}")
        self.built[contacts] = f"grown_{contacts}", rows
        self._note.write_text(json.dumps({"key": self.key, "built": self.built}))


@contextmanager
def _folder(within: Path | None, keep: Path | None) -> Generator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
    else:
        with tempfile.TemporaryDirectory(prefix="chinwag-bench-", dir=within) as folder:
            yield Path(folder)


def _restart(cluster: Cluster, options: dict[str, str]) -> None:
    """Start Postgres anew, with nothing in its buffers."""
    cluster.postgres.stop()
    cluster.postgres = start_postgres(cluster.folder / "postgres", options=options)


def _built(cluster: Cluster, contacts: int) -> tuple[str, dict[str, int]]:
    database, began = cluster.database(), time.monotonic()
    storage = open_storage(cluster, database)
    with cluster.engine(database).connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        counted = grown.build(owner, storage, contacts)
    while figures.count(storage.crossing):
        """As the dispatcher does, while it happens."""
    for engine in (storage.web, storage.worker, storage.crossing):
        engine.dispose()
    _say(f"built {contacts:,} contacts, {sum(counted.values()):,} rows, in {time.monotonic() - began:.0f} s")
    return database, counted


def _measured(cluster: Cluster, contacts: int, database: str, chosen: Sequence[Operation], calls: int) -> dict[str, Cost]:
    """Measure every operation in one database, with one connection for each role."""
    storage = opened(cluster, database)
    place, owner = Place.find(storage, contacts), cluster.engine(database)
    meter, found = Meter(storage, owner), dict[str, Cost]()
    with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for phases in _STATES:
            if not any(one in chosen for phase in phases for one in phase.operations):
                continue
            try:
                for phase in phases:
                    phase.enter(connection, place)
                    for one in phase.operations:
                        if one in chosen:
                            found[one.name] = cost = _cost(meter, place, one, calls)
                            failed = ", FAILED" if cost.failed else ""
                            _say(f"{contacts:,}: {one.name}: {_median(cost.buffers)} pages, {_median(cost.ms):.1f} ms{failed}")
            finally:
                # A database that is kept stays as it was built.
                phases[-1].leave(connection, place)
    meter.close()
    for engine in (storage.web, storage.worker, storage.crossing):
        engine.dispose()
    _say(f"measured {contacts:,}")
    return found


def _cost(meter: Meter, place: Place, one: Operation, calls: int) -> Cost:
    cost = Cost()
    # The first calls of a connection read the catalog and make plans.
    for n in range(-3, min(calls, one.most)):
        one.before(place, n)
        warm = Cost()
        meter.cost(partial(one.call, place, n), cost if n >= 0 else warm)
        one.after(place, n)
        if warm.failed:
            return warm
        if cost.failed:
            break
    return cost


def _row(one: Operation, costs: dict[int, Cost]) -> dict[str, Any]:
    base, largest = costs.get(one.base, next(iter(costs.values()))), costs[max(costs)]
    pages, more = _median(base.buffers), _median(largest.buffers)
    found: dict[str, Any] = {"operation": one.name}
    for contacts, cost in costs.items():
        found[f"pages {contacts:,}"] = _median(cost.buffers)
    found["ratio"] = round(more / max(pages, 1), 2)
    found |= {f"read {contacts:,}": _median(cost.reads) for contacts, cost in costs.items()}
    found |= {f"ms {contacts:,}": round(_median(cost.ms), 2) for contacts, cost in costs.items()}
    found |= {"ms ratio": round(_median(largest.ms) / _median(base.ms), 2), "WAL": _median(largest.wal), "images": _median(largest.images)}
    found["grows"] = "failed" if largest.failed else "grows" if more > _MOST * pages + _FEW else ""
    return found


def _draw(rows: Sequence[dict[str, Any]], sizes: Sequence[int]) -> None:
    most = sorted(rows, key=lambda row: row["ratio"], reverse=True)[:_DRAWN]
    report.lying_bars(
        "growth",
        f"Pages among {max(sizes):,} contacts, as a ratio to 10,000: the {len(most)} of {len(rows)} that grow most",
        "ratio",
        {row["operation"]: row["ratio"] for row in most},
    )


def _median(values: Sequence[Any]) -> Any:
    return sorted(values)[len(values) // 2]


def _say(what: str) -> None:
    """Tell how far it is, since it takes long."""
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
