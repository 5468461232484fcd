"""How many parameters a model has, by where they are: what expert parallelism spreads over GPUs, and what it does not."""

from __future__ import annotations

from dataclasses import dataclass

from inference.catalog.architecture import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Counts of parameters."""

    total: float
    #: Those that one token passes through.
    active: float
    #: Routed experts of all layers, which expert parallelism spreads over GPUs. 0 for a dense model, None where it was not published.
    routed: float | None
    #: Those of the routed experts that one token passes through.
    routed_active: float
    #: One expert of one layer.
    expert: float
    #: One matrix between tokens and hidden states; there are two unless they are tied.
    embedding: float


def attention(a: Architecture) -> float:
    """Return the parameters of one layer's attention."""
    if a.mla is None:
        return a.hidden * a.heads * a.head_size * 2 + a.hidden * a.kv_heads * a.head_size * 2
    m = a.mla
    queries = a.hidden * m.q_rank + m.q_rank * a.heads * (m.nope + m.rope)
    keys = a.hidden * (m.kv_rank + m.rope) + m.kv_rank * a.heads * (m.nope + m.v)
    return queries + keys + a.heads * m.v * a.hidden


def count(a: Architecture) -> Parameters:
    """Count the parameters of an architecture; the vision encoder is in the total alone, and draft layers are left out."""
    moe_layers = a.moe.layers if a.moe else 0
    expert = 3 * a.hidden * a.moe.expert_ffn if a.moe else 0
    routed = moe_layers * a.moe.experts * expert if a.moe else 0
    routed_active = moe_layers * a.moe.active * expert if a.moe else 0
    shared = moe_layers * (a.moe.shared * expert + a.hidden * a.moe.experts) if a.moe else 0
    dense = (a.layers - moe_layers) * 3 * a.hidden * a.ffn
    embedding = a.vocabulary * a.hidden
    rest = a.layers * attention(a) + shared + dense + embedding * (1 if a.tied_embeddings else 2)
    return Parameters(
        # A text token does not pass through the vision encoder.
        total=routed + rest + a.vision_b * 1e9,
        active=routed_active + rest,
        routed=routed,
        routed_active=routed_active,
        expert=expert,
        embedding=embedding,
    )
