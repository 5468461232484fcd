"""How much each signal of recall should count: fitted on the recall set of our own (people.py), and measured on other talks. `python -m bench.memory fit`.

    python -m bench.memory fit [--data TALKS.json] [--vectors FILE]

Each signal's share of the score gets a factor, so that the turns with the answer stand out most (softmax over the turns of a talk). A factor pays
for being away from 1, with --ridge: people of twenty scenes each must not say too much. What comes out is printed, and stored nowhere: the weights
are in recall_turns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from bench import report
from bench.memory import people
from bench.memory.recall import ASIDE, figures
from bench.memory.talks import Talk, Vectors, fill, fill_from
from bots.recall import question
from bots.storage import episodes
from inference.embed_server import MODEL
from tests.support.cluster import Cluster
from tests.support.storage_fixture import StorageFixture, open_storage

_PARTS = ("words", "meaning", "speaker", "date", "time", "small")
#: More turns than a talk has.
_ALL = 3000
_STEPS, _RATE = 300, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A question: its turns, what each signal gave to each, and which of them answer it."""

    key: tuple[str, int]
    turns: Sequence[str]
    parts: NDArray[np.float64]
    answers: NDArray[np.float64]
    counts: bool


def main() -> int:
    """Fit, and print the factors and what is found with and without them."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--data", type=Path, help="talks to measure with the fitted factors, too (the form of `recall`)")
    parser.add_argument("--vectors", type=Path, help="keep vectors in this file, so that the next run need not make them again")
    parser.add_argument("--ridge", type=float, nargs="+", default=[1.0, 10.0], help="how dear it is for a factor to be away from 1")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        storage, vectors = open_storage(cluster, cluster.database()), Vectors(given.vectors)
        sets = {"people": fill_from(storage, people.talks(), vectors=vectors)}
        if given.data:
            sets[given.data.stem] = fill(storage, given.data, vectors=vectors)
        asked = {name: _asked(storage, talks, vectors) for name, talks in sets.items()}
        vectors.keep()
    tried = {"as it is": np.ones(len(_PARTS))} | {f"fitted, ridge {ridge:g}": _fitted(asked["people"], ridge) for ridge in given.ridge}
    rows = [_row(name, factors, sets, asked) for name, factors in tried.items()]
    report.table(rows, list(rows[0]))
    report.keep("memory_fit", {"rows": rows}, given.json)
    return 0


def _asked(storage: StorageFixture, talks: Sequence[Talk], vectors: Vectors) -> list[_Asked]:
    found = list[_Asked]()
    for talk in talks:
        for one in talk.questions:
            sought = question.read(one["question"], language=talk.language, today=talk.today, names=talk.names)
            if sought is None:
                continue
            values: dict[str, Any] = {"bot": storage.account.bot_id, "model": MODEL, "history_from": 1, "limit": _ALL}
            vector = vectors.of([sought.text], as_query=True)[0]
            turns = episodes.recall(storage.worker, contact=talk.contact, question=sought, vector=vector, conversation=uuid4(), **values)
            ids, gold = [talk.turns[turn.turn] for turn in turns], set(one["gold"])
            found.append(
                _Asked(
                    key=(talk.name, one["number"]),
                    turns=ids,
                    parts=np.array([[turn.parts[part] for part in _PARTS] for turn in turns]),
                    answers=np.array([turn in gold for turn in ids], dtype=float) / max(len(gold), 1),
                    counts=bool(gold) and one["kind"] != ASIDE,
                )
            )
    return found


def _fitted(asked: Sequence[_Asked], ridge: float) -> NDArray[np.float64]:
    """A factor for each part: cross entropy to the turns with the answer, by gradient descent from 1."""
    counted = [one for one in asked if one.counts]
    spread = np.concatenate([one.parts for one in counted]).std(axis=0) + 1e-6
    factors = np.ones(len(_PARTS))
    for _ in range(_STEPS):
        slope = ridge * 0.1 * (factors - 1) * spread**2
        for one in counted:
            score = one.parts @ factors
            share = np.exp(score - score.max())
            slope += one.parts.T @ (share / share.sum() * one.answers.sum() - one.answers) / len(counted)
        factors -= _RATE * slope / spread**2 / 2
    return factors


def _row(name: str, factors: NDArray[np.float64], sets: dict[str, list[Talk]], asked: dict[str, list[_Asked]]) -> dict[str, Any]:
    row: dict[str, Any] = {"weights": name} | {part: f"{factor:.2f}" for part, factor in zip(_PARTS, factors, strict=True)}
    for set_name, talks in sets.items():
        rankings = {(talk.name, int(one["number"])): list[str]() for talk in talks for one in talk.questions}
        for one in asked[set_name]:
            rankings[one.key] = [one.turns[int(at)] for at in np.argsort(-(one.parts @ factors), kind="stable")]
        row |= {f"{set_name} {kind['kind']}": kind["R@10"] for kind in figures(talks, rankings) if kind["kind"] in ("main", "multi-hop")}
    return row
