"""The numbers of a model's architecture, from which parameters and cache sizes are computed, and the rules that they must obey."""

from __future__ import annotations

from dataclasses import dataclass

from inference.catalog.rules import above_zero, known_fields, one_of, require


@dataclass(frozen=True, slots=True, kw_only=True)
class Moe:
    """Mixture of experts: which layers route tokens, and how wide an expert is."""

    #: Number of layers that route; the others are dense.
    layers: int
    experts: int
    #: Routed experts that a token passes through, in addition to the shared ones.
    active: int
    shared: int
    expert_ffn: int
    #: Every n-th layer routes (Llama 4's interleave_moe_layer_step).
    interleave: int = 1
    #: How many of the first layers are dense (3 in DeepSeek V3).
    first_dense: int = 0

    def __post_init__(self) -> None:
        above_zero(self, "layers", "experts", "active", "expert_ffn", "interleave")
        require(self.active <= self.experts, "active", f"is {self.active}, more than the {self.experts} experts")

    def routes(self, layer: int) -> bool:
        """Whether a layer, counted from 0, routes tokens to experts."""
        return layer >= self.first_dense and (layer + 1) % self.interleave == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mla:
    """Multi-head latent attention: the ranks that it projects to (DeepSeek V3)."""

    q_rank: int
    kv_rank: int
    rope: int
    nope: int
    v: int

    def __post_init__(self) -> None:
        above_zero(self, "q_rank", "kv_rank", "rope", "nope", "v")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAttention:
    """Layers that attend to only a part of the text."""

    #: chunked: to the token's own chunk (Llama 4); sliding: to the last tokens (Gemma 3).
    kind: str
    window: int
    local_layers: int
    global_layers: int

    def __post_init__(self) -> None:
        one_of(self.kind, ("chunked", "sliding"), "kind")
        above_zero(self, "window", "local_layers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The shape of a model's layers."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    #: With latent attention, the part of a head without rotary position (`mla.nope`).
    head_size: int
    #: Width of a dense layer's feed-forward part; 0 where no layer is dense.
    ffn: int
    vocabulary: int
    tied_embeddings: bool
    moe: Moe | None = None
    mla: Mla | None = None
    local: LocalAttention | None = None
    #: Parameters of the vision encoder and its projector, in billions; 0 for a model that reads no images.
    vision_b: float = 0.0
    source: str
    #: Names of the numbers above that were not read at their origin.
    unconfirmed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        above_zero(self, "layers", "hidden", "heads", "kv_heads", "head_size", "vocabulary")
        require(self.heads % self.kv_heads == 0, "kv_heads", f"is {self.kv_heads}, which does not divide the {self.heads} heads")
        if self.moe:
            routing = sum(self.moe.routes(layer) for layer in range(self.layers))
            require(
                self.moe.layers == routing,
                "moe.layers",
                f"is {self.moe.layers}, but of {self.layers} layers {routing} route (interleave {self.moe.interleave}, first_dense {self.moe.first_dense})",
            )
        if self.moe is None or self.moe.layers < self.layers:
            require(self.ffn > 0, "ffn", "is 0, but there are dense layers")
        if self.local:
            both = self.local.local_layers + self.local.global_layers
            require(both == self.layers, "local.local_layers", f"and global_layers add up to {both}, not to the {self.layers} layers")
        if self.mla:
            require(self.head_size == self.mla.nope, "head_size", f"is {self.head_size}, but mla.nope is {self.mla.nope}")
        known_fields(self, "moe", "mla", "local")
