"""What the keys of events cost for ever, in four forms: bytes a key, and what one more key reads and writes after a checkpoint.

    python -m bench.growth_keys --keys 5000000

The text of the key as it is; 16 bytes of its hash; the same behind the day of the event, so that new keys lie together; and a table for each month of them. A key is
that of a real message: 90 characters of which the last ones differ.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from sqlalchemy import Connection, create_engine, pool

from bench import report
from chinwag.local.postgres import start_postgres

_TEXT = "'wamid.HBgMMzQ2MDAxMTEyMjIVAgARGBI' || upper(md5(n::text)) || upper(substr(md5('x' || n), 1, 22)) || 'A'"
_HASH = f"md5({_TEXT})::uuid"
#: A year of events, the newest last.
_DAY = "(date '2026-01-01' + (n / (%(keys)s / 365.0))::integer)"
_TENANT, _ACCOUNT = "'00000000-0000-4000-8000-000000000001'::uuid", "'00000000-0000-4000-8000-000000000002'::uuid"
#: The form: its table, and what a row of it is made of.
_FORMS: dict[str, tuple[str, str]] = {
    "text": (
        "create table k (tenant_id uuid not null, account_id uuid not null, event_key text not null, primary key (account_id, event_key))",
        f"{_TENANT}, {_ACCOUNT}, {_TEXT}",
    ),
    "hash": ("create table k (account_id uuid not null, event uuid not null, primary key (account_id, event))", f"{_ACCOUNT}, {_HASH}"),
    "day, hash": (
        "create table k (account_id uuid not null, day date not null, event uuid not null, primary key (account_id, day, event))",
        f"{_ACCOUNT}, {_DAY}, {_HASH}",
    ),
    "hash, by month": (
        "create table k (account_id uuid not null, day date not null, event uuid not null, primary key (account_id, day, event)) partition by range (day);"
        + ";".join(
            f"create table k_{m} partition of k for values from ('{2026 + (m - 1) // 12}-{(m - 1) % 12 + 1:02}-01') to ('{2026 + m // 12}-{m % 12 + 1:02}-01')"
            for m in range(1, 14)
        ),
        f"{_ACCOUNT}, {_DAY}, {_HASH}",
    ),
}
_USED = "select coalesce(sum(hits), 0), coalesce(sum(reads), 0) from pg_stat_get_backend_io(pg_backend_pid()) where object = 'relation'"
_WRITTEN = "select wal_bytes, wal_fpi from pg_stat_get_backend_wal(pg_backend_pid())"
_MANY = 100_000_000


def main() -> int:
    """Build each form, add keys one by one, print."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--keys", type=int, default=5_000_000)
    parser.add_argument("--more", type=int, default=2_000, help="keys that are then added, each in a transaction of its own")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    rows = list[dict[str, Any]]()
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-", dir=given.folder) as folder:
        postgres = start_postgres(
            Path(folder) / "postgres", options={"autovacuum": "off", "max_wal_size": "4GB", "checkpoint_timeout": "1h"}
        )
        try:
            engine = create_engine(postgres.owner_url, poolclass=pool.StaticPool, isolation_level="AUTOCOMMIT")
            with engine.connect() as owner:
                for form, (table, row) in _FORMS.items():
                    rows.append({"form": form, **_measured(owner, table, row, given.keys, given.more)})
                    owner.exec_driver_sql("drop table k")
            engine.dispose()
        finally:
            postgres.stop()
    report.table(rows, list(rows[0]))
    report.keep("growth_keys", {"keys": given.keys, "rows": rows}, given.json)
    report.lying_bars("growth_keys", "Keys of events: kB of WAL for one more", "kB", {row["form"]: row["WAL"] / 1000 for row in rows})
    return 0


def _measured(owner: Connection, table: str, row: str, keys: int, more: int) -> dict[str, Any]:
    for statement in table.split(";"):
        owner.exec_driver_sql(statement)
    owner.exec_driver_sql("set synchronous_commit = off")
    insert = f"insert into k select {row} from generate_series(%(first)s::integer, %(last)s::integer) n on conflict do nothing"
    for first in range(1, keys + 1, 500_000):
        owner.exec_driver_sql(insert, {"first": first, "last": min(first + 499_999, keys), "keys": keys})
    owner.exec_driver_sql("vacuum analyze k")
    owner.exec_driver_sql("checkpoint")
    sizes = (
        "select sum(pg_relation_size(c.oid)), sum(pg_indexes_size(c.oid)) from pg_class c where c.relname like 'k%%' and c.relkind = 'r'"
    )
    heap, index = (float(one) for one in owner.exec_driver_sql(sizes).one())
    before = _so_far(owner)
    for n in range(keys + 1, keys + more + 1):
        owner.exec_driver_sql(insert, {"first": n, "last": n, "keys": keys})
    hits, reads, wal, images = ((after - one) / more for one, after in zip(before, _so_far(owner), strict=True))
    return {
        "bytes a row": round(heap / keys),
        "of index": round(index / keys),
        "GB of 100 M": round((heap + index) / keys * _MANY / 1e9, 1),
        "pages": round(hits + reads, 2),
        "read": round(reads, 2),
        "WAL": round(wal),
        "images": round(images, 2),
    }


def _so_far(owner: Connection) -> list[int]:
    owner.exec_driver_sql("select pg_stat_force_next_flush()")
    return [int(one) for one in (*owner.exec_driver_sql(_USED).one(), *owner.exec_driver_sql(_WRITTEN).one())]


if __name__ == "__main__":
    sys.exit(main())
