"""The reasons of a plan belong to the layout that they are told of: the chosen one, the one asked for, or the one that came closest."""

from __future__ import annotations

import itertools
import re

import pytest

from inference.plan import CannotPlan, Forced, Question
from tests.support.plans import CATALOG, a_plan

_MODELS = [model.key for model in CATALOG.models if model.kind != "hosted" and model.architecture]


@pytest.mark.parametrize(
    ("model", "gpus", "prefer", "words", "never"),
    [
        (
            "gemma-3-27b",
            "3xl40s",
            None,
            "3 pipeline stages hand on only what each has computed, which suits GPUs without NVLink",
            "across hosts",
        ),
        ("llama-4-scout", "3xh100", None, "data parallelism copies the shared weights 3 times", "tensor parallelism splits"),
        ("gemma-3-27b", "6xl40s", None, "over 2 GPUs; data parallelism copies the weights 3 times", "experts"),
        ("deepseek-v3", "16xh100", "throughput", "tensor parallelism splits every layer over 2 GPUs; data parallelism", "keeps one copy"),
        ("llama-4-scout", "8xh100", None, "over 8 GPUs; experts are spread over the same 8 GPUs", "data parallelism"),
    ],
)
def test_the_reason_of_a_layout_speaks_of_its_own_parts(model: str, gpus: str, prefer: str | None, words: str, never: str) -> None:
    plan = a_plan(model, gpus, Question(prefer=prefer))  # pyright: ignore[reportArgumentType] - the literals stand in the table

    assert words in plan.layout_reason
    assert never not in plan.layout_reason.split(". The next best")[0]


@pytest.mark.parametrize(
    ("model", "gpus", "forced", "words"),
    [
        ("llama-4-scout", "8xh100", Forced(pp=2), "tp4 ep4 pp2: stages inside one host are for GPUs without NVLink"),
        ("gemma-3-27b", "8xh100", Forced(tp=3), "tp3: tensor parallelism takes 1, 2, 4 or 8 GPUs, not 3"),
        ("gemma-3-27b", "8xh100", Forced(tp=8, dp=2), "tp8 dp2: it uses 16 GPUs, and all 8 must be used"),
        ("gemma-3-27b", "2x3xl40s", Forced(tp=2), "the 3 GPUs of a host do not divide into groups of 2"),
        ("llama-4-scout", "24xh100", Forced(dp=24), "dp24 ep24: 16 experts are too few for 24 ranks"),
        ("llama-4-behemoth", "8xh200", Forced(dp=8), "dp8 ep8: what data parallelism would copy of it was not published"),
        ("deepseek-v3", "16xh100", Forced(pp=4), "tp4 ep4 pp4: each of the 2 hosts is one stage, with tensor parallelism over its 8 GPUs"),
        ("gemma-3-27b", "8xl40s", Forced(dp=2, pp=4), "dp2 pp4: stages are not combined with data parallelism"),
        ("llama-4-scout", "8xh100", Forced(tp=8, pp=3), "tp8 ep8 pp3: it uses 24 GPUs, and all 8 must be used"),
    ],
)
def test_a_layout_that_was_asked_for_is_refused_for_its_own_reason(model: str, gpus: str, forced: Forced, words: str) -> None:
    with pytest.raises(CannotPlan) as refused:
        a_plan(model, gpus, Question(forced=forced))

    assert words in str(refused.value)
    assert "allowed are: " in str(refused.value)


@pytest.mark.parametrize("forced", [Forced(tp=1), Forced(dp=8), Forced(tp=8, dp=1)])
def test_layouts_that_were_not_tried_are_not_said_not_to_fit(forced: Forced) -> None:
    assert a_plan("gemma-3-27b", "8xh100", Question(forced=forced)).layout_reason.endswith(", as asked")


def test_of_layouts_that_cannot_run_the_one_that_could_with_other_numbers_is_told() -> None:
    plan = a_plan("llama-4-scout", "2xl40s", Question(redundant_experts=3))

    assert plan.why_not == "16 + 3 experts do not divide over 2 ranks: 4 redundant ones would"


def test_no_reason_speaks_of_what_the_layout_has_not() -> None:
    for model, gpus, prefer in itertools.product(
        _MODELS, ("2xh100", "3xh100", "8xh100", "16xh100", "3xl40s", "8xl40s", "24xh200"), ("latency", "throughput")
    ):
        try:
            plan = a_plan(model, gpus, Question(prefer=prefer))
        except CannotPlan:
            continue
        own = plan.layout_reason.split(". The next best")[0]
        has = plan.layout
        assert ("across hosts" in own) <= (has.nodes > 1 and has.pp > 1), (model, gpus, own)
        assert ("tensor parallelism splits" in own) <= (has.tp > 1), (model, gpus, own)
        assert ("data parallelism copies" in own) <= (has.dp > 1), (model, gpus, own)
        assert (re.search("experts are spread", own) is not None) <= (has.ep > 1), (model, gpus, own)
