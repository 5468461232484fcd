"""A plan on a terminal: bars of memory, the layout, speed, costs, and the commands."""

from __future__ import annotations

import sys

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from inference.plan import Plan
from inference.plan.assignment import assignments
from inference.plan.words import length

_BAR = 60
_STYLES = {"weights": "blue", "overhead": "yellow", "KV": "green", "one conversation": "green", "kept free": "bright_black"}
_SIGNS = {"weights": "█", "overhead": "▓", "KV": "▒", "one conversation": "▒", "kept free": "·"}
_MOST_HOSTS = 4


def show(plan: Plan) -> None:
    """Print the plan."""
    console = Console(highlight=False, markup=False, emoji=False)
    console.print(_head(plan))
    console.print(_memory(plan))
    console.print(_gpus(plan))
    if plan.fits:
        console.print(_facts(plan))
        console.print(_costs(plan))
        _commands(plan)
    else:
        _advice(plan)
    console.print(_tried(plan))
    sys.stdout.write("Assumed:\n" + "".join(f"  - {one}\n" for one in plan.assumptions))


def _head(plan: Plan) -> Text:
    said = Text(
        f"{plan.model.title} as {plan.weights.format} ({plan.weights.size_gb:g} GB) on {plan.gpus.count} x {plan.gpus.kind.title}: "
    )
    said.append("fits" if plan.fits else "does not fit", style="bold green" if plan.fits else "bold red")
    said.append(f", context {length(plan.context)}{'' if plan.weights.repo else ' (weights not published)'}\n")
    said.append(f"Format: {plan.weights.format}, {plan.format_reason}.\n")
    said.append(f"Layout: {plan.layout_reason}.\n" if plan.fits else f"Why not: {plan.why_not}.\n")
    return said


def _memory(plan: Plan) -> Text:
    """Draw one GPU's memory as a bar; all GPUs are filled the same way."""
    m = plan.memory
    shares = [("weights", m.weights), ("overhead", m.overhead)]
    shares += [("one conversation", m.sequence or 0.0)] if m.missing else [("KV", m.pool), ("kept free", m.memory - m.usable)]
    whole = max(m.memory, sum(size for _, size in shares))
    bar = Text("Each GPU  ")
    for name, size in shares:
        bar.append(_SIGNS[name] * round(_BAR * size / whole), style=_STYLES[name])
    if m.missing:
        mark = round(_BAR * m.usable / whole)
        said = f"{m.missing / 1e9:.1f} GB too much, usable {m.usable / 1e9:.1f} GB"
        bar.append(f"\n          {said:>{mark - 2}} ^", "red")
    else:
        bar.append(f"  {m.memory / 1e9:.0f} GB")
    bar.append("\n          ")
    for name, size in shares:
        bar.append(_SIGNS[name], style=_STYLES[name])
        bar.append(f" {name} {size / 1e9:.1f} GB  ")
    return bar


def _gpus(plan: Plan) -> Text:
    layout, found = plan.layout, Text()
    # So that a line fits into 80 columns.
    per_line = 4 if layout.dp == 1 or layout.tp == 1 else 3
    taken = [gpu for gpu in assignments(plan) if gpu.host < _MOST_HOSTS]
    for number, gpu in enumerate(taken):
        if gpu.gpu % per_line == 0:
            name = f"Host {gpu.host}" if layout.nodes > 1 else "GPUs"
            found.append(f"{'' if number == 0 else chr(10)}{name if gpu.gpu == 0 else '':<10}")
        ranks = [("dp", layout.dp, gpu.dp_rank), ("pp", layout.pp, gpu.stage), ("tp", layout.tp, gpu.tp_rank)]
        lies = " ".join(f"{name}{rank}" for name, size, rank in ranks if size > 1) or "0"
        experts = "" if gpu.experts is None else f" e{gpu.experts[0]}-{gpu.experts[1]}"
        found.append(f"[{lies}{experts}] ")
    if layout.nodes > _MOST_HOSTS:
        found.append(f"\n          and {layout.nodes - _MOST_HOSTS} more hosts like these")
    found.append("\n")
    return found


