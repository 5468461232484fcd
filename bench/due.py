"""What choosing the next conversation costs: pages and milliseconds, by accounts with due work and by what waits.

    python -m bench.due [--large] [--against REV]

Only the choice is measured (due_conversations) and the dispatcher's tick, on a database of which nothing else makes use. With --against also the
claim of one conversation as a whole, beside that of a revision which has no due_conversations: both in the same database, in turn.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Connection

from bench import report
from bots.kinds import always_told
from tests.support.cluster import Cluster
from tests.support.storage_fixture import open_storage

#: Accounts with one due conversation each, tenants that they belong to, conversations that wait for the first of them, and turns in work.
_CASES = (
    (1, 1, 0, 0),
    (1, 1, 10_000, 0),
    (1, 1, 10_000, 256),
    (2, 1, 10_000, 256),
    (2, 2, 10_000, 256),
    (10, 1, 0, 0),
    (10, 10, 10_000, 256),
    (1_000, 1, 10_000, 256),
    (1_000, 100, 10_000, 256),
    (10_000, 1, 10_000, 256),
    (10_000, 1_000, 10_000, 256),
)
_LARGE = ((1, 1, 1_000_000, 256), (10, 10, 1_000_000, 256))
_REPEATS = 100
_ROUNDS = 5
_CLAIM = "claim_turn('{queue}', gen_random_uuid(), 60, 1800, '{{{always}}}', '{{}}')"


def _fill(connection: Connection, queue: str, case: tuple[int, int, int, int]) -> None:
    """Put the rows of a case into a queue of its own."""
    accounts, tenants, backlog, running = case
    made = connection.exec_driver_sql(
        """
        with t as (insert into tenants (name) select %(q)s || n from generate_series(1, %(tenants)s) n returning tenant_id),
        b as (insert into bots (tenant_id, name, fallback_text) select tenant_id, 'b', '-' from t returning tenant_id, id),
        n as (select tenant_id, id, row_number() over () as n from b)
        insert into accounts (tenant_id, bot_id, channel, name, external_id)
        select n.tenant_id, n.id, 'console', %(q)s || a, %(q)s || a from generate_series(1, %(accounts)s) a join n on n.n = a %% %(tenants)s + 1
        returning tenant_id, id
        """,
        {"q": queue, "tenants": tenants, "accounts": accounts},
    ).all()
    connection.exec_driver_sql(
        """
        with c as (insert into contacts (tenant_id) select distinct tenant_id from accounts where starts_with(name, %(q)s) returning tenant_id, id),
        v as (insert into conversations (tenant_id, account_id, contact_id, queue, ready_at, newest_at)
            select a.tenant_id, a.id, c.id, %(q)s, now() - interval '10 seconds', now()
            from accounts a join c on c.tenant_id = a.tenant_id where starts_with(a.name, %(q)s) returning *)
        insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, text, content_type, supported)
        select tenant_id, account_id, id::text, 'message', contact_id, id, 'hi', 'text', true from v
        """,
        {"q": f"{queue}"},
    )
    tenant, account = made[0]
    contact = connection.exec_driver_sql("select id from contacts where tenant_id = %s limit 1", (tenant,)).scalar_one()
    waiting = ("now() - make_interval(secs => 100 + n * 0.00001)", "null", "null", "8")
    leased = ("now() + interval '1 hour'", "now() + interval '1 hour'", "gen_random_uuid()", "9")
    for count, (ready, until, by, thread) in ((backlog, waiting), (running, leased)):
        connection.exec_driver_sql(
            "with v as (insert into conversations (tenant_id, account_id, contact_id, thread, queue, ready_at, leased_until, leased_by)"
            f" select %(tenant)s, %(account)s, %(contact)s, '{thread}' || n, %(q)s, {ready}, {until}, {by} from generate_series(1, %(count)s) n"
            " returning *)"
            " insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, text, content_type, supported)"
            " select tenant_id, account_id, id::text, 'message', contact_id, id, 'hi', 'text', true from v where substr(thread, 2)::bigint < 5000"
            " or substr(thread, 2)::bigint > %(count)s - 500",
            {"tenant": tenant, "account": account, "contact": contact, "q": queue, "count": count},
        )


def _ms(connection: Connection, statement: str, *, repeats: int = _REPEATS) -> float:
    """Milliseconds of a statement, the median of several rounds of repeats on the server; what it changes is undone."""
    found = []
    for _ in range(_ROUNDS):
        took = connection.exec_driver_sql(
            f"do $do$ declare began timestamptz := clock_timestamp(); x record; begin for n in 1 .. {repeats} loop for x in select * from {statement} loop end loop;"
            " end loop; perform set_config('bench.took', extract(epoch from clock_timestamp() - began)::text, false); end $do$"
        )
        del took
        found.append(float(connection.exec_driver_sql("select current_setting('bench.took')").scalar_one()))
        connection.rollback()
    return round(1000 * median(found) / repeats, 4)


def _pages(connection: Connection, statement: str) -> int:
    connection.exec_driver_sql(f"select * from {statement}").all()
    plan = connection.exec_driver_sql(f"explain (analyze, buffers, format json) select * from {statement}").scalar_one()[0]["Plan"]
    connection.rollback()
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def _function_of(revision: str) -> str:
    """claim_turn of a revision under another name."""
    source = subprocess.run(["git", "show", f"{revision}:bots/storage/sql/claim.sql"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"^create function claim_turn\(.*?\$\$.*?\$\$;", source, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0].replace("create function claim_turn", "create function claim_before", 1)


def main() -> None:
    """Measure every case and write the result."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--large", action="store_true", help="also with a million that wait")
    parser.add_argument("--against", help="a revision before there was due_conversations")
    given = parser.parse_args()
    cases = (*_CASES, *(_LARGE if given.large else ()))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        database = cluster.database()
        open_storage(cluster, database)
        owner = cluster.engine(database, "owner")
        queues = {case: f"reply.c{n}x" for n, case in enumerate(cases)}
        with owner.begin() as connection:
            if given.against:
                connection.exec_driver_sql(_function_of(given.against).replace("%", "%%"))
            for case, queue in queues.items():
                _fill(connection, queue, case)
        with owner.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("vacuum analyze")
        always = ",".join(always_told())
        with cluster.engine(database, "crossing").connect() as connection:
            for case, queue in queues.items():
                row: dict[str, Any] = dict(zip(("accounts", "tenants", "backlog", "running"), case, strict=True))
                for name, many in (("one", 1), ("eight", 8)):
                    statement = f"due_conversations('{queue}', {many})"
                    row |= {f"{name}_pages": _pages(connection, statement), f"{name}_ms": _ms(connection, statement)}
                connection.exec_driver_sql(
                    "insert into worker_heartbeats (name, boot_id, queues, slots) values ('w', gen_random_uuid(), array[%s], 256)", (queue,)
                )
                connection.commit()
                row |= {
                    "tick_pages": _pages(connection, "everything_waiting(2)"),
                    "tick_ms": _ms(connection, "everything_waiting(2)", repeats=20),
                }
                connection.exec_driver_sql("delete from worker_heartbeats")
                connection.commit()
                if given.against:
                    few = min(20, case[0] + case[2])
                    claim = _CLAIM.format(queue=queue, always=always)
                    before = claim.replace("claim_turn", "claim_before")
                    row |= {"claim_pages": _pages(connection, claim), "before_pages": _pages(connection, before)}
                    row |= {"claim_ms": _ms(connection, claim, repeats=few), "before_ms": _ms(connection, before, repeats=few)}
                rows.append(row)
                print(row, flush=True)
    report.table(rows, list(rows[0]))
    report.keep("due", {"rows": rows}, given.json)


if __name__ == "__main__":
    main()
