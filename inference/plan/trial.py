"""Tries one file set on the GPUs of a task in every layout, and takes the best one with a reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

from inference.catalog import Model, NumberFormat, Weights
from inference.plan.gpus import Gpus
from inference.plan.layout import Layout, candidates
from inference.plan.memory import BYTES_PER_PARAMETER, Footprint, KvRule, footprint, kv_rule, offloaded, warm, weight_bytes
from inference.plan.question import DEFAULT_CONTEXT, Prefer, Question
from inference.plan.summary import Considered
from inference.plan.throughput import Machine, Speed, speed

#: The highest --max-num-seqs of a data-parallel rank: above it each reply is slow, and the speed model was not fitted.
_MOST_SLOTS = 256
#: Replies at once where the size of a conversation was not published.
_UNKNOWN_AT_ONCE = 64
#: NVIDIA's first with FP8 units, which an fp8 KV cache needs too.
_FP8_CAPABILITY = 8.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A checked question about one model and some GPUs."""

    model: Model
    gpus: Gpus
    question: Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A file set in its best layout."""

    weights: Weights
    layout: Layout
    reason: str
    memory: Footprint
    #: Why these GPUs cannot run it, whatever the memory; None where they can.
    unable: str | None
    #: Conversations whose KV stays on the GPUs, within the margin; None: their size was not published.
    conversations: int | None
    offloaded: int | None
    #: Replies at once of one data-parallel rank.
    slots: int
    speed: Speed
    considered: tuple[Considered, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether it can run and its memory suffices."""
        return self.unable is None and self.memory.fits


def most_bits_first(model: Model) -> list[Weights]:
    """Return the file sets, those of most bits first."""
    return sorted(model.weights, key=lambda weights: -BYTES_PER_PARAMETER[weights.format])


def try_weights(task: Task, weights: Weights, *, peak_replies_per_s: float | None = None, most_load: float = 1.0) -> Trial:
    """Try every layout and return the best, or the one that lacks least where none fits."""
    tried = [_try(task, weights, layout) for layout in candidates(task.model, task.gpus, task.question.forced)]
    fitting = [trial for trial in tried if trial.fits]
    if not fitting:
        best, reason = (
            min(tried, key=_farness),
            "none fits; this one comes closest",
        )
    else:
        prefer, because = _preference(task.question, fitting, peak_replies_per_s, most_load)
        best = _best(fitting, prefer)
        reason = _reason(task, best, tried, prefer, because)
    considered = tuple(_considered(trial) for trial in tried)
    return replace(best, reason=reason, considered=considered)


def _farness(trial: Trial) -> tuple[bool, int, float, int]:
    """How far a trial is from fitting: one that lacks memory before one that cannot run; of the latter, one that could with other numbers."""
    cannot = trial.unable is not None
    return cannot, -trial.layout.ep if cannot else 0, trial.memory.missing, -trial.layout.tp


