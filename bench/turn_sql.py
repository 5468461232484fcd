"""What the three calls of a turn cost Postgres, by how many share a transaction: CPU milliseconds and WAL bytes of a turn.

    python -m bench.turn_sql
    python -m bench.turn_sql --against REV

Claims, ends of turns (with what is remembered and recalled) and acceptances of sends, through the functions that the product calls, each on a
connection of its own. Other conversations wait meanwhile, as in a busy house. REV must be a revision that has groups (docs/decisions/0042).
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from sqlalchemy import Engine, create_engine

from bench import revision
from bots.storage import claims, outbox, turns
from bots.storage.claims import Claim
from bots.storage.outbox import Acceptance, Sending
from bots.storage.turns import Finished, Finishing, ModelCall, NewEpisode, NewFact, TurnResult
from tests.support.cluster import Cluster
from tests.support.storage_fixture import QUEUE, StorageFixture, a_message, a_phone, open_storage

_GROUPS = (1, 3, 8, 16)
#: So many turns of each group size are counted, after some that are not: plans and caches come first.
_TURNS, _WARM = 480, 192
_WAITING = 2_000
_ASKED = "What can you tell me about the river there, and what should I see first?"
_ANSWER = "The Douro runs through the old town; begin at the Ribeira and cross the lower deck of the bridge."
_EPISODE = NewEpisode(config="english", asked=_ASKED, answered=_ANSWER, asks=True)
_PROMPT = [{"role": "system", "content": "You are the assistant of a clinic. " * 12}, {"role": "user", "content": _ASKED}]


class _Meter:
    """CPU and WAL of calls on one connection."""

    def __init__(self, engine: Engine, owner: Engine) -> None:
        self.engine, self._owner = engine, owner
        with engine.connect() as connection:
            self._pid = connection.exec_driver_sql("select pg_backend_pid()").scalar_one()
        self.ms, self.wal = 0.0, 0

    def run(self, do: Callable[[], Any]) -> Any:
        cpu, wal = self._read()
        made = do()
        cpu_now, wal_now = self._read()
        self.ms, self.wal = self.ms + (cpu_now - cpu) / 1e6, self.wal + wal_now - wal
        return made

    def _read(self) -> tuple[int, int]:
        with self._owner.connect() as connection:
            wal = connection.exec_driver_sql("select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint").scalar_one()
        return int(Path(f"/proc/{self._pid}/schedstat").read_text("ascii").split()[0]), int(wal)


def _fill(storage: StorageFixture, owner: Engine, count: int) -> None:
    """People who wait for an answer: one comes in as the web takes messages in, and the others are like it."""
    storage.let_in(a_message(_ASKED, by=(a_phone("34600000000"),)))
    with owner.connect() as connection:
        connection.exec_driver_sql(
            """
            with one as (select c.*, v.id as conversation, v.account_id, v.queue from contacts c join conversations v on v.contact_id = c.id limit 1),
            k as materialized (select gen_random_uuid() as contact, gen_random_uuid() as talk, n from generate_series(1, %s) n),
            c as (insert into contacts (tenant_id, id, name) select one.tenant_id, k.contact, 'Ada' from one, k),
            i as (insert into contact_identities (tenant_id, scope, kind, value, norm, contact_id)
                select one.tenant_id, one.account_id::text, 'phone', '3460' || 1000000 + n, '3460' || 1000000 + n, k.contact from one, k),
            v as (insert into conversations (tenant_id, id, account_id, contact_id, queue, ready_at, waiting_since, newest_at)
                select one.tenant_id, k.talk, one.account_id, k.contact, one.queue, now() + n * interval '1 microsecond', now(), now() from one, k)
            insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, text, content_type, supported, occurred_at)
            select one.tenant_id, one.account_id, 'wamid.' || n, 'message', k.contact, k.talk, %s, 'text', true, now() from one, k
            """,
            (count, _ASKED),
        )
        connection.exec_driver_sql("analyze")


def _result(n: int, message: Any) -> TurnResult:
    """What a turn decided: of each fourth message a fact is remembered."""
    call = ModelCall(
        attempt=1,
        endpoint="local",
        model="scripted",
        prompt=_PROMPT,
        outcome="ok",
        tokens_in=180,
        tokens_out=24,
        first_token_ms=80.0,
        total_ms=1000.0,
    )
    facts = [NewFact(kind="city", text=f"Porto {n}", source=message, topic="")] if n % 4 == 0 else []
    return TurnResult(
        state="answered", asked=_ASKED, answer=_ANSWER, parts=[_ANSWER], calls=[call], facts=facts, episode=_EPISODE, takes_more=True
    )


def _claim(storage: StorageFixture, many: int) -> list[Claim]:
    return claims.claim_turns(storage.crossing, QUEUE, boot=storage.boot, lease_s=60, session_s=1800, most=many)


def _finish(storage: StorageFixture, claimed: Sequence[Claim], start: int) -> list[Sending]:
    several = [
        Finishing(contact=one.contact, turn=one.turn, token=one.token, result=_result(start + n, one.messages[0].id))
        for n, one in enumerate(claimed)
    ]
    ends = [ended for ended, _ in turns.finish_several(storage.worker, several, boot=storage.boot, stale_s=60)]
    return [ended.sending for ended in ends if isinstance(ended, Finished) and ended.sending is not None]


def _accept(storage: StorageFixture, sendings: Sequence[Sending]) -> None:
    taken = [Acceptance(contact=one.contact, attempt=one.attempt, external_id=uuid4().hex, http=200, trace=None) for one in sendings]
    assert set(outbox.end_several(storage.worker, taken, next_part_s=3)) == {"accepted"}


def _measure(groups: Sequence[int]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        database = cluster.database()
        storage = open_storage(cluster, database)
        owner = create_engine(cluster.owner_url(database), isolation_level="AUTOCOMMIT", pool_size=1)
        _fill(storage, owner, _WAITING + len(groups) * (_TURNS + _WARM + 32))
        rows = list[dict[str, Any]]()
        for many in groups:
            meters = {
                "claim": _Meter(storage.crossing, owner),
                "end": _Meter(storage.worker, owner),
                "acceptance": _Meter(storage.worker, owner),
            }
            for n in range(0, _WARM, many):
                _accept(storage, _finish(storage, _claim(storage, many), n))
            for n in range(0, _TURNS, many):
                claimed = meters["claim"].run(partial(_claim, storage, many))
                sendings = meters["end"].run(partial(_finish, storage, claimed, n))
                meters["acceptance"].run(partial(_accept, storage, sendings))
            counted = len(range(0, _TURNS, many)) * many
            rows.append(
                {"together": many}
                | {name: round(meter.ms / counted, 3) for name, meter in meters.items()}
                | {"all, ms": round(sum(meter.ms for meter in meters.values()) / counted, 3)}
                | {f"WAL of {name}": round(meter.wal / counted) for name, meter in meters.items()}
            )
        owner.dispose()
        for engine in (storage.web, storage.worker, storage.crossing):
            engine.dispose()
        return rows


def main() -> int:
    """Measure, and print a table for each revision."""
    from bench import report  # noqa: PLC0415 - a round needs no pictures

    parser = report.arguments(__doc__ or "")
    parser.add_argument("--against", metavar="REV", help="measure this revision, too, in turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--groups", type=int, nargs="+", default=list(_GROUPS))
    parser.add_argument("--round", action="store_true", help="measure once here, and print JSON")
    given = parser.parse_args()
    if given.round:
        print(json.dumps(_measure(given.groups)))
        return 0
    trees = [revision.here(), *([revision.tree(given.against)] if given.against else [])]
    found: dict[str, list[list[dict[str, Any]]]] = {}
    for n in range(given.rounds):
        for tree in trees if n % 2 == 0 else reversed(trees):
            told = tree.run(Path(__file__).resolve(), ["--round", "--groups", *map(str, given.groups)])
            found.setdefault(tree.name, []).append(json.loads(told.splitlines()[-1]))
    rows = [
        {"revision": name} | {key: median(one[n][key] for one in rounds) for key in rounds[0][n]}
        for name, rounds in found.items()
        for n in range(len(rounds[0]))
    ]
    report.table(rows, list(rows[0]))
    report.keep("turn_sql", {"rows": rows}, given.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
