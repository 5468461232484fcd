"""How much of what answers a question is among the first turns that are recalled, on talks with marked evidence (the form of LoCoMo).

    python -m bench.memory recall --data TALKS.json --ranking OUT.jsonl [--ablation]

The data is a list of {conversation, speakers, turns: [{id, at, speaker, text}], questions: [{number, question, kind, gold}]}; kind and gold are
used for the figures alone. One line of the ranking is {"conversation", "question", "ranking": [turn ids]}.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench import report
from bench.memory.talks import Talk, Vectors, fill
from bots.recall import question
from bots.storage import episodes
from inference.embed_server import MODEL
from tests.support.cluster import Cluster
from tests.support.storage_fixture import StorageFixture, open_storage

_DEPTHS = (5, 10, 20)
_RANKED = 100
#: The signals in the order in which they are added, and a question without each.
_WITHOUT: Mapping[str, Mapping[str, Any]] = {
    "words": {"words": ""},
    "meaning": {},
    "speaker": {"side": None},
    "date": {"months": (), "since": None, "until": None},
    "time words": {"when": False},
}
#: Its premise is false, so that nothing answers it: shown, and in no mean.
ASIDE = "adversarial"


def main() -> int:
    """Rank, and print the figures."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ranking", type=Path, help="write the ranking into this file")
    parser.add_argument("--vectors", type=Path, help="keep vectors in this file, so that the next run need not make them again")
    parser.add_argument("--ablation", action="store_true", help="without each signal in turn, too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        storage = open_storage(cluster, cluster.database())
        vectors = Vectors(given.vectors)
        talks = fill(storage, given.data, vectors=vectors)
        with cluster.engine(storage.worker.url.database or "").connect() as owner:
            owner.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("vacuum analyze")
        rankings, took = rank(storage, talks, vectors)
        vectors.keep()
        ablated = _ablation(storage, talks, vectors) if given.ablation else []
    rows = figures(talks, rankings)
    report.table(rows, ["kind", "n", *(f"R@{k}" for k in _DEPTHS), "MRR"])
    print(f"ms: p50 {report.percentile(took, 0.5):.1f}, p95 {report.percentile(took, 0.95):.1f}")
    if given.ranking:
        lines = [{"conversation": name, "question": number, "ranking": list(ranking)} for (name, number), ranking in rankings.items()]
        given.ranking.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    # The picture of the signals is drawn from it (bench/memory/draw.py).
    report.keep("memory_ablation" if ablated else "memory_recall", {"rows": ablated or rows, "data": given.data.name}, given.json)
    return 0


def _ablation(storage: StorageFixture, talks: Sequence[Talk], vectors: Vectors) -> list[dict[str, Any]]:
    """Print and return what is found with ever more signals, and with all but one."""
    parts = list(_WITHOUT)
    tried = (
        {"words alone": parts[1:]}
        | {f"+ {part}": parts[n + 2 :] for n, part in enumerate(parts[1:])}
        | {f"all but {part}": [part] for part in parts}
    )
    rows: list[dict[str, Any]] = []
    for name, left_out in tried.items():
        found = figures(talks, rank(storage, talks, vectors, without=left_out)[0])
        rows.append({"signals": name} | {row["kind"]: row["R@10"] for row in found} | {"MRR": found[0]["MRR"]})
    report.table(rows, list(rows[0]))
    return rows


def rank(
    storage: StorageFixture, talks: Sequence[Talk], vectors: Vectors | None, *, without: Sequence[str] = ()
) -> tuple[dict[tuple[str, int], Sequence[str]], list[float]]:
    """The turns for each question, best first, and the milliseconds that each recall took."""
    rankings, took = dict[tuple[str, int], Sequence[str]](), list[float]()
    for talk in talks:
        for one in talk.questions:
            asked = question.read(one["question"], language=talk.language, today=talk.today, names=talk.names)
            key = (talk.name, one["number"])
            if asked is None:
                rankings[key] = ()
                continue
            vector = vectors.of([asked.text], as_query=True)[0] if vectors and "meaning" not in without else None
            for part in without:
                asked = replace(asked, **_WITHOUT[part])
            began = time.perf_counter()
            found = episodes.recall(
                storage.worker,
                contact=talk.contact,
                bot=storage.account.bot_id,
                question=asked,
                vector=vector,
                model=MODEL,
                conversation=uuid4(),
                history_from=1,
                limit=_RANKED,
            )
            took.append(1000 * (time.perf_counter() - began))
            rankings[key] = [talk.turns[turn.turn] for turn in found]
    return rankings, took


def figures(talks: Sequence[Talk], rankings: Mapping[tuple[str, int], Sequence[str]]) -> list[dict[str, Any]]:
    """Recall at each depth and the mean reciprocal rank, by kind of question and of all kinds but one."""
    kinds = defaultdict[str, list[list[float]]](list)
    for talk in talks:
        for one in talk.questions:
            if gold := set(one["gold"]):
                places = [n for n, turn in enumerate(rankings[talk.name, one["number"]], 1) if turn in gold]
                values = [*(sum(place <= k for place in places) / len(gold) for k in _DEPTHS), 1 / places[0] if places else 0.0]
                kinds[one["kind"]].append(values)
                if one["kind"] != ASIDE:
                    kinds["main"].append(values)
    names = [*(f"R@{k}" for k in _DEPTHS), "MRR"]
    return [
        {"kind": kind, "n": len(values)}
        | {name: f"{sum(column) / len(values):.3f}" for name, column in zip(names, zip(*values, strict=True), strict=True)}
        for kind, values in sorted(kinds.items(), key=lambda item: item[0] != "main")
    ]
