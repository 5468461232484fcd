"""How many of the facts that people state are found, and how many of those found are right: `python -m bench.memory extraction`.

A line of the data is {"id", "language", "text", "today", "situation", "facts": [{"kind", "value", "date"?}], "not": [words], "ends": [{"kind", "value"}]}.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from datetime import date
from pathlib import Path
from typing import Any

from bench import report
from bench.memory.judge import Verdict, judge, said, says, share
from bots.domain import Statements
from bots.extract import extract
from bots.kinds import kinds

SET = Path(__file__).parent / "sets" / "extraction.jsonl"
_AIMS = {"precision": 0.97, "recall": 0.65}
#: What could hurt somebody, or shows at once that nothing was remembered.
_WEIGHTY = ("allergy", "medication", "diet", "name", "addressing")
_WEIGHTY_AIM = 0.85


def main() -> None:
    """Read the messages with the rules that ship, and compare with their labels."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.memory extraction", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, action="append", help="a file of labelled messages; may be given several times; default: the set that ships"
    )
    parser.add_argument("--json", type=Path, help="write the figures into this file, too")
    parser.add_argument("--show", action="store_true", help="show what was wrong or missed")
    given = parser.parse_args()
    rows = [json.loads(line) for path in given.data or [SET] for line in path.read_text("utf-8").splitlines() if line.strip()]
    figures = measured(rows, show=given.show)
    _print(figures)
    report.keep("memory_extraction", figures, given.json)


def measured(rows: list[dict[str, Any]], *, show: bool = False) -> dict[str, Any]:
    """The figures for these messages."""
    total: Counter[str] = Counter()
    groups: dict[str, dict[str, Counter[str]]] = {name: defaultdict(Counter) for name in ("by_language", "by_situation", "by_kind")}
    for row in rows:
        began = time.perf_counter()
        found = extract(row["text"], today=date.fromisoformat(row.get("today", "2026-11-30")))
        took = time.perf_counter() - began
        verdict = judge(said(row["facts"]), [(fact.kind, fact.value) for fact in found.facts], row.get("not", ()))
        counted = _counted(row, verdict, found) + Counter(microseconds=round(took * 1e6))
        total += counted
        groups["by_language"][row["language"]] += counted
        groups["by_situation"][row["situation"]] += counted
        for outcome, facts in (("right", verdict.right), ("wrong", verdict.wrong), ("missed", verdict.missed)):
            for kind, _ in facts:
                groups["by_kind"][kind][outcome] += 1
        if show and (verdict.wrong or verdict.missed or verdict.harmful):
            print(f"{row['id']} {row['situation']}: {row['text']}")
            print(f"    wrong {verdict.wrong}  missed {verdict.missed}{'  HARMFUL' if verdict.harmful else ''}")
    weighty = sum((groups["by_kind"][kind] for kind in _WEIGHTY), Counter[str]())
    return {
        **_shares(total),
        "weighty_recall": share(weighty["right"], weighty["right"] + weighty["missed"]),
        "aims": {**_AIMS, "weighty_recall": _WEIGHTY_AIM},
        "microseconds_a_message": round(total["microseconds"] / max(1, total["messages"])),
        **{name: {key: _shares(counts) for key, counts in sorted(group.items())} for name, group in groups.items()},
    }


def _counted(row: dict[str, Any], verdict: Verdict, found: Statements) -> Counter[str]:
    days = {fact.value: fact.day for fact in found.facts if fact.day is not None}
    dated = [fact for fact in row["facts"] if fact.get("date")]
    return Counter(
        messages=1,
        right=len(verdict.right),
        wrong=len(verdict.wrong),
        missed=len(verdict.missed),
        harmful=len(verdict.harmful),
        silent=int(not row["facts"]),
        silent_kept=int(not row["facts"] and not found.facts),
        ends=len(row.get("ends", ())),
        # A newer value of a single kind ends the older one without an End.
        ends_found=sum(_is_ended(end, found) for end in row.get("ends", ())),
        dates=len(dated),
        dates_right=sum(any(says(fact["value"], value) and str(day) == fact["date"] for value, day in days.items()) for fact in dated),
    )


def _is_ended(wanted: dict[str, str], found: Statements) -> bool:
    if any(end.kind == wanted["kind"] and (end.value is None or says(wanted["value"], end.value)) for end in found.ends):
        return True
    return wanted["kind"] in kinds() and kinds()[wanted["kind"]].single and any(fact.kind == wanted["kind"] for fact in found.facts)


def _shares(counts: Counter[str]) -> dict[str, Any]:
    right, wrong, missed = counts["right"], counts["wrong"], counts["missed"]
    figures: dict[str, Any] = {"precision": share(right, right + wrong), "recall": share(right, right + missed)}
    return figures | {name: counts[name] for name in counts if name != "microseconds"}


def _print(figures: dict[str, Any]) -> None:
    for name in ("by_language", "by_situation", "by_kind"):
        report.table(
            [{name[3:]: key, **group} for key, group in figures[name].items()],
            [name[3:], "precision", "recall", "right", "wrong", "missed", "harmful"],
        )
        print()
    print(
        f"precision {figures['precision']} (aim {_AIMS['precision']}), recall {figures['recall']} (aim {_AIMS['recall']}), of {', '.join(_WEIGHTY)}"
        f" {figures['weighty_recall']} (aim {_WEIGHTY_AIM}); harmful {figures.get('harmful', 0)}; silent where nothing is stated"
        f" {figures.get('silent_kept', 0)} of {figures.get('silent', 0)}; ends {figures.get('ends_found', 0)} of {figures.get('ends', 0)}; dates"
        f" {figures.get('dates_right', 0)} of {figures.get('dates', 0)}; {figures['microseconds_a_message']} us a message"
    )
