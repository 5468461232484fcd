"""The `chinwag` command: one module for each command group, assembled here, and loaded when it is run: a list of commands needs none of them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from bots.errors import BotsError
from chinwag.local.processes import CannotStart

_EPILOG = """
Try it:

\b
  make run                  everything on this machine; prints the chat page's address
  chinwag webhook send --account demo --text hello --wait 60
                            write like a person on WhatsApp, and see the answer
  chinwag webhook parse --channel whatsapp FILE
                            how the service understands a webhook's body
  chinwag bot set --help    the persona and the other settings of a bot
  chinwag account add --help
                            connect a real WhatsApp number
  chinwag model list        the models that can be planned, served or compared
  chinwag plan --model llama-4-scout --gpus 8xH100
                            whether it fits, how fast, at what cost; starts nothing
  chinwag doctor            whether everything is in order

Commands use the running stack of this checkout, from any folder; CHINWAG_ variables select another one.
"""
#: As the groups themselves say it.
_GROUPS = {
    "account": "Connect, check, rotate, pause and remove accounts.",
    "attention": "Handle what needs attention: list, replay, resend, settle, dismiss, resume, same-person, two-people.",
    "batch": "Answer files of questions; conversations are always answered first.",
    "bot": "Show and change bots: persona, texts, memory, versions.",
    "conversation": "Read conversations; take one over, answer, give it back.",
    "endpoint": "Connect, probe, change and remove model servers.",
    "memory": "What is remembered of a person: show, search, add, correct, end, erase, export.",
    "model": "Models of the catalog (list, show), your own engine (serve), what an endpoint really does (probe, embeddings), which may find facts to remember (trial), vectors of another model (reembed).",
    "operator": "Manage who can sign in to the admin pages.",
    "profile": "Show and change profiles: which endpoints answer, in which order.",
    "tenant": "Show tenants, and how they share the slots.",
    "webhook": "Parse webhooks, and send them as a platform would.",
}
_COMMANDS = {
    "run": "Start everything on this machine.",
    "stop": "Stop what `run` started.",
    "reset": "Remove this checkout's data; asks first.",
    "doctor": "Check what `run` needs, and what runs.",
    "plan": "Show whether a model fits some GPUs, how fast it will be, what it costs, and the commands that serve it.",
    "sign-in": "Print a one-time link to the admin page.",
    "usage": "Show the tokens and costs of a month.",
    "compare": "Ask several models the same turns and show the answers side by side.",
    "migrate": "Create or update the database.",
    "env-example": "Print every setting of .env with its meaning and default.",
    "fake-platform": "Run a practice server that plays WhatsApp, Messenger and Instagram.",
}


class _Commands(TyperGroup):
    """All commands; an error in the command line is explained in one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command, and exit with its code."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode, windows_expand_args, **extra)
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, windows_expand_args=windows_expand_args, **extra)
        except typer.TyperException as error:
            # Typer itself would print the usage and a blank line first.
            sys.stderr.write(f"{error.format_message().rstrip()}\n")
            code = error.exit_code
        except typer.Abort:
            sys.stderr.write("Aborted!\n")
            code = 1
        sys.exit(code if isinstance(code, int) else 0)


class _Outline(_Commands):
    """The names of all commands and what they are for; the one that is run is loaded then."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that the arguments name."""
        if args and args[0] in self.commands:
            self.add_command(cast("TyperGroup", get_command(build(args[0]))).commands[args[0]])
        return super().resolve_command(ctx, args)


def outline() -> typer.Typer:
    """All commands, none of them loaded."""
    app = _app(_Outline)
    for name, words in _COMMANDS.items():
        app.command(name, short_help=words)(_unloaded)
    for name, words in _GROUPS.items():
        app.command(name, help=words)(_unloaded)
    return app


def build(only: str | None = None) -> typer.Typer:
    """Assemble the commands: all of them, or just the one about to run, so that a process of the stack loads no more than it needs."""
    app = _app(_Commands)
    for name in _COMMANDS if only is None else [only] if only in _COMMANDS else []:
        module = importlib.import_module(f"chinwag.cli.{name.replace('-', '_')}")
        app.command(name, short_help=_COMMANDS[name])(cast("Callable[..., None]", module.command))
    for name in _GROUPS if only is None else [only] if only in _GROUPS else []:
        module = importlib.import_module(f"chinwag.cli.{name}")
        app.add_typer(cast("typer.Typer", module.app), name=name)
    return app


def _app(kind: type[TyperGroup]) -> typer.Typer:
    app = typer.Typer(
        name="chinwag",
        cls=kind,
        help="Your own assistant on WhatsApp and other messengers: run it, connect accounts, monitor it, try it out.",
        epilog=_EPILOG,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    # With a callback even a single command keeps its name.
    app.callback()(_root)
    return app


def main() -> int:
    """Run the command line; an error that a person can fix is one line and exit code 2."""
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    try:
        (build(first) if first in {*_GROUPS, *_COMMANDS} else outline())()
    except CannotStart as error:
        sys.stderr.write(f"Cannot go on: {error}\n")
        return 2
    except BotsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _unloaded() -> None:
    """Stands for a command that is not loaded."""


def _root() -> None:
    """Your own assistant on WhatsApp and other messengers: run it, connect accounts, monitor it, try it out."""
