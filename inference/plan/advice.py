"""Changes that would make a plan fit: one at a time, each checked by the same arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from inference.catalog import Weights
from inference.plan import words
from inference.plan.errors import CannotPlan
from inference.plan.gpus import PER_HOST, Gpus, kinds
from inference.plan.question import DEFAULT_CONTEXT
from inference.plan.summary import Advice
from inference.plan.trial import Task, Trial, most_bits_first, try_weights

_SHORTEST = 1024
_MOST_HOSTS = 16


def advise(task: Task, failed: Trial) -> tuple[Advice, ...]:
    """Return changes that make it fit: another format, a smaller cache, a shorter context, another layout, more GPUs, larger ones."""
    return (
        *(_other_variants(task, failed) if failed.unable else _fewer_bits(task, failed)),
        *_cheaper_cache(task, failed),
        *_other_layout(task, failed),
        *_more(task, failed),
        *_larger(task, failed),
    )


def _fits(task: Task, weights: Weights) -> Trial | None:
    try:
        trial = try_weights(task, weights)
    except CannotPlan:
        return None
    return trial if trial.fits else None


def _others(task: Task, failed: Trial) -> list[Weights]:
    """Return the available file sets other than the one that failed."""
    rows = [weights for weights in most_bits_first(task.model) if weights.format is not failed.weights.format]
    return [weights for weights in rows if weights.repo or task.model.kind != "open"]


def _fewer_bits(task: Task, failed: Trial) -> Iterator[Advice]:
    for weights in _others(task, failed):
        if weights.size_gb < failed.weights.size_gb and (trial := _fits(task, weights)):
            yield Advice(options=f"--format {weights.format}", text=f"{_of(weights)} fit: {words.capacity(trial)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Variant:
    """The question with a small change."""

    options: str
    task: Task
    weights: Weights


def _variants(task: Task, failed: Trial) -> list[_Variant]:
    """Return the question as it was asked, and, if these GPUs can never run that, with the formats and caches that they may run."""
    found = [_Variant(options="", task=task, weights=failed.weights)]
    if failed.unable is None:
        return found
    plain = replace(task, question=replace(task.question, kv="auto"))
    asked_format = task.question.format is not None
    for weights in (failed.weights, *_others(task, failed)):
        option = f"--format {weights.format}" if asked_format and weights is not failed.weights else ""
        if option:
            found.append(_Variant(options=option, task=task, weights=weights))
        if task.question.kv != "auto":
            found.append(_Variant(options=f"{option} --kv auto".strip(), task=plain, weights=weights))
    return found


def _other_variants(task: Task, failed: Trial) -> Iterator[Advice]:
    told: set[str] = set()
    for variant in _variants(task, failed):
        if variant.options not in {"", *told} and (trial := _fits(variant.task, variant.weights)):
            told.add(variant.options)
            cache = "" if variant.task is task else " with a bf16 KV cache"
            yield Advice(options=variant.options, text=f"{_of(variant.weights)} fit{cache}: {words.capacity(trial)}")


def _of(weights: Weights) -> str:
    return f"{weights.format} weights ({weights.size_gb:g} GB)"


def _cheaper_cache(task: Task, failed: Trial) -> Iterator[Advice]:
    question = task.question
    if question.kv != "fp8" and (trial := _fits(replace(task, question=replace(question, kv="fp8")), failed.weights)):
        yield Advice(options="--kv fp8", text=f"an fp8 KV cache fits: {words.capacity(trial)}")
    if length := _shorter(task, failed.weights):
        yield Advice(options=f"--context {words.length(length)}", text=f"a context of {length:,} tokens fits")
    if question.speculative and (trial := _fits(replace(task, question=replace(question, speculative=False)), failed.weights)):
        yield Advice(options="(without --speculative)", text=f"without speculative decoding it fits: {words.capacity(trial)}")
    if question.redundant_experts and (trial := _fits(replace(task, question=replace(question, redundant_experts=0)), failed.weights)):
        yield Advice(options="(without --redundant-experts)", text=f"without redundant experts it fits: {words.capacity(trial)}")


def _shorter(task: Task, weights: Weights) -> int | None:
    """Return the longest context below the asked one that fits, in steps of 1,024; None where not even the shortest fits."""

    def holds(steps: int) -> bool:
        return _fits(replace(task, question=replace(task.question, context=steps * _SHORTEST)), weights) is not None

    context = task.question.context or DEFAULT_CONTEXT
    high = -(-context // _SHORTEST)
    # The context must be long enough for the reply that was asked for.
    reply = task.question.reply
    low = (reply.tokens_out + (1 if reply.may_be_cut else reply.tokens_in) - 1) // _SHORTEST
    if high <= low + 1 or not holds(low + 1):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low * _SHORTEST


def _other_layout(task: Task, failed: Trial) -> Iterator[Advice]:
    forced = task.question.forced
    if forced.tp is None and forced.dp is None and forced.pp is None:
        return
    if trial := _fits(_free(task), failed.weights):
        yield Advice(options=words.forced(trial.layout), text=f"the layout {trial.layout.text} fits on these GPUs: {words.capacity(trial)}")


def _free(task: Task) -> Task:
    return replace(task, question=replace(task.question, forced=type(task.question.forced)()))


def _more(task: Task, failed: Trial) -> Iterator[Advice]:
    sizes = [Gpus(kind=task.gpus.kind, hosts=1, per_host=number) for number in (1, 2, 4, PER_HOST)]
    sizes += [Gpus(kind=task.gpus.kind, hosts=hosts, per_host=PER_HOST) for hosts in range(2, _MOST_HOSTS + 1)]
    for gpus in sizes:
        for variant in _variants(task, failed) if gpus.count > task.gpus.count else ():
            if trial := _fits(replace(_free(variant.task), gpus=gpus), variant.weights):
                options = f"{variant.options} --gpus {gpus.text}".strip()
                yield Advice(options=options, text=f"{gpus.count} of them fit as {trial.layout.text}: {words.capacity(trial)}")
                return


def _larger(task: Task, failed: Trial) -> Iterator[Advice]:
    """Name the smallest other kind of GPU that fits in the same number."""
    for kind in sorted(kinds().values(), key=lambda kind: kind.memory_gb):
        gpus = replace(task.gpus, kind=kind)
        if (
            kind.memory_gb > task.gpus.kind.memory_gb
            and kind.nvlink >= task.gpus.kind.nvlink
            and (trial := _fits(replace(task, gpus=gpus), failed.weights))
        ):
            yield Advice(options=f"--gpus {gpus.text}", text=f"{gpus.count} x {kind.title} fit: {words.capacity(trial)}")
            return
