"""`chinwag model serve`: starts vLLM from a plan, from a folder, or attaches to a running engine; shows how far it is, and keeps it up."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bots.errors import BotsError
from chinwag.cli.plan_options import Asked, Folder, GpusText, ModelKey, plan_options
from chinwag.cli.serve_run import Tenancy, serve_attached, serve_follower, serve_gguf, serve_vllm
from chinwag.local import engine as local_engine
from chinwag.local.processes import CannotStart
from inference.catalog import Catalog, Model, licence_notice, load
from inference.engines.llamacpp import command_of
from inference.engines.reasons import option, spelt
from inference.errors import InferenceError
from inference.plan import CannotPlan, HostCommand, Plan, Question, make_plan
from inference.plan.command import commands as plan_commands

#: Without --anyway no plan that does not fit has so many.
_FEW_SLOTS = 16

_Node = Annotated[int, typer.Option("--node", help="With several hosts: the number of this one, from 0.")]
_Path = Annotated[
    Path | None,
    typer.Option("--path", help="Folder of a checkpoint, or a .gguf file; with --model and --gpus, the folder with the plan's weights."),
]
_Attach = Annotated[
    str, typer.Option("--attach", help="Address of a running engine: nothing is started, the running engine is monitored and used.")
]
_Name = Annotated[str, typer.Option("--name", help="The model's name in requests; with --attach, its name on that engine.")]
_Profile = Annotated[str, typer.Option("--profile", help="With --with-worker: the profile whose conversations it answers.")]
_Engine = Annotated[str, typer.Option("--engine", help="With --with-worker: this engine's name within the profile.")]
_Worker = Annotated[
    bool, typer.Option("--with-worker", help="Also answer the profile's conversations; without it the engine only listens.")
]
_Slots = Annotated[int, typer.Option("--slots", help="With --attach and --with-worker: how many requests the engine handles at once.")]
_Port = Annotated[int, typer.Option("--port", help="Where it listens.")]
_Host = Annotated[str, typer.Option("--host", help="Address to listen on. 0.0.0.0 opens it to the network, and it asks for no key.")]
_Print = Annotated[bool, typer.Option("--print", help="Print the commands for all hosts and start nothing.")]
_Accept = Annotated[bool, typer.Option("--accept-licence", help="Confirm that you have read the model's licence and accept it.")]
_Anyway = Annotated[bool, typer.Option("--anyway", help="Start even if the plan says that it does not fit.")]
_Log = Annotated[Path, typer.Option("--log", help="File for the engine's output.")]
_Rest = Annotated[
    list[str] | None, typer.Argument(help="After --: more arguments for `vllm serve`; they override the plan's.", show_default=False)
]


@plan_options
def command(
    ctx: typer.Context,
    *,
    model: ModelKey = "",
    gpus: GpusText = "",
    asked: Asked,
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
    catalog: Folder = None,
    rest: _Rest = None,
) -> None:
    """Serve a model with vLLM or llama.cpp: start it, show progress, and restart it when it dies. Ctrl-C lets running requests finish, then ends it.

    \b
    chinwag model serve --model llama-4-scout --gpus 8xH100 --accept-licence --with-worker
                              from a plan, and answer the conversations of the profile default
    chinwag model serve --path ./checkpoint -- --max-model-len 8192
                              a folder, with arguments for vLLM
    chinwag model serve --path ./model.gguf
                              a model file, with llama.cpp on this machine's cores
    chinwag model serve --attach http://10.0.0.7:8000 --name scout --slots 128 --with-worker
                              an engine that is already running
    chinwag model serve --model deepseek-v3 --gpus 16xH100 --head 10.0.0.1 --print
                              the commands of two hosts; each starts its own with --node

    A plan that does not fit, a licence that was not accepted, or missing weights: one line, exit code 2, and nothing is started.
    """  # noqa: D301 - typer wants the character that \b stands for
    tenancy = Tenancy(profile=profile, engine=engine, with_worker=with_worker, log=log.resolve())
    try:
        _check_options(port=port, attach=attach)
        if attach:
            if model or path or gpus:
                _refuse("give one of --attach, --path, or --model with --gpus")
            _attach(attach, name or "default", tenancy, slots=slots, only_print=only_print)
            return
        models = load(catalog)
        _check_licence(models, model, path, accepted=accept_licence)
        question, more = asked(), rest or []
        if path is not None and path.suffix == ".gguf":
            if model or gpus or host != "127.0.0.1":
                _refuse("a .gguf file is served by llama.cpp on loopback: leave out --model, --gpus and --host")
            context = ["--ctx", str(question.context)] if question.context else []
            _gguf(path.resolve(), name or path.stem, tenancy, port=port, more=[*context, *more], only_print=only_print)
            return
        found = _commands(models, model, gpus, path, question, anyway=anyway)
        served = name or model or (path.resolve().name if path else "")
        ready = [_whole(one, more, name=served, host=host, port=port) for one in found]
        if only_print:
            _show(*map(_text, ready))
        else:
            # A plan is for GPUs: it is not tried on the vLLM for CPUs that tests have made here.
            _start(ready, node, tenancy, has_head=_was_given(ctx, "head"), on_cpu=not (model or gpus))
    except (CannotPlan, InferenceError, BotsError, CannotStart, ValueError) as error:
        _refuse(str(error))


def _attach(url: str, name: str, tenancy: Tenancy, *, slots: int, only_print: bool) -> None:
    if only_print:
        _refuse("--attach starts no engine: there is no command to print")
    if tenancy.with_worker and slots < 1:
        _refuse("--attach with --with-worker needs --slots: how many requests that engine handles at once")
    serve_attached(url, name, tenancy, slots=slots)


def _gguf(file: Path, alias: str, tenancy: Tenancy, *, port: int, more: list[str], only_print: bool) -> None:
    if only_print:
        _show(shlex.join(command_of(file, alias=alias, port=port, more=more)))
    else:
        serve_gguf(file, alias, tenancy, port=port, more=more)


def _start(ready: list[HostCommand], node: int, tenancy: Tenancy, *, has_head: bool, on_cpu: bool) -> None:
    """Start the host that this one is."""
    if not 0 <= node < len(ready):
        _refuse(f"--node {node}: the plan has {len(ready)} host{'s, from 0' if len(ready) > 1 else ': leave it out'}")
    if node and tenancy.with_worker:
        _refuse("--with-worker belongs on the first host (--node 0); the others answer nobody")
    if len(ready) > 1 and not has_head:
        _refuse(f"this plan is for {len(ready)} hosts: give --head, the address at which the others reach the first")
    argv, env = local_engine.program(ready[node].argv) if on_cpu else (ready[node].argv, {})
    env |= ready[node].environment
    if node:
        serve_follower(argv, env, log=tenancy.log)
    else:
        serve_vllm(argv, env, tenancy)


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
        _refuse(f"say which GPUs serve {key}, for example --gpus 8xH100")
    row = models.get(key)
    plan = make_plan(row, gpus, today=datetime.now(UTC).date(), question=question)
    if not plan.weights.repo and path is None:
        _refuse(f"{row.title}: its weights as {plan.weights.format} were not published; give --path, a folder that has them")
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
            f"{plan.model.title} does not fit {plan.gpus.text}: {plan.why_not}.{f' What would fit: {would}.' if would else ''} (--anyway tries it)"
        )
    return plan_commands(plan.model, plan.weights, plan.layout, plan.question, context=plan.context, slots=_FEW_SLOTS)


def _whole(planned: HostCommand, rest: list[str], *, name: str, host: str, port: int) -> HostCommand:
    """A host's command with where it listens, what requests call it, and what the person added, which goes before the plan's own."""
    own = ["--served-model-name", name]
    if option(planned.argv, "--headless") is None:
        own += ["--host", host, "--port", str(port)]
    argv = _replaced(_replaced([argument for argument in planned.argv if argument], own), rest)
    return HostCommand(host=planned.host, argv=tuple(argv), environment=planned.environment)


def _replaced(argv: list[str], more: list[str]) -> list[str]:
    """The arguments and more of them, without the options that stand in both."""
    for argument in more:
        flag = spelt(argument.partition("=")[0])
        if flag.startswith("--") and option(argv, flag) is not None:
            argv = _without(argv, flag)
    return [*argv, *more]


def _without(argv: list[str], flag: str) -> list[str]:
    """The arguments without an option and its values."""
    at = next(n for n, argument in enumerate(argv) if spelt(argument.partition("=")[0]) == flag)
    end = at + 1
    while end < len(argv) and not argv[end].startswith("--"):
        end += 1
    return argv[:at] + argv[end:]


def _show(*commands: str) -> None:
    sys.stdout.write("\n".join(commands) + "\n")


def _text(one: HostCommand) -> str:
    return " ".join([*(f"{key}={shlex.quote(value)}" for key, value in one.environment.items()), shlex.join(one.argv)])


def _check_licence(models: Catalog, key: str, path: Path | None, *, accepted: bool) -> None:
    row: Model | None = models.get(key) if key else models.matching(str(path)) if path else None
    if row is None or row.licence is None:
        return
    eu = licence_notice(row)
    if row.licence.to_accept and not accepted:
        _refuse(
            f"{row.title} is licensed under the {row.licence.name} ({row.licence.url}): read it, and accept it with --accept-licence."
            f"{' ' + eu if eu else ''}"
        )
    if eu and not key:
        # A plan says so itself.
        sys.stderr.write(f"Note: {eu}\n")


def _check_folder(path: Path) -> None:
    if not path.is_dir():
        _refuse(f"--path {path} is not a folder")
    if not any((path / file).is_file() for file in ("config.json", "params.json")):
        _refuse(f"--path {path} has no config.json (or params.json): give the folder of a whole checkpoint")
    if not any(path.glob("*.safetensors")) and not any(path.glob("*.bin")):
        _refuse(f"--path {path} has a config but no weights: download its .safetensors files")


def _was_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _check_options(*, port: int, attach: str) -> None:
    if not 1 <= port <= 65535:
        _refuse(f"--port {port} is not a port: give a number from 1 to 65535")
    if attach and not attach.startswith(("http://", "https://")):
        _refuse(f"--attach {attach} is not an http(s) address")


def _refuse(line: str) -> NoReturn:
    sys.stderr.write(f"Cannot serve: {line}\n")
    raise typer.Exit(2)
