"""Memory of one GPU: the weights, the overhead, and the pool that is left for the KV cache.

Sizes are in bytes, for the fullest GPU of a layout; GB are 10^9.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from inference.catalog import Architecture, LocalAttention, Model, NumberFormat, Weights
from inference.catalog.parameters import Parameters, attention
from inference.plan.errors import CannotPlan
from inference.plan.gpus import Gpu
from inference.plan.layout import Layout

#: Share of the GPU's memory that vLLM uses: the default of its --gpu-memory-utilization.
UTILISATION = 0.92
#: Activations, CUDA graphs and NCCL: between 5 and 8 GB in practice.
OVERHEAD = 6e9
#: --max-num-batched-tokens, which a step may add to a local window. Recommended for Llama 4; vLLM's default on 80 to 141 GB GPUs.
BATCHED_TOKENS = 8192
#: Where the search for the longest conversation ends, since a cache of local layers alone stops growing. No model reads more.
_LONGEST = 2**40
#: Share of the pool that plans use: published long contexts were 0.5 to 0.85 of what the formula allows.
MARGIN = 0.8
#: 4 bits and a 16-bit scale and zero per group of 128; 4 bits and an fp8 scale per group of 16.
BYTES_PER_PARAMETER = {NumberFormat.BF16: 2.0, NumberFormat.FP8: 1.0, NumberFormat.W4A16: 0.515625, NumberFormat.NVFP4: 0.5625}


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightBytes:
    """The bytes of a file set, by how they are split over GPUs."""

    #: Spread by expert parallelism; 0 for a dense model, and where the number was not published.
    routed: float
    #: Split by tensor parallelism alone.
    other: float
    #: One matrix between tokens and hidden states, among `other`.
    embedding: float
    #: Draft layers of speculative decoding: routed and other.
    draft_routed: float = 0.0
    draft_other: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KvRule:
    """What determines the size of the KV cache."""

    bytes_per_value: int
    #: Whether vLLM's hybrid manager frees what local layers no longer attend to.
    hybrid: bool
    #: Layers of the draft head, which have a cache like the others.
    draft_layers: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """The fullest GPU of a layout, in bytes."""

    memory: float
    usable: float
    weights: float
    overhead: float
    #: What is left for KV; never negative.
    pool: float
    #: KV of one conversation of the plan's whole context, on this GPU; None: not published.
    sequence: float | None
    #: What is missing; 0 where it fits.
    missing: float
    #: KV of one token of a short conversation, over all layers, in one copy; None: not published.
    kv_per_token: int | None
    #: Tokens of short conversations that fit over all data-parallel ranks; None: not published.
    pool_tokens: int | None
    #: Longest single conversation that fits, whatever the model itself allows; None: not published, or any length fits.
    longest: int | None

    @property
    def fits(self) -> bool:
        """Whether weights, overhead and one whole conversation fit."""
        return self.weights + self.overhead + (self.sequence or 0.0) < self.usable


def weight_bytes(model: Model, weights: Weights, *, speculative: bool = False) -> WeightBytes:
    """Split a file set into routed experts and the rest; raise CannotPlan when its size is too small for the experts."""
    parameters = model.parameters()
    routed = (parameters.routed or 0) * BYTES_PER_PARAMETER[weights.format]
    other = weights.size_gb * 1e9 - routed
    if other <= 0:
        raise CannotPlan(
            f"{model.key}: {weights.size_gb:g} GB of {weights.format} cannot hold {routed / 1e9:.0f} GB of experts; correct size_gb in the model's file"
        )
    draft_routed, draft_other = _draft(model, parameters, weights.format) if speculative else (0.0, 0.0)
    return WeightBytes(routed=routed, other=other, embedding=parameters.embedding * 2, draft_routed=draft_routed, draft_other=draft_other)


def _draft(model: Model, parameters: Parameters, form: NumberFormat) -> tuple[float, float]:
    """Return the bytes of the draft layers: for MTP one more layer with its own embedding and head, for EAGLE one dense layer and a head, in bf16.

    The EAGLE layer is as wide as the model's dense layers, or as two experts where it has none (Scout: 16,384, like Maverick's dense layers).
    """
    a, method = model.architecture, model.serving.speculative_method if model.serving else ""
    if a is None or not method:
        raise CannotPlan(f"{model.title} has no speculative decoding in the catalog: leave --speculative out")
    if method == "mtp" and a.moe is not None:
        size = BYTES_PER_PARAMETER[form]
        rest = attention(a) + a.moe.shared * parameters.expert + 2 * a.hidden**2
        return a.moe.experts * parameters.expert * size, rest * size + 2 * parameters.embedding * size
    ffn = a.ffn or (2 * a.moe.expert_ffn if a.moe else 0)
    return 0.0, 2 * (attention(a) + 3 * a.hidden * ffn + parameters.embedding)


def weights_per_gpu(parts: WeightBytes, layout: Layout, a: Architecture | None, *, redundant: int = 0) -> float:
    """Return the weights on the fullest GPU: routed experts are split over TP x DP, the rest over TP, and stages hold whole layers."""
    share = _expert_share(layout, a, redundant)
    draft = parts.draft_routed * share + parts.draft_other / layout.tp
    if layout.pp == 1:
        return parts.routed * share + parts.other / layout.tp + draft
    stage = 1 / layout.pp if a is None else math.ceil(a.layers / layout.pp) / a.layers
    ends = parts.embedding * (1 if a is not None and a.tied_embeddings else 2)
    layers = parts.routed * share + (parts.other - ends) / layout.tp
    return layers * stage + parts.embedding / layout.tp + draft


def _expert_share(layout: Layout, a: Architecture | None, redundant: int) -> float:
    """Return the share of all routed experts that is on the rank with the most."""
    if a is None or a.moe is None:
        return 1 / layout.tp
    return math.ceil((a.moe.experts + redundant) / layout.ep) / a.moe.experts


def kv_rule(model: Model, kv: str, *, speculative: bool) -> KvRule:
    """Return the rule for a model's cache. With EAGLE, vLLM switches off the hybrid manager for Llama 4."""
    method = model.serving.speculative_method if model.serving and speculative else ""
    local = model.architecture.local if model.architecture else None
    chunked = local is not None and local.kind == "chunked"
    return KvRule(
        bytes_per_value=1 if kv == "fp8" else 2, hybrid=not (chunked and method.startswith("eagle")), draft_layers=1 if method else 0
    )


