"""`chinwag model serve`: starts vLLM from a plan, from a folder, or attaches to a running engine; shows how far it is, and keeps it up."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer

from bots.errors import BotsError
from chinwag.cli.serve_progress import Progress
from chinwag.local import engine as local_engine
from chinwag.local.ground import environment
from chinwag.local.processes import CannotStart
from inference.catalog import Catalog, Model, NumberFormat, load
from inference.engines.attached import Attached
from inference.engines.keeper import Keeper, Tenant, Watch
from inference.engines.reasons import option
from inference.engines.vllm import Vllm
from inference.errors import EngineCannotStart, InferenceError
from inference.licence import licence_notice
from inference.plan import CannotPlan, Forced, HostCommand, Plan, Question, make_plan, read_context
from inference.plan.command import commands as plan_commands
from inference.settings import ModelSettings
from workers.gpu import Consumer, engine_env

#: Without --anyway no plan that does not fit has so many.
_FEW_SLOTS = 16

_Model = Annotated[str, typer.Option("--model", help="Key of the catalog, such as llama-4-scout; `chinwag model list` shows all.")]
_Gpus = Annotated[str, typer.Option("--gpus", help="This host's GPUs, or those of all hosts: 8xH100; 16xH100 is two hosts.")]
_Format = Annotated[str | None, typer.Option("--format", help="bf16, fp8, w4a16 or nvfp4; without it the most bits that fit with room.")]
_Context = Annotated[str | None, typer.Option("--context", help="Longest conversation in tokens: 32k, 1M, 40000.")]
_Contacts = Annotated[int | None, typer.Option("--contacts", help="How many people write; decides between quick replies and many.")]
_Kv = Annotated[str, typer.Option("--kv", help="KV cache in fp8, or auto: bf16.")]
_Speculative = Annotated[bool, typer.Option("--speculative", help="With the catalog's speculative decoding (EAGLE, MTP).")]
_Tp = Annotated[int | None, typer.Option("--tp", help="Set the tensor-parallel size.")]
_Dp = Annotated[int | None, typer.Option("--dp", help="Set the data-parallel size.")]
_Pp = Annotated[int | None, typer.Option("--pp", help="Set the number of pipeline stages.")]
_Head = Annotated[str, typer.Option("--head", help="Of several hosts: the address of the first.")]
_Node = Annotated[int, typer.Option("--node", help="Of several hosts: which one this is, from 0.")]
_Path = Annotated[Path | None, typer.Option("--path", help="Folder of a checkpoint; with --model and --gpus the plan's weights lie there.")]
_Attach = Annotated[str, typer.Option("--attach", help="Address of a running engine: nothing is started, it is watched and used.")]
_Name = Annotated[str, typer.Option("--name", help="The model's name for requests; with --attach its name there.")]
_Profile = Annotated[str, typer.Option("--profile", help="With --with-worker: whose conversations it answers.")]
_Engine = Annotated[str, typer.Option("--engine", help="With --with-worker: this engine's name among the profile's.")]
_Worker = Annotated[bool, typer.Option("--with-worker", help="Answer the profile's conversations too; else it only listens.")]
_Slots = Annotated[int, typer.Option("--slots", help="With --attach and --with-worker: requests that the engine works on at once.")]
_Port = Annotated[int, typer.Option("--port", help="Where it listens.")]
_Host = Annotated[str, typer.Option("--host", help="Address that it listens on; 0.0.0.0 opens it to the network, and it asks for no key.")]
_Print = Annotated[bool, typer.Option("--print", help="Show the commands of all hosts, and start nothing.")]
_Accept = Annotated[bool, typer.Option("--accept-licence", help="You have read the model's licence and accept it.")]
_Anyway = Annotated[bool, typer.Option("--anyway", help="Start a plan that does not fit by the arithmetic.")]
_Log = Annotated[Path, typer.Option("--log", help="File for the engine's output.")]
_Folder = Annotated[Path | None, typer.Option("--catalog", envvar="CHINWAG_MODEL_CATALOG", help="Folder with model files of your own.")]
_Rest = Annotated[
    list[str] | None, typer.Argument(help="Behind --: more arguments for `vllm serve`; they go before the plan's.", show_default=False)
]


def command(
    *,
    model: _Model = "",
    gpus: _Gpus = "",
    format_: _Format = None,
    context: _Context = None,
    contacts: _Contacts = None,
    kv: _Kv = "auto",
    speculative: _Speculative = False,
    tp: _Tp = None,
    dp: _Dp = None,
    pp: _Pp = None,
    head: _Head = "10.0.0.1",
    node: _Node = 0,
    path: _Path = None,
    attach: _Attach = "",
    name: _Name = "",
    profile: _Profile = "default",
    engine: _Engine = "one",
    with_worker: _Worker = False,
    slots: _Slots = 0,
    port: _Port = 8000,
    host: _Host = "127.0.0.1",
    only_print: _Print = False,
    accept_licence: _Accept = False,
    anyway: _Anyway = False,
    log: _Log = Path("engine.log"),
    catalog: _Folder = None,
    rest: _Rest = None,
) -> None:
    """Serve a model with vLLM: start it, show how far it is, and start it again when it dies. Ctrl-C lets it finish and ends it.

    \b
    chinwag model serve --model llama-4-scout --gpus 8xH100 --accept-licence --with-worker
                              from a plan, and answer the conversations of the profile default
    chinwag model serve --path ./checkpoint -- --max-model-len 8192
                              a folder, with whatever vLLM is told
    chinwag model serve --attach http://10.0.0.7:8000 --name scout --slots 128 --with-worker
                              an engine that runs already
    chinwag model serve --model deepseek-v3 --gpus 16xH100 --head 10.0.0.1 --print
                              the commands of two hosts; each starts its own with --node

    A plan that does not fit, a licence that was not accepted, weights that are not there: one line, exit code 2, nothing started.
    """  # noqa: D301 - typer wants the character that \b stands for
    try:
        _check_options(kv=kv, port=port, attach=attach)
        if attach:
            if model or path or gpus:
                _refuse("give --attach, or --model with --gpus, or --path: one of them")
            if only_print:
                _refuse("--attach starts no engine: there is no command to print")
            _attached(attach, name or "default", profile=profile, engine=engine, slots=slots, with_worker=with_worker)
            return
        models = load(catalog)
        _check_licence(models, model, path, accepted=accept_licence)
        found = _commands(
            models,
            model,
            gpus,
            path,
            Question(
                format=_format(format_),
                context=None if context is None else read_context(context),
                kv="fp8" if kv == "fp8" else "auto",
                contacts=contacts,
                speculative=speculative,
                forced=Forced(tp=tp, dp=dp, pp=pp),
                head=head,
            ),
            anyway=anyway,
        )
        served = name or model or (path.resolve().name if path else "")
        ready = [_whole(one, rest or [], name=served, host=host, port=port) for one in found]
        if only_print:
            sys.stdout.write("\n".join(_text(one) for one in ready) + "\n")
            return
        if not 0 <= node < len(ready):
            _refuse(f"--node {node}: the plan has {len(ready)} host{'s, from 0' if len(ready) > 1 else ': leave it away'}")
        _started(ready[node], log, profile=profile, engine=engine, with_worker=with_worker)
    except (CannotPlan, InferenceError, BotsError, CannotStart, ValueError) as error:
        _refuse(str(error))


def _commands(models: Catalog, key: str, gpus: str, path: Path | None, question: Question, *, anyway: bool) -> tuple[HostCommand, ...]:
    if path is not None:
        _check_folder(path)
    if not key:
        if path is None:
            _refuse("say what to serve: --model KEY --gpus 8xH100, --path FOLDER, or --attach URL")
        length = ("--max-model-len", str(question.context)) if question.context else ()
        options = (*length, "--enable-prompt-tokens-details", "--scheduling-policy", "priority")
        return (HostCommand(host=0, argv=("vllm", "serve", str(path.resolve()), *options), environment={}),)
    if not gpus:
        _refuse(f"say on which GPUs {key} is served: --gpus 8xH100")
    row = models.get(key)
    plan = make_plan(row, gpus, today=datetime.now(UTC).date(), question=question)
    if not plan.weights.repo and path is None:
        _refuse(f"{row.title}: its weights as {plan.weights.format} were not published; --path names a folder that has them")
    found = plan.commands if plan.fits else _unfit(plan, anyway=anyway)
    for warning in plan.warnings:
        sys.stderr.write(f"Note: {warning}\n")
    if path is None:
        return found
    at = found[0].argv.index("serve") + 1
    return tuple(
        HostCommand(host=one.host, argv=(*one.argv[:at], str(path.resolve()), *one.argv[at + 1 :]), environment=one.environment)
        for one in found
    )


def _unfit(plan: Plan, *, anyway: bool) -> tuple[HostCommand, ...]:
    if not anyway:
        would = "; ".join(one.text for one in plan.advice)
        _refuse(
            f"{plan.model.title} does not fit {plan.gpus.text}: {plan.why_not}.{f' What would do: {would}.' if would else ''} (--anyway tries it)"
        )
    return plan_commands(plan.model, plan.weights, plan.layout, plan.question, context=plan.context, slots=_FEW_SLOTS)


def _whole(planned: HostCommand, rest: list[str], *, name: str, host: str, port: int) -> HostCommand:
    """A host's command with where it listens, what requests call it, and what the person added, which goes before the plan's own."""
    given = [argument for argument in planned.argv if argument]
    for argument in rest:
        flag = argument.partition("=")[0]
        if flag.startswith("--") and option(given, flag) is not None:
            given = _without(given, flag)
    if option(given, "--headless") is None:
        given += ["--served-model-name", name, "--host", host, "--port", str(port)]
    argv = [*given, *rest]
    return HostCommand(host=planned.host, argv=tuple(argv), environment=planned.environment)


def _without(argv: list[str], flag: str) -> list[str]:
    """The arguments without an option and its values."""
    at = next(n for n, argument in enumerate(argv) if argument.partition("=")[0] == flag)
    end = at + 1
    while end < len(argv) and not argv[end].startswith("--"):
        end += 1
    return argv[:at] + argv[end:]


def _text(one: HostCommand) -> str:
    return " ".join([*(f"{key}={shlex.quote(value)}" for key, value in one.environment.items()), shlex.join(one.argv)])


def _check_licence(models: Catalog, key: str, path: Path | None, *, accepted: bool) -> None:
    row: Model | None = models.get(key) if key else models.matching(str(path)) if path else None
    if row is None or row.licence is None:
        return
    eu = licence_notice(row)
    if row.licence.to_accept and not accepted:
        _refuse(
            f"{row.title} comes under the {row.licence.name} ({row.licence.url}): read it, and say with --accept-licence that you accept it."
            f"{' ' + eu if eu else ''}"
        )
    if eu and not key:
        # A plan says so itself.
        sys.stderr.write(f"Note: {eu}\n")


def _check_folder(path: Path) -> None:
    if not path.is_dir():
        _refuse(f"--path {path} is no folder")
    if not any((path / file).is_file() for file in ("config.json", "params.json")):
        _refuse(f"--path {path} has no config.json (or params.json): give the folder of a whole checkpoint")
    if not any(path.glob("*.safetensors")) and not any(path.glob("*.bin")):
        _refuse(f"--path {path} has a config and no weights: fetch its .safetensors files")


def _started(one: HostCommand, log: Path, *, profile: str, engine: str, with_worker: bool) -> None:
    argv, more = local_engine.program(one.argv)
    if option(argv, "--headless") is not None:
        if with_worker:
            _refuse("--with-worker goes with the first host (--node 0): the others answer nobody")
        # Its first host answers; this one only computes, and vLLM's own mechanism ends it with the first.
        os.execvpe(argv[0], argv, engine_env(os.environ) | more | dict(one.environment))  # noqa: S606 - the plan's own command
    running = Vllm(argv, log=log.resolve(), env=engine_env(os.environ) | more | dict(one.environment))
    tenant = _consumer(profile, engine, running.model, running.slots) if with_worker else None
    _keep(running, tenant, f"{running.url}/v1, model {running.model}, log {running.log}")


def _attached(url: str, name: str, *, profile: str, engine: str, slots: int, with_worker: bool) -> None:
    env = dict(os.environ) | {"CHINWAG_MODEL_URL": url.rstrip("/").removesuffix("/v1") + "/v1"}
    endpoint = ModelSettings.from_env(env).open_endpoint()
    if with_worker and slots < 1:
        _refuse("--attach with --with-worker wants --slots: how many requests that engine works on at once")
    running = Attached(endpoint.url, model=name, api_key=endpoint.api_key)
    tenant = _consumer(profile, engine, name, slots) if with_worker else None
    _keep(running, tenant, f"{endpoint.url}, model {name}")


def _consumer(profile: str, engine: str, model: str, slots: int) -> Consumer:
    """What answers the profile's conversations, in the stack that the environment names or that runs here."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("CHINWAG_")}
    return Consumer(profile=profile, engine=engine, model=model, slots=slots, env=kept | environment(os.environ))


