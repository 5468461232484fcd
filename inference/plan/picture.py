"""The plan as an SVG: every GPU's memory as a column (weights, overhead, KV pool), host by host, with the part of the model it holds."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from inference.plan.assignment import GpuAssignment, assignments
from inference.plan.summary import Plan

_COLUMN, _GAP, _HEIGHT = 84, 22, 170
_LEFT, _TOP, _HOST = 76, 150, 244
_NARROWEST = 680
_MOST_HOSTS = 3
#: Distinct in print and for colour-blind people. White text is written on the first.
_COLOURS = {"weights": "#2b5c8a", "overhead": "#c98a2b", "KV cache": "#7fb685", "one conversation": "#7fb685", "kept free": "#e4e4e4"}
_BEYOND = "#b3362b"


def svg(plan: Plan) -> str:
    """Draw the plan."""
    rows = min(plan.layout.nodes, _MOST_HOSTS)
    width = max(_NARROWEST, _LEFT + _per_host(plan) * (_COLUMN + _GAP) + 24)
    height = _TOP + rows * _HOST + (28 if plan.layout.nodes > rows else 0)
    title = f"{plan.model.title} as {plan.weights.format} on {plan.gpus.text}"
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" role="img" aria-labelledby="title about">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="about">{escape(" ".join(_lines(plan)))}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(24, 34, title, size=20, weight=600),
        *(_text(24, 60 + 20 * number, line, size=13, fill="#444444") for number, line in enumerate(_lines(plan))),
        *_legend(plan),
        *(part for gpu in assignments(plan) if gpu.host < rows for part in _column(plan, gpu)),
        *(part for host in range(rows) for part in _host(plan, host)),
    ]
    if plan.layout.nodes > rows:
        parts.append(_text(24, height - 18, f"and {plan.layout.nodes - rows} more hosts like these", size=13, fill="#444444"))
    return "\n".join([*parts, "</svg>", ""])


def _per_host(plan: Plan) -> int:
    return plan.layout.gpus // plan.layout.nodes


def _lines(plan: Plan) -> list[str]:
    m = plan.memory
    first = (
        f"{'Fits' if plan.fits else 'Does not fit'}: {m.weights / 1e9:.1f} GB of weights and {m.overhead / 1e9:.0f} GB of overhead on each GPU, "
        + (f"{m.pool / 1e9:.1f} GB for KV" if plan.fits else _short(plan))
    )
    second = f"Layout: {plan.layout.text}, {plan.layout.nodes} host{'s' if plan.layout.nodes > 1 else ''}"
    if m.pool_tokens and plan.fits:
        second += f"; {m.pool_tokens:,} tokens of KV, {plan.conversations:,} warm conversations of {plan.question.reply.tokens:,} tokens"
    if plan.model.kind == "unpublished":
        second += "; weights not published, KV unknown"
    return [first, second]


def _short(plan: Plan) -> str:
    missing = plan.memory.missing
    return f"{missing / 1e9:.1f} GB too much" if missing else "and these GPUs cannot run it"


def _legend(plan: Plan) -> Iterator[str]:
    x = 24
    for name, size in _shares(plan):
        said = f"{name} {size / 1e9:.1f} GB"
        yield f'<rect x="{x}" y="{_TOP - 48}" width="14" height="14" fill="{_COLOURS[name]}"/>'
        yield _text(x + 20, _TOP - 36, said)
        x += 40 + 7 * len(said)
    if plan.memory.missing:
        yield f'<line x1="{x}" x2="{x + 14}" y1="{_TOP - 41}" y2="{_TOP - 41}" stroke="{_BEYOND}" stroke-width="2" stroke-dasharray="4 3"/>'
        yield _text(x + 20, _TOP - 36, f"usable {plan.memory.usable / 1e9:.1f} GB")


def _host(plan: Plan, host: int) -> Iterator[str]:
    y = _TOP + host * _HOST
    width = _LEFT - 24 + _per_host(plan) * (_COLUMN + _GAP) + 8
    yield f'<rect x="24" y="{y - 12}" width="{width}" height="{_HOST - 16}" rx="8" fill="none" stroke="#999999"/>'
    yield _text(34, y + 6, f"Host {host}", weight=600)
    yield _text(34, y + 24, f"{plan.memory.memory / 1e9:.0f} GB", fill="#666666")
    yield _text(34, y + 40, "a GPU", fill="#666666")


def _column(plan: Plan, gpu: GpuAssignment) -> Iterator[str]:
    """Draw one GPU from the bottom up, to the scale of its memory, or of what it would need."""
    x, foot = _LEFT + 14 + gpu.gpu * (_COLUMN + _GAP), _TOP + gpu.host * _HOST + _HEIGHT
    shares = _shares(plan)
    scale = _HEIGHT / max(plan.memory.memory, sum(size for _, size in shares))
    bottom = float(foot)
    for name, size in shares:
        tall = size * scale
        bottom -= tall
        yield f'<rect x="{x}" y="{bottom:.1f}" width="{_COLUMN}" height="{tall:.1f}" fill="{_COLOURS[name]}"/>'
        if tall >= 15 and name != "kept free":
            fill = "#ffffff" if name == "weights" else "#1c1c1c"
            yield _text(x + _COLUMN / 2, bottom + tall / 2 + 4, f"{size / 1e9:.1f} GB", fill=fill, anchor="middle")
    if plan.memory.missing:
        line = foot - plan.memory.usable * scale
        yield f'<rect x="{x}" y="{bottom:.1f}" width="{_COLUMN}" height="{line - bottom:.1f}" fill="{_BEYOND}" fill-opacity="0.45"/>'
        yield f'<line x1="{x - 5}" x2="{x + _COLUMN + 5}" y1="{line:.1f}" y2="{line:.1f}" stroke="{_BEYOND}" stroke-width="2" stroke-dasharray="4 3"/>'
    for number, said in enumerate(_labels(plan, gpu)):
        size, fill = (11, "#555555") if number else (12, "#1c1c1c")
        yield _text(x + _COLUMN / 2, foot + 18 + 16 * number, said, size=size, fill=fill, anchor="middle")


def _shares(plan: Plan) -> list[tuple[str, float]]:
    m = plan.memory
    found = [("weights", m.weights), ("overhead", m.overhead)]
    if m.missing:
        return [*found, ("one conversation", m.sequence)] if m.sequence else found
    return [*found, ("KV cache", m.pool), ("kept free", m.memory - m.usable)]


def _labels(plan: Plan, gpu: GpuAssignment) -> list[str]:
    layout = plan.layout
    ranks = [("dp", layout.dp, gpu.dp_rank), ("stage", layout.pp, gpu.stage), ("tp", layout.tp, gpu.tp_rank)]
    found = [" ".join(f"{name} {rank}" for name, size, rank in ranks if size > 1) or f"GPU {gpu.gpu}"]
    if gpu.experts is not None:
        first, last = gpu.experts
        found += [f"experts {first}-{last}" if last > first else f"expert {first}"]
    return found


def _text(x: float, y: float, text: str, *, size: int = 12, weight: int = 400, fill: str = "#1c1c1c", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}">{escape(text)}</text>'
