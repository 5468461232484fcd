"""What must hold for every plan, whatever is asked."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from inference.plan import CannotPlan, Plan, Question
from inference.plan.memory import KvRule, sequence_bytes
from inference.plan.throughput import distinct
from tests.support.plans import CATALOG, a_plan

_MODELS = [model.key for model in CATALOG.models if model.kind != "hosted"]
_WITH_LAYERS = [model.key for model in CATALOG.models if model.architecture]
_GPUS = st.sampled_from(
    ["h100", "2xh100", "4xh100", "8xh100", "16xh100", "h200", "8xh200", "24xh200", "4xb200", "8xb300", "2xl40s", "3xl40s", "8xa100"]
)
_QUESTIONS = st.builds(
    Question,
    context=st.sampled_from([None, 2048, 8192, 32_768, 131_072]),
    kv=st.sampled_from(["auto", "fp8"]),
    prefer=st.sampled_from([None, "latency", "throughput"]),
    contacts=st.none() | st.integers(1, 10_000_000),
    offload_gib=st.sampled_from([0.0, 200.0]),
    redundant_experts=st.sampled_from([0, 0, 8, 5]),
    speculative=st.booleans(),
)


def _plan(model: str, gpus: str, question: Question) -> Plan | None:
    try:
        return a_plan(model, gpus, question)
    except CannotPlan:
        return None


@settings(max_examples=25)
@given(model=st.sampled_from(_MODELS), gpus=_GPUS, question=_QUESTIONS)
def test_a_plan_is_one_json_object_and_says_why_where_it_does_not_fit(model: str, gpus: str, question: Question) -> None:
    plan = _plan(model, gpus, question)
    assume(plan is not None)
    assert plan is not None
    row = json.loads(json.dumps(plan.to_json(), allow_nan=False))

    assert row["fits"] is (row["why_not"] is None)
    assert row["fits"] is (row["command"] is not None)
    assert {"tp", "dp", "ep", "pp", "nodes"} == set(row["layout"])
    assert plan.layout.gpus == plan.gpus.count
    needed = {"weights_gb_per_gpu", "kv_bytes_per_token", "kv_pool_tokens", "conversations", "tokens_per_s", "cost_per_1000"}
    assert needed <= set(row)


@settings(max_examples=25)
@given(model=st.sampled_from(_MODELS), gpus=_GPUS, question=_QUESTIONS)
def test_what_fits_has_room_for_weights_overhead_and_one_whole_conversation(model: str, gpus: str, question: Question) -> None:
    plan = _plan(model, gpus, question)
    assume(plan is not None and plan.fits)
    assert plan is not None
    m = plan.memory

    assert m.weights + m.overhead + (m.sequence or 0) < m.memory * 0.92
    assert plan.conversations is None or plan.conversations >= 1
    assert plan.speed is not None
    assert plan.speed.replies_per_s > 0
    assert plan.cost is not None
    prices = [price for _, price in plan.cost.per_1000]
    assert prices == sorted(prices, reverse=True)


@settings(max_examples=20)
@given(model=st.sampled_from(_MODELS), gpus=_GPUS, question=_QUESTIONS)
def test_commands_survive_a_shell(model: str, gpus: str, question: Question) -> None:
    plan = _plan(model, gpus, question)
    assume(plan is not None and plan.fits)
    assert plan is not None

    assert [list(command.argv) for command in plan.commands] == [
        [word for at, word in enumerate(shlex.split(command.text)) if at >= len(command.environment)] for command in plan.commands
    ]
    assert plan.layout.nodes == len(plan.commands)


@settings(max_examples=20)
@given(model=st.sampled_from(_WITH_LAYERS), number=st.sampled_from([1, 2, 4]), kind=st.sampled_from(["h100", "h200", "b200", "l40s"]))
def test_twice_the_gpus_never_keep_fewer_tokens(model: str, number: int, kind: str) -> None:
    # In one format, with the layout that splits most: a token has at least as much room.
    form = CATALOG.get(model).weights[0].format
    question = Question(format=form, context=4096, prefer="latency")
    fewer, more = (_plan(model, f"{count}x{kind}", question) for count in (number, number * 2))
    assume(fewer is not None and more is not None)
    assert fewer is not None
    assert more is not None

    assert not fewer.fits or more.fits
    assert (more.memory.pool_tokens or 0) >= (fewer.memory.pool_tokens or 0)


@settings(max_examples=20)
@given(model=st.sampled_from(_MODELS), gpus=_GPUS, question=_QUESTIONS, shorter=st.sampled_from([1024, 4096, 16_384]))
def test_what_fits_a_long_context_fits_a_shorter_one(model: str, gpus: str, question: Question, shorter: int) -> None:
    plan = _plan(model, gpus, question)
    assume(plan is not None and plan.fits and shorter <= plan.context)
    assert plan is not None
    less = a_plan(model, gpus, replace(question, format=plan.weights.format, context=shorter))

    assert less.fits


@given(model=st.sampled_from(_WITH_LAYERS), length=st.integers(1, 10**7), more=st.integers(0, 10**6), size=st.sampled_from([1, 2]))
def test_a_longer_conversation_never_needs_less(model: str, length: int, more: int, size: int) -> None:
    architecture = CATALOG.get(model).architecture
    assert architecture is not None
    rule = KvRule(bytes_per_value=size, hybrid=True)
    here, there = (sequence_bytes(architecture, tokens, rule) for tokens in (length, length + more))

    assert here <= there
    assert here <= sequence_bytes(architecture, length, replace(rule, bytes_per_value=2))


@given(experts=st.integers(1, 512), active=st.integers(1, 16), tokens=st.floats(1, 1e6))
def test_a_step_touches_between_one_tokens_experts_and_all(experts: int, active: int, tokens: float) -> None:
    assume(active <= experts)

    assert active - 1e-9 <= distinct(experts, active, tokens) <= experts + 1e-9
