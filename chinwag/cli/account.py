"""`chinwag account`: connect a number, page or Instagram account to a bot. Secrets are typed hidden or read from a file, never arguments."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bots.admin.accounts import webhook as account_hooks
from bots.admin.accounts.checks import Check, Offer
from bots.admin.accounts.connections import Connections, Desk, Unfit, days_left
from bots.channels.graph import is_plain
from bots.crypto import Keyring
from bots.domain import Account, ChannelKind
from bots.errors import BotsError, NotFound
from bots.settings import Settings
from bots.storage import accounts, audit, personas, tenants
from bots.storage.database import hot, open_engine, unit
from chinwag.local.ground import environment

app = typer.Typer(no_args_is_help=True, help="Connect, check, rotate, pause and remove accounts.")

_Name = Annotated[str, typer.Argument(help="The account's name; it is part of the webhook's address.")]
_Kind = Annotated[ChannelKind, typer.Option("--channel", help="The platform.")]
_Secret = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, readable=True, help="File that holds the secret.")]
_MARKS = {"ok": "ok  ", "warn": "look", "bad": "BAD ", "wait": "... "}


@dataclass(frozen=True, slots=True, kw_only=True)
class _At:
    """What the commands work with."""

    connections: Connections
    desk: Desk

    def wanted(self, channel: ChannelKind, name: str) -> Account:
        """Return the account of that name. Raises NotFound."""
        with hot(self.connections.web) as connection:
            found = accounts.find(connection, channel=channel, name=name)
        if found is None or found.tenant_id != self.desk.tenant:
            raise NotFound(f"There is no {channel.value} account named {name}; `chinwag account list` shows all.")
        return found


@contextmanager
def _work() -> Generator[_At]:
    """Open the work on accounts. A refusal of ours ends the command with its words and exit code 2."""
    try:
        settings = Settings.from_env(environment(os.environ))
        web = open_engine(settings.web_database_url, pool=2, name="cli")
        crossing = open_engine(settings.crossing_database_url, pool=2, name="cli crossing")
        try:
            with hot(web) as connection:
                tenant = tenants.default(connection)
            base = settings.public_url or f"http://{settings.web_host}:{settings.web_port}"
            connections = Connections(web=web, crossing=crossing, keyring=Keyring.from_settings(settings), settings=settings)
            yield _At(connections=connections, desk=Desk(tenant=tenant, actor="cli", base=base))
        finally:
            web.dispose()
            crossing.dispose()
    except Unfit as error:
        _show(error.checks, file=sys.stderr)
        for name, words in error.errors.items():
            sys.stderr.write(f"{_OPTIONS.get(name, name)}: {words}\n")
        if not error.errors:
            sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from error
    except BotsError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from error


#: What the command line calls the wizard's fields.
_OPTIONS = {
    "external_id": "--phone-number-id, --page-id or --instagram-id",
    "parent_id": "--waba-id, or --page-id of an Instagram account",
    "app_id": "--app-id",
    "app_secret": "--app-secret-file",
    "access_token": "--access-token-file",
    "name": "NAME",
}


@app.command()
def add(
    name: _Name,
    bot: Annotated[str, typer.Option(help="The bot that answers.")],
    app_id: Annotated[str, typer.Option(help="The Meta app's id: App settings > Basic.")],
    channel: _Kind = ChannelKind.WHATSAPP,
    phone_number_id: Annotated[str, typer.Option(help="WhatsApp: the number's id on WhatsApp > API Setup (not the phone number).")] = "",
    waba_id: Annotated[str, typer.Option(help="WhatsApp: the WhatsApp Business Account ID on the same page.")] = "",
    page_id: Annotated[str, typer.Option(help="Messenger, and Instagram through a page: the page's id.")] = "",
    instagram_id: Annotated[str, typer.Option(help="Instagram: the account's id; left out, the platform tells it.")] = "",
    door: Annotated[str, typer.Option(help="Instagram: through a `page`, or by its own `login`.")] = "page",
    app_secret_file: _Secret = None,
    access_token_file: _Secret = None,
) -> None:
    """Connect a WhatsApp number, a Facebook page or an Instagram account.

    Asks for the app secret and the access token (hidden) unless files are given, checks everything against the platform and registers
    the webhook where the API allows; else prints what to paste.
    """
    if channel is ChannelKind.CONSOLE or door not in {"page", "login"}:
        sys.stderr.write("--channel is whatsapp, messenger or instagram; --door is page or login.\n")
        raise typer.Exit(2)
    by_number = channel is ChannelKind.WHATSAPP
    by_page = channel is ChannelKind.INSTAGRAM and door == "page"
    offer = Offer(
        channel=channel,
        name=name,
        external_id=phone_number_id if by_number else page_id if channel is ChannelKind.MESSENGER else instagram_id,
        parent_id=waba_id if by_number else page_id if by_page else "",
        app_id=app_id,
        app_secret=_secret("App secret (App settings > Basic)", app_secret_file),
        access_token=_secret("Access token", access_token_file),
        door=door if channel is ChannelKind.INSTAGRAM else "page",
    )
    with _work() as at:
        with hot(at.connections.web) as connection:
            found = personas.get(connection, tenant=at.desk.tenant, name=bot)
        if found is None:
            raise NotFound(f"There is no bot named {bot}; `chinwag bot list` shows all, `chinwag bot set {bot}` makes it.")
        done = at.connections.connect(at.desk, offer, found.id)
    _show((*done.checks, *done.steps))
    if done.by_hand:
        where = account_hooks.place(channel, offer.door)
        sys.stdout.write(f"\n{where}\n  Callback URL: {done.address.url}\n  Verify token: {done.verify_token}\n")
    sys.stdout.write(f"\n{name} is connected. `chinwag account check {name} --channel {channel.value}` shows how it stands.\n")


@app.command("list")
def list_() -> None:
    """List all accounts with their state."""
    with _work() as at:
        for one in at.connections.all(at.desk):
            account = one.account
            reason = f" ({account.state_reason})" if account.state_reason else ""
            hops = f"  {sum(hop.state == 'ok' for hop in one.hops)} of {len(one.hops)} hops" if one.hops else ""
            sys.stdout.write(f"{account.channel.value}  {account.name}  {account.external_id}  {account.state}{reason}{hops}\n")


@app.command()
def check(name: _Name, channel: _Kind = ChannelKind.WHATSAPP) -> None:
    """Ask the platform whether everything is right, as the wizard does, and show the hops. Exit code 1 when something is wrong."""
    with _work() as at:
        account = at.wanted(channel, name)
        health = at.connections.look(at.desk, account.id)
        standing = at.connections.one(at.desk, account.id)
    looked = [Check(key="", title=one["title"], state=one["state"], words=one["words"], mend=one["mend"]) for one in health["checks"]]
    _show(looked)
    sys.stdout.write(f"\n{name} ({account.state}), {standing.address.url}\n")
    _show(standing.hops)
    if health["state"] == "bad" or any(hop.state == "bad" for hop in standing.hops):
        raise typer.Exit(1)


@app.command()
def health(name: _Name, channel: _Kind = ChannelKind.WHATSAPP) -> None:
    """Show what the last look at the platform found, without looking again."""
    with _work() as at:
        standing = at.connections.one(at.desk, at.wanted(channel, name).id)
    found, when = standing.setup.health, standing.setup.health_at
    if found is None or when is None:
        sys.stdout.write(f"Nobody has looked yet; `chinwag account check {name} --channel {channel.value}` does.\n")
        return
    left = days_left(found)
    sys.stdout.write(f"Looked at {when:%Y-%m-%d %H:%M} UTC: {found['state']}\n")
    for key, word in (("phone", "Number"), ("name", "Name"), ("quality", "Quality"), ("limit", "Limit"), ("throughput", "Throughput")):
        if found["facts"].get(key):
            sys.stdout.write(f"  {word}: {found['facts'][key]}\n")
    if "token_expires_at" in found["facts"]:
        sys.stdout.write(f"  Token: {'does not run out' if left is None else f'{left} days left'}\n")
    sys.stdout.write(f"  Webhook, expected: {standing.address.url}\n  Webhook, actual: {found['facts'].get('actual_url') or 'not told'}\n")


@app.command()
def rotate(
    name: _Name,
    channel: _Kind = ChannelKind.WHATSAPP,
    app_secret: Annotated[bool, typer.Option("--app-secret", help="Ask for a new app secret; the old one stays valid beside it.")] = False,
    access_token: Annotated[bool, typer.Option("--access-token", help="Ask for a new access token.")] = False,
    app_secret_file: _Secret = None,
    access_token_file: _Secret = None,
    drop_before: Annotated[bool, typer.Option(help="Stop accepting the app secret before.")] = False,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Do not ask the platform whether the new ones work.")] = False,
) -> None:
    """Replace secrets without downtime."""
    new_secret = _secret("New app secret", app_secret_file) if app_secret or app_secret_file else ""
    new_token = _secret("New access token", access_token_file) if access_token or access_token_file else ""
    with _work() as at:
        account = at.wanted(channel, name)
        if (new_secret or new_token) and unchecked:
            with unit(at.connections.web) as connection:
                accounts.rotate(connection, at.connections.keyring, account, app_secret=new_secret or None, access_token=new_token or None)
                subject = f"account:{channel.value}/{name}"
                audit.record(connection, tenant=at.desk.tenant, actor="cli", action="account.rotate", subject=subject)
        elif new_secret or new_token:
            _show(at.connections.rotate(at.desk, account.id, app_secret=new_secret, access_token=new_token))
        if drop_before:
            at.connections.drop_before(at.desk, account.id)
    sys.stdout.write(f"{name}: rotated\n")


@app.command()
def register(
    name: _Name,
    channel: _Kind = ChannelKind.WHATSAPP,
    take_over: Annotated[bool, typer.Option("--take-over", help="Take the app's address over from whoever has it.")] = False,
) -> None:
    """Tell the platform again where webhooks go."""
    with _work() as at:
        steps = at.connections.register(at.desk, at.wanted(channel, name).id, take_over=take_over)
    _show(steps)
    if any(step.state == "bad" for step in steps):
        raise typer.Exit(1)


@app.command("verify-token")
def verify_token(name: _Name, channel: _Kind = ChannelKind.WHATSAPP) -> None:
    """Make a new verify token and print it, this once, for pasting on the platform's pages."""
    with _work() as at:
        made = at.connections.new_verify_token(at.desk, at.wanted(channel, name).id)
    sys.stdout.write(f"{made}\n")


