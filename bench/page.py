"""docs/benchmarks.md, written from bench/results: every bench with what it asks, how it is run, on what, and what came out.

`make bench` ends with it; `python -m bench.page` writes it from the results that are there.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench.report import RESULTS

_BENCH = Path(__file__).resolve().parent
_PAGE = _BENCH.parent / "docs" / "benchmarks.md"
#: A cell, and a figure beside the tables, has at most so many characters: longer ones are texts, which stand in the JSON.
_MOST = 48
#: What is kept by name is a table if it is no wider.
_WIDEST = 12
#: Results that a bench of another name keeps.
_KEPT_BY = {"memory_turns": "memory_scale", "memory_ablation": "memory_recall"}
#: What is said of each result in its own words.
_KNOWN = frozenset({"bench", "machine", "versions", "commit", "at", "command"})
_HEAD = """# Benchmarks

Written by `make bench` from `bench/results`; do not edit. Each figure is of one machine at one time, so read ratios rather than milliseconds, and run
the command on yours, after `make install-test` and with `.venv/bin/python`. A result without its versions was measured before results had them.
"""


def main() -> int:
    """Write the page."""
    _PAGE.write_text(page(results()), encoding="utf-8")
    sys.stdout.write(f"wrote {_PAGE.relative_to(_BENCH.parent)}\n")
    return 0


def page(results: Sequence[Mapping[str, Any]]) -> str:
    """The page on these results."""
    return "\n".join([_HEAD, *(_section(one) for one in results)])


def results() -> list[dict[str, Any]]:
    """The results that are there, by name."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]


def _section(result: Mapping[str, Any]) -> str:
    name = str(result["bench"])
    lines = [f"## {name.replace('_', ' ').capitalize()}", "", _question(name), "", _measured(result, name), ""]
    for key, value in result.items():
        if rows := _rows(value):
            lines += [*([f"**{key.replace('_', ' ')}**", ""] if key != "rows" else []), *_table(rows), ""]
        if key == "notes":
            lines += [*(f"* {text}" for text in value), ""]
    others = [
        f"{key.replace('_', ' ')} {_cell(value)}"
        for key, value in result.items()
        if key not in _KNOWN and _is_shown(value) and not _rows(value)
    ]
    if others:
        lines += [" · ".join(others), ""]
    pictures = [path for path in sorted(RESULTS.glob(f"{name}*.png")) if path.stem == name or not (RESULTS / f"{path.stem}.json").exists()]
    lines += [f"![{path.stem.replace('_', ' ')}](../bench/results/{path.name})\n" for path in pictures]
    return "\n".join(lines)


def _question(name: str) -> str:
    """The first paragraph of its module: what it asks."""
    source = _source(name)
    said = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) if source else None
    return " ".join((said or "").split("\n\n")[0].split())


def _source(name: str) -> Path | None:
    name = _KEPT_BY.get(name, name)
    places = (_BENCH / f"{name}.py", _BENCH / name / "__init__.py", _BENCH / "memory" / f"{name.removeprefix('memory_')}.py")
    return next((place for place in places if place.exists()), None)


def _measured(result: Mapping[str, Any], name: str) -> str:
    """How it is run, and on what it was."""
    source = _source(name)
    is_memory = source is not None and source.parent.name == "memory"
    command = result.get("command") or (f"python -m bench.memory {source.stem}" if is_memory and source else f"python -m bench.{name}")
    machine = result["machine"]
    parts = [
        f"`{command}`",
        f"{machine['cores']} cores, {machine['memory_gb']} GB, {machine['architecture']}, Python {machine['python']}",
        ", ".join(f"{package} {version}" for package, version in result.get("versions", {}).items()),
        f"commit {result['commit']}" if "commit" in result else "",
        str(result.get("at", "")),
    ]
    return " · ".join(part for part in parts if part)


def _rows(value: Any) -> list[dict[str, Any]]:
    """The rows of a table, if it is one: a list of them, or figures by name."""
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return value
    if (
        isinstance(value, dict)
        and value
        and all(isinstance(one, dict) and one and all(map(_is_shown, one.values())) for one in value.values())
    ):
        rows = [{"": name, **one} for name, one in value.items()]
        return rows if len({column for row in rows for column in row}) <= _WIDEST else []
    return []


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = [key for key in dict.fromkeys(key for row in rows for key in row) if all(_is_shown(row.get(key)) for row in rows)]
    lines = ["| " + " | ".join(column.replace("_", " ") for column in columns) + " |", "| " + " | ".join("---" for _ in columns) + " |"]
    return lines + ["| " + " | ".join(_cell(row.get(column)) for column in columns) + " |" for row in rows]


def _is_shown(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(one, str | int | float) for one in value.values()) and len(_cell(value)) <= _MOST
    return value is None or (isinstance(value, str | int | float) and len(str(value)) <= _MOST)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{str(name).replace('_', ' ')}: {_cell(one)}" for name, one in value.items())
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
