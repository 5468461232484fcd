"""Makes a plan: tries the possible formats and layouts, chooses one of each, and puts the parts together."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from inference.catalog import Model
from inference.plan import words
from inference.plan.advice import advise
from inference.plan.command import commands
from inference.plan.cost import Cost, work_out
from inference.plan.errors import CannotPlan
from inference.plan.gpus import Gpus, read_gpus
from inference.plan.question import DEFAULT_CONTEXT, Question
from inference.plan.summary import Considered, Demand, Plan
from inference.plan.trial import Task, Trial, most_bits_first, try_weights

#: Share of a day's replies that are in its busiest hour.
_BUSIEST_HOUR = 0.12
#: Share of full load at the peak; above it replies wait in queues.
_PEAK_LOAD = 0.6
#: A format that keeps fewer conversations cached is passed over for one with fewer bits.
_ENOUGH_CONVERSATIONS = 16


def make_plan(
    model: Model,
    gpus: Gpus | str,
    *,
    today: date,
    question: Question | None = None,
    rivals: Iterable[Model] = (),
) -> Plan:
    """Plan `model` on `gpus` (`8xH100`); `rivals` are models whose hosted offers the cost is compared with. Raise CannotPlan on bad input."""
    asked = question or Question()
    _check_model(model, today)
    task = Task(model=model, gpus=read_gpus(gpus) if isinstance(gpus, str) else gpus, question=_checked(model, asked))
    demand = _demand(task.question)
    trials = _formats(task, demand)
    chosen, format_reason = _choose_format(task, trials)
    return _assemble(task, chosen, format_reason, trials=trials, cost=_cost(task, chosen, rivals, today), demand=demand)


def _check_model(model: Model, today: date) -> None:
    if model.is_retired(today):
        raise CannotPlan(f"{model.title} was switched off on {model.retired_on}: plan or call {model.successor} instead")
    if model.kind == "hosted":
        raise CannotPlan(
            f"{model.title} is hosted by {model.maker}: its weights are not available, so it cannot be planned (plans of others show its price)"
        )


def _checked(model: Model, asked: Question) -> Question:
    """Fill in the context, and refuse what the model does not support."""
    asked.check()
    most = model.context
    context = asked.context or min(DEFAULT_CONTEXT, most or DEFAULT_CONTEXT)
    if most and context > most:
        raise CannotPlan(f"{model.title} reads at most {most:,} tokens: give --context {words.length(most)} or less, not {context:,}")
    reply = asked.reply
    needed = reply.tokens_out + (1 if reply.may_be_cut else reply.tokens_in)
    if context < needed:
        question = "a question" if reply.may_be_cut else f"a prompt of {reply.tokens_in:,}"
        enough = words.length(-(-needed // 1024) * 1024)
        would = f"--context {enough} or more, or shorter ones" if not most or needed <= most else "shorter ones"
        raise CannotPlan(f"a context of {context:,} tokens is too short for a reply of {reply.tokens_out:,} and {question}: give {would}")
    if asked.redundant_experts and (model.architecture is None or model.architecture.moe is None):
        raise CannotPlan(f"{model.title} has no routed experts (or none that were published): leave --redundant-experts out")
    return replace(asked, context=context, reply=replace(reply, tokens_in=min(reply.tokens_in, context - reply.tokens_out)))


def _demand(question: Question) -> Demand | None:
    if question.contacts is None:
        return None
    day = question.contacts * question.replies_per_contact
    return Demand(
        contacts=question.contacts,
        replies_a_day=day,
        peak_replies_per_s=day * _BUSIEST_HOUR / 3600,
        peak_load=None,
        mean_load=None,
        replicas=None,
    )


def _formats(task: Task, demand: Demand | None) -> list[Trial]:
    """Try the possible file sets, those with the most bits first."""
    wanted, model = task.question.format, task.model
    rows = [weights for weights in most_bits_first(model) if wanted in {None, weights.format}]
    if not rows:
        has = ", ".join(weights.format for weights in most_bits_first(model)) or "none"
        raise CannotPlan(f"{model.title} has no weights as {wanted}; its formats are: {has}")
    if wanted is None and model.kind == "open":
        # A format that the maker never published must be converted first, so it is tried only if it was asked for.
        rows = [weights for weights in rows if weights.repo] or rows
    peak = (demand.peak_replies_per_s if demand else None, _PEAK_LOAD)
    return [try_weights(task, weights, peak_replies_per_s=peak[0], most_load=peak[1]) for weights in rows]


def _choose_format(task: Task, trials: list[Trial]) -> tuple[Trial, str]:
    if task.question.format is not None:
        return trials[0], "as asked"
    fitting = [trial for trial in trials if trial.fits]
    if not fitting:
        closest = min(trials, key=lambda trial: (trial.unable is not None, trial.memory.missing))
        return closest, "none fits; this one comes closest"
    enough = [trial for trial in fitting if trial.conversations is None or trial.conversations >= _ENOUGH_CONVERSATIONS]
    chosen = (enough or fitting)[0]
    return chosen, words.format_reason(
        chosen, trials, conversations=_ENOUGH_CONVERSATIONS if enough and chosen.conversations is not None else None
    )


def _assemble(task: Task, chosen: Trial, format_reason: str, *, trials: list[Trial], cost: Cost | None, demand: Demand | None) -> Plan:
    question, model, fits = task.question, task.model, chosen.fits
    speed = chosen.speed if fits else None
    context = question.context or DEFAULT_CONTEXT
    return Plan(
        model=model,
        gpus=task.gpus,
        question=question,
        weights=chosen.weights,
        format_reason=format_reason,
        context=context,
        fits=fits,
        why_not=None if fits else words.why_not(chosen),
        advice=() if fits else advise(task, chosen),
        layout=chosen.layout,
        layout_reason=chosen.reason,
        memory=chosen.memory,
        conversations=chosen.conversations if fits else 0,
        offloaded=chosen.offloaded if fits else 0,
        speed=speed,
        cost=cost,
        demand=_met(demand, speed.replies_per_s if speed else None),
        commands=commands(model, chosen.weights, chosen.layout, question, context=context, slots=chosen.slots) if fits else (),
        layouts=chosen.considered,
        formats=tuple(_considered(trial) for trial in trials),
        warnings=words.warnings(task, chosen),
        assumptions=words.assumptions(task, chosen, price=_price(task)),
    )


def _price(task: Task) -> float:
    given = task.question.price_per_hour
    return task.gpus.kind.dollars if given is None else given


def _cost(task: Task, chosen: Trial, rivals: Iterable[Model], today: date) -> Cost | None:
    if not chosen.fits:
        return None
    return work_out(
        task.model,
        rivals,
        per_hour=_price(task) * task.gpus.count,
        speed=chosen.speed,
        reply=task.question.reply,
        today=today,
    )


def _considered(trial: Trial) -> Considered:
    fits = trial.fits
    return Considered(
        what=trial.weights.format.value,
        fits=fits,
        why=trial.layout.text if fits else words.why_not(trial),
        tokens_per_s=trial.speed.tokens_per_s if fits and trial.speed else None,
        conversations=trial.conversations if fits else None,
    )


def _met(demand: Demand | None, replies_per_s: float | None) -> Demand | None:
    if demand is None or replies_per_s is None:
        return demand
    peak = demand.peak_replies_per_s / replies_per_s
    mean = demand.replies_a_day / (replies_per_s * 86_400)
    return replace(demand, peak_load=peak, mean_load=mean, replicas=max(1, math.ceil(peak / _PEAK_LOAD)))