def _try(task: Task, weights: Weights, layout: Layout) -> Trial:
    model, question, gpu = task.model, task.question, task.gpus.kind
    rule = kv_rule(model, question.kv, speculative=question.speculative)
    parts = weight_bytes(model, weights, speculative=question.speculative)
    context = question.context or DEFAULT_CONTEXT
    memory = footprint(model, gpu, layout, parts, context=context, rule=rule, redundant=question.redundant_experts)
    cached = _cached(task, layout, memory, rule)
    machine = Machine(model=model, gpu=gpu, layout=layout, form=weights.format, parts=parts, rule=rule)
    most = max(1, min(cached[0] if cached else _UNKNOWN_AT_ONCE, _MOST_SLOTS * layout.dp))
    at_once = min(question.at_once or most, most)
    return Trial(
        weights=weights,
        layout=layout,
        reason="",
        memory=memory,
        unable=_unable(task, weights, layout),
        conversations=cached[0] if cached else None,
        offloaded=cached[1] if cached else None,
        slots=max(1, min(_MOST_SLOTS, -(-at_once // layout.dp))),
        speed=speed(
            machine,
            at_once=at_once,
            tokens_in=question.reply.tokens_in,
            uncached=question.reply.uncached,
            tokens_out=question.reply.tokens_out,
        ),
    )


def _cached(task: Task, layout: Layout, memory: Footprint, rule: KvRule) -> tuple[int, int] | None:
    """Return how many conversations of the reply's length stay cached on the GPUs and in host memory."""
    a, length = task.model.architecture, task.question.reply.tokens
    if a is None:
        return None
    return warm(a, layout, memory.pool, length, rule), offloaded(a, layout, task.question.offload_gib, length, rule)


def _unable(task: Task, weights: Weights, layout: Layout) -> str | None:
    gpu, a, extra = task.gpus.kind, task.model.architecture, task.question.redundant_experts
    # First the reasons that hold for every format, since the reason of one format is shown where none was asked for.
    if task.question.kv == "fp8" and gpu.capability < _FP8_CAPABILITY:
        return f"an fp8 KV cache needs compute capability {_FP8_CAPABILITY:g} or later; {gpu.title} has {gpu.capability:g}"
    if gpu.capability < weights.min_capability:
        units = " (FP4 units)" if weights.format is NumberFormat.NVFP4 else ""
        return f"{weights.format} needs compute capability {weights.min_capability:g} or later{units}; {gpu.title} has {gpu.capability:g}"
    if extra and a is not None and a.moe is not None:
        if layout.ep == 1:
            return "redundant experts need several GPUs with expert parallelism"
        if over := (a.moe.experts + extra) % layout.ep:
            return (
                f"{a.moe.experts} + {extra} experts do not divide over {layout.ep} ranks: {extra - over + layout.ep} redundant ones would"
            )
    return None


def _preference(question: Question, fitting: list[Trial], peak: float | None, most_load: float) -> tuple[Prefer, str]:
    if question.prefer is not None:
        return question.prefer, "as asked"
    if peak is None:
        return "latency", "no number of contacts was given"
    able = _best(fitting, "latency").speed.replies_per_s
    if able * most_load >= peak:
        return "latency", f"it can serve the contacts' busiest hour ({peak:.1f} of {able:.1f} replies/s) and more"
    return (
        "throughput",
        f"the contacts' busiest hour needs {peak:.1f} replies/s, and the layout with the fastest reply gives {able:.1f} at full load",
    )


def _best(fitting: list[Trial], prefer: Prefer) -> Trial:
    if prefer == "latency":
        return max(fitting, key=lambda trial: (trial.speed.one_user_tokens_per_s, trial.memory.pool_tokens or 0))
    return max(fitting, key=lambda trial: (trial.speed.replies_per_s, trial.speed.one_user_tokens_per_s))


def _reason(task: Task, best: Trial, tried: list[Trial], prefer: Prefer, because: str) -> str:
    """Say what the layout does, in its own parts, and give the numbers of the second-best one."""
    layout, forced = best.layout, task.question.forced
    if layout.gpus == 1:
        return "it fits on one GPU"
    if forced.tp or forced.dp or forced.pp:
        text = f"{layout.text}, as asked"
    else:
        goal = {"latency": "for few fast replies", "throughput": "for many replies at once"}[prefer]
        text = f"{layout.text} ({prefer}: {because}): {goal}: {'; '.join(_parts(task, layout))}"
        if layout.dp == 1 and prefer == "throughput" and any(trial.layout.dp > 1 for trial in tried):
            text += "; data-parallel copies of the shared weights would leave less memory or be slower"
    others = [trial for trial in tried if trial.fits and trial is not best]
    if others:
        second = _best(others, prefer)
        text += f". The next best is {second.layout.text}: {_in_numbers(second)}, against {_in_numbers(best)}"
    elif len(tried) > 1:
        text += ". No other layout that was tried fits"
    return text


def _parts(task: Task, layout: Layout) -> list[str]:
    """Say what each part of a layout is for."""
    found: list[str] = []
    if layout.tp > 1:
        found.append(f"tensor parallelism splits every layer over {layout.tp} GPUs")
    if layout.dp > 1:
        copied = "shared weights" if layout.ep > 1 else "weights"
        found.append(f"data parallelism copies the {copied} {layout.dp} times and avoids most exchanges between the copies")
    if layout.ep > 1:
        found.append(f"experts are spread over {'the same' if layout.dp == 1 else 'all'} {layout.ep} GPUs")
    if layout.pp > 1 and layout.nodes > 1:
        found.append("pipeline stages go across hosts, where tensor parallelism would wait for the network in every layer")
    elif layout.pp > 1:
        slow = not task.gpus.kind.nvlink
        found.append(
            f"{layout.pp} pipeline stages hand on only what each has computed"
            + (", which suits GPUs without NVLink" if slow else f", since {task.gpus.per_host} GPUs are no size of tensor parallelism")
        )
    return found


def _in_numbers(trial: Trial) -> str:
    return f"{trial.speed.one_user_tokens_per_s:.0f} tokens/s for one person, {trial.speed.replies_per_s:.1f} replies/s at full load"


def _considered(trial: Trial) -> Considered:
    if trial.fits:
        return Considered(
            what=trial.layout.text,
            fits=True,
            why=_in_numbers(trial),
            tokens_per_s=trial.speed.tokens_per_s,
            conversations=trial.conversations,
        )
    missing = trial.unable or f"{trial.memory.missing / 1e9:.1f} GB too little on each GPU"
    return Considered(what=trial.layout.text, fits=False, why=missing)
