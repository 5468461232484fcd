"""The options that `plan` and `model serve` share: everything that a plan can be asked, and the operator's catalog."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, TypeVar, get_args

import typer

from inference.catalog import NumberFormat
from inference.plan import CannotPlan, Forced, Question, Reply, read_context
from inference.plan.gpus import kinds
from inference.plan.question import Kv, Prefer

_T = TypeVar("_T")
_KVS: tuple[Kv, ...] = get_args(Kv)
_PREFERS: tuple[Prefer, ...] = get_args(Prefer)

#: What a command gets for its options: they are read when it calls this, which raises CannotPlan.
Asked = Callable[[], Question]

ModelKey = Annotated[
    str, typer.Option("--model", help="The model's key in the catalog, such as llama-4-scout; `chinwag model list` shows all.")
]
GpusText = Annotated[
    str, typer.Option("--gpus", help="Number and kind: h100, 8xH100; 16xH100 is two hosts of 8. Kinds: " + ", ".join(kinds()) + ".")
]
Folder = Annotated[Path | None, typer.Option("--catalog", envvar="CHINWAG_MODEL_CATALOG", help="Folder with your own model files.")]

_Format = Annotated[str | None, typer.Option("--format", help="bf16, fp8, w4a16 or nvfp4; default: the most bits that fit comfortably.")]
_Context = Annotated[
    str | None, typer.Option("--context", help="Longest conversation in tokens: 32k, 1M, 40000. Default: 32k, or the model's limit.")
]
_Contacts = Annotated[int | None, typer.Option("--contacts", help="How many people write; decides between fast replies and many replies.")]
_PerContact = Annotated[float, typer.Option("--replies-per-contact", help="Replies that each of them gets per day.")]
_Prefer = Annotated[
    str | None, typer.Option("--prefer", help="latency (few replies, fast) or throughput (many at once); default: decided by --contacts.")
]
_Kv = Annotated[str, typer.Option("--kv", help="KV cache in fp8, or auto: bf16.")]
_AtOnce = Annotated[
    int | None, typer.Option("--at-once", help="Replies being written at the same time at full load, at most as many as fit.")
]
_TokensIn = Annotated[
    int | None,
    typer.Option("--tokens-in", help="Prompt tokens of the reply whose cost is shown; default: 3,000, or what fits the context."),
]
_TokensOut = Annotated[int, typer.Option("--tokens-out", help="Answer tokens of that reply.")]
_Cached = Annotated[float, typer.Option("--cached", help="Share of its prompt that is in the prefix cache.")]
_Speculative = Annotated[bool, typer.Option("--speculative", help="Use the catalog's speculative decoding (EAGLE, MTP).")]
_Redundant = Annotated[int, typer.Option("--redundant-experts", help="Extra experts for EPLB, over all ranks.")]
_Offload = Annotated[float, typer.Option("--offload-gib", help="Host memory for KV on each host, in GiB.")]
_Tp = Annotated[int | None, typer.Option("--tp", help="Set the tensor-parallel size.")]
_Dp = Annotated[int | None, typer.Option("--dp", help="Set the data-parallel size.")]
_Pp = Annotated[int | None, typer.Option("--pp", help="Set the number of pipeline stages.")]
_Price = Annotated[float | None, typer.Option("--price", help="USD per GPU and hour; default: from the GPU table.")]
_Head = Annotated[str, typer.Option("--head", help="Address of the first host, for commands with several hosts.")]


def _question(
    *,
    format_: _Format = None,
    context: _Context = None,
    contacts: _Contacts = None,
    replies_per_contact: _PerContact = 3.0,
    prefer: _Prefer = None,
    kv: _Kv = "auto",
    at_once: _AtOnce = None,
    tokens_in: _TokensIn = None,
    tokens_out: _TokensOut = 150,
    cached: _Cached = 0.75,
    speculative: _Speculative = False,
    redundant_experts: _Redundant = 0,
    offload_gib: _Offload = 0.0,
    tp: _Tp = None,
    dp: _Dp = None,
    pp: _Pp = None,
    price: _Price = None,
    head: _Head = "10.0.0.1",
) -> Question:
    cache: Kv | None = one_of(kv, _KVS, "--kv")
    return Question(
        format=one_of(format_, tuple(NumberFormat), "--format"),
        context=None if context is None else read_context(context),
        kv=cache or "auto",
        contacts=contacts,
        replies_per_contact=replies_per_contact,
        prefer=one_of(prefer, _PREFERS, "--prefer"),
        speculative=speculative,
        redundant_experts=redundant_experts,
        offload_gib=offload_gib,
        at_once=at_once,
        reply=Reply(tokens_in=3000 if tokens_in is None else tokens_in, tokens_out=tokens_out, cached=cached, may_be_cut=tokens_in is None),
        forced=Forced(tp=tp, dp=dp, pp=pp),
        price_per_hour=price,
        head=head,
    )


def plan_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every option of a plan in the place of its parameter `asked`."""
    options = inspect.signature(_question, eval_str=True).parameters

    @wraps(command)
    def run(**given: object) -> None:
        asked = partial(_question, **{name: given.pop(name) for name in options})
        command(asked=asked, **given)

    own = inspect.signature(command, eval_str=True)
    parameters = [one for name, parameter in own.parameters.items() for one in (options.values() if name == "asked" else [parameter])]
    # This is what typer reads a command's options from.
    run.__signature__ = own.replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue] - inspect's own protocol
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def one_of(value: str | None, known: tuple[_T, ...], option: str) -> _T | None:
    """Read a word that an option takes. Raises CannotPlan, which names all."""
    if value is None:
        return None
    for one in known:
        if value.strip().lower() == str(one):
            return one
    raise CannotPlan(f"{option} takes {', '.join(map(str, known))}, not {value!r}")
