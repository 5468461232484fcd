"""Which layout and which format are taken, what is refused and by how much, and what is advised instead."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from inference.catalog import NumberFormat
from inference.plan import CannotPlan, Forced, Question, Reply, make_plan, read_context
from inference.plan.summary import Advice
from tests.support.plans import BF16, CATALOG, FP8, NVFP4, TODAY, W4A16, a_plan


def _sizes(plan) -> dict[str, int]:
    return {name: size for name, size in plan.layout.sizes().items() if size > 1}


def test_maverick_fits_eight_h100_as_tp8_with_expert_parallelism() -> None:
    # vLLM's recipe for Maverick FP8 on 8xH100: TP8 with expert parallelism.
    plan = a_plan("llama-4-maverick", "8xH100", Question(format=FP8))

    assert plan.fits
    assert _sizes(plan) == {"tp": 8, "ep": 8}


def test_maverick_as_dp8_is_refused_on_eight_h100_with_what_is_missing_and_what_would_do() -> None:
    # By hand: DP8 needs 78 GB a GPU for the weights alone.
    plan = a_plan("llama-4-maverick", "8xH100", Question(format=FP8, forced=Forced(dp=8)))

    assert not plan.fits
    assert plan.why_not is not None
    assert "10.6 GB too large for each GPU" in plan.why_not
    assert "--tp 8 --dp 1" in [advice.options for advice in plan.advice]


def test_maverick_as_tp2_dp4_barely_fits_eight_h100() -> None:
    # By hand: TP2 x DP4 leaves very little.
    plan = a_plan("llama-4-maverick", "8xH100", Question(format=FP8, forced=Forced(tp=2)))

    assert plan.fits
    assert plan.memory.pool < 10e9


def test_deepseek_is_refused_on_eight_h100_and_fits_eight_h200_and_sixteen_h100() -> None:
    # By hand: 84 GB a GPU on eight, 60 GB on sixteen.
    refused = a_plan("deepseek-v3", "8xH100", Question(format=FP8))

    assert not refused.fits
    assert refused.memory.missing > 0
    assert [advice.options for advice in refused.advice] == ["--gpus 16xH100", "--gpus 8xH200"]
    assert a_plan("deepseek-v3", "8xH200", Question(format=FP8)).fits
    assert a_plan("deepseek-v3", "16xH100", Question(format=FP8)).fits


def test_scout_in_fp8_is_refused_on_one_h100_and_fits_at_four_bits() -> None:
    # vLLM's recipe says "FP8 on one H100", but its own table asks for 131 GB.
    refused = a_plan("llama-4-scout", "h100", Question(format=FP8))

    assert not refused.fits
    assert refused.why_not is not None
    assert "43.8 GB too large" in refused.why_not
    assert "--format w4a16" in [advice.options for advice in refused.advice]
    fitting = a_plan("llama-4-scout", "h100")
    assert (fitting.fits, fitting.weights.format, fitting.weights.size_gb) == (True, W4A16, 60)


@pytest.mark.parametrize(("gpus", "form", "hosts"), [("24xH200", FP8, 3), ("8xB300", NVFP4, 1)])
def test_behemoth_is_planned_by_totals_and_marked_as_not_published(gpus: str, form, hosts: int) -> None:
    # By hand, from about 2T parameters: 3 hosts of 8 H200 in FP8, one of 8 B300 in NVFP4.
    plan = a_plan("llama-4-behemoth", gpus, Question(format=form))

    assert (True, hosts) == (plan.fits, plan.layout.nodes)
    assert (plan.memory.kv_per_token, plan.memory.pool_tokens, plan.conversations) == (None, None, None)
    assert any("weights not published" in warning for warning in plan.warnings)
    assert hosts == len(plan.commands)


def test_behemoth_in_bf16_does_not_fit_three_hosts_of_h200_and_says_how_many_would_do() -> None:
    plan = a_plan("llama-4-behemoth", "24xH200", Question(format=BF16))

    assert not plan.fits
    assert {"--format fp8", "--gpus 32xH200"} <= {advice.options for advice in plan.advice}


@pytest.mark.parametrize(
    ("model", "gpus", "prefer", "sizes"),
    [
        # vLLM's advice: TP+EP when few requests must be fast or memory is tight; DP+EP when many requests run.
        ("deepseek-v3", "8xH200", "latency", {"tp": 8, "ep": 8}),
        ("deepseek-v3", "8xH200", "throughput", {"dp": 8, "ep": 8}),
        ("llama-4-scout", "8xH100", "latency", {"tp": 8, "ep": 8}),
        ("llama-4-maverick", "8xH100", "throughput", {"tp": 8, "ep": 8}),
        ("deepseek-v3", "4xB200", "latency", {"tp": 4, "ep": 4}),
        ("mistral-small-3.1", "8xH100", "latency", {"tp": 8}),
    ],
)
def test_few_requests_get_tensor_parallelism_and_many_data_parallelism(model: str, gpus: str, prefer, sizes: dict[str, int]) -> None:
    plan = a_plan(model, gpus, Question(prefer=prefer))

    assert sizes == _sizes(plan)
    assert prefer in plan.layout_reason


def test_throughput_on_larger_gpus_copies_mavericks_dense_weights() -> None:
    plan = a_plan("llama-4-maverick", "8xH200", Question(format=FP8, prefer="throughput"))

    assert plan.layout.dp > 1


def test_contacts_decide_between_quick_replies_and_many() -> None:
    few = a_plan("deepseek-v3", "8xH200", Question(contacts=2_000))
    many = a_plan("deepseek-v3", "8xH200", Question(contacts=200_000))

    assert (_sizes(few), _sizes(many)) == ({"tp": 8, "ep": 8}, {"dp": 8, "ep": 8})
    assert "busiest hour" in few.layout_reason
    assert "busiest hour" in many.layout_reason


def test_contacts_that_are_too_many_ask_for_copies_of_the_plan() -> None:
    plan = a_plan("llama-4-scout", "h100", Question(contacts=100_000))

    assert plan.demand is not None
    assert plan.speed is not None
    # Three replies a day each, 12 % of them in the busiest hour.
    assert pytest.approx(10.0) == plan.demand.peak_replies_per_s
    assert pytest.approx(10.0 / plan.speed.replies_per_s) == plan.demand.peak_load
    assert plan.demand.replicas is not None
    assert plan.demand.replicas * 0.6 * plan.speed.replies_per_s >= 10.0


def test_only_layouts_that_heads_and_hosts_allow_are_tried() -> None:
    # 40 heads and 8 KV heads do not divide over 16 GPUs, and tensor parallelism stays inside a host.
    tried = [one.what for one in a_plan("llama-4-maverick", "16xH100").layouts]

    assert sorted(tried) == ["dp16 ep16", "tp2 dp8 ep16", "tp4 dp4 ep16", "tp8 dp2 ep16", "tp8 ep8 pp2"]


def test_experts_limit_data_parallelism() -> None:
    # Scout has 16 experts: 24 ranks would leave eight without one.
    tried = [one.what for one in a_plan("llama-4-scout", "24xH100").layouts]

    assert tried == ["tp8 ep8 pp3"]


def test_a_layout_that_the_model_does_not_allow_is_refused_with_those_it_does() -> None:
    with pytest.raises(CannotPlan, match=re.escape("allowed are: dp8 ep8, tp2 dp4 ep8, tp4 dp2 ep8, tp8 ep8")):
        a_plan("llama-4-scout", "8xH100", Question(forced=Forced(tp=3)))


def test_three_gpus_that_no_head_divides_over_are_laid_out_by_stages() -> None:
    plan = a_plan("gemma-3-27b", "3xL40S", Question(format=BF16))

    assert (plan.fits, _sizes(plan)) == (True, {"pp": 3})


@pytest.mark.parametrize(
    ("model", "gpus", "form"),
    [
        ("llama-4-scout", "8xH100", BF16),
        ("llama-4-scout", "h200", FP8),
        ("llama-4-scout", "h100", W4A16),
        ("llama-4-maverick", "8xH100", FP8),
        ("llama-4-maverick", "4xH100", W4A16),
        ("deepseek-v3", "8xH200", FP8),
        ("deepseek-v3", "4xB200", NVFP4),
        ("mistral-small-3.1", "h100", BF16),
        ("gemma-3-27b", "2xH100", BF16),
    ],
)
def test_without_a_format_the_most_bits_that_fit_with_room_are_taken(model: str, gpus: str, form) -> None:
    plan = a_plan(model, gpus)

    assert (True, form) == (plan.fits, plan.weights.format)
    assert "most bits that fit" in plan.format_reason


def test_a_format_that_leaves_no_room_for_company_gives_way_and_says_so() -> None:
    plan = a_plan("gemma-3-27b", "h100")

    assert plan.weights.format is FP8
    assert "bf16 leaves too little memory" in plan.format_reason


def test_four_bit_floats_need_blackwell() -> None:
    plan = a_plan("llama-4-scout", "8xH100", Question(format=NVFP4))

    assert not plan.fits
    assert plan.why_not is not None
    assert "needs compute capability 10 or later" in plan.why_not
    assert "H100 80 GB SXM has 9" in plan.why_not


def test_an_fp8_cache_needs_fp8_units() -> None:
    plan = a_plan("mistral-small-3.1", "a100", Question(kv="fp8"))

    assert not plan.fits
    assert "fp8 KV cache needs compute capability 8.9" in (plan.why_not or "")


@pytest.mark.parametrize(
    ("model", "gpus", "question", "kinds"),
    [
        ("llama-4-scout", "h100", Question(format=BF16), {"--format", "--gpus"}),
        ("llama-4-scout", "8xH100", Question(format=FP8, context=10_485_760), {"--kv", "--context", "--gpus"}),
        ("llama-4-maverick", "8xH100", Question(format=FP8, forced=Forced(dp=8)), {"--format", "--tp", "--gpus"}),
        ("deepseek-v3", "8xH100", Question(), {"--gpus"}),
        ("gemma-3-27b", "l40s", Question(format=FP8, context=131_072), {"--context", "--kv", "--gpus"}),
        ("llama-4-behemoth", "24xH100", Question(format=BF16), {"--gpus"}),
    ],
)
def test_every_advice_fits_when_it_is_followed(model: str, gpus: str, question: Question, kinds: set[str]) -> None:
    plan = a_plan(model, gpus, question)

    assert not plan.fits
    assert kinds <= {advice.options.split()[0] for advice in plan.advice}
    for advice in plan.advice:
        words = advice.options.split()
        given = dict(zip(words[::2], words[1::2], strict=True))
        changed = replace(question, forced=Forced() if "--gpus" in given else question.forced)
        if "--tp" in given:
            changed = replace(changed, forced=Forced(tp=int(given["--tp"]), dp=int(given["--dp"])))
        if "--format" in given:
            changed = replace(changed, format=NumberFormat(given["--format"]))
        if "--context" in given:
            changed = replace(changed, context=read_context(given["--context"]))
        if "--kv" in given:
            changed = replace(changed, kv="fp8")
        # The format was chosen before the advice was given.
        changed = replace(changed, format=changed.format or plan.weights.format)
        assert a_plan(model, given.get("--gpus", gpus), changed).fits, advice


def test_the_advised_context_is_the_longest_that_fits() -> None:
    question = Question(format=FP8, context=10_485_760)
    advised = next(advice.options for advice in a_plan("llama-4-scout", "8xH100", question).advice if "--context" in advice.options)
    tokens = read_context(advised.split()[1])

    assert a_plan("llama-4-scout", "8xH100", replace(question, context=tokens)).fits
    assert not a_plan("llama-4-scout", "8xH100", replace(question, context=tokens + 1024)).fits


def test_redundant_experts_must_divide_over_the_ranks() -> None:
    odd = a_plan("deepseek-v3", "8xH200", Question(redundant_experts=30))
    even = a_plan("deepseek-v3", "8xH200", Question(redundant_experts=32))

    assert not odd.fits
    assert "256 + 30 experts do not divide over 8 ranks: 32 redundant ones would" in (odd.why_not or "")
    assert even.fits
    # Four more a rank, 58 layers of 44 MB.
    assert pytest.approx(4 * 58 * 3 * 7168 * 2048) == even.memory.weights - a_plan("deepseek-v3", "8xH200").memory.weights


@pytest.mark.parametrize(
    ("model", "gpus", "question", "said"),
    [
        ("gemini-2.0-flash", "8xH100", Question(), "switched off on 2026-06-01"),
        ("gpt-4o", "8xH100", Question(), "hosted by OpenAI"),
        ("mistral-small-3.1", "h100", Question(context=131_073), "at most 131,072 tokens"),
        ("llama-4-maverick", "8xH100", Question(context=2_000_000), "at most 1,048,576 tokens: give --context 1M or less"),
        ("mistral-small-3.1", "h100", Question(format=NVFP4), "its formats are: bf16, fp8, w4a16"),
        ("mistral-small-3.1", "h100", Question(redundant_experts=8), "no routed experts"),
        ("gemma-3-27b", "h100", Question(speculative=True), "leave --speculative out"),
        ("mistral-small-3.1", "h100", Question(context=100), "too short for a reply"),
        ("mistral-small-3.1", "h100", Question(at_once=0), "--at-once takes a number from 1"),
        ("mistral-small-3.1", "h100", Question(contacts=0), "--contacts takes a number from 1"),
        ("mistral-small-3.1", "h100", Question(price_per_hour=-1.0), "--price takes"),
        ("mistral-small-3.1", "h100", Question(replies_per_contact=float("nan")), "--replies-per-contact takes a number above 0"),
        ("mistral-small-3.1", "h100", Question(offload_gib=float("inf")), "--offload-gib takes"),
        ("mistral-small-3.1", "h100", Question(head="a b"), "--head takes"),
    ],
)
def test_a_question_without_an_answer_is_refused_in_one_line(model: str, gpus: str, question: Question, said: str) -> None:
    with pytest.raises(CannotPlan, match=r"^[^\n]+$") as refused:
        a_plan(model, gpus, question)

    assert said in str(refused.value)


def test_the_european_union_gets_a_word_about_llamas_licence_and_a_permitted_model() -> None:
    llama = a_plan("llama-4-scout", "8xH100").warnings
    mistral = a_plan("mistral-small-3.1", "h100").warnings

    assert any("EU" in warning and "mistral-small-3.1" in warning for warning in llama)
    assert any("must be accepted before serving" in warning for warning in llama)
    assert not any("EU" in warning for warning in mistral)
    assert any("Unconfirmed numbers of the architecture" in warning for warning in mistral)


@pytest.mark.parametrize(
    ("model", "gpus", "question", "advised"),
    [
        # A format that these GPUs can never run: what fits them is another, of whichever size.
        ("deepseek-v3", "8xH200", Question(format=NVFP4), "--format fp8"),
        ("llama-4-scout", "h100", Question(format=NVFP4), "--format w4a16"),
        ("deepseek-v3", "h100", Question(format=NVFP4), "--format fp8 --gpus 16xH100"),
        ("mistral-small-3.1", "a100", Question(kv="fp8"), "--kv auto"),
        ("deepseek-v3", "a100", Question(kv="fp8"), "--kv auto --gpus 16xA100"),
        ("llama-4-scout", "8xA100", Question(kv="fp8", format=NVFP4), "--format bf16 --kv auto"),
    ],
)
def test_what_can_never_run_is_told_with_what_can(model: str, gpus: str, question: Question, advised: str) -> None:
    plan = a_plan(model, gpus, question)

    assert not plan.fits
    assert advised in [advice.options for advice in plan.advice]


def test_a_cache_that_no_format_can_have_here_is_the_reason_that_is_told() -> None:
    assert "fp8 KV cache" in (a_plan("deepseek-v3", "a100", Question(kv="fp8")).why_not or "")


def test_advice_names_hosts_as_they_were_tried() -> None:
    plan = a_plan("deepseek-v3", "2x4xH100")
    tried = a_plan("deepseek-v3", "2x4xH200")

    assert plan.to_json()["gpus"] == "2x4xH100"
    assert any(advice.options == "--gpus 2x4xH200" and f"{tried.conversations} conversations" in advice.text for advice in plan.advice)


def test_an_advised_context_has_room_for_the_reply() -> None:
    question = Question(format=FP8, context=131_072, reply=Reply(tokens_in=1000, tokens_out=60_000))
    plan = a_plan("gemma-3-27b", "l40s", question)

    assert not plan.fits
    assert [advice.options for advice in plan.advice if "--context" in advice.options] == []


def test_one_conversation_is_one() -> None:
    row = CATALOG.get("gemma-3-27b")
    words = [advice.text for context in (8192, 16_384) for advice in _advised(row.key, context)]

    assert not [text for text in words if " 1 conversations" in text]
    assert [text for text in words if " 1 conversation " in text]


def _advised(model: str, context: int) -> tuple[Advice, ...]:
    return a_plan(model, "l40s", Question(format=BF16, context=context, reply=Reply(tokens_in=context - 150))).advice


def test_a_row_whose_size_cannot_hold_its_experts_is_refused() -> None:
    row = CATALOG.get("llama-4-scout")
    broken = replace(row, weights=(replace(row.weights[0], size_gb=100.0),))

    with pytest.raises(CannotPlan, match="cannot hold 193 GB of experts"):
        make_plan(broken, "8xH100", today=TODAY)
