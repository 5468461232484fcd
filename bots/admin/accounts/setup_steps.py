"""The hops of an account's set-up, each green, waiting or wrong, in plain words. Pure."""

from __future__ import annotations

from bots.admin.accounts.checks import Check
from bots.admin.accounts.webhook import Address, place
from bots.admin.attention import reasons
from bots.channels.graph_setup import is_meta
from bots.domain import Account, ChannelKind
from bots.settings import Settings
from bots.storage.setups import Setup

#: What the signature doctor's codes are called; its own words say the rest with the mend.
_REFUSALS = {
    "header_missing": "The signature header is stripped on the way.",
    "header_malformed": "The signature header is changed on the way.",
    "no_secret": "There is no app secret to check with.",
    "other_app": "Another app's secret signed it.",
    "wrong_secret": "Another secret signed it.",
    "reencoded": "Something on the way writes the body anew.",
    "plus_as_space": "A + became a space on the way.",
    "verify_token": "The handshake's verify token is not this account's.",
}
_OF_HANDSHAKE = "verify_token"


def all_of(account: Account, setup: Setup, address: Address, settings: Settings) -> list[Check]:
    """Every hop, in the order in which they turn green."""
    return [
        Check(
            key="address", title="Address public and https", state="ok" if address.usable else "bad", words=address.words, mend=address.mend
        ),
        _handshake(account, setup),
        _webhook(account, setup, practice=not is_meta(settings.graph_url)),
        _answer(account, setup),
        _told(account, setup),
    ]


def refusal(setup: Setup) -> tuple[str, str, str]:
    """The doctor's word on the newest refusal: code, what it is called, what it says with the mend."""
    code, _, words = (setup.refusal or "").partition(":")
    return code, _REFUSALS.get(code, "The signature does not match."), words.strip()


def _handshake(account: Account, setup: Setup) -> Check:
    title = "Handshake"
    if setup.is_refused and not setup.is_handshake_mended and refusal(setup)[0] == _OF_HANDSHAKE:
        _, name, words = refusal(setup)
        return Check(key="handshake", title=title, state="bad", words=name, mend=words)
    if setup.handshake_at is not None:
        return Check(
            key="handshake", title=title, state="ok", words=f"The platform called the address {setup.handshake_at:%Y-%m-%d %H:%M} UTC."
        )
    if setup.came:
        return Check(key="handshake", title=title, state="ok", words="Webhooks come by the address of another account with the same app.")
    mend = f"By hand: {place(account.channel, account.door)}"
    return Check(key="handshake", title=title, state="wait", words="The platform has not called the address yet.", mend=mend)


def _webhook(account: Account, setup: Setup, *, practice: bool) -> Check:
    title = "First signed webhook"
    if setup.is_refused and refusal(setup)[0] != _OF_HANDSHAKE:
        _, name, words = refusal(setup)
        since = "Webhooks came before; the newest was refused. " if setup.came else ""
        return Check(key="webhook", title=title, state="bad", words=f"{since}{name}", mend=words)
    if setup.came:
        return Check(key="webhook", title=title, state="ok", words="A message arrived, and its signature is right.")
    whom = {ChannelKind.WHATSAPP: "to the number", ChannelKind.MESSENGER: "to the page"}.get(account.channel, "to the account")
    mend = f"Practice: chinwag webhook send --account {account.name}, or the button below." if practice else ""
    return Check(key="webhook", title=title, state="wait", words=f"Write a message {whom} from a phone of yours.", mend=mend)


def _answer(account: Account, setup: Setup) -> Check:
    title = "First answer"
    if account.state == "needs_attention":
        why = reasons.explain("account", account.state_reason)
        return Check(key="answer", title=title, state="bad", words=why.words, mend=why.mend)
    if setup.answered:
        return Check(key="answer", title=title, state="ok", words="The platform took an answer.")
    if account.state == "paused":
        return Check(key="answer", title=title, state="wait", words="The account is paused: messages are kept, nothing is answered.")
    return Check(key="answer", title=title, state="wait", words="It follows the first message.")


def _told(account: Account, setup: Setup) -> Check:
    title = "First status"
    if setup.told:
        return Check(key="status", title=title, state="ok", words="The platform tells what becomes of answers.")
    words = "Instagram tells of it when the person reads." if account.channel is ChannelKind.INSTAGRAM else "Delivered, or read."
    return Check(key="status", title=title, state="wait", words=words)
