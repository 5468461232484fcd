"""Charts: bars and lines as inline SVG with axes, a title and a description. Pure; every text is escaped.

Where the labels are hours, the chart says which, so that the reader's browser can shift them (static/times.js).
Classes and presentation attributes alone, no style: the content policy allows no inline styles.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

_WIDTH, _HEIGHT = 360, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 10, 26
_INNER_W, _INNER_H = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
#: This many labels fit under the chart.
_MOST_LABELS = 7

Format = Callable[[float], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of numbers with its name; None where there is no number."""

    name: str
    values: Sequence[float | None]
    #: accent, warn, bad or soft
    colour: str = "accent"


def whole(value: float) -> str:
    """Write a count: 950, 1.2k, 3.4M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def seconds(value: float) -> str:
    """Write a time: 0.4 s, 90 s, 12 min, 3 h."""
    if value >= 7200:
        return f"{value / 3600:.3g} h"
    return f"{value / 60:.3g} min" if value >= 120 else f"{value:.2g} s" if value < 10 else f"{value:.0f} s"


def nice_top(most: float) -> float:
    """Return the top of an axis: the next 1, 2, 3, 4, 5, 6, 8 or 10 of a power of ten that holds the largest value."""
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next((step * power for step in (1, 2, 3, 4, 5, 6, 8, 10) if step * power >= most * 0.999999), 10 * power)


def bars(
    name: str,
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    say: Format = whole,
    tell: Format | None = None,
    hours: Sequence[datetime] = (),
) -> Markup:
    """Draw stacked bars, one per label. `name` is unique on the page; `tell` formats numbers where there is more space than beside the axis."""
    tell = tell or say
    sums = [sum(one.values[n] or 0 for one in series) for n in range(len(labels))]
    top = nice_top(max(sums, default=0))
    if say is whole and top < 10:
        # The axis of a count has no halves.
        top = 2.0 * math.ceil(top / 2)
    space = _INNER_W / max(len(labels), 1)
    thick = space * 0.72
    drawn: list[Markup] = []
    for n, label in enumerate(labels):
        foot = float(_HEIGHT - _BOTTOM)
        for one in series:
            value = one.values[n] or 0
            if value <= 0:
                continue
            # A single event among thousands stays visible.
            height = max(value / top * _INNER_H, 1.5)
            foot -= height
            tip = f"{label}: {tell(value)} {one.name}"
            drawn.append(
                Markup(
                    '<rect class="{}-fill" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="1.5"><title>{}</title></rect>'
                ).format(one.colour, _LEFT + n * space + (space - thick) / 2, foot, thick, height, tip)
            )
    return _frame(name, title, _told(labels, series, tell), labels, drawn, top=top, say=say, hours=hours)


def lines(
    name: str, title: str, labels: Sequence[str], series: Sequence[Series], *, say: Format = seconds, hours: Sequence[datetime] = ()
) -> Markup:
    """Draw lines through the numbers, broken where there is none. `name` is unique on the page."""
    top = nice_top(max((value for one in series for value in one.values if value is not None), default=0))
    space = _INNER_W / max(len(labels), 1)
    drawn: list[Markup] = []
    for one in series:
        points = [
            None if value is None else (_LEFT + (n + 0.5) * space, _HEIGHT - _BOTTOM - value / top * _INNER_H)
            for n, value in enumerate(one.values)
        ]
        for run in _runs(points):
            if len(run) > 1:
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
                drawn.append(Markup('<polyline class="{}-line" points="{}"/>').format(one.colour, path))
        for n, point in enumerate(points):
            if point is not None:
                tip = f"{labels[n]}: {say(one.values[n] or 0)} {one.name}"
                drawn.append(
                    Markup('<circle class="{}-fill" cx="{:.1f}" cy="{:.1f}" r="3.2"><title>{}</title></circle>').format(
                        one.colour, *point, tip
                    )
                )
    return _frame(name, title, _told(labels, series, say), labels, drawn, top=top, say=say, hours=hours)


def _runs(points: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _told(labels: Sequence[str], series: Sequence[Series], say: Format) -> str:
    """Describe the chart in a sentence per series, for screen readers."""
    told: list[str] = []
    for one in series:
        known = [(value, labels[n]) for n, value in enumerate(one.values) if value]
        if not known:
            told.append(f"{one.name}: none.")
            continue
        most, when = max(known, key=lambda pair: pair[0])
        told.append(f"{one.name}: most {say(most)} at {when}, last {say(known[-1][0])} at {known[-1][1]}.")
    return " ".join(told)


def _frame(
    name: str, title: str, told: str, labels: Sequence[str], drawn: Sequence[Markup], *, top: float, say: Format, hours: Sequence[datetime]
) -> Markup:
    """Put axes with their labels around what was drawn."""
    axis: list[Markup] = []
    for part in (0.0, 0.5, 1.0):
        y = _HEIGHT - _BOTTOM - part * _INNER_H
        axis.append(Markup('<line class="soft-line" x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}"/>').format(_LEFT, y, _WIDTH - _RIGHT, y))
        axis.append(
            Markup('<text class="soft-fill" x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(_LEFT - 6, y + 4, say(top * part))
        )
    space = _INNER_W / max(len(labels), 1)
    every = max(1, math.ceil(len(labels) / _MOST_LABELS))
    # Counted from the end, so that the newest always has a label.
    axis += [
        Markup('<text class="soft-fill" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
            min(_LEFT + (n + 0.5) * space, _WIDTH - 19.0), _HEIGHT - 8, labels[n]
        )
        for n in range(len(labels) - 1, -1, -every)
    ]
    at = json.dumps({label: hour.isoformat() for label, hour in zip(labels, hours, strict=False)})
    return Markup(
        '<svg class="picture" role="img"{hours} viewBox="0 0 {w} {h}" width="100%" aria-labelledby="{name}-title {name}-told">'
        '<title id="{name}-title">{title}</title><desc id="{name}-told">{told}</desc>{axis}{drawn}</svg>'
    ).format(
        hours=Markup(' data-hours="{}"').format(at) if hours else "",
        w=_WIDTH,
        h=_HEIGHT,
        name=name,
        title=title,
        told=told,
        axis=Markup("").join(axis),
        drawn=Markup("").join(drawn),
    )
