"""`chinwag account`: connect a number, page or Instagram account to a bot. Secrets are typed hidden or read from a file, never arguments."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bots.admin import weights
from bots.admin.accounts import changes, connections, rotation, status
from bots.admin.accounts import health as account_health
from bots.admin.accounts.offer import BAD_CHARACTERS, AccountRejected, Check, Offer
from bots.admin.accounts.webhook import place
from bots.admin.acting import Operator
from bots.admin.bots import editor
from bots.admin.deps import Deps
from bots.channels.graph import is_plain
from bots.domain import ChannelKind
from bots.storage.setups import MOST_COUNTED
from chinwag.cli.use_cases import use_cases

app = typer.Typer(no_args_is_help=True, help="Connect, check, rotate, pause and remove accounts.")


class OnOff(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


_Name = Annotated[str, typer.Argument(help="The account's name; it is part of the webhook's address.")]
_Kind = Annotated[ChannelKind, typer.Option("--channel", help="The platform.")]
_Secret = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, readable=True, help="File that contains the secret.")]
_MARKS = {"ok": "ok  ", "warn": "WARN", "bad": "BAD ", "wait": "... "}


@contextmanager
def _accounts() -> Generator[tuple[Deps, Operator, str]]:
    """The dependencies of use cases, who acts, and this service's address. A rejection ends the command with its checks and exit code 2."""
    with use_cases() as (deps, operator):
        try:
            yield deps, operator, deps.settings.public_url or f"http://{deps.settings.web_host}:{deps.settings.web_port}"
        except AccountRejected as error:
            _show(error.checks, file=sys.stderr)
            for name, message in error.errors.items():
                sys.stderr.write(f"{_OPTIONS.get(name, name)}: {message}\n")
            if not error.errors:
                sys.stderr.write(f"{error}\n")
            raise typer.Exit(2) from error


#: The options for the wizard's fields.
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
    instagram_id: Annotated[str, typer.Option(help="Instagram: the account's id; without it, the platform is asked.")] = "",
    login_type: Annotated[str, typer.Option(help="Instagram: through a `page`, or with Instagram `login`.")] = "page",
    app_secret_file: _Secret = None,
    access_token_file: _Secret = None,
) -> None:
    """Connect a WhatsApp number, a Facebook page or an Instagram account.

    Asks for the app secret and the access token (hidden) unless files are given. Checks everything against the platform and registers
    the webhook where the API allows it; otherwise prints what to paste.
    """
    if channel is ChannelKind.CONSOLE or login_type not in {"page", "login"}:
        sys.stderr.write("--channel is whatsapp, messenger or instagram; --login-type is page or login.\n")
        raise typer.Exit(2)
    by_number = channel is ChannelKind.WHATSAPP
    by_page = channel is ChannelKind.INSTAGRAM and login_type == "page"
    offer = Offer(
        channel=channel,
        name=name,
        external_id=phone_number_id if by_number else page_id if channel is ChannelKind.MESSENGER else instagram_id,
        parent_id=waba_id if by_number else page_id if by_page else "",
        app_id=app_id,
        app_secret=_secret("App secret (App settings > Basic)", app_secret_file),
        access_token=_secret("Access token", access_token_file),
        login_type=login_type if channel is ChannelKind.INSTAGRAM else "page",
    )
    with _accounts() as (deps, operator, base):
        done = connections.connect(deps, operator, offer, editor.by_name(deps, operator, bot).id, base=base)
    _show((*done.checks, *done.steps))
    if done.by_hand:
        where = place(channel, offer.login_type)
        sys.stdout.write(f"\n{where}\n  Callback URL: {done.address.url}\n  Verify token: {done.verify_token}\n")
    sys.stdout.write(f"\n{name} is connected. `chinwag account check {name} --channel {channel.value}` checks it again.\n")


@app.command("list")
def list_() -> None:
    """List all accounts with their state."""
    with _accounts() as (deps, operator, base):
        for one in status.list_all(deps, operator, base=base):
            account = one.account
            reason = f" ({one.trouble.message})" if one.trouble else ""
            steps = one.setup_steps
            done = f"  {sum(step.state == 'ok' for step in steps)} of {len(steps)} steps done" if steps else ""
            share = f"  weight {one.setup.weight:g}" if one.setup.weight != 1 else ""
            waits = f"  {one.setup.people}{'+' if one.setup.people == MOST_COUNTED else ''} waiting" if one.setup.people else ""
            sys.stdout.write(
                f"{account.channel.value}  {account.name}  {account.external_id}  {account.state}{reason}{done}{share}{waits}\n"
            )


