"""What choosing the next conversation costs: pages and milliseconds, by accounts with due work and by what waits.

    python -m bench.due [--large] [--against REV]

The choice alone (due_conversations, of one and of eight), and the dispatcher's tick; each case has a database of its own, of which nothing else makes
use. With --against also the claim of one conversation as a whole, beside that of a revision which has no due_conversations, in turn.
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
from tests.support.pages_read import pages

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
_QUEUE = "reply.bench"
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
        with a as (select tenant_id, id, gen_random_uuid() as contact from accounts where starts_with(name, %(q)s)),
        c as (insert into contacts (tenant_id, id) select tenant_id, contact from a),
        v as (insert into conversations (tenant_id, account_id, contact_id, queue, ready_at, newest_at)
            select tenant_id, id, contact, %(q)s, now() - interval '10 seconds', now() from a returning *)
        insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, text, content_type, supported)
        select tenant_id, account_id, id::text, 'message', contact_id, id, 'hi', 'text', true from v
        """,
        {"q": f"{queue}"},
    )
    tenant, account = made[0]
    waiting = ("now() - make_interval(secs => 100 + n * 0.00001)", "null", "null")
    leased = ("now() + interval '1 hour'", "now() + interval '1 hour'", "gen_random_uuid()")
    for count, (ready, until, by) in ((backlog, waiting), (running, leased)):
        connection.exec_driver_sql(
            "with c as (insert into contacts (tenant_id) select %(tenant)s from generate_series(1, %(count)s) returning id),"
            " v as (insert into conversations (tenant_id, account_id, contact_id, queue, ready_at, leased_until, leased_by)"
            f" select %(tenant)s, %(account)s, id, %(q)s, {ready}, {until}, {by} from (select id, row_number() over () as n from c) c returning *)"
            " insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, text, content_type, supported)"
            " select tenant_id, account_id, id::text, 'message', contact_id, id, 'hi', 'text', true from v",
            {"tenant": tenant, "account": account, "q": queue, "count": count},
        )


def _ms(connection: Connection, statement: str, *, repeats: int = _REPEATS, rounds: int = _ROUNDS) -> float:
    """Milliseconds of a statement, the median of several rounds of repeats on the server; what it changes is undone."""
    found: list[float] = []
    for _ in range(rounds):
        connection.exec_driver_sql(
            f"do $do$ declare began timestamptz := clock_timestamp(); x record; begin for n in 1 .. {repeats} loop for x in select * from {statement} loop end loop;"
            " end loop; perform set_config('bench.took', extract(epoch from clock_timestamp() - began)::text, false); end $do$"
        )
        found.append(float(connection.exec_driver_sql("select current_setting('bench.took')").scalar_one()))
        connection.rollback()
    return round(1000 * median(found) / repeats, 4)


def _pages(connection: Connection, statement: str) -> int:
    connection.exec_driver_sql(f"select * from {statement}").all()
    found = pages(connection, f"select * from {statement}")
    connection.rollback()
    return found


def _function_of(revision: str) -> str:
    """claim_turn of a revision under another name."""
    source = subprocess.run(["git", "show", f"{revision}:bots/storage/sql/claim.sql"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"^create function claim_turn\(.*?\$\$.*?\$\$;", source, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0].replace("create function claim_turn", "create function claim_before", 1)


def _measure(cluster: Cluster, case: tuple[int, int, int, int], against: str | None) -> dict[str, Any]:
    """One row, in a database of its own."""
    database = cluster.database()
    with cluster.engine(database, "owner").connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if against:
            connection.exec_driver_sql(_function_of(against).replace("%", "%%"))
        _fill(connection, _QUEUE, case)
        connection.exec_driver_sql(
            "insert into worker_heartbeats (name, boot_id, queues, slots, at) values ('w', gen_random_uuid(), array[%s], 256, now() + interval '1 hour')",
            (_QUEUE,),
        )
        connection.exec_driver_sql("vacuum analyze")
    row: dict[str, Any] = dict(zip(("accounts", "tenants", "backlog", "running"), case, strict=True))
    with cluster.engine(database, "crossing").connect() as connection:
        for name, many in (("one", 1), ("eight", 8)):
            statement = f"due_conversations('{_QUEUE}', {many})"
            row |= {f"{name}_pages": _pages(connection, statement), f"{name}_ms": _ms(connection, statement)}
        row |= {"tick_pages": _pages(connection, "everything_waiting(2)"), "tick_ms": _ms(connection, "everything_waiting(2)", repeats=20)}
        if against:
            claim = _CLAIM.format(queue=_QUEUE, always=",".join(always_told()))
            before = claim.replace("claim_turn", "claim_before")
            row |= {"claim_pages": _pages(connection, claim), "before_pages": _pages(connection, before)}
            # In turn, so that what else the machine does hits both.
            few = min(20, case[0] + case[2])
            took = [(_ms(connection, claim, repeats=few, rounds=1), _ms(connection, before, repeats=few, rounds=1)) for _ in range(_ROUNDS)]
            row |= {"claim_ms": median(x for x, _ in took), "before_ms": median(x for _, x in took)}
    cluster.drop(database)
    return row


def main() -> None:
    """Measure every case and write the result."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--large", action="store_true", help="also with a million that wait")
    parser.add_argument("--against", help="a revision before there was due_conversations")
    given = parser.parse_args()
    cases = (*_CASES, *(_LARGE if given.large else ()))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        for case in cases:
            rows.append(_measure(cluster, case, given.against))
            print(rows[-1], flush=True)
    report.table(rows, list(rows[0]))
    report.keep("due", {"rows": rows}, given.json)


if __name__ == "__main__":
    main()
