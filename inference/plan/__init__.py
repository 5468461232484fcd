"""Plans: whether a model fits these GPUs, in which layout, how fast, at what cost, and with which commands. Pure arithmetic.

    plan = make_plan(model, "8xH100", today=date.today(), question=Question(context=32_768), rivals=catalog.models)

A plan that does not fit is a Plan with `fits` false; CannotPlan is raised only for a question that has no answer.
`plan.commands` holds one process for each host: `command.argv` (vllm, serve, ...) and `command.environment`.
"""

from __future__ import annotations

from inference.plan.errors import CannotPlan
from inference.plan.gpus import Gpu, Gpus, read_gpus
from inference.plan.planning import make_plan
from inference.plan.question import Forced, Question, Reply, read_context
from inference.plan.summary import HostCommand, Plan

__all__ = ["CannotPlan", "Forced", "Gpu", "Gpus", "HostCommand", "Plan", "Question", "Reply", "make_plan", "read_context", "read_gpus"]
