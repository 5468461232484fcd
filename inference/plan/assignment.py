"""Says which part of the model each GPU holds."""

from __future__ import annotations

from dataclasses import dataclass

from inference.plan.summary import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuAssignment:
    """The part of the model that one GPU holds."""

    host: int
    #: Its number within the host.
    gpu: int
    dp_rank: int
    stage: int
    tp_rank: int
    #: The first and last routed expert of each layer that it holds; None without expert parallelism, or where their number was not published.
    experts: tuple[int, int] | None


def assignments(plan: Plan) -> tuple[GpuAssignment, ...]:
    """Return the GPUs in vLLM's order: tensor ranks first, then pipeline stages, then data-parallel ranks; experts are split in order."""
    layout = plan.layout
    per_host = layout.gpus // layout.nodes
    found: list[GpuAssignment] = []
    for number in range(layout.gpus):
        tp_rank, stage, dp_rank = number % layout.tp, number // layout.tp % layout.pp, number // (layout.tp * layout.pp)
        found.append(
            GpuAssignment(
                host=number // per_host,
                gpu=number % per_host,
                dp_rank=dp_rank,
                stage=stage,
                tp_rank=tp_rank,
                experts=_experts(plan, dp_rank * layout.tp + tp_rank),
            )
        )
    return tuple(found)


def _experts(plan: Plan, rank: int) -> tuple[int, int] | None:
    a, ep = plan.model.architecture, plan.layout.ep
    if ep == 1 or a is None or a.moe is None:
        return None
    each, more = divmod(a.moe.experts + plan.question.redundant_experts, ep)
    first = rank * each + min(rank, more)
    return first, first + each + (1 if rank < more else 0) - 1
