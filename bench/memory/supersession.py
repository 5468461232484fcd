"""What lives and what has ended after a second message, through the real database: `python -m bench.memory supersession`.

A line of the data is {"language", "first", "second", "living": [{"kind", "value"}], "ended": [{"kind", "value"}]}; each pair has a contact of its own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import report
from bench.memory.judge import Said, judge, said
from bots.extract import extract
from bots.storage.claims import Claim
from bots.storage.turns import NewEnd, NewFact
from tests.support.cluster import Cluster
from tests.support.storage_fixture import StorageFixture, a_message, a_phone, open_storage

SET = Path(__file__).parent / "sets" / "supersession.jsonl"


def main() -> None:
    """Say both messages of each pair, and compare what is remembered."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.memory supersession", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, action="append", help="a file of pairs; may be given several times; default: the set that ships"
    )
    parser.add_argument("--json", type=Path, help="write the figures into this file, too")
    given = parser.parse_args()
    pairs = [json.loads(line) for path in given.data or [SET] for line in path.read_text("utf-8").splitlines() if line.strip()]
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        storage = open_storage(cluster, cluster.database())
        rows = [_pair(storage, n, pair) for n, pair in enumerate(pairs)]
    for row in rows:
        print(
            f"{'right  ' if row['right'] else 'CORRUPT' if row['corrupt'] else 'wrong  '} {row['language']}  {row['first']} | {row['second']}"
        )
        if not row["right"]:
            print(
                f"        living {row['living']}, ended {row['ended']}; wanted living {row['wanted_living']}, ended {row['wanted_ended']}"
            )
    right, corrupt = sum(row["right"] for row in rows), sum(row["corrupt"] for row in rows)
    print(f"{right} of {len(rows)} pairs are right, {corrupt} store a corrupt value")
    report.keep("memory_supersession", {"right": right, "of": len(rows), "corrupt": corrupt, "rows": rows}, given.json)


def _pair(storage: StorageFixture, n: int, pair: dict[str, Any]) -> dict[str, Any]:
    contact = None
    for words in (pair["first"], pair["second"]):
        storage.let_in(a_message(words, by=(a_phone(f"34611{n:06d}"),)))
        claim = storage.claimed()
        contact = claim.contact
        storage.finish(claim, **_stated(claim))
    found = storage.rows("select kind, text, valid_to is null from memories where contact_id = %s order by created_at, text", contact)
    living, ended = ([(kind, text) for kind, text, lives in found if lives is wanted] for wanted in (True, False))
    wanted_living, wanted_ended = said(pair.get("living", ())), said(pair.get("ended", ()))
    now, gone = judge(wanted_living, living), judge(wanted_ended, ended)
    return {
        "language": pair["language"],
        "first": pair["first"],
        "second": pair["second"],
        "living": living,
        "ended": ended,
        "wanted_living": wanted_living,
        "wanted_ended": wanted_ended,
        "right": not (now.missed or now.wrong or gone.missed or gone.wrong),
        "corrupt": _is_corrupt([*wanted_living, *wanted_ended], [*living, *ended]),
    }


def _stated(claim: Claim) -> dict[str, Any]:
    facts, ends = list[NewFact](), list[NewEnd]()
    for message in claim.messages:
        found = extract(message.text or "", today=datetime.now(UTC).date())
        facts += [
            NewFact(
                kind=fact.kind, text=fact.value, source=message.id, topic=fact.topic, day=fact.day, last_day=fact.last_day, since=fact.since
            )
            for fact in found.facts
        ]
        ends += [NewEnd.said(end, message.id) for end in found.ends]
    return {"facts": facts, "ends": ends}


def _is_corrupt(wanted: list[Said], found: list[Said]) -> bool:
    """Whether a value of a wanted kind was stored that says none of the wanted ones."""
    verdict = judge(wanted, found)
    return bool(verdict.wrong) and any(kind in {wanted_kind for wanted_kind, _ in wanted} for kind, _ in verdict.wrong)
