"""How many parameters a model has, by where they live: what expert parallelism spreads, and what it does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The catalog counts, too, when it reads a row.
    from inference.catalog import Architecture, Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Counts of parameters."""

    total: float
    #: Those that one token goes through.
    active: float
    #: Routed experts of all layers: expert parallelism spreads these. 0 for a dense model, None where it was not published.
    routed: float | None
    #: Of which one token goes through.
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


def text_parameters(a: Architecture) -> Parameters:
    """Count what the architecture's numbers say; eyes and draft layers are not among them."""
    moe_layers = a.moe.layers if a.moe else 0
    expert = 3 * a.hidden * a.moe.expert_ffn if a.moe else 0
    routed = moe_layers * a.moe.experts * expert if a.moe else 0
    routed_active = moe_layers * a.moe.active * expert if a.moe else 0
    shared = moe_layers * (a.moe.shared * expert + a.hidden * a.moe.experts) if a.moe else 0
    dense = (a.layers - moe_layers) * 3 * a.hidden * a.ffn
    embedding = a.vocabulary * a.hidden
    rest = a.layers * attention(a) + shared + dense + embedding * (1 if a.tied_embeddings else 2)
    return Parameters(
        total=routed + rest, active=routed_active + rest, routed=routed, routed_active=routed_active, expert=expert, embedding=embedding
    )


def count(model: Model) -> Parameters:
    """Count a model's parameters, eyes included; the published totals where its architecture was not published."""
    if model.architecture is None:
        return Parameters(total=model.total_b * 1e9, active=model.active_b * 1e9, routed=None, routed_active=0, expert=0, embedding=0)
    text = text_parameters(model.architecture)
    # A token of text goes past the eyes.
    return replace(text, total=text.total + model.architecture.vision_b * 1e9)
