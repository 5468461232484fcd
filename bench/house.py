"""What a turn and a webhook cost, in milliseconds of CPU by part, and in statements, transactions and WAL bytes; beside another revision if wanted.

    python -m bench.house
    python -m bench.house --against aef6a96 --rounds 5
    python -m bench.house --only turns:256 memory:64

Each measurement has a fresh Postgres, Redis, web, dispatcher and worker with the shipped settings (those that differ are printed), a practice
platform and a model that takes 1.0 s, all on this machine. Rounds of two revisions take turns, and which comes first is swapped each time.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report, revision
from bench.revision import Tree

_ROUND = Path(__file__).resolve().parent / "house_round.py"
#: What is measured: its kind, and turns in flight or connections.
_LOADS = ("bare:256", "turns:64", "turns:256", "turns:512", "ingress:16", "ingress:64", "memory:64", "known:64")
#: Turns that each contact has had before in the load "known".
_KNOWN = 200
#: How the loads that are turns differ from those of new contacts and a bot that remembers.
_MORE = {"known": ("--turns", str(_KNOWN)), "bare": ("--memory", "off")}
#: What is not the service: it stands apart, and enters no sum.
_APART = ("practice platform", "scripted model")
#: What a round gives besides the CPU.
_FIGURES = ("per_s", "ratio", "p50_ms", "p99_ms", "errors", "worker_rss_mb")
#: Aims against aef6a96 (half its CPU), and of memory's part in milliseconds.
_AIM, _MEMORY_AIM_MS = 0.5, 0.6


@dataclass(kw_only=True)
class _Load:
    """One kind of load, and what its rounds gave for each tree."""

    name: str
    rounds: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    counted: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    @property
    def kind(self) -> str:
        return self.name.partition(":")[0]

    @property
    def size(self) -> str:
        return self.name.partition(":")[2]

    def ms(self, tree: Tree) -> list[float]:
        """Milliseconds of CPU of each round, all parts of the service together."""
        return [_sum(one) for one in self.rounds[tree.name]]


def main() -> int:
    """Measure, print and draw."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--against", metavar="REV", help="measure this revision beside the tree as it is")
    parser.add_argument("--only", nargs="+", default=list(_LOADS), metavar="KIND:SIZE", help=f"of {' '.join(_LOADS)}, or other sizes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement, after its warm-up")
    given = parser.parse_args()
    trees = [revision.here(), *([revision.tree(given.against)] if given.against else [])]
    loads = [_Load(name=name) for name in given.only]
    steps = len(loads) * len(trees) * (given.rounds + 1)
    for n in range(given.rounds):
        for load in loads:
            for tree in trees if n % 2 == 0 else reversed(trees):
                steps -= 1
                load.rounds.setdefault(tree.name, []).append(_measure(tree, load, given.seconds, left=steps))
    for load in loads:
        for tree in trees:
            steps -= 1
            load.counted[tree.name] = _one(tree, load, given.seconds, "--counted", left=steps)
    for load in loads:
        _print(load, trees)
    _keep(loads, trees, given.json)
    return 0


def _measure(tree: Tree, load: _Load, seconds: float, *, left: int) -> dict[str, Any]:
    if load.kind != "memory":
        return _one(tree, load, seconds, left=left)
    on, off = (_one(tree, load, seconds, "--memory", switch, left=left) for switch in ("on", "off"))
    parts = on["ms"].keys() | off["ms"].keys()
    return on | {"ms": {part: round(on["ms"].get(part, 0.0) - off["ms"].get(part, 0.0), 4) for part in parts}}


def _one(tree: Tree, load: _Load, seconds: float, *more: str, left: int) -> dict[str, Any]:
    began = time.monotonic()
    kind = "ingress" if load.kind == "ingress" else "turns"
    more = (*more, *_MORE.get(load.kind, ()))
    found = json.loads(tree.run(_ROUND, [kind, "--size", load.size, "--seconds", str(seconds), *more]).splitlines()[-1])
    sys.stderr.write(
        f"{load.name} of {tree.name}: {_sum(found):.2f} ms, {found['per_s']:.0f}/s ({time.monotonic() - began:.0f} s; {left} left)\n"
    )
    return found


def _sum(found: Mapping[str, Any]) -> float:
    return sum(ms for part, ms in found["ms"].items() if part not in _APART)


