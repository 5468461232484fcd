"""`chinwag plan`: does a model fit some GPUs, laid out how, how fast, at what cost, and with which commands."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar, get_args

import typer

from chinwag.cli import plan_report
from inference.catalog import NumberFormat, load
from inference.errors import CatalogError
from inference.plan import CannotPlan, Forced, Plan, Question, Reply, make_plan, read_context
from inference.plan.fragments import emit as write_fragment
from inference.plan.gpus import kinds
from inference.plan.picture import svg
from inference.plan.question import Kv, Prefer

_T = TypeVar("_T")
_KVS: tuple[Kv, ...] = get_args(Kv)
_PREFERS: tuple[Prefer, ...] = get_args(Prefer)
_FRAGMENTS = ("compose", "kubernetes")

_Model = Annotated[str, typer.Option("--model", help="Key of the catalog, such as llama-4-scout; `chinwag model list` shows all.")]
_Gpus = Annotated[
    str, typer.Option("--gpus", help="Number and kind: h100, 8xH100; 16xH100 is two hosts of 8. Kinds: " + ", ".join(kinds()) + ".")
]
_Format = Annotated[str | None, typer.Option("--format", help="bf16, fp8, w4a16 or nvfp4; without it the most bits that fit with room.")]
_Context = Annotated[
    str | None, typer.Option("--context", help="Longest conversation in tokens: 32k, 1M, 40000. Without it 32k, or what the model reads.")
]
_Contacts = Annotated[int | None, typer.Option("--contacts", help="How many people write; decides between quick replies and many.")]
_PerContact = Annotated[float, typer.Option("--replies-per-contact", help="Replies that one of them gets in a day.")]
_Prefer = Annotated[
    str | None, typer.Option("--prefer", help="latency (few replies, fast) or throughput (many at once); else --contacts decide.")
]
_Kv = Annotated[str, typer.Option("--kv", help="KV cache in fp8, or auto: bf16.")]
_AtOnce = Annotated[
    int | None, typer.Option("--at-once", help="Replies being written at the same time at full load; else as many as have room.")
]
_TokensIn = Annotated[int, typer.Option("--tokens-in", help="Of the reply that costs are told for.")]
_TokensOut = Annotated[int, typer.Option("--tokens-out", help="Of the same reply.")]
_Cached = Annotated[float, typer.Option("--cached", help="Share of its prompt that the prefix cache holds.")]
_Speculative = Annotated[bool, typer.Option("--speculative", help="With the catalog's speculative decoding (EAGLE, MTP).")]
_Redundant = Annotated[int, typer.Option("--redundant-experts", help="Extra experts for EPLB, over all ranks.")]
_Offload = Annotated[float, typer.Option("--offload-gib", help="Host memory for KV on each host, in GiB.")]
_Tp = Annotated[int | None, typer.Option("--tp", help="Set the tensor-parallel size.")]
_Dp = Annotated[int | None, typer.Option("--dp", help="Set the data-parallel size.")]
_Pp = Annotated[int | None, typer.Option("--pp", help="Set the number of pipeline stages.")]
_Price = Annotated[float | None, typer.Option("--price", help="USD for a GPU and hour; else the GPU table's.")]
_Head = Annotated[str, typer.Option("--head", help="Address of the first host, for the commands of several.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Picture = Annotated[Path | None, typer.Option("--picture", help="Write the plan as an SVG picture to this file.")]
_Emit = Annotated[str | None, typer.Option("--emit", help="Print a compose file or Kubernetes objects instead: compose, kubernetes.")]
_Folder = Annotated[Path | None, typer.Option("--catalog", envvar="CHINWAG_MODEL_CATALOG", help="Folder with model files of your own.")]


def command(
    *,
    model: _Model,
    gpus: _Gpus,
    format_: _Format = None,
    context: _Context = None,
    contacts: _Contacts = None,
    replies_per_contact: _PerContact = 3.0,
    prefer: _Prefer = None,
    kv: _Kv = "auto",
    at_once: _AtOnce = None,
    tokens_in: _TokensIn = 3000,
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
    as_json: _Json = False,
    picture: _Picture = None,
    emit: _Emit = None,
    catalog: _Folder = None,
) -> None:
    """Work out whether a model fits some GPUs, and everything that follows. Nothing is started, no GPU is needed.

    \b
    chinwag plan --model llama-4-scout --gpus 8xH100
                              layout, room, speed, cost, the command
    chinwag plan --model llama-4-scout --gpus h100 --kv fp8
                              the smallest machine: 4 bits, an fp8 cache
    chinwag plan --model llama-4-maverick --gpus 8xH100 --contacts 20000
                              does it bear the busiest hour of 20,000 people?
    chinwag plan --model llama-4-maverick --gpus 8xH100 --dp 8
                              why not this layout? by how much, and what would do
    chinwag plan --model deepseek-v3 --gpus 16xH100 --prefer throughput --emit kubernetes
                              two hosts, as objects to apply
    chinwag plan --model gemma-3-27b --gpus 2xL40S --picture plan.svg
                              memory and layout as a picture

    A plan that does not fit is an answer too: exit code 0, and with --json "fits" is false. What cannot be asked (unknown model, impossible
    GPUs, more context than the model reads) is one line and exit code 2. Warnings go to stderr.
    """  # noqa: D301 - typer wants the character that \b stands for
    try:
        question = Question(
            format=_one_of(format_, tuple(NumberFormat), "--format"),
            context=None if context is None else read_context(context),
            kv=_kv_format(kv),
            contacts=contacts,
            replies_per_contact=replies_per_contact,
            prefer=_one_of(prefer, _PREFERS, "--prefer"),
            speculative=speculative,
            redundant_experts=redundant_experts,
            offload_gib=offload_gib,
            at_once=at_once,
            reply=Reply(tokens_in=tokens_in, tokens_out=tokens_out, cached=cached),
            forced=Forced(tp=tp, dp=dp, pp=pp),
            price_per_hour=price,
            head=head,
        )
        form = _one_of(emit, _FRAGMENTS, "--emit")
        models = load(catalog)
        plan = make_plan(models.get(model), gpus, today=datetime.now(UTC).date(), question=question, rivals=models.models)
        if picture is not None:
            _draw(plan, picture)
    except (CannotPlan, CatalogError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from error
    for warning in plan.warnings:
        sys.stderr.write(f"Note: {warning}\n")
    _print(plan, form, as_json=as_json)


def _print(plan: Plan, form: str | None, *, as_json: bool) -> None:
    fragment = None if form is None else write_fragment(plan, form)
    if as_json:
        row = plan.to_json() | ({} if fragment is None else {"fragment": fragment})
        sys.stdout.write(json.dumps(row, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
    elif fragment is not None:
        sys.stdout.write(fragment)
    else:
        plan_report.show(plan)


def _one_of(value: str | None, known: tuple[_T, ...], option: str) -> _T | None:
    if value is None:
        return None
    for one in known:
        if value.strip().lower() == str(one):
            return one
    raise CannotPlan(f"{option} takes {', '.join(map(str, known))}, not {value!r}")


def _kv_format(value: str) -> Kv:
    chosen: Kv | None = _one_of(value, _KVS, "--kv")
    return "auto" if chosen is None else chosen


def _draw(plan: Plan, path: Path) -> None:
    if path.suffix.lower() != ".svg":
        raise CannotPlan(f"--picture writes SVG: give a name that ends in .svg, not {path.name!r}")
    try:
        path.write_text(svg(plan), "utf-8")
    except OSError as error:
        raise CannotPlan(f"--picture cannot write {path}: {error.strerror}") from error
