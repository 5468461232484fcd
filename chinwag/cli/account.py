"""`chinwag account`: connect a platform number to a bot. Secrets are typed hidden or read from a file, never arguments."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from bots.channels.graph import GraphClient
from bots.domain import Account, ChannelKind
from bots.errors import NotFound, SendError
from bots.storage import accounts
from chinwag.cli.bot import wanted as wanted_bot
from chinwag.cli.database import Desk, desk

app = typer.Typer(no_args_is_help=True, help="Connect, check, rotate, pause and remove accounts.")

_Name = Annotated[str, typer.Argument(help="The account's name; it is part of the webhook's address.")]
_Kind = Annotated[ChannelKind, typer.Option("--channel", help="The platform.")]
_Secret = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, readable=True, help="File that holds the secret.")]


@app.command()
def add(
    name: _Name,
    bot: Annotated[str, typer.Option(help="The bot that answers.")],
    phone_number_id: Annotated[str, typer.Option(help="The number's id on Meta's page WhatsApp > API Setup (not the phone number).")],
    channel: _Kind = ChannelKind.WHATSAPP,
    app_secret_file: _Secret = None,
    access_token_file: _Secret = None,
) -> None:
    """Connect a WhatsApp number.

    Asks for the app secret and the access token (hidden) unless files are given, then prints what to paste into Meta's pages.
    """
    if not phone_number_id.isdecimal():
        sys.stderr.write("The phone number id is digits only: it stands under the number on Meta's page WhatsApp > API Setup.\n")
        raise typer.Exit(2)
    app_secret = _secret("App secret (App settings > Basic)", app_secret_file)
    access_token = _secret("Access token (system user)", access_token_file)
    verify_token = secrets.token_urlsafe(24)
    with desk() as at:
        accounts.add(
            at.connection,
            at.keyring,
            tenant=at.tenant,
            bot=wanted_bot(at, bot).id,
            channel=channel,
            name=name,
            external_id=phone_number_id,
            app_secret=app_secret,
            verify_token=verify_token,
            access_token=access_token,
        )
    sys.stdout.write(
        f"Connected. On Meta's page WhatsApp > Configuration set\n  Callback URL: https://YOUR-ADDRESS/webhooks/{channel.value}/{name}\n"
        f"  Verify token: {verify_token}\nand subscribe to the field `messages`. Then: chinwag account check {name}\n"
    )


@app.command("list")
def list_() -> None:
    """List all accounts with their state."""
    with desk() as at:
        for account in accounts.list_all(at.connection):
            reason = f" ({account.state_reason})" if account.state_reason else ""
            sys.stdout.write(f"{account.channel.value}  {account.name}  {account.external_id}  {account.state}{reason}\n")


@app.command()
def check(name: _Name, channel: _Kind = ChannelKind.WHATSAPP) -> None:
    """Ask the platform whether the account's token and id work."""
    with desk() as at:
        account = _wanted(at, channel, name)
        opened = accounts.open_secrets(at.keyring, account)
        settings = at.settings
    if not opened.app_secrets:
        sys.stderr.write(f"No app secret: the webhook's door is closed. chinwag account rotate {name} --app-secret sets it.\n")
        raise typer.Exit(1)
    graph = GraphClient(base_url=settings.graph_url, version=settings.graph_version, deadline_s=settings.send_deadline_s)
    try:
        graph.call("GET", account.external_id, token=opened.access_token or "")
    except SendError as error:
        code = f", code {error.code}" if error.code else ""
        sys.stderr.write(f"{type(error).__doc__} (HTTP {error.http_status}{code})\n")
        raise typer.Exit(1) from error
    sys.stdout.write(f"{name}: the token works and reaches {account.external_id}; state {account.state}\n")


@app.command()
def rotate(
    name: _Name,
    channel: _Kind = ChannelKind.WHATSAPP,
    app_secret: Annotated[bool, typer.Option("--app-secret", help="Ask for a new app secret; the old one stays valid beside it.")] = False,
    access_token: Annotated[bool, typer.Option("--access-token", help="Ask for a new access token.")] = False,
    app_secret_file: _Secret = None,
    access_token_file: _Secret = None,
    drop_before: Annotated[bool, typer.Option(help="Stop accepting the app secret before.")] = False,
) -> None:
    """Replace secrets without downtime."""
    new_secret = _secret("New app secret", app_secret_file) if app_secret or app_secret_file else None
    new_token = _secret("New access token", access_token_file) if access_token or access_token_file else None
    with desk() as at:
        account = _wanted(at, channel, name)
        accounts.rotate(at.connection, at.keyring, account, app_secret=new_secret, access_token=new_token, drop_before=drop_before)
    sys.stdout.write(f"{name}: rotated\n")


@app.command()
def pause(
    name: _Name,
    channel: _Kind = ChannelKind.WHATSAPP,
    resume: Annotated[bool, typer.Option("--resume", help="Answer again.")] = False,
) -> None:
    """Stop answering; messages are still taken in and kept. --resume answers again."""
    with desk() as at:
        accounts.set_state(at.connection, _wanted(at, channel, name), "active" if resume else "paused")
    sys.stdout.write(f"{name}: {'active' if resume else 'paused'}\n")


@app.command()
def remove(
    name: _Name, channel: _Kind = ChannelKind.WHATSAPP, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Remove an account with all its conversations."""
    if not yes:
        typer.confirm(f"Remove {name} with all its conversations?", abort=True)
    with desk() as at:
        accounts.remove(at.connection, _wanted(at, channel, name))
    sys.stdout.write(f"{name}: removed\n")


def _wanted(at: Desk, channel: ChannelKind, name: str) -> Account:
    account = accounts.find(at.connection, channel=channel, name=name)
    if account is None:
        raise NotFound(f"There is no {channel.value} account named {name}; `chinwag account list` shows all.")
    return account


def _secret(what: str, file: Path | None) -> str:
    text = file.read_text().strip() if file else str(typer.prompt(what, hide_input=True)).strip()
    if not text:
        sys.stderr.write(f"{what}: empty.\n")
        raise typer.Exit(2)
    return text