def layer_bytes(a: Architecture, rule: KvRule) -> int:
    """Return the KV of one token in one layer: keys and values of all KV heads, or MLA's latent and rope."""
    values = a.mla.kv_rank + a.mla.rope if a.mla else 2 * a.kv_heads * a.head_size
    return values * rule.bytes_per_value


def token_bytes(a: Architecture, rule: KvRule) -> int:
    """Return the KV of one token in all layers, in one copy, while every layer still attends to it."""
    return layer_bytes(a, rule) * (a.layers + rule.draft_layers)


def sequence_bytes(a: Architecture, length: int, rule: KvRule) -> int:
    """Return the KV of one conversation of `length` tokens, one copy. A sliding window keeps window - 1 tokens and those of the step."""
    each = layer_bytes(a, rule)
    if a.local is None or not rule.hybrid:
        return each * length * (a.layers + rule.draft_layers)
    window = a.local.window if a.local.kind == "chunked" else a.local.window - 1
    everywhere = a.local.global_layers + rule.draft_layers
    return each * (everywhere * length + padded(a.local) * min(length, window + BATCHED_TOKENS))


def padded(local: LocalAttention) -> int:
    """Return how many local layers take memory: the hybrid manager groups them by the number of global ones (Gemma 3: 52 take that of 60)."""
    group = local.global_layers or 1
    return math.ceil(local.local_layers / group) * group


def shards(a: Architecture, layout: Layout) -> float:
    """Return over how many GPUs one copy of the KV is spread: heads over tensor ranks, layers over stages. MLA's is whole on EVERY rank."""
    heads = 1 if a.mla else min(layout.tp, a.kv_heads)
    return heads * a.layers / math.ceil(a.layers / layout.pp)


def footprint(model: Model, gpu: Gpu, layout: Layout, parts: WeightBytes, *, context: int, rule: KvRule, redundant: int = 0) -> Footprint:
    """Work out the fullest GPU for conversations of up to `context` tokens."""
    a = model.architecture
    usable = gpu.memory_gb * 1e9 * UTILISATION
    weights = weights_per_gpu(parts, layout, a, redundant=redundant)
    left = usable - weights - OVERHEAD
    pool = max(0.0, left)
    # If the architecture is unpublished, nothing is known but that something must be left.
    sequence = None if a is None else sequence_bytes(a, context, rule) / shards(a, layout)
    missing = max(0.0, (sequence or 0.0) - left)
    per_token = None if a is None else token_bytes(a, rule)
    return Footprint(
        memory=gpu.memory_gb * 1e9,
        usable=usable,
        weights=weights,
        overhead=OVERHEAD,
        pool=pool,
        sequence=sequence,
        missing=missing,
        kv_per_token=per_token,
        pool_tokens=None if a is None else int(pool * shards(a, layout) / sequence_bytes(a, 1, rule)) * layout.dp,
        longest=None if a is None else longest(a, pool * shards(a, layout), rule),
    )


def longest(a: Architecture, capacity: float, rule: KvRule) -> int | None:
    """Return the longest conversation whose KV fits into `capacity` bytes, in tokens; None where any length fits."""
    if sequence_bytes(a, _LONGEST, rule) <= capacity:
        return None
    low, high = 0, 1
    while sequence_bytes(a, high, rule) <= capacity:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if sequence_bytes(a, middle, rule) <= capacity else (low, middle)
    return low


def warm(a: Architecture, layout: Layout, pool: float, length: int, rule: KvRule) -> int:
    """Return how many conversations of `length` tokens the pools of all ranks hold within the margin; at least one where one fits without it."""
    capacity, each = pool * shards(a, layout), sequence_bytes(a, length, rule)
    return max(int(capacity * MARGIN / each), min(1, int(capacity / each))) * layout.dp


def offload_each(layout: Layout, gib: float) -> float:
    """Return the host memory of one engine (data-parallel rank) in GiB, of `gib` on each host.

    The engines of a host share it. An engine over several hosts has the amount of one: vLLM makes the whole buffer on each host.
    """
    return gib / max(1, layout.dp // layout.nodes)


def offloaded(a: Architecture, layout: Layout, gib: float, length: int, rule: KvRule) -> int:
    """Return how many conversations `gib` of memory on each host hold. Without stages, MLA's latent is there once and not for each rank."""
    copies = 1 if a.mla and layout.pp == 1 else layout.tp * layout.pp / shards(a, layout)
    return int(offload_each(layout, gib) * 2**30 / copies / sequence_bytes(a, length, rule)) * layout.dp
