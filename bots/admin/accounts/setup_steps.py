"""The steps of an account's set-up, each done, waiting or wrong, with an explanation. Pure."""

from __future__ import annotations

from bots.admin.accounts.offer import Check
from bots.admin.accounts.webhook import Address, place
from bots.admin.attention import reasons
from bots.channels.graph_setup import is_meta
from bots.domain import Account, ChannelKind
from bots.settings import Settings
from bots.storage.setups import Setup

#: A sentence for each code of the signature doctor, whose own message has the details and the fix.
_REFUSALS = {
    "header_missing": "The signature header is removed on the way.",
    "header_malformed": "The signature header is changed on the way.",
    "no_secret": "There is no app secret to check the signature with.",
    "other_app": "It was signed with another app's secret.",
    "wrong_secret": "It was signed with another secret.",
    "reencoded": "Something on the way rewrites the body.",
    "plus_as_space": "A + became a space on the way.",
    "verify_token": "The verify token of the handshake is not this account's.",
}
_OF_HANDSHAKE = "verify_token"


def list_all(account: Account, setup: Setup, address: Address, settings: Settings) -> list[Check]:
    """Every step, in the order in which they are done."""
    return [
        Check(
            key="address", title="Public https address", state="ok" if address.usable else "bad", message=address.message, fix=address.fix
        ),
        _handshake(account, setup),
        _webhook(account, setup, practice=not is_meta(settings.graph_url)),
        _answer(account, setup),
        _reported(account, setup),
    ]


def refusal(setup: Setup) -> tuple[str, str, str]:
    """The diagnosis of the newest refusal: its code, a sentence for it, the details with the fix."""
    code, _, message = (setup.refusal or "").partition(":")
    return code, _REFUSALS.get(code, "The signature does not match."), message.strip()


def _handshake(account: Account, setup: Setup) -> Check:
    title = "Handshake"
    if setup.is_refused and not setup.is_handshake_repaired and refusal(setup)[0] == _OF_HANDSHAKE:
        _, name, message = refusal(setup)
        return Check(key="handshake", title=title, state="bad", message=name, fix=message)
    if setup.handshake_at is not None:
        return Check(
            key="handshake",
            title=title,
            state="ok",
            message=f"The platform verified the address on {setup.handshake_at:%Y-%m-%d %H:%M} UTC.",
        )
    if setup.came:
        return Check(
            key="handshake", title=title, state="ok", message="Webhooks arrive through the address of another account with the same app."
        )
    fix = f"To set it by hand: {place(account.channel, account.login_type)}"
    return Check(key="handshake", title=title, state="wait", message="The platform has not verified the address yet.", fix=fix)


def _webhook(account: Account, setup: Setup, *, practice: bool) -> Check:
    title = "First signed webhook"
    if setup.is_refused and refusal(setup)[0] != _OF_HANDSHAKE:
        _, name, message = refusal(setup)
        since = "Earlier webhooks were accepted; the newest was refused. " if setup.came else ""
        return Check(key="webhook", title=title, state="bad", message=f"{since}{name}", fix=message)
    if setup.came:
        return Check(key="webhook", title=title, state="ok", message="A message arrived with a valid signature.")
    whom = {ChannelKind.WHATSAPP: "to the number", ChannelKind.MESSENGER: "to the page"}.get(account.channel, "to the account")
    fix = f"Practice: run chinwag webhook send --account {account.name}, or use the button below." if practice else ""
    return Check(key="webhook", title=title, state="wait", message=f"Write a message {whom} from your phone.", fix=fix)


def _answer(account: Account, setup: Setup) -> Check:
    title = "First answer"
    if account.state == "needs_attention":
        why = reasons.explain("account", account.state_reason, channel=account.channel)
        return Check(key="answer", title=title, state="bad", message=why.message, fix=why.fix)
    if setup.answered:
        return Check(key="answer", title=title, state="ok", message="The platform accepted an answer.")
    if account.state == "paused":
        return Check(key="answer", title=title, state="wait", message="The account is paused: messages are stored, but not answered.")
    return Check(key="answer", title=title, state="wait", message="This step follows the first message.")


def _reported(account: Account, setup: Setup) -> Check:
    title = "First status"
    if setup.told:
        return Check(key="status", title=title, state="ok", message="The platform reports the status of answers.")
    message = (
        "Instagram reports a status when the person reads the answer."
        if account.channel is ChannelKind.INSTAGRAM
        else "The platform reports a status when an answer is delivered or read."
    )
    return Check(key="status", title=title, state="wait", message=message)