def _facts(plan: Plan) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    m, speed, question = plan.memory, plan.speed, plan.question
    if m.kv_per_token is None or m.pool_tokens is None:
        table.add_row("KV", f"unknown (not published); {m.pool / 1e9:.1f} GB a GPU left for it")
    else:
        table.add_row(
            "KV",
            f"{m.kv_per_token:,} B a token; room for {m.pool_tokens:,} tokens of short conversations, or one conversation of {'any length' if m.longest is None else f'{m.longest:,}'}",
        )
        table.add_row("Warm conversations", f"{plan.conversations:,} of {question.reply.tokens:,} tokens on the GPUs{_host_part(plan)}")
    if speed is not None:
        curve = ", ".join(f"{rate:,.0f} at {number}" for number, rate in speed.curve)
        table.add_row("Decoding", f"{speed.tokens_per_s:,.0f} tokens/s with {speed.at_once} at once; {curve}")
        table.add_row(
            "Prefill", f"{speed.prefill_tokens_per_s:,.0f} tokens/s; first token after {speed.first_token_ms:.0f} ms when nothing waits"
        )
        table.add_row("Replies", f"{speed.replies_per_s:.1f} a second, {speed.replies_a_day:,.0f} a day at full load")
    if (demand := plan.demand) is not None and demand.peak_load is not None:
        enough = "" if demand.replicas == 1 else f": take {demand.replicas} copies of this plan"
        table.add_row(
            "Contacts",
            f"{demand.contacts:,} ask {demand.peak_replies_per_s:.2f} replies/s in the busiest hour, {demand.peak_load:.0%} of full load{enough}",
        )
    return table


def _host_part(plan: Plan) -> str:
    return f", {plan.offloaded:,} more in {plan.question.offload_gib:g} GiB of each host's memory" if plan.offloaded else ""


def _costs(plan: Plan) -> Group | Text:
    if plan.cost is None:
        return Text("")
    own = ", ".join(f"${price:.2f} at {load:.0%}" for load, price in plan.cost.per_1000)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("hosted (*: the same model)", "$/1,000", "own GPUs are cheaper"):
        table.add_column(name, no_wrap=True)
    for rival in plan.cost.rivals:
        name = f"{'* ' if rival.same_model else ''}{rival.model.rsplit('/', 1)[-1]}, {rival.provider}"
        when = "never with these GPUs"
        if rival.break_even is not None and rival.replies_a_day is not None:
            when = f"from {rival.break_even:.0%} load ({rival.replies_a_day:,.0f} a day)"
        table.add_row(name if len(name) <= 38 else f"{name[:37]}…", f"{rival.per_1000:.2f}", when)
    tokens = ", ".join(f"${price.tokens_in:.3f} and ${price.tokens_out:.2f} at {load:.0%}" for load, price in plan.cost.per_million)
    said = (
        f"\nCost of 1,000 replies: {own} load (${plan.cost.per_hour:.2f} an hour).\n"
        f"A million tokens in (cached ones cost nothing) and out: {tokens} load."
    )
    return Group(Text(said), table)


def _commands(plan: Plan) -> None:
    # Not through rich: a command must not be broken into lines.
    several = len(plan.commands) > 1
    sys.stdout.write(f"\nCommand{f's; {plan.question.head} is the address of host 0 (--head)' if several else ''}:\n")
    for command in plan.commands:
        sys.stdout.write(f"# host {command.host}\n{command.text}\n" if several else f"{command.text}\n")


def _advice(plan: Plan) -> None:
    if not plan.advice:
        sys.stdout.write("Nothing similar to these GPUs would fit.\n")
        return
    sys.stdout.write("What would fit:\n" + "".join(f"  {one.options:<24} {one.text}\n" for one in plan.advice))


def _tried(plan: Plan) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for what, tried in (("Layouts", plan.layouts), ("Formats", plan.formats)):
        table.add_row(f"\n{what} tried", "", "")
        for one in tried:
            table.add_row(f"  {one.what}", "fits" if one.fits else "no", one.why)
    return table