def _print(load: _Load, trees: Sequence[Tree]) -> None:
    what = {
        "turns": "turns in flight",
        "bare": "turns in flight of a bot that remembers nothing",
        "ingress": "connections",
        "memory": "turns in flight: what memory adds",
        "known": f"turns in flight, contacts of {_KNOWN} turns, with an embedder",
    }[load.kind]
    print(f"\n{load.size} {what}, milliseconds of CPU each")
    parts = sorted(
        {part for tree in trees for one in load.rounds[tree.name] for part in one["ms"]},
        key=lambda part: (part in _APART, -_middle([one["ms"].get(part, 0.0) for one in load.rounds[trees[0].name]])),
    )
    columns = ["part", *(tree.name for tree in trees)]
    rows: list[dict[str, Any]] = [
        {"part": part} | {tree.name: round(_middle([one["ms"].get(part, 0.0) for one in load.rounds[tree.name]]), 3) for tree in trees}
        for part in parts
    ]
    together = {"part": "together, without what is played"} | {tree.name: round(_middle(load.ms(tree)), 3) for tree in trees}
    shown = [row for row in rows if any(abs(row[tree.name]) >= 0.005 for tree in trees)]
    report.table([*shown, together, *_others(load, trees)], columns)
    if len(trees) == 2:
        ratio = _ratio(load, trees)
        print(f"ratio to {trees[1].name}: {ratio['ratio']:.3f} ({ratio['least']:.3f} to {ratio['most']:.3f} in {ratio['rounds']} rounds)")


def _ratio(load: _Load, trees: Sequence[Tree]) -> dict[str, Any]:
    """CPU of one tree to that of the other, by pairs of rounds."""
    ratios = sorted(mine / theirs for mine, theirs in zip(load.ms(trees[0]), load.ms(trees[1]), strict=True))
    return {"ratio": round(_middle(ratios), 3), "least": round(ratios[0], 3), "most": round(ratios[-1], 3), "rounds": len(ratios)}


def _others(load: _Load, trees: Sequence[Tree]) -> list[dict[str, Any]]:
    """What else was counted, a row each."""
    rows = [
        {"part": name} | {tree.name: _middle([float(one[name]) for one in load.rounds[tree.name]]) for tree in trees}
        for name in _FIGURES
        if all(name in one for tree in trees for one in load.rounds[tree.name])
    ]
    counts = sorted({name for tree in trees for name in load.counted[tree.name]["counts"]})
    return rows + [{"part": f"{name} each"} | {tree.name: load.counted[tree.name]["counts"].get(name) for tree in trees} for name in counts]


def _middle(values: Sequence[float]) -> float:
    return report.percentile(values, 0.5)


def _keep(loads: Sequence[_Load], trees: Sequence[Tree], extra: Path | None) -> None:
    settings = {key: value for load in loads for one in load.rounds[trees[0].name] for key, value in one["settings"].items()}
    print(f"\nsettings that are not as shipped: {settings}, of turns the slots are the turns in flight")
    pairs = [(load, tree) for load in loads for tree in trees]
    found = {
        "rows": [_row(load, tree) for load, tree in pairs],
        "ratios": {load.name: _ratio(load, trees) for load in loads} if len(trees) == 2 else {},
        "settings": settings,
        "aim": _AIM,
        "memory_aim_ms": _MEMORY_AIM_MS,
        "rounds": {f"{load.name} {tree.name}": load.rounds[tree.name] for load, tree in pairs},
        "counted": {f"{load.name} {tree.name}": load.counted[tree.name] for load, tree in pairs},
    }
    report.keep("house", found, extra)
    drawn = {
        f"{load.name}{'' if len(trees) == 1 else f' {tree.name}'}": _groups(load, tree) for load, tree in pairs if load.kind != "memory"
    }
    if drawn:
        report.bars("house", "CPU of a turn, and of a webhook, by part", "ms", drawn)


def _row(load: _Load, tree: Tree) -> dict[str, Any]:
    """Of a load on a tree: CPU milliseconds each, all together and by groups of parts, and what else was measured and counted."""
    rounds = load.rounds[tree.name]
    figures = {name: round(_middle([float(one[name]) for one in rounds]), 4) for name in _FIGURES if all(name in one for one in rounds)}
    ms = {f"{group}_ms": round(value, 3) for group, value in _groups(load, tree).items()}
    return {
        "load": load.name,
        "tree": tree.name,
        "ms": round(_middle(load.ms(tree)), 3),
        **ms,
        **figures,
        **load.counted[tree.name]["counts"],
    }


def _groups(load: _Load, tree: Tree) -> dict[str, float]:
    """Milliseconds by groups of parts."""
    return {
        group: sum(
            _middle([one["ms"].get(part, 0.0) for one in load.rounds[tree.name]]) for part in _parts(load, tree) if _group(part) == group
        )
        for group in ("worker", "postgres", "web", "the rest")
    }


def _parts(load: _Load, tree: Tree) -> set[str]:
    return {part for one in load.rounds[tree.name] for part in one["ms"] if part not in _APART}


def _group(part: str) -> str:
    return "postgres" if part.startswith("postgres") else part if part in {"worker", "web"} else "the rest"


if __name__ == "__main__":
    sys.exit(main())
