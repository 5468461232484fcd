"""Which models fit which GPUs, and how fast they are: the table of docs/serving.md, made by the arithmetic of `chinwag plan`.

    .venv/bin/python bench/plans.py

prints Markdown. Nothing is measured: it is quick, and the same everywhere.
"""

from __future__ import annotations

import sys
from datetime import date

from inference.catalog import NumberFormat, load
from inference.plan import Forced, Plan, Question, make_plan

#: Prices of hosted offers are not in the table, so any day will do.
_TODAY = date(2026, 11, 27)
_PROFILES: tuple[tuple[str, str, Question], ...] = (
    ("llama-4-scout", "1xH100", Question(kv="fp8")),
    ("llama-4-scout", "1xH200", Question(kv="fp8")),
    ("llama-4-scout", "1xB200", Question(kv="fp8", format=NumberFormat.NVFP4)),
    ("llama-4-scout", "4xH100", Question(kv="fp8")),
    ("llama-4-scout", "8xH100", Question(kv="fp8")),
    ("llama-4-maverick", "4xH100", Question(kv="fp8")),
    ("llama-4-maverick", "8xH100", Question(kv="fp8")),
    ("llama-4-maverick", "8xH200", Question(kv="fp8", format=NumberFormat.FP8)),
    ("llama-4-maverick", "8xH200", Question(kv="fp8", format=NumberFormat.FP8, prefer="throughput")),
    ("llama-4-maverick", "4xB200", Question(kv="fp8", format=NumberFormat.NVFP4)),
    ("llama-4-behemoth", "24xH200", Question()),
    ("llama-4-behemoth", "8xB300", Question(format=NumberFormat.NVFP4)),
    ("deepseek-v3", "8xH100", Question()),
    ("deepseek-v3", "8xH200", Question()),
    ("deepseek-v3", "8xH200", Question(prefer="throughput")),
    ("deepseek-v3", "16xH100", Question(forced=Forced(dp=16))),
    ("deepseek-v3", "4xB200", Question()),
    ("gemma-3-27b", "1xH100", Question()),
    ("gemma-3-27b", "2xH100", Question()),
    ("mistral-small-3.1", "1xH100", Question()),
    ("mistral-small-3.1", "2xL40S", Question()),
)
_HEAD = (
    "model",
    "GPUs",
    "format, KV",
    "layout",
    "weights a GPU",
    "KV tokens",
    "warm conversations",
    "tokens/s: one person, all",
    "$ per 1,000 at 30, 100 %",
)


def table() -> str:
    """Return the table in Markdown, one row for each model and machine."""
    catalog = load()
    rows = [_HEAD, tuple("---" for _ in _HEAD)]
    for key, gpus, question in _PROFILES:
        plan = make_plan(catalog.get(key), gpus, today=_TODAY, question=question)
        rows.append(_row(plan))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(plan: Plan) -> tuple[str, ...]:
    m = plan.memory
    first = (plan.model.key, plan.gpus.text, f"{plan.weights.format}, {'fp8' if plan.question.kv == 'fp8' else 'bf16'}")
    if not plan.fits or plan.speed is None or plan.cost is None:
        return (
            *first,
            f"does not fit: {m.missing / 1e9:.1f} GB too much as {plan.layout.text}",
            f"{m.weights / 1e9:.0f} GB",
            "",
            "",
            "",
            "",
        )
    prices = dict(plan.cost.per_1000)
    return (
        *first,
        plan.layout.text,
        f"{m.weights / 1e9:.0f} GB",
        _short(m.pool_tokens),
        "unknown" if plan.conversations is None else f"{plan.conversations:,}",
        f"{plan.speed.one_user_tokens_per_s:,.0f}, {plan.speed.tokens_per_s:,.0f} ({plan.speed.at_once} at once)",
        f"{prices[0.3]:.2f}, {prices[1.0]:.2f}",
    )


def _short(tokens: int | None) -> str:
    if tokens is None:
        return "unknown"
    return f"{tokens / 1e6:.2f}M" if tokens >= 1e6 else f"{tokens / 1e3:.0f}k"


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
