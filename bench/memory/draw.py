"""The pictures of docs/memory.md, from the results that the other measurements keep: `python -m bench.memory draw`.

It reads bench/results/memory_scale.json, memory_turns.json and memory_ablation.json, those of them that are there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench import report


def main() -> int:
    """Draw what there are results for."""
    report.arguments(__doc__ or "").parse_args()
    for name, draw in {"memory_scale": _contacts, "memory_turns": _turns, "memory_ablation": _ablation}.items():
        file = report.RESULTS / f"{name}.json"
        if file.exists():
            draw(json.loads(file.read_text("utf-8")))
            print(f"bench/results/{name}.png")
    return 0


def _contacts(result: Mapping[str, Any]) -> None:
    rows = result["rows"]
    report.curves(
        "memory_scale", f"A recall among {rows[0]['turns']} turns of one contact, by contacts", "contacts", _growth(rows, "contacts")
    )


def _turns(result: Mapping[str, Any]) -> None:
    report.curves("memory_turns", "A recall, by turns of the contact", "turns", _growth(result["rows"], "turns"), by_factors=True)


def _growth(rows: Sequence[Mapping[str, Any]], by: str) -> dict[str, dict[str, dict[float, float]]]:
    """Milliseconds and pages of each size."""
    return {
        "ms": {name: {row[by]: row[name] for row in rows} for name in ("p99", "p50")},
        "pages": {
            shown: {row[by]: row[name] for row in rows} for name, shown in {"pages p50": "touched", "cold p50": "not in a buffer"}.items()
        },
    }


def _ablation(result: Mapping[str, Any]) -> None:
    values = {row["signals"]: float(row["main"]) for row in result["rows"]}
    report.lying_bars("memory_ablation", "Evidence among the first ten turns recalled", "recall@10", values)
