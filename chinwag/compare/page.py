"""The comparison as one self-contained HTML file, and as lines of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from jinja2 import Environment, StrictUndefined

from chinwag.compare.figures import Figures
from chinwag.compare.replay import Reply

_TEMPLATE = Path(__file__).with_name("page.html")


def html(rows: Sequence[Sequence[Reply]], figures: Sequence[Figures], *, source: str, at: datetime) -> str:
    """Return the page: figures on top, then turn by turn the answers side by side."""
    env = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    env.filters |= {"ms": _ms, "money": _money, "number": _number}
    template = env.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    longest = {
        "total_ms": max((one.total_ms or 0 for one in figures), default=0) or 1,
        "cost_per_1000": max((one.cost_per_1000 or 0 for one in figures), default=0) or 1,
    }
    return template.render(rows=rows, figures=figures, longest=longest, source=source, at=at)


def line(reply: Reply) -> str:
    """A reply as a line of JSON."""
    usage = reply.usage
    said = {
        "custom_id": reply.turn.talk,
        "turn": reply.turn.number,
        "asked": reply.turn.asked,
        "recorded": reply.turn.recorded,
        "endpoint": reply.endpoint,
        "model": reply.model,
        "answer": reply.text,
        "fault": reply.fault,
        "first_token_ms": reply.first_token_ms,
        "total_ms": reply.total_ms,
        "tokens_in": usage and usage.tokens_in,
        "tokens_cached": usage and usage.tokens_cached,
        "tokens_out": usage and usage.tokens_out,
        "estimated": usage is not None and usage.estimated,
        "cost": reply.cost,
    }
    return msgspec.json.encode(said).decode() + "\n"


def table(figures: Iterable[Figures]) -> list[tuple[str, ...]]:
    """The figures as text, for a table: endpoint, answered, words, first word, whole, 95 of 100, tokens, cost of a thousand."""
    return [
        (
            one.endpoint,
            f"{one.answered}/{one.asked}" + (f" ({one.cut} cut)" if one.cut else ""),
            _number(one.words),
            _ms(one.first_token_ms),
            _ms(one.total_ms),
            _ms(one.slow_ms),
            f"{'about ' if one.estimated else ''}{_number(one.tokens_in)} in, {_number(one.tokens_out)} out",
            _money(one.cost_per_1000),
        )
        for one in figures
    ]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def _money(value: float | None) -> str:
    return "no price" if value is None else f"${value:.2f}" if value >= 0.1 or value == 0 else f"${value:.4f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
