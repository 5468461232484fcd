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
#: Layouts whose reasons are told in one line.
_MOST_REASONS = 3


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
    """Return the layouts in which the model can use all these GPUs; raise CannotPlan when the forced one is not among them.

    The error has the reason of each layout that was asked for, or, where none was, of those that use all GPUs.
    """
    found = [layout for layout in _splits(model, gpus) if refused(model, gpus, layout) is None]
    wanted = [layout for layout in found if _wanted(layout, forced)]
    if wanted:
        return wanted
    if forced == Forced():
        whole = [layout for layout in _splits(model, gpus) if layout.gpus == gpus.count]
        raise CannotPlan(f"{model.title} cannot be split over {gpus.text}: {_reasons(model, gpus, whole)}")
    asked = _asked(model, gpus, forced)
    allowed = ", ".join(sorted({layout.text for layout in found})) or "none"
    raise CannotPlan(f"{model.title} on {gpus.text} has no such layout: {_reasons(model, gpus, asked)}; allowed are: {allowed}")


def _splits(model: Model, gpus: Gpus) -> Iterator[Layout]:
    """Return the layouts that use all GPUs: with tensor ranks, and data-parallel ranks or stages of them."""
    for tp in _TENSOR:
        if gpus.count % tp == 0:
            yield _layout(model, gpus, tp=tp, dp=gpus.count // tp, pp=1)
            if gpus.count > tp:
                yield _layout(model, gpus, tp=tp, dp=1, pp=gpus.count // tp)


def _asked(model: Model, gpus: Gpus, forced: Forced) -> list[Layout]:
    """Return the layouts that were asked for: those that use all GPUs, or what was named alone."""
    whole = [layout for layout in _splits(model, gpus) if _wanted(layout, forced)]
    return whole or [_layout(model, gpus, tp=forced.tp or 1, dp=forced.dp or 1, pp=forced.pp or 1)]


def _reasons(model: Model, gpus: Gpus, layouts: list[Layout]) -> str:
    """Return each layout's own reason; those with the most tensor ranks first, which are the usual ones."""
    told: dict[str, str] = {}
    for layout in sorted(layouts, key=lambda layout: (-layout.tp, layout.pp)):
        told.setdefault(refused(model, gpus, layout) or "", layout.text)
    return "; ".join(f"{text}: {why}" for why, text in list(told.items())[:_MOST_REASONS])


def refused(model: Model, gpus: Gpus, layout: Layout) -> str | None:
    """Return why the model cannot be laid out like this on these GPUs; None where it can."""
    return (
        _bad_size(gpus, layout)
        or _bad_tensor(model.architecture, layout.tp)
        or _bad_ranks(model, layout)
        or _bad_stages(model, gpus, layout)
    )


def _bad_size(gpus: Gpus, layout: Layout) -> str | None:
    if layout.tp not in _TENSOR:
        return f"tensor parallelism takes 1, 2, 4 or 8 GPUs, not {layout.tp}"
    if gpus.per_host % layout.tp:
        return f"the {_number(gpus.per_host, 'GPU')} of a host do not divide into groups of {layout.tp}, and tensor parallelism stays inside a host"
    if layout.gpus != gpus.count:
        return f"it uses {_number(layout.gpus, 'GPU')}, and all {gpus.count} must be used"
    return None


def _bad_tensor(a: Architecture | None, tp: int) -> str | None:
    """Say which of heads, KV heads and widths does not divide over tp GPUs (KV heads may be copied instead)."""
    if a is None:
        return None
    if a.heads % tp:
        return f"{a.heads} heads do not divide over {tp} GPUs"
    if a.mla is None and a.kv_heads % tp and tp % a.kv_heads:
        return f"{a.kv_heads} KV heads do not divide over {tp} GPUs, nor can each be copied equally often"
    return f"a width of {a.ffn:,} does not divide over {tp} GPUs" if a.ffn % tp else None


def _bad_ranks(model: Model, layout: Layout) -> str | None:
    a = model.architecture
    if a is None:
        # Without a published architecture it is unknown what data parallelism copies.
        return "what data parallelism would copy of it was not published" if layout.dp > 1 else None
    ranks = layout.tp * layout.dp
    return f"{a.moe.experts} experts are too few for {ranks} ranks" if a.moe is not None and ranks > a.moe.experts else None


def _bad_stages(model: Model, gpus: Gpus, layout: Layout) -> str | None:
    """Pipeline stages go across hosts, with TP inside each. Inside a host they are tried without NVLink, or if the GPUs are no power of two."""
    a, pp = model.architecture, layout.pp
    if pp == 1:
        return None
    if layout.dp > 1:
        return "stages are not combined with data parallelism"
    if a is not None and pp > a.layers:
        return f"{a.layers} layers are too few for {pp} stages"
    if gpus.hosts > 1 and layout.tp != gpus.per_host:
        return f"each of the {gpus.hosts} hosts is one stage, with tensor parallelism over its {_number(gpus.per_host, 'GPU')}"
    if gpus.hosts == 1 and gpus.kind.nvlink and gpus.per_host in _TENSOR:
        return "stages inside one host are for GPUs without NVLink, or where their number is no power of two: here tensor parallelism is faster"
    return None


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _layout(model: Model, gpus: Gpus, *, tp: int, dp: int, pp: int) -> Layout:
    ep = tp * dp if is_mixture(model) else 1
    return Layout(tp=tp, dp=dp, pp=pp, nodes=gpus.hosts, ep=ep)


def _wanted(layout: Layout, forced: Forced) -> bool:
    asked = {"tp": forced.tp, "dp": forced.dp, "pp": forced.pp}
    return all(size is None or size == layout.sizes()[name] for name, size in asked.items())


def is_mixture(model: Model) -> bool:
    """Say whether the model has routed experts. One of unpublished architecture has them if not all of its parameters are active."""
    if model.architecture is None:
        return model.active_b < model.total_b
    return model.architecture.moe is not None
