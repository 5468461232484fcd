"""`chinwag conversation`: read conversations, take one over, answer, give it back."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO
from uuid import UUID, uuid4

import msgspec
import typer

from bots.admin import conversations
from bots.admin.bots import editor
from bots.admin.money import money
from bots.storage import exports
from bots.storage.conversations import Head, State
from bots.storage.dialogue import Bubble
from chinwag.cli.private_file import open_private
from chinwag.cli.use_cases import use_cases

app = typer.Typer(no_args_is_help=True, help="Read conversations; take one over, answer, give it back.")

_Id = Annotated[UUID, typer.Argument(help="The conversation's id; `chinwag conversation list` shows it.")]
_By = Annotated[str, typer.Option("--by", help="The name to act under.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Only(StrEnum):
    """Which conversations."""

    TAKEN = "taken"
    WAITING = "waiting"
    UNANSWERED = "unanswered"


@app.command("list")
def list_(
    search: Annotated[str, typer.Option("--search", help="Part of a name, a number or a recent message.")] = "",
    only: Annotated[Only | None, typer.Option("--only", help="Taken over, waiting for the bot, or unanswered.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: _Json = False,
) -> None:
    """List conversations, the one with the newest message first."""
    state = State(only.value) if only else None
    with use_cases() as (deps, operator):
        heads = conversations.list_newest(deps, operator, search=search.replace("\0", ""), only=state, limit=limit)
    for head in heads:
        sys.stdout.write(_json(head) if as_json else _line(head))


@app.command()
def show(conversation: _Id, as_json: _Json = False) -> None:
    """Show a conversation's last messages, its memories and what it cost."""
    with use_cases() as (deps, operator):
        page = conversations.read(deps, operator, conversation)
    if as_json:
        sys.stdout.write(_json(page))
        return
    sys.stdout.write(_line(page.head) + _held(page.head))
    for bubble in page.dialogue.bubbles:
        who = {"in": page.head.contact, "out": "bot"}.get(bubble.side, bubble.by or "person")
        status = f" ({bubble.status})" if bubble.status else ""
        sys.stdout.write(f"{bubble.at:%Y-%m-%d %H:%M:%S}  {who}{status}: {bubble.text or '[' + bubble.content_type + ']'}{_mark(bubble)}\n")
    for turn in page.dialogue.turns:
        if turn.reason in conversations.TURN_REASONS:
            sys.stdout.write(f"turn {turn.number}: {conversations.TURN_REASONS[turn.reason]}\n")
    for memory in page.dialogue.memories:
        sys.stdout.write(f"remembered: {memory.kind}: {memory.text}{'' if memory.valid_to is None else ' (no longer)'}\n")
    cost = page.dialogue.cost
    spent = "" if cost.cost is None else f"; {money(cost.cost)}"
    about = "about " if cost.estimated else ""
    sys.stdout.write(f"{cost.turns} turns; tokens {about}{cost.tokens_in} in ({cost.tokens_cached} cached), {cost.tokens_out} out{spent}\n")


@app.command()
def take(conversation: _Id, by: _By = "cli") -> None:
    """Take a conversation over: the bot does not answer until it is given back."""
    with use_cases() as (deps, operator):
        conversations.take(deps, operator, conversation, by=by)
    sys.stdout.write(f"Taken over by {by}; the bot does not answer. To end this: chinwag conversation give-back {conversation}\n")


@app.command()
def answer(
    conversation: _Id, text: Annotated[str, typer.Argument(help="The answer; - reads it from standard input.")], by: _By = "cli"
) -> None:
    """Answer in a conversation that was taken over."""
    typed = (sys.stdin.read() if text == "-" else text).replace("\0", "")
    wrong = conversations.check_answer(typed)
    if wrong is not None:
        raise typer.BadParameter(wrong)
    with use_cases() as (deps, operator):
        turn = conversations.answer(deps, operator, conversation, typed, by=by, key=uuid4())
    sys.stdout.write(f"The answer is being sent: turn {turn}.\n")


@app.command("give-back")
def give_back(conversation: _Id) -> None:
    """Let the bot answer again."""
    with use_cases() as (deps, operator):
        conversations.give_back(deps, operator, conversation)
    sys.stdout.write("Given back; the bot answers again.\n")


@app.command()
def export(
    out: Annotated[Path, typer.Option(dir_okay=False, metavar="FILE.jsonl", help="The file to write; it contains what people wrote.")],
    bot: Annotated[str | None, typer.Option(help="Only conversations with this bot.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Only those with a message in this many days.")] = 30,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many, the newest.")] = 100,
) -> None:
    """Write conversations to a file, one per line, for `chinwag compare` or a batch: the persona, and what was asked and answered."""
    with use_cases() as (deps, operator):
        if bot is not None:
            editor.by_name(deps, operator, bot)
        # Opened first: an export that cannot be written is not in the audit trail.
        file = _opened(out)
        found = conversations.export(deps, operator, bot=bot, days=days, limit=limit)
    try:
        with file:
            file.writelines(_request(talk) for talk in found)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from error
    sys.stdout.write(f"{len(found)} conversations in {out}. It contains people's own messages: protect the file like the database.\n")


def _opened(out: Path) -> TextIO:
    try:
        return open_private(out)
    except OSError as error:
        sys.stderr.write(f"--out: {out} cannot be written: {error.strerror}\n")
        raise typer.Exit(2) from error


def _request(talk: exports.Talk) -> str:
    messages = [{"role": "system", "content": talk.persona}] if talk.persona.strip() else []
    for turn in talk.turns:
        messages += [{"role": "user", "content": turn.asked}, {"role": "assistant", "content": turn.answer}]
    line = {"custom_id": str(talk.id), "method": "POST", "url": "/v1/chat/completions", "body": {"messages": messages}}
    return json.dumps(line, ensure_ascii=False) + "\n"


def _line(head: Head) -> str:
    state = f"taken over by {head.taken_by}" if head.state is State.TAKEN else head.state.value
    last = " ".join((head.last_words or "").split())[:60]
    return f"{head.id}  {head.channel.value}:{head.account}  {head.contact}  {state}  {last}\n"


def _held(head: Head) -> str:
    """Who or what keeps the bot silent, since when, until when, and how to end it."""
    if head.held is None:
        return ""
    if head.taken_at is None:
        return f"The bot is silent: {head.held}. It answers again when the contact writes /start.\n"
    until = f"until {_at(head.taken_until)}, longer if the colleague writes again" if head.taken_until else "until it is given back"
    end = f"To end this: chinwag conversation give-back {head.id}"
    return f"The bot is silent since {_at(head.taken_at)}, {until}: {head.held}. {end}\n"


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _mark(bubble: Bubble) -> str:
    return " (taken back)" if bubble.is_unsent else " (edited)" if bubble.edited_at else " (sent by itself)" if bubble.is_automatic else ""


def _json(value: object) -> str:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False) + "\n"
