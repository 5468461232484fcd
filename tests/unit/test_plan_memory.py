"""Parameters, weights and KV caches against published numbers. Sources stand beside them; "by hand" means worked out on paper from the architecture's numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inference.catalog import Architecture, LocalAttention
from inference.plan import Forced, Question, make_plan
from inference.plan.layout import Layout
from inference.plan.memory import BYTES_PER_PARAMETER, KvRule, layer_bytes, offloaded, sequence_bytes, token_bytes, weight_bytes
from inference.plan.memory import weights_per_gpu as per_gpu
from tests.support.plans import BF16, CATALOG, FP8, NVFP4, TODAY, W4A16, a_plan

_BF16_CACHE = KvRule(bytes_per_value=2, hybrid=True)
_FP8_CACHE = KvRule(bytes_per_value=1, hybrid=True)
_NOT_HYBRID = KvRule(bytes_per_value=2, hybrid=False)


def _architecture(model: str) -> Architecture:
    architecture = CATALOG.get(model).architecture
    assert architecture is not None
    return architecture


@pytest.mark.parametrize(
    ("model", "published_b", "active_b"),
    [
        # Model cards of meta-llama on the hub: 109B, 402B; of deepseek-ai: 671B and 37B active; of google: 27.4B; of mistralai: 24.0B.
        ("llama-4-scout", 109.0, 17.0),
        ("llama-4-maverick", 402.0, 17.0),
        ("deepseek-v3", 671.0, 37.0),
        ("gemma-3-27b", 27.4, 27.4),
        ("mistral-small-3.1", 24.0, 24.0),
    ],
)
def test_parameters_come_out_as_published(model: str, published_b: float, active_b: float) -> None:
    counted = CATALOG.get(model).parameters()

    assert pytest.approx(published_b, rel=0.01) == counted.total / 1e9
    # By hand: 17.2B and 37.6B for the model cards' 17B and 37B; a token of text does not pass through the vision tower.
    assert pytest.approx(active_b, rel=0.02) == counted.active / 1e9


def test_behemoth_is_counted_by_what_was_announced() -> None:
    counted = CATALOG.get("llama-4-behemoth").parameters()

    assert (counted.total, counted.active, counted.routed) == (2000e9, 288e9, None)


@pytest.mark.parametrize(
    ("model", "form", "layout", "gb"),
    [
        # By hand: routed bytes / (TP x DP) + other bytes / TP.
        ("llama-4-scout", W4A16, Layout(), 60),
        ("llama-4-scout", FP8, Layout(), 112),
        ("llama-4-scout", NVFP4, Layout(), 65),
        ("llama-4-scout", BF16, Layout(tp=4, ep=4), 54),
        ("llama-4-scout", BF16, Layout(tp=8, ep=8), 27),
        ("llama-4-maverick", FP8, Layout(tp=8, ep=8), 52),
        ("llama-4-maverick", FP8, Layout(dp=8, ep=8), 78),
        ("llama-4-maverick", BF16, Layout(tp=8, ep=8), 100),
        ("deepseek-v3", FP8, Layout(tp=8, ep=8), 84),
        ("deepseek-v3", FP8, Layout(dp=8, ep=8), 101),
        ("deepseek-v3", NVFP4, Layout(tp=4, ep=4), 99),
        ("mistral-small-3.1", BF16, Layout(), 48),
        ("gemma-3-27b", BF16, Layout(), 55),
    ],
)
def test_weights_on_a_gpu_are_routed_experts_over_tp_x_dp_and_the_rest_over_tp(model: str, form, layout: Layout, gb: float) -> None:
    row = CATALOG.get(model)
    weights = next(weights for weights in row.weights if weights.format is form)

    assert pytest.approx(gb, rel=0.02) == per_gpu(weight_bytes(row, weights), layout, row.architecture) / 1e9


def test_the_fullest_rank_counts_where_experts_do_not_divide() -> None:
    row = CATALOG.get("llama-4-scout")
    parts = weight_bytes(row, row.weights[0])

    # 16 experts over 3 ranks: one of them has 6.
    assert parts.routed * 6 / 16 + parts.other == per_gpu(parts, Layout(dp=3, ep=3), row.architecture)


def test_stages_hold_whole_layers_and_one_end_each() -> None:
    row = CATALOG.get("mistral-small-3.1")
    parts = weight_bytes(row, row.weights[0])

    halves = (parts.other - 2 * parts.embedding) / 2 + parts.embedding
    thirds = (parts.other - 2 * parts.embedding) * 14 / 40 + parts.embedding
    assert pytest.approx(halves) == per_gpu(parts, Layout(pp=2), row.architecture)
    assert pytest.approx(thirds) == per_gpu(parts, Layout(pp=3), row.architecture)


@pytest.mark.parametrize(
    ("model", "redundant_gb"),
    [
        # vLLM's page on expert parallelism has 2.4 GiB for one more DeepSeek expert a rank; by hand 12 GB for Scout and 3.0 GB for Maverick.
        ("deepseek-v3", 2.4 * 2**30 / 1e9),
        ("llama-4-scout", 12),
        ("llama-4-maverick", 3.0),
    ],
)
def test_one_more_expert_a_rank_costs_as_published(model: str, redundant_gb: float) -> None:
    row = CATALOG.get(model)
    parts = weight_bytes(row, next(weights for weights in row.weights if weights.repo and weights.format in {BF16, FP8}))
    if model == "llama-4-maverick":
        parts = weight_bytes(row, next(weights for weights in row.weights if weights.format is FP8))
    layout = Layout(tp=8, ep=8)
    more = per_gpu(parts, layout, row.architecture, redundant=8) - per_gpu(parts, layout, row.architecture)

    assert pytest.approx(redundant_gb, rel=0.02) == more / 1e9


@pytest.mark.parametrize(
    ("model", "rule", "size"),
    [
        # By hand: 2 x KV heads x head size x bytes x layers; for MLA (512 + 64) x bytes x layers.
        ("llama-4-scout", _BF16_CACHE, 196_608),
        ("llama-4-scout", _FP8_CACHE, 98_304),
        ("llama-4-maverick", _BF16_CACHE, 196_608),
        ("deepseek-v3", _BF16_CACHE, 70_272),
        ("deepseek-v3", _FP8_CACHE, 35_136),
        ("mistral-small-3.1", _BF16_CACHE, 163_840),
        ("mistral-small-3.1", _FP8_CACHE, 81_920),
        ("gemma-3-27b", _BF16_CACHE, 507_904),
    ],
)
def test_a_token_of_kv_has_its_size(model: str, rule: KvRule, size: int) -> None:
    assert size == token_bytes(_architecture(model), rule)


def test_a_deepseek_block_of_128_is_what_vllm_prints() -> None:
    # Computed 8.58 MiB; vLLM's page on KV cache sizes has 8.6.
    block = 128 * token_bytes(_architecture("deepseek-v3"), _BF16_CACHE) / 2**20

    assert pytest.approx(8.58, abs=0.005) == block


@pytest.mark.parametrize(
    ("model", "length", "gb"),
    [
        # By hand, for bf16 and 8192 tokens a step; vLLM publishes 8.6 MiB for a 128-token block of DeepSeek.
        ("llama-4-scout", 4 * 1024, 0.81),
        ("llama-4-scout", 8 * 1024, 1.6),
        ("llama-4-scout", 32 * 1024, 4.0),
        ("llama-4-scout", 128 * 1024, 8.9),
        ("llama-4-scout", 1024**2, 54.0),
        ("llama-4-scout", 1_000_000, 51.6),
        ("llama-4-scout", 10_000_000, 494.0),
        ("deepseek-v3", 4 * 1024, 0.29),
        ("deepseek-v3", 128 * 1024, 9.2),
    ],
)
def test_a_conversation_of_kv_has_its_size(model: str, length: int, gb: float) -> None:
    assert pytest.approx(gb, rel=0.015) == sequence_bytes(_architecture(model), length, _BF16_CACHE) / 1e9


def test_without_the_hybrid_manager_ten_million_tokens_are_four_times_as_large() -> None:
    # By hand: 196,608 bytes a token over all 48 layers.
    whole = sequence_bytes(_architecture("llama-4-scout"), 10_000_000, _NOT_HYBRID)

    assert pytest.approx(1966, rel=0.001) == whole / 1e9


def test_gemma_keeps_its_window_and_its_52_local_layers_count_as_60() -> None:
    # By hand: 14.7 GB for 128k; vLLM's manager rounds the local layers up to a multiple of the 10 global ones.
    padded = sequence_bytes(_architecture("gemma-3-27b"), 128 * 1024, _BF16_CACHE)
    added = layer_bytes(_architecture("gemma-3-27b"), _BF16_CACHE) * 8 * (1023 + 8192)

    assert pytest.approx(14.7, rel=0.005) == (padded - added) / 1e9


def test_short_talks_fill_the_pool_that_is_told() -> None:
    # Gemma's pool counts its 52 local layers as 60 too: warm conversations are planned with that many tokens of short ones.
    plan = a_plan("gemma-3-27b", "h100", Question(format=FP8))

    assert plan.memory.pool_tokens is not None
    assert int(plan.memory.pool_tokens * 0.8 / 3150) == plan.conversations
    assert any("52 local layers take as much memory as 60" in one for one in plan.assumptions)


def test_a_model_of_local_layers_alone_has_conversations_of_any_length() -> None:
    # Mistral 7B's first version is one: beyond the window a conversation grows no more.
    row = CATALOG.get("gemma-3-27b")
    sliding = replace(_architecture("gemma-3-27b"), local=LocalAttention(kind="sliding", window=4096, local_layers=62, global_layers=0))
    plan = make_plan(replace(row, architecture=sliding), "h100", today=TODAY, question=Question(format=FP8))

    assert plan.fits
    assert plan.memory.longest is None
    assert plan.to_json()["longest_context"] is None


@pytest.mark.parametrize(
    ("model", "gpus", "question", "tokens"),
    [
        # By hand: what utilisation 0.92, the weights and 6 GB of overhead leave, over the bytes of a token; rounded.
        ("llama-4-scout", "h100", Question(format=W4A16), 60e3),
        ("llama-4-scout", "h100", Question(format=W4A16, kv="fp8"), 120e3),
        ("llama-4-scout", "h200", Question(format=FP8), 104e3),
        ("llama-4-scout", "h200", Question(format=FP8, kv="fp8"), 207e3),
        ("llama-4-scout", "b200", Question(format=NVFP4), 0.54e6),
        ("llama-4-scout", "4xh100", Question(format=BF16), 0.36e6),
        ("llama-4-scout", "8xh100", Question(format=BF16), 1.8e6),
        ("llama-4-maverick", "8xh100", Question(format=FP8), 0.82e6),
        ("llama-4-maverick", "8xh100", Question(format=FP8, kv="fp8"), 1.6e6),
        ("llama-4-maverick", "8xh200", Question(format=FP8), 3.2e6),
        ("llama-4-maverick", "8xh200", Question(format=FP8, forced=Forced(dp=8)), 2.2e6),
        ("llama-4-maverick", "4xb200", Question(format=NVFP4), 2.2e6),
        ("deepseek-v3", "8xh200", Question(format=FP8), 0.68e6),
        ("deepseek-v3", "8xh200", Question(format=FP8, forced=Forced(dp=8)), 3.6e6),
        ("deepseek-v3", "16xh100", Question(format=FP8, forced=Forced(dp=16)), 2.8e6),
        ("deepseek-v3", "4xb200", Question(format=NVFP4), 1.0e6),
        ("mistral-small-3.1", "h100", Question(format=BF16), 150e3),
        ("mistral-small-3.1", "h100", Question(format=FP8), 290e3),
        # There without what the manager's groups add: 62 layers for 70.
        ("gemma-3-27b", "h100", Question(format=BF16), 36e3 * 62 / 70),
        ("gemma-3-27b", "h100", Question(format=FP8), 87e3 * 62 / 70),
    ],
)
def test_the_pool_of_each_profile_comes_out_within_six_percent(model: str, gpus: str, question: Question, tokens: float) -> None:
    plan = a_plan(model, gpus, question)

    assert plan.fits
    assert pytest.approx(tokens, rel=0.06) == plan.memory.pool_tokens


@pytest.mark.parametrize(
    ("model", "gpus", "question", "tokens"),
    [
        # By hand: the longest sequence that the pool holds.
        ("llama-4-scout", "h100", Question(format=W4A16), 190e3),
        ("llama-4-scout", "h100", Question(format=W4A16, kv="fp8"), 430e3),
        ("llama-4-scout", "h200", Question(format=FP8), 0.37e6),
        ("llama-4-scout", "b200", Question(format=NVFP4), 2.1e6),
        ("llama-4-scout", "8xh100", Question(format=BF16), 7.3e6),
        ("llama-4-maverick", "8xh100", Question(format=FP8), 3.2e6),
    ],
)
def test_the_longest_conversation_comes_out_within_six_percent(model: str, gpus: str, question: Question, tokens: float) -> None:
    assert pytest.approx(tokens, rel=0.06) == a_plan(model, gpus, question).memory.longest


def test_scout_reads_ten_million_tokens_on_eight_h200() -> None:
    # By hand: 17M tokens fit with the hybrid manager.
    plan = a_plan("llama-4-scout", "8xH200", Question(format=BF16, context=10_485_760))

    assert plan.fits
    assert pytest.approx(17e6, rel=0.05) == plan.memory.longest


def test_deepseek_leaves_the_room_that_a_published_run_had() -> None:
    # A published run of R1 FP8 on 8xH200 had 45.7 GB a GPU left for KV.
    plan = a_plan("deepseek-v3", "8xH200", Question(format=FP8, forced=Forced(tp=8)))

    assert pytest.approx(45.7, rel=0.08) == plan.memory.pool / 1e9


def test_mla_lies_on_every_tensor_rank_and_other_heads_split() -> None:
    tensor = a_plan("deepseek-v3", "8xH200", Question(forced=Forced(tp=8))).memory
    scout = a_plan("llama-4-scout", "8xH100", Question(format=BF16, forced=Forced(tp=8))).memory

    assert int(tensor.pool / 70_272) == tensor.pool_tokens
    assert int(scout.pool * 8 / 196_608) == scout.pool_tokens


def test_eagle_switches_llamas_hybrid_cache_off() -> None:
    # vLLM 0.33's source: the hybrid manager switches itself off under EAGLE with Llama 4.
    plain = a_plan("llama-4-maverick", "8xH100", Question(format=FP8, context=131_072))
    eagle = a_plan("llama-4-maverick", "8xH100", Question(format=FP8, context=131_072, speculative=True))

    assert plain.memory.sequence is not None
    assert eagle.memory.sequence is not None
    # 48 layers and the draft's one keep all 128k tokens; without EAGLE 36 of 48 stop at 16,384.
    assert pytest.approx(131_072 * 49 / (131_072 * 12 + 16_384 * 36)) == eagle.memory.sequence / plain.memory.sequence
    assert any("switches off the hybrid KV cache manager" in one for one in eagle.assumptions)


def test_mtp_brings_deepseeks_fourteen_gigabytes() -> None:
    # DeepSeek's model card: 14B for the MTP module, in FP8.
    row = CATALOG.get("deepseek-v3")
    parts = weight_bytes(row, next(weights for weights in row.weights if weights.format is FP8), speculative=True)

    assert pytest.approx(14, rel=0.05) == (parts.draft_routed + parts.draft_other) / 1e9


def test_host_memory_keeps_as_many_tokens_as_published() -> None:
    # By hand: 200 GiB hold 2.2M tokens of Llama 4's fp8 KV (730 talks of 3k), 3.1M of DeepSeek's in bf16.
    llama = offloaded(_architecture("llama-4-scout"), Layout(tp=8, ep=8), 200, 3000, _FP8_CACHE)
    ranks = offloaded(_architecture("deepseek-v3"), Layout(dp=8, ep=8), 200, 1000, _BF16_CACHE)
    # vLLM 0.32's replicated layout: one copy of the latent for all tensor ranks, as long as there are no stages.
    tensor = offloaded(_architecture("deepseek-v3"), Layout(tp=8, ep=8), 200, 1000, _BF16_CACHE)

    assert pytest.approx(730, rel=0.01) == llama
    assert pytest.approx(3100, rel=0.02) == ranks
    assert pytest.approx(3100, rel=0.02) == tensor


def test_a_draft_for_a_model_without_dense_layers_has_a_feed_forward_part() -> None:
    # Scout's EAGLE layer at 16,384: attention, 3 x 5120 x 16,384, and the head, in bf16.
    row = CATALOG.get("llama-4-scout")
    parts = weight_bytes(row, row.weights[0], speculative=True)
    plan = a_plan("llama-4-scout", "h200", Question(speculative=True))

    assert parts.draft_other == 2 * (2 * 5120 * (5120 + 1024) + 3 * 5120 * 16_384 + 202_048 * 5120)
    assert any("16,384" in one for one in plan.assumptions)


def test_four_bits_cost_what_their_scales_add() -> None:
    # compressed-tensors: a 16-bit scale for each group of 128 (4.125 bits); NVFP4: an fp8 scale for each group of 16 (4.5 bits).
    assert (BYTES_PER_PARAMETER[W4A16], BYTES_PER_PARAMETER[NVFP4]) == (0.515625, 0.5625)
