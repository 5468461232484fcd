"""`chinwag conversation`: read conversations, take one over, answer, give it back."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO
from uuid import UUID, uuid4

import msgspec
import typer

from bots.admin.conversations import Conversations, wrong_with
from bots.admin.money import money
from bots.errors import NotFound
from bots.storage import audit, exports, personas
from bots.storage.conversations import Head, State
from bots.storage.database import open_engine, unit
from chinwag.cli.database import desk
from chinwag.cli.private_file import open_private

app = typer.Typer(no_args_is_help=True, help="Read conversations; take one over, answer, give it back.")

_Id = Annotated[UUID, typer.Argument(help="The conversation's id; `chinwag conversation list` shows it.")]
_By = Annotated[str, typer.Option("--by", help="In whose name.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Only(StrEnum):
    """Which conversations."""

    TAKEN = "taken"
    WAITING = "waiting"
    UNANSWERED = "unanswered"


@app.command("list")
def list_(
    search: Annotated[str, typer.Option("--search", help="A part of a name, of a number, or of what was said lately.")] = "",
    only: Annotated[Only | None, typer.Option("--only", help="Taken over, waiting for the bot, or unanswered by anybody.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: _Json = False,
) -> None:
    """List conversations, the one that was written in last first."""
    with _conversations() as (conversations, tenant):
        heads = conversations.newest(tenant, search=search.replace("\0", ""), only=State(only.value) if only else None, limit=limit)
    for head in heads:
        sys.stdout.write(_json(head) if as_json else _line(head))


@app.command()
def show(conversation: _Id, as_json: _Json = False) -> None:
    """Show a conversation's last messages, its memories and what it cost."""
    with _conversations() as (conversations, tenant):
        page = conversations.page(tenant, conversation)
    if as_json:
        sys.stdout.write(_json(page))
        return
    sys.stdout.write(_line(page.head))
    for bubble in page.dialogue.bubbles:
        who = {"in": page.head.contact, "out": "bot"}.get(bubble.side, bubble.by or "person")
        status = f" ({bubble.status})" if bubble.status else ""
        sys.stdout.write(f"{bubble.at:%Y-%m-%d %H:%M:%S}  {who}{status}: {bubble.text or '[' + bubble.content_type + ']'}\n")
    for memory in page.dialogue.memories:
        sys.stdout.write(f"remembered: {memory.kind}: {memory.text}{'' if memory.valid_to is None else ' (no longer)'}\n")
    cost = page.dialogue.cost
    spent = "" if cost.cost is None else f"; {money(cost.cost)}"
    sys.stdout.write(f"{cost.turns} turns; tokens {cost.tokens_in} in ({cost.tokens_cached} cached), {cost.tokens_out} out{spent}\n")


@app.command()
def take(conversation: _Id, by: _By = "cli") -> None:
    """Take a conversation over: the bot is silent until it is given back."""
    with _conversations() as (conversations, tenant):
        conversations.take(tenant, conversation, by=by, actor="cli")
    sys.stdout.write(f"{by} has it; the bot is silent. chinwag conversation give-back {conversation} ends that.\n")


@app.command()
def answer(
    conversation: _Id, words: Annotated[str, typer.Argument(help="The answer; - reads it from standard input.")], by: _By = "cli"
) -> None:
    """Answer in a conversation that was taken over."""
    said = sys.stdin.read() if words == "-" else words
    said = said.replace("\0", "")
    wrong = wrong_with(said)
    if wrong is not None:
        raise typer.BadParameter(wrong)
    with _conversations() as (conversations, tenant):
        turn = conversations.answer(tenant, conversation, said, by=by, key=uuid4(), actor="cli")
    sys.stdout.write(f"On its way: turn {turn}.\n")


@app.command("give-back")
def give_back(conversation: _Id) -> None:
    """Let the bot answer again."""
    with _conversations() as (conversations, tenant):
        conversations.give_back(tenant, conversation, actor="cli")
    sys.stdout.write("Given back; the bot answers again.\n")


@app.command()
def export(
    out: Annotated[Path, typer.Option(dir_okay=False, metavar="FILE.jsonl", help="The file to write; it holds what people wrote.")],
    bot: Annotated[str | None, typer.Option(help="Only conversations with this bot.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Only those in which somebody wrote since.")] = 30,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 100,
) -> None:
    """Write conversations into a file, one a line, for `chinwag compare` or a batch: the persona, and what was asked and answered."""
    with desk() as at:
        if bot is not None and personas.get(at.connection, tenant=at.tenant, name=bot) is None:
            raise NotFound(f"There is no bot named {bot}; `chinwag bot list` shows all.")
        # Opened before anything is read: what cannot be written is not told as exported.
        file = _opened(out)
        crossing = open_engine(at.settings.crossing_database_url, pool=1, name="cli crossing")
        try:
            with unit(crossing) as connection:
                found = list(exports.talks(connection, tenant=at.tenant, bot=bot, days=days, limit=limit))
        finally:
            crossing.dispose()
        audit.record(
            at.connection,
            tenant=at.tenant,
            actor="cli",
            action="conversation.export",
            subject="conversations",
            detail={"count": len(found)},
        )
    try:
        with file:
            file.writelines(_request(talk) for talk in found)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from error
    sys.stdout.write(f"{len(found)} conversations in {out}. They are people's own words: keep the file as you keep the database.\n")


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


@contextmanager
def _conversations() -> Generator[tuple[Conversations, UUID]]:
    with desk() as at:
        web = open_engine(at.settings.web_database_url, pool=1, name="cli talk")
        crossing = open_engine(at.settings.crossing_database_url, pool=1, name="cli crossing")
        try:
            yield Conversations(web=web, crossing=crossing), at.tenant
        finally:
            web.dispose()
            crossing.dispose()


def _line(head: Head) -> str:
    state = f"taken by {head.taken_by}" if head.state is State.TAKEN else head.state.value
    words = " ".join((head.last_words or "").split())[:60]
    return f"{head.id}  {head.channel.value}:{head.account}  {head.contact}  {state}  {words}\n"


def _json(value: object) -> str:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False) + "\n"
