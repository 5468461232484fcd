"""What a reason in the database means in plain words, how it is mended, and which button fits. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CODE = re.compile(r"(?:code|platform):(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A reason for people."""

    words: str
    mend: str
    #: The button that fits: replay, resend, settle, dismiss or resume.
    fits: str


_TOKEN = "Make a new access token, put it in on the account's page, then resume the account."  # noqa: S105 - no secret
_BLOCKED = "Look at the account's page in Meta's Business settings, put right what it asks for, then resume."
_GONE = "Nothing more to do here: this person cannot be reached."

#: Graph error codes: what happened, the mend, the button.
_CODES: dict[int, tuple[str, str, str]] = {
    0: ("The platform does not accept the access token.", _TOKEN, "resume"),
    190: ("The access token has expired or was revoked.", _TOKEN, "resume"),
    102: ("The access token has expired or was revoked.", _TOKEN, "resume"),
    10: (
        "The app lacks a permission, or the contact's 24 hours are over.",
        "Check the token's permissions on the account's page.",
        "dismiss",
    ),
    3: ("The app may not do this.", "Check the token's permissions on the account's page.", "resume"),
    200: ("The app lacks a permission for this page or person.", "Check the token's permissions; the app has to be live.", "resume"),
    230: ("The app lacks a permission for this page or person.", "Check the token's permissions; the app has to be live.", "resume"),
    33: ("The account's id cannot be reached with this token.", "Check the id and the token on the account's page.", "resume"),
    100: ("The platform says that the message itself is wrong.", "Most likely an error of ours: look at the message.", "dismiss"),
    368: ("The platform has blocked the account for a while because of its policies.", _BLOCKED, "resume"),
    131031: ("The platform has locked the account.", _BLOCKED, "resume"),
    131042: ("Something is wrong with the payment method of the account.", _BLOCKED, "resume"),
    131037: ("The number's display name is not approved yet.", _BLOCKED, "resume"),
    131045: ("The number is not registered.", "Register the number on Meta's page WhatsApp > API Setup, then resume.", "resume"),
    133010: ("The number is not registered.", "Register the number on Meta's page WhatsApp > API Setup, then resume.", "resume"),
    131005: ("The access token lacks a permission.", _TOKEN, "resume"),
    4: ("The app calls the platform too often.", "Wait a few minutes, then send again.", "resend"),
    613: ("The app calls the platform too often.", "Wait a few minutes, then send again.", "resend"),
    130429: ("The account sends more per second than the platform allows.", "Wait a minute, then send again.", "resend"),
    131048: ("Too many messages of this number were marked as spam; it is slowed down.", "Wait some hours, then send again.", "resend"),
    131056: ("Too many messages to this person in a short time.", "Wait a few minutes, then send again.", "resend"),
    131047: (
        "The person has not written for 24 hours, and outside of that time the platform takes no free text.",
        "Wait until the person writes again.",
        "dismiss",
    ),
    131026: ("The message cannot be delivered: no WhatsApp, an old app, or terms not accepted.", _GONE, "dismiss"),
    131049: (
        "The platform held the message back to protect the person from too many messages.",
        "Wait a day before writing again.",
        "dismiss",
    ),
    131050: ("The person does not want such messages.", _GONE, "dismiss"),
    551: ("The person cannot be reached: blocked, left or deactivated.", _GONE, "dismiss"),
    131000: ("The platform had an error of its own.", "Send it again.", "resend"),
    131016: ("The platform was not available.", "Send it again.", "resend"),
    131053: ("The platform could not use the attached file.", "Check the file's kind and size.", "dismiss"),
    1: ("The platform had an error of its own.", "Send it again.", "resend"),
    2: ("The platform was not available.", "Send it again.", "resend"),
}
#: Whole reasons, by kind of trouble.
_WORDS: dict[tuple[str, str], tuple[str, str, str]] = {
    ("send", "unknown"): (
        "The platform never said whether it took the message; the one more try has not told either.",
        "If the person seems to have it, leave it as sent; else send it again, at the risk of twice.",
        "settle",
    ),
    ("send", ""): (
        "The platform has not said yet whether it took the message.",
        "A status or one more try, both by themselves, will tell. Leave it as sent if you know that it arrived.",
        "settle",
    ),
    ("send", "not_sent"): ("The platform could not be reached for a day.", "When it is reachable again, send it again.", "resend"),
    ("send", "rejected"): ("The platform refused the message without saying why.", "Look at the message, then send it again.", "resend"),
    ("send", "taken_over"): ("A person took the conversation over before this message left.", "Nothing to do.", "dismiss"),
    ("envelope", "not_storable"): (
        "The webhook is understood, and something in it cannot be stored.",
        "Replay it after an update; what else it held was taken in.",
        "replay",
    ),
}


def explain(kind: str, reason: str | None, *, state: str = "") -> Reason:
    """Say what is behind a reason of this kind of trouble (envelope, send, turn or account)."""
    given = reason or ""
    found = _WORDS.get((kind, given)) if (kind != "send" or state != "failed" or given) else None
    code = _CODE.fullmatch(given)
    if found is None and code is not None:
        found = _by_code(kind, int(code.group(1)))
    return Reason(**dict(zip(("words", "mend", "fits"), found or _by_kind(kind, given), strict=True)))


def _by_code(kind: str, code: int) -> tuple[str, str, str]:
    words, mend, fits = _CODES.get(
        code, (f"The platform refused this with code {code}.", "Look the code up in Meta's list of error codes.", "dismiss")
    )
    if kind == "account":
        fits = "resume"
    elif fits == "resume":
        # The account is parked with a button of its own; the message waits for one more try.
        fits = "resend"
    return f"{words} (code {code})", mend, fits


def _by_kind(kind: str, reason: str) -> tuple[str, str, str]:
    if kind == "envelope":
        if "account that is not here" in reason:
            return (
                f"It holds {reason}.",
                "Connect that account with the same app, then replay; dismiss it if the account is none of yours.",
                "replay",
            )
        return (
            f"Signed by the platform, and not understood: {reason or 'no reason kept'}.",
            "Replay it after an update, or dismiss it.",
            "replay",
        )
    if kind == "turn":
        name = reason.removeprefix("error:") or "unknown"
        return (
            f"An error of our own, five times in a row ({name}). The contact got no answer.",
            "Replay gives the messages to a fresh turn; the log names the error.",
            "replay",
        )
    if kind == "budget":
        return _by_budget(reason)
    if kind == "account":
        return (
            f"The account is parked: {reason or 'the platform refuses its token'}.",
            "Put right what its page shows, then resume.",
            "resume",
        )
    return ("The platform refused the message for good.", "Look at the message; send it again if the cause is gone.", "resend")


def _by_budget(reason: str) -> tuple[str, str, str]:
    which, _, bot = reason.partition(":")
    if which == "month":
        return (
            f"The bot {bot} has spent what it may in this month (UTC). It says so to whoever writes, and the model is not asked.",
            "Raise its budget on the bot's page, or wait for the next month.",
            "dismiss",
        )
    return (
        f"Somebody has used up what the bot {bot} may spend on one contact in a day (UTC), and was told to come back tomorrow.",
        "Raise the budget on the bot's page if it is too small; it begins anew by itself each day.",
        "dismiss",
    )
