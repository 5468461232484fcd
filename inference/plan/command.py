"""The processes of a plan: `vllm serve` for each host, with the flags of vLLM 0.33, and with vLLM's own networking between hosts."""

from __future__ import annotations

from collections.abc import Iterable

from inference.catalog import Model, Weights
from inference.plan.layout import Layout
from inference.plan.memory import BATCHED_TOKENS, UTILISATION, offload_each
from inference.plan.question import Question
from inference.plan.summary import HostCommand

#: Port between data-parallel hosts.
RPC_PORT = 13345
#: Seconds in which a stopping engine finishes its answers; by default vLLM aborts them at once.
DRAIN_S = 60


def commands(model: Model, weights: Weights, layout: Layout, question: Question, *, context: int, slots: int) -> tuple[HostCommand, ...]:
    """Return one command for each host. `slots` are the replies at once of one data-parallel rank."""
    environment = dict(pair.split("=", 1) for pair in weights.env)
    every = _everywhere(model, weights, layout, question, context=context, slots=slots)
    name = weights.repo or f"./weights-not-published/{model.key}-{weights.format}"
    return tuple(
        HostCommand(host=host, argv=("vllm", "serve", name, *_spread(layout, question, host), *every), environment=environment)
        for host in range(layout.nodes)
    )


def _spread(layout: Layout, question: Question, host: int) -> list[str]:
    """Return the options that differ between layouts and hosts."""
    found = ["--tensor-parallel-size", str(layout.tp)]
    if layout.pp > 1:
        found += ["--pipeline-parallel-size", str(layout.pp)]
    if layout.dp > 1:
        found += ["--data-parallel-size", str(layout.dp)]
    if layout.nodes > 1 and layout.dp > 1:
        found += _data_parallel(layout, question, host)
    elif layout.nodes > 1:
        found += ["--nnodes", str(layout.nodes), "--node-rank", str(host), "--master-addr", question.head]
        found += ["--headless"] if host else []
    return found


def _data_parallel(layout: Layout, question: Question, host: int) -> list[str]:
    local = layout.dp // layout.nodes
    found = ["--data-parallel-size-local", str(local), "--data-parallel-address", question.head, "--data-parallel-rpc-port", str(RPC_PORT)]
    if host:
        return [*found, "--headless", "--data-parallel-start-rank", str(host * local)]
    return [*found, "--api-server-count", str(min(8, layout.dp))]


def _everywhere(model: Model, weights: Weights, layout: Layout, question: Question, *, context: int, slots: int) -> list[str]:
    options: list[tuple[str, ...]] = [
        # Requests, endpoints and the catalog use one name, whichever file set is served.
        ("--served-model-name", model.key),
        *([("--enable-expert-parallel",)] if layout.ep > 1 else []),
        ("--max-model-len", str(context)),
        ("--max-num-seqs", str(slots)),
        ("--max-num-batched-tokens", str(BATCHED_TOKENS)),
        ("--gpu-memory-utilization", str(UTILISATION)),
        *([("--kv-cache-dtype", "fp8")] if question.kv == "fp8" else []),
        # No tenant can find another's cached prefixes, and the service counts the cached tokens.
        ("--prefix-caching-hash-algo", "sha256"),
        ("--enable-prompt-tokens-details",),
        # People's turns go before batch work when both wait.
        ("--scheduling-policy", "priority"),
        ("--shutdown-timeout", str(DRAIN_S)),
        *_extras(model, layout, question),
        *_pairs((*weights.args, *(model.serving.args if model.serving else ()))),
        *_tools(model),
    ]
    return _first_of_each(options)


def _extras(model: Model, layout: Layout, question: Question) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    if question.redundant_experts:
        found += [("--enable-eplb",), ("--eplb-config", f'{{"num_redundant_experts": {question.redundant_experts}}}')]
    if question.offload_gib:
        found += [("--kv-offloading-size", f"{offload_each(layout, question.offload_gib):g}"), ("--kv-offloading-backend", "native")]
    if question.speculative and model.serving:
        found += [("--speculative-config", model.serving.speculative)]
    return found


def _tools(model: Model) -> list[tuple[str, ...]]:
    template = model.template
    if template is None:
        return []
    found: list[tuple[str, ...]] = []
    # vLLM's wheels do not contain its example templates. Without the template the model is not told of tools, so the parser is left out too.
    if template.tool_call_parser and not template.chat_template:
        found += [("--enable-auto-tool-choice",), ("--tool-call-parser", template.tool_call_parser)]
    if template.reasoning_parser:
        found += [("--reasoning-parser", template.reasoning_parser)]
    return found


def _pairs(arguments: Iterable[str]) -> list[tuple[str, ...]]:
    """Group each option with its values; a value is anything that does not begin with two hyphens."""
    found: list[tuple[str, ...]] = []
    for argument in arguments:
        if argument.startswith("--") or not found:
            found.append(tuple(argument.split("=", 1)) if argument.startswith("--") else (argument,))
        else:
            found[-1] = (*found[-1], argument)
    return found


def _first_of_each(options: list[tuple[str, ...]]) -> list[str]:
    """Return the arguments with every option once. The plan's own come first, since its memory was computed with them."""
    seen: dict[str, tuple[str, ...]] = {}
    for option in options:
        seen.setdefault(option[0], option)
    return [argument for option in seen.values() for argument in option]