@app.command()
def ids(
    name: _Name,
    channel: _Kind = ChannelKind.WHATSAPP,
    app_id: Annotated[str, typer.Option(help="The Meta app's id.")] = "",
    parent_id: Annotated[str, typer.Option("--parent-id", help="WhatsApp: the business account; Instagram through a page: the page.")] = "",
) -> None:
    """Add the ids that checking needs to an account that was connected without them."""
    with _work() as at:
        at.connections.describe(at.desk, at.wanted(channel, name).id, app_id=app_id, parent_id=parent_id)
    sys.stdout.write(f"{name}: noted\n")


@app.command()
def pause(
    name: _Name,
    channel: _Kind = ChannelKind.WHATSAPP,
    resume: Annotated[bool, typer.Option("--resume", help="Answer again.")] = False,
) -> None:
    """Stop answering; messages are still taken in and kept. --resume answers again."""
    with _work() as at:
        at.connections.set_state(at.desk, at.wanted(channel, name).id, "active" if resume else "paused")
    sys.stdout.write(f"{name}: {'active' if resume else 'paused'}\n")


@app.command()
def remove(
    name: _Name, channel: _Kind = ChannelKind.WHATSAPP, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Erase an account with everything that came and went over it, and the contacts known by nothing else."""
    if not yes:
        typer.confirm(f"Erase {name} with all its conversations, messages and memories?", abort=True)
    with _work() as at:
        counts = at.connections.remove(at.desk, at.wanted(channel, name).id)
    told = ", ".join(f"{count} {table}" for table, count in counts.items() if count)
    sys.stdout.write(f"{name}: erased{f', {told}' if told else ''}\n")


def _show(checks: Iterable[Check], file: object = None) -> None:
    out = sys.stderr if file is sys.stderr else sys.stdout
    for one in checks:
        out.write(f"{_MARKS[one.state]}  {one.title}: {one.words}{f' {one.mend}' if one.mend else ''}\n")


def _secret(what: str, file: Path | None) -> str:
    text = file.read_text(encoding="utf-8", errors="replace").strip() if file else str(typer.prompt(what, hide_input=True)).strip()
    if not is_plain(text):
        sys.stderr.write(f"{what}: {'empty' if not text else 'there are signs in it that none has; copy it again'}.\n")
        raise typer.Exit(2)
    return text