@app.command()
def check(name: _Name, channel: _Kind = ChannelKind.WHATSAPP) -> None:
    """Check the account like the wizard, and show the steps of its set-up. Exit code 1 when something is wrong."""
    with _accounts() as (deps, operator, base):
        account = status.find(deps, operator, channel, name)
        health = account_health.check(deps, operator, account.id, base=base)
        found = status.get(deps, operator, account.id, base=base)
    _show(Check(key="", title=one["title"], state=one["state"], message=one["message"], fix=one["fix"]) for one in health["checks"])
    sys.stdout.write(f"\n{name} ({account.state}), {found.address.url}\n")
    _show(found.setup_steps)
    if health["state"] == "bad" or any(step.state == "bad" for step in found.setup_steps):
        raise typer.Exit(1)


@app.command()
def health(name: _Name, channel: _Kind = ChannelKind.WHATSAPP) -> None:
    """Show what the last check found, without checking again."""
    with _accounts() as (deps, operator, base):
        known = status.get(deps, operator, status.find(deps, operator, channel, name).id, base=base)
    found, when = known.setup.health, known.setup.health_at
    if found is None or when is None:
        sys.stdout.write(f"Not checked yet: `chinwag account check {name} --channel {channel.value}` does it.\n")
        return
    left = account_health.days_left(found)
    sys.stdout.write(f"Checked on {when:%Y-%m-%d %H:%M} UTC: {found['state']}\n")
    for key, title in (("phone", "Number"), ("name", "Name"), ("quality", "Quality"), ("limit", "Limit"), ("throughput", "Throughput")):
        if found["facts"].get(key):
            sys.stdout.write(f"  {title}: {found['facts'][key]}\n")
    if "token_expires_at" in found["facts"]:
        sys.stdout.write(f"  Token: {'does not expire' if left is None else f'{left} days left'}\n")
    sys.stdout.write(f"  Webhook, expected: {known.address.url}\n  Webhook, actual: {found['facts'].get('actual_url') or 'unknown'}\n")


@app.command()
def rotate(
    name: _Name,
    channel: _Kind = ChannelKind.WHATSAPP,
    app_secret: Annotated[bool, typer.Option("--app-secret", help="Ask for a new app secret; the previous one is still accepted.")] = False,
    access_token: Annotated[bool, typer.Option("--access-token", help="Ask for a new access token.")] = False,
    app_secret_file: _Secret = None,
    access_token_file: _Secret = None,
    drop_before: Annotated[bool, typer.Option(help="Stop accepting the previous app secret.")] = False,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Store the new secrets without checking them against the platform.")
    ] = False,
) -> None:
    """Replace secrets without downtime."""
    new_secret = _secret("New app secret", app_secret_file) if app_secret or app_secret_file else ""
    new_token = _secret("New access token", access_token_file) if access_token or access_token_file else ""
    with _accounts() as (deps, operator, _):
        account = status.find(deps, operator, channel, name).id
        if new_secret or new_token:
            _show(rotation.rotate(deps, operator, account, app_secret=new_secret, access_token=new_token, unchecked=unchecked))
        if drop_before:
            rotation.drop_previous_secret(deps, operator, account)
    sys.stdout.write(f"{name}: rotated\n")


@app.command()
def register(
    name: _Name,
    channel: _Kind = ChannelKind.WHATSAPP,
    take_over: Annotated[bool, typer.Option("--take-over", help="Replace the app's current address.")] = False,
) -> None:
    """Register the webhook's address with the platform again."""
    with _accounts() as (deps, operator, base):
        account = status.find(deps, operator, channel, name).id
        steps = connections.register(deps, operator, account, base=base, take_over=take_over)
    _show(steps)
    if any(step.state == "bad" for step in steps):
        raise typer.Exit(1)


@app.command()
def subscribe(name: _Name, channel: _Kind = ChannelKind.WHATSAPP) -> None:
    """Subscribe the app to every webhook field that is read here; its address stays as it is."""
    with _accounts() as (deps, operator, base):
        steps = connections.subscribe(deps, operator, status.find(deps, operator, channel, name).id, base=base)
    _show(steps)
    if any(step.state == "bad" for step in steps):
        raise typer.Exit(1)


