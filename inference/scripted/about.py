"""What the scripted model says of itself, in the form of the server that it plays: its model, version and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inference.scripted.played import Played
from inference.scripted.ranks import Rank

#: The version of vLLM whose answers are imitated.
VLLM_VERSION = "0.33.0"
_OWNERS = {"vllm": "vllm", "llamacpp": "llamacpp", "hosted": "system"}


def models(played: Played) -> dict[str, Any]:
    """Return the list of /v1/models; only self-hosted servers say how long a prompt may be."""
    card: dict[str, Any] = {"id": played.model, "object": "model", "created": 0, "owned_by": _OWNERS[played.flavour]}
    if played.flavour == "vllm":
        card |= {"root": played.model, "parent": None, "max_model_len": played.context or 8192}
    elif played.flavour == "llamacpp":
        context = played.context or 8192
        card["meta"] = {"vocab_type": 2, "n_vocab": 49152, "n_ctx": context, "n_ctx_train": max(8192, context), "n_embd": 576}
    return {"object": "list", "data": [card]}


def metrics(played: Played, ranks: Sequence[Rank], rejected: int) -> str:
    """Return the metrics in Prometheus's form: vLLM's with a label for each rank, llama.cpp's without."""
    if played.flavour == "llamacpp":
        running, waiting = sum(rank.running for rank in ranks), sum(rank.waiting for rank in ranks)
        return f"llamacpp:requests_processing {running}\nllamacpp:requests_deferred {waiting}\n"
    lines = [f'vllm:cache_config_info{{block_size="16",enable_prefix_caching="{played.prefix_cache == "on"}",engine="0"}} 1.0']
    for n, rank in enumerate(ranks):
        label = f'{{engine="{n}",model_name="{played.model}"}}'
        figures = {
            "num_requests_running": rank.running,
            "num_requests_waiting": rank.waiting,
            "prefix_cache_queries_total": rank.queried,
            "prefix_cache_hits_total": rank.hit,
        }
        lines += [f"vllm:{name}{label} {float(value)}" for name, value in figures.items()]
    lines.append(f'vllm:admission_rejections_total{{model_name="{played.model}",reason="num_queued_reqs"}} {float(rejected)}')
    return "\n".join(lines) + "\n"