def _keep(running: Vllm | Attached, inner: Tenant | None, where: str) -> None:
    began = time.monotonic()
    progress = Progress(where, inner)
    keeper = Keeper(running, progress, watch=Watch())

    def stop(_number: int, _frame: FrameType | None) -> None:
        keeper.stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        with progress:
            keeper.run()
    except EngineCannotStart as error:
        _refuse(f"after {time.monotonic() - began:.0f} s: {error}")


def _check_options(*, kv: str, port: int, attach: str) -> None:
    if kv not in {"auto", "fp8"}:
        _refuse(f"--kv takes auto or fp8, not {kv!r}")
    if not 1 <= port <= 65535:
        _refuse(f"--port {port} is no port: a number from 1 to 65535")
    if attach and not attach.startswith(("http://", "https://")):
        _refuse(f"--attach {attach} is not an http(s) address")


def _format(text: str | None) -> NumberFormat | None:
    if text is None:
        return None
    known = {str(one): one for one in NumberFormat}
    if text.strip().lower() not in known:
        _refuse(f"--format takes {', '.join(known)}, not {text!r}")
    return known[text.strip().lower()]


def _refuse(line: str) -> NoReturn:
    sys.stderr.write(f"Cannot serve: {line}\n")
    raise typer.Exit(2)