@app.command("verify-token")
def verify_token(name: _Name, channel: _Kind = ChannelKind.WHATSAPP) -> None:
    """Create a new verify token and print it this once, to be pasted on the platform's pages."""
    with _accounts() as (deps, operator, _):
        made = rotation.new_verify_token(deps, operator, status.find(deps, operator, channel, name).id)
    sys.stdout.write(f"{made}\n")


@app.command()
def ids(
    name: _Name,
    channel: _Kind = ChannelKind.WHATSAPP,
    app_id: Annotated[str, typer.Option(help="The Meta app's id.")] = "",
    parent_id: Annotated[str, typer.Option("--parent-id", help="WhatsApp: the business account; Instagram through a page: the page.")] = "",
) -> None:
    """Add the ids that the checks need to an account that was connected without them."""
    with _accounts() as (deps, operator, _):
        changes.set_ids(deps, operator, status.find(deps, operator, channel, name).id, app_id=app_id, parent_id=parent_id)
    sys.stdout.write(f"{name}: saved\n")


@app.command()
def pause(
    name: _Name,
    channel: _Kind = ChannelKind.WHATSAPP,
    resume: Annotated[bool, typer.Option("--resume", help="Answer again.")] = False,
) -> None:
    """Stop answering; messages are still stored. --resume answers again."""
    with _accounts() as (deps, operator, _):
        change = changes.resume if resume else changes.pause
        change(deps, operator, status.find(deps, operator, channel, name).id)
    sys.stdout.write(f"{name}: {'active' if resume else 'paused'}\n")


@app.command()
def weight(
    name: _Name,
    new: Annotated[str, typer.Argument(metavar="WEIGHT", help="0.01 to 1000; 1 is the weight of whoever was given none.")],
    channel: _Kind = ChannelKind.WHATSAPP,
) -> None:
    """Give an account more or less of the slots than the others, where more people wait than there are slots.

    chinwag account weight support 3
    """
    with _accounts() as (deps, operator, _):
        weights.set_account(deps, operator, status.find(deps, operator, channel, name).id, weights.read(new))
    sys.stdout.write(f"{name}: weight {weights.read(new):g}\n")


@app.command()
def groups(
    name: _Name,
    answers: Annotated[OnOff, typer.Argument(metavar="on|off", help="Whether the bot answers where a group's message speaks to it.")],
    channel: _Kind = ChannelKind.WHATSAPP,
) -> None:
    """Answer in groups, or not, which is the default. Nothing is remembered of a group.

    chinwag account groups support on
    """
    is_on = answers is OnOff.ON
    with _accounts() as (deps, operator, _):
        changes.set_answers_groups(deps, operator, status.find(deps, operator, channel, name).id, answers=is_on)
    sys.stdout.write(f"{name}: groups are {'answered where the bot is spoken to' if is_on else 'not answered'}\n")


@app.command()
def remove(
    name: _Name, channel: _Kind = ChannelKind.WHATSAPP, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Erase an account with everything that was received and sent through it, and the contacts who used no other account."""
    if not yes:
        typer.confirm(f"Erase {name} with all its conversations, messages and memories?", abort=True)
    with _accounts() as (deps, operator, _):
        counts = changes.remove(deps, operator, status.find(deps, operator, channel, name).id)
    erased = ", ".join(f"{count} {table}" for table, count in counts.items() if count)
    sys.stdout.write(f"{name}: erased{f', {erased}' if erased else ''}\n")


def _show(checks: Iterable[Check], file: object = None) -> None:
    out = sys.stderr if file is sys.stderr else sys.stdout
    for one in checks:
        out.write(f"{_MARKS[one.state]}  {one.title}: {one.message}{f' {one.fix}' if one.fix else ''}\n")


def _secret(what: str, file: Path | None) -> str:
    text = file.read_text(encoding="utf-8", errors="replace").strip() if file else str(typer.prompt(what, hide_input=True)).strip()
    if not is_plain(text):
        sys.stderr.write(f"{what}: {BAD_CHARACTERS if text else 'It is empty.'}\n")
        raise typer.Exit(2)
    return text
