"""The processes of a plan: `vllm serve` for each host, with the flags of vLLM 0.33 and nothing home-made between hosts."""

from __future__ import annotations

from collections.abc import Iterable

from inference.catalog import Model, Weights
from inference.plan.layout import Layout
from inference.plan.memory import BATCHED_TOKENS, UTILISATION, offload_each
from inference.plan.question import Question
from inference.plan.summary import HostCommand

#: Between data-parallel hosts.
RPC_PORT = 13345
#: Seconds in which a stopping engine finishes what it writes; vLLM's default aborts at once.
DRAIN_S = 60


def commands(model: Model, weights: Weights, layout: Layout, question: Question, *, context: int, slots: int) -> tuple[HostCommand, ...]:
    """Return one command a host. `slots` are the replies at once of one data-parallel rank."""
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
        # Requests, endpoints and the catalog call it by one name, whichever file set is served.
        ("--served-model-name", model.key),
        *([("--enable-expert-parallel",)] if layout.ep > 1 else []),
        ("--max-model-len", str(context)),
        ("--max-num-seqs", str(slots)),
        ("--max-num-batched-tokens", str(BATCHED_TOKENS)),
        ("--gpu-memory-utilization", str(UTILISATION)),
        *([("--kv-cache-dtype", "fp8")] if question.kv == "fp8" else []),
        # Nothing of one tenant is found by another, and the service counts what the cache spared.
        ("--prefix-caching-hash-algo", "sha256"),
        ("--enable-prompt-tokens-details",),
        # People's turns go before batch work where both wait.
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
    # A template of vLLM's examples is in no wheel, and without it the model is not told of tools: the parser goes with it.
    if template.tool_call_parser and not template.chat_template:
        found += [("--enable-auto-tool-choice",), ("--tool-call-parser", template.tool_call_parser)]
    if template.reasoning_parser:
        found += [("--reasoning-parser", template.reasoning_parser)]
    return found


def _pairs(arguments: Iterable[str]) -> list[tuple[str, ...]]:
    """Put each option and its values together: a value is what does not begin with two hyphens."""
    found: list[tuple[str, ...]] = []
    for argument in arguments:
        if argument.startswith("--") or not found:
            found.append(tuple(argument.split("=", 1)) if argument.startswith("--") else (argument,))
        else:
            found[-1] = (*found[-1], argument)
    return found


def _first_of_each(options: list[tuple[str, ...]]) -> list[str]:
    """Return the arguments with every option once: the plan's own stand first, and memory was reckoned with them."""
    seen: dict[str, tuple[str, ...]] = {}
    for option in options:
        seen.setdefault(option[0], option)
    return [argument for option in seen.values() for argument in option]
