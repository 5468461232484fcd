"""Plans of the shipped catalog, with defaults."""

from __future__ import annotations

from datetime import date

from inference.catalog import NumberFormat, load
from inference.plan import Plan, Question, make_plan

TODAY = date(2026, 11, 27)
CATALOG = load()
BF16, FP8, W4A16, NVFP4 = NumberFormat.BF16, NumberFormat.FP8, NumberFormat.W4A16, NumberFormat.NVFP4


def a_plan(model: str, gpus: str, question: Question | None = None) -> Plan:
    """Plan a model of the shipped catalog, compared with all its hosted offers."""
    return make_plan(CATALOG.get(model), gpus, today=TODAY, question=question, rivals=CATALOG.models)
