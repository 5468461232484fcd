"""Rows, aims and pictures from what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench import report

_OURS, _LINES, _N8N = "ours", "twenty-lines", "n8n"

Found = Mapping[str, Mapping[str, Any]]


def rows_of(found: Found) -> list[dict[str, Any]]:
    """One row a peer: its figures, or why there are none."""
    return [_row(name, one) for name, one in found.items()]


def _row(name: str, one: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"peer": name, "version": one.get("version", "")}
    for burst in one.get("bursts", []):
        row |= {f"{burst['at_once']}_per_s": float(burst["per_s"]), f"{burst['at_once']}_cpu_ms": float(burst["cpu_ms"])}
    row["unanswered"] = sum(burst["unanswered"] for burst in one.get("bursts", []))
    row |= {"start_mb": _sum(one.get("pss_at_start_mb")), "load_mb": _sum(one.get("pss_under_load_mb"))}
    for key, kind in (("added", "lone"), ("added_all_kinds", "lone_of_all_kinds")):
        row |= {f"{key}_{share}": one.get(kind, {}).get(share) for share in ("p50_ms", "p95_ms")}
    killed = one.get("killed")
    row["after_kill"] = f"{killed['answered']} of {killed['owed']}" if killed else None
    return row | ({"problem": one["problem"][:48]} if one.get("problem") else {})


def _sum(parts: Mapping[str, float] | None) -> float | None:
    return round(sum(parts.values())) * 1.0 if parts else None


def burst_of(found: Found, name: str, size: int, figure: str) -> float | None:
    """A figure of one burst, if it was measured."""
    return next((one[figure] for one in found.get(name, {}).get("bursts", []) if one["at_once"] == size), None)


def aims(found: Found) -> list[dict[str, Any]]:
    """Each aim with what is needed for it; without a figure on either side there is none."""
    pairs = [
        (f"CPU a turn at 256 beside {_LINES}", burst_of(found, _OURS, 256, "cpu_ms"), burst_of(found, _LINES, 256, "cpu_ms"), "<=", 1.5),
        *[
            (
                f"replies a second at {size} beside {_N8N}",
                burst_of(found, _OURS, size, "per_s"),
                burst_of(found, _N8N, size, "per_s"),
                ">=",
                1.0,
            )
            for size in (64, 256)
        ],
        (f"added time of a lone question, p50, beside {_N8N}", _lone(found, _OURS), _lone(found, _N8N), "<=", 2.0),
        ("memory at the start beside 250 MB", _sum(found.get(_OURS, {}).get("pss_at_start_mb")), 250.0, "<=", 1.0),
    ]
    return [
        {
            "aim": what,
            "ours": round(ours, 2),
            "theirs": round(theirs, 2),
            "ratio": round(ours / theirs, 3),
            "wanted": f"{sign} {limit}",
            "met": ours / theirs <= limit if sign == "<=" else ours / theirs >= limit,
        }
        for what, ours, theirs, sign, limit in pairs
        if ours is not None and theirs
    ]


def _lone(found: Found, name: str) -> float | None:
    return found.get(name, {}).get("lone", {}).get("p50_ms")


def notes(found: Found) -> list[str]:
    """How each was run, and what could not be measured."""
    lines = [f"{name} {one.get('version', '')}: {one['channel']}; {one['settings']}" for name, one in found.items() if one.get("channel")]
    return lines + [f"{name} could not be measured: {one['problem']}" for name, one in found.items() if one.get("problem")]


def show(result: Mapping[str, Any]) -> None:
    """Print what is known."""
    if rows := result["rows"]:
        report.table(
            rows,
            [column for column in dict.fromkeys(key for row in rows for key in row) if any(row.get(column) is not None for row in rows)],
        )
    if result["aims"]:
        report.table(result["aims"], list(result["aims"][0]))
    for note in result["notes"]:
        print(note)
    for name, one in result["peers"].items():
        for what in ("pss_at_start_mb", "pss_under_load_mb"):
            if one.get(what):
                parts = sorted(one[what].items(), key=lambda item: -item[1])
                print(f"{name}, {what}: " + ", ".join(f"{part} {mb:.0f}" for part, mb in parts))
        for burst in one.get("bursts", []):
            parts = sorted(burst["parts_ms"].items(), key=lambda item: -item[1])
            print(
                f"{name}, CPU ms a turn, {burst['at_once']} at once: " + ", ".join(f"{part} {ms:.2f}" for part, ms in parts if ms >= 0.005)
            )


def draw(found: Found) -> None:
    """Draw replies a second, CPU a turn and memory, with a group of bars for each peer."""
    measured = {name: one for name, one in found.items() if one.get("bursts")}
    if not measured:
        return
    for name, title, unit, figure in (
        ("peers", "Replies a second when many write at once; the model takes 1.0 s", "replies a second", "per_s"),
        ("peers_cpu", "CPU of the whole process tree a turn", "milliseconds", "cpu_ms"),
    ):
        groups = {peer: {f"{one['at_once']} at once": one[figure] for one in of["bursts"]} for peer, of in measured.items()}
        report.bars(name, title, unit, groups)
    memory = {
        peer: {label: sum(of[key].values()) for label, key in (("start", "pss_at_start_mb"), ("load", "pss_under_load_mb")) if of.get(key)}
        for peer, of in measured.items()
    }
    if any(memory.values()):
        report.bars("peers_memory", "Proportional memory of the whole process tree", "MB", memory)
