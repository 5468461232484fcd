"""How a model is split over GPUs (tensor, data, expert and pipeline parallel), and which splits a model and its hosts allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from inference.catalog import Architecture, Model
from inference.plan.errors import CannotPlan
from inference.plan.gpus import Gpus
from inference.plan.question import Forced

#: Degrees of tensor parallelism, all inside one host: across hosts every layer would wait for the network twice.
_TENSOR = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One engine: dp ranks, each of pp stages, each of tp GPUs."""

    tp: int = 1
    dp: int = 1
    pp: int = 1
    #: Hosts in use.
    nodes: int = 1
    #: GPUs over which the routed experts of a layer are spread (tp x dp); 1 without expert parallelism.
    ep: int = 1

    @property
    def gpus(self) -> int:
        """GPUs in use."""
        return self.tp * self.dp * self.pp

    @property
    def text(self) -> str:
        """In the form `tp8 ep8`; degrees of 1 are left out."""
        return " ".join(f"{name}{size}" for name, size in self.sizes().items() if size > 1) or "one GPU"

    def sizes(self) -> dict[str, int]:
        """Return the degrees by name."""
        return {"tp": self.tp, "dp": self.dp, "ep": self.ep, "pp": self.pp}


def candidates(model: Model, gpus: Gpus, forced: Forced) -> list[Layout]:
    """Return the layouts in which the model can use all these GPUs; raise CannotPlan when the forced one is not among them."""
    found = [layout for layout in _all(model, gpus) if _wanted(layout, forced)]
    if found:
        return found
    allowed = ", ".join(sorted({layout.text for layout in _all(model, gpus)})) or "none"
    if forced == Forced():
        raise CannotPlan(f"{model.title} cannot be split over {gpus.text}: {_why_none(model)}; use 1, 2, 4 or 8 GPUs, or whole hosts of 8")
    raise CannotPlan(f"{model.title} on {gpus.text} has no such layout; allowed are: {allowed}")


def _all(model: Model, gpus: Gpus) -> Iterator[Layout]:
    for tp in _TENSOR:
        if gpus.per_host % tp or not _splits(model.architecture, tp):
            continue
        ranks = gpus.count // tp
        if _spreads(model, tp=tp, dp=ranks):
            yield _layout(model, gpus, tp=tp, dp=ranks, pp=1)
        if ranks > 1 and _stages_make_sense(gpus, tp) and _has_layers(model.architecture, ranks):
            yield _layout(model, gpus, tp=tp, dp=1, pp=ranks)


def _stages_make_sense(gpus: Gpus, tp: int) -> bool:
    """Pipeline stages go across hosts, with TP inside each. Inside a host they are tried without NVLink, or if the GPUs are no power of two."""
    if gpus.hosts > 1:
        return tp == gpus.per_host
    return not gpus.kind.nvlink or gpus.per_host not in _TENSOR


def _layout(model: Model, gpus: Gpus, *, tp: int, dp: int, pp: int) -> Layout:
    ep = tp * dp if is_mixture(model) else 1
    return Layout(tp=tp, dp=dp, pp=pp, nodes=gpus.hosts, ep=ep)


def _splits(a: Architecture | None, tp: int) -> bool:
    """Say whether heads, KV heads and widths divide over tp GPUs (KV heads may be copied instead)."""
    if a is None:
        return True
    heads = a.heads % tp == 0
    kv = a.mla is not None or a.kv_heads % tp == 0 or tp % a.kv_heads == 0
    return heads and kv and a.ffn % tp == 0


def _spreads(model: Model, *, tp: int, dp: int) -> bool:
    """Say whether every rank gets an expert. Without a published architecture it is unknown what data parallelism copies."""
    a = model.architecture
    if a is None:
        return dp == 1
    return a.moe is None or tp * dp <= a.moe.experts


def _has_layers(a: Architecture | None, pp: int) -> bool:
    return a is None or pp <= a.layers


def _wanted(layout: Layout, forced: Forced) -> bool:
    asked = {"tp": forced.tp, "dp": forced.dp, "pp": forced.pp}
    return all(size is None or size == layout.sizes()[name] for name, size in asked.items())


def _why_none(model: Model) -> str:
    a = model.architecture
    return "its layers do not divide" if a is None else f"{a.heads} heads and {a.kv_heads} KV heads do not divide over that many"


def is_mixture(model: Model) -> bool:
    """Say whether the model has routed experts. One of unpublished architecture has them if not all of its parameters are active."""
    if model.architecture is None:
        return model.active_b < model.total_b
    return model.architecture.moe is not None
