"""The sentences of a plan: reasons, warnings, and the assumptions behind its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.catalog import licence_notice
from inference.plan.layout import Layout
from inference.plan.memory import BATCHED_TOKENS, MARGIN, OVERHEAD, UTILISATION, kv_rule, offload_each, padded
from inference.plan.throughput import FIT_ERROR, FITTED, PREFILL_DOUBT

if TYPE_CHECKING:
    from inference.plan.trial import Task, Trial

#: The mark of a model whose weights are not available.
NOT_PUBLISHED = "weights not published"


def length(tokens: int) -> str:
    """Write a number of tokens as options take it."""
    for name, step in (("M", 1024**2), ("k", 1024)):
        if tokens >= step and tokens % step == 0:
            return f"{tokens // step}{name}"
    return str(tokens)


def forced(layout: Layout) -> str:
    """Write a layout as options."""
    return f"--tp {layout.tp} --dp {layout.dp}" + (f" --pp {layout.pp}" if layout.pp > 1 else "")


def capacity(trial: Trial) -> str:
    """Say how much memory is left for conversations."""
    if trial.memory.pool_tokens is None:
        return f"{trial.memory.pool / 1e9:.0f} GB a GPU left"
    many = "conversation" if trial.conversations == 1 else "conversations"
    return f"{trial.memory.pool_tokens:,} tokens of KV, {trial.conversations} {many} warm"


def why_not(trial: Trial) -> str:
    """Say by how much it does not fit, or why it cannot run."""
    if trial.unable is not None:
        return trial.unable
    m = trial.memory
    sequence = "" if m.sequence is None else f" + one whole conversation {m.sequence / 1e9:.1f} GB"
    return (
        f"{trial.weights.format} as {trial.layout.text} is {m.missing / 1e9:.1f} GB too large for each GPU: weights {m.weights / 1e9:.1f} GB "
        f"+ overhead {m.overhead / 1e9:.0f} GB{sequence}, and {m.usable / 1e9:.1f} GB of {m.memory / 1e9:.0f} GB are usable"
    )


def format_reason(chosen: Trial, trials: list[Trial], *, conversations: int | None) -> str:
    """Say why this number format was chosen."""
    passed = trials[: trials.index(chosen)]
    said = "the most bits that fit" if conversations is None else f"the most bits that fit and keep {conversations} conversations warm"
    missed = "; ".join(
        f"{trial.weights.format} leaves too little memory for conversations" if trial.fits else why_not(trial) for trial in passed
    )
    return f"{said} ({missed})" if missed else said


def warnings(task: Task, chosen: Trial) -> tuple[str, ...]:
    """Return what must not be overlooked: the licence, unpublished weights, unconfirmed numbers."""
    model, weights, gpu = task.model, chosen.weights, task.gpus.kind
    found: list[str] = []
    if notice := licence_notice(model):
        found.append(notice)
    if model.licence is not None and model.licence.to_accept:
        found.append(f"The {model.licence.name} must be accepted before serving; `chinwag model show {model.key}` lists its duties.")
    if model.kind == "unpublished":
        found.append(
            f"{model.title}: {NOT_PUBLISHED}; nor are layers, heads and widths, so this plan uses the totals alone, and the KV cache is unknown."
        )
    elif not weights.repo:
        found.append(f"{model.title} as {weights.format}: {NOT_PUBLISHED} in this format; they must be converted first.")
    unsure = list(model.architecture.unconfirmed) if model.architecture else []
    if unsure:
        found.append(f"Unconfirmed numbers of the architecture: {', '.join(unsure)}.")
    if weights.unconfirmed:
        found.append(f"The size of the {weights.format} weights ({weights.size_gb:g} GB) or their id is unconfirmed.")
    if gpu.unconfirmed:
        found.append(f"Unconfirmed numbers of {gpu.title}: {', '.join(gpu.unconfirmed)}.")
    if chosen.fits and chosen.conversations is not None and _tight(chosen):
        found.append(
            f"Tight: it fits only within the safety margin of {1 - MARGIN:.0%}, so it may not start with this context; the engine's log shows what is left."
        )
    return tuple(found)


def _tight(trial: Trial) -> bool:
    return trial.memory.sequence is not None and trial.memory.sequence > trial.memory.pool * MARGIN


def assumptions(task: Task, chosen: Trial, *, price: float) -> tuple[str, ...]:
    """Return the assumptions behind the numbers."""
    question, gpu, model = task.question, task.gpus.kind, task.model
    reply = question.reply
    talk = f"{reply.tokens_in:,} tokens in, {reply.cached:.0%} of them from the prefix cache, {reply.tokens_out} out"
    decoding = (
        f"reads at {FITTED.bandwidth:.0%} of {gpu.bandwidth_gbps:,.0f} GB/s and spends {FITTED.layer_s * 1e6:.0f} us a layer and step"
    )
    found = [
        f"{UTILISATION:.0%} of {gpu.memory_gb:g} GB a GPU is used, {OVERHEAD / 1e9:.0f} GB of it for activations, graphs and NCCL (5 to 8 seen).",
        f"A reply: {talk}; a warm conversation is {reply.tokens:,} tokens, and plans use {MARGIN:.0%} of the pool.",
        f"Decoding {decoding}; prefill reaches {FITTED.arithmetic:.0%} of the arithmetic.",
        f"That is {FIT_ERROR}.",
        f"Prefill is the less certain half of the fit: replies without any cache hit may cost {PREFILL_DOUBT:g} times what is shown here.",
        f"${price:g} for one GPU and hour" + (f" ({gpu.price_source}, {gpu.priced_on})." if price == gpu.dollars else ", as given."),
    ]
    if question.at_once is not None and question.at_once > chosen.speed.at_once:
        found.append(
            f"{question.at_once:,} replies at once were asked for, but only {chosen.speed.at_once:,} fit: speed and cost are for those."
        )
    if chosen.speed.at_once > 64:
        found.append(
            f"{chosen.speed.at_once} replies at once are more than the 64 of the fit: beyond it only the roofline model applies (--at-once 64 stays within the fit)."
        )
    if model.template is not None and model.template.tool_call_parser and model.template.chat_template:
        found.append(
            f"Tool calls are off: the parser {model.template.tool_call_parser} needs {model.template.chat_template} from vLLM's examples, which you must add yourself."
        )
    if model.architecture is None:
        found.append(
            "Without published layers the speed counts only the weights: it is an upper bound for 64 replies at once, and the cost is a lower bound."
        )
        return tuple(found)
    if model.architecture.moe is not None:
        found.append("Every expert is equally likely: a step of n tokens is expected to use E (1 - (1 - k/E)^n) of a layer's E experts.")
    found += _cache_rules(task, chosen)
    return tuple(found)


def _cache_rules(task: Task, chosen: Trial) -> list[str]:
    question, a = task.question, task.model.architecture
    rule = kv_rule(task.model, question.kv, speculative=question.speculative)
    found: list[str] = []
    if a is None:
        return found
    if question.kv == "auto" and task.model.serving is not None and task.model.serving.kv_cache == "fp8":
        found.append("The KV cache is bf16; fp8, which is recommended for this model, keeps twice as many tokens (--kv fp8).")
    if a.mla is not None and chosen.layout.tp > 1:
        found.append(
            f"MLA's cache is whole on each of the {chosen.layout.tp} tensor ranks (-dcp {chosen.layout.tp} would split it along the text)."
        )
    if a.local is not None and rule.hybrid and (counted := padded(a.local)) > a.local.local_layers:
        found.append(
            f"{a.local.local_layers} local layers take as much memory as {counted} in vLLM's hybrid KV cache manager, and are counted so."
        )
    if a.local is not None and rule.hybrid:
        found.append(f"Local layers keep their window and a step's {BATCHED_TOKENS:,} tokens (hybrid KV cache manager on).")
    if a.local is not None and not rule.hybrid:
        found.append("EAGLE switches off the hybrid KV cache manager, so local layers keep everything.")
    if question.redundant_experts and a.moe is not None:
        found.append(
            f"The load balancer (EPLB) holds {a.moe.experts} + {question.redundant_experts} experts in each layer, {(a.moe.experts + question.redundant_experts) // chosen.layout.ep} on each rank."
        )
    if question.offload_gib:
        each = f"{offload_each(chosen.layout, question.offload_gib):g} GiB"
        once = "; MLA's latent is stored there once" if a.mla is not None and chosen.layout.pp == 1 else ""
        found.append(f"Of {question.offload_gib:g} GiB of memory on each host, an engine has {each}{once}.")
    if rule.draft_layers and a.moe is not None and not a.ffn:
        found.append(f"The draft layer's width was not published: {2 * a.moe.expert_ffn:,}, that of two experts, is assumed.")
    return found
