"""Graph error codes in one table: what each proves about a send, what an operator is told, and what helps.

Source: Meta's lists of error codes for the Graph API, WhatsApp Cloud API, Messenger and Instagram.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from bots.errors import (
    AccessLost,
    AccountThrottled,
    AppThrottled,
    PairThrottled,
    Rejected,
    SendError,
    TransientRejection,
    WindowClosed,
)

#: Which button helps: resume the account, send the message again, or dismiss it.
Button = Literal["resume", "resend", "dismiss"]

_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCode:
    """What one error code means."""

    error: type[SendError]
    #: For operators; empty: there is nothing to say beyond the code itself.
    message: str = ""
    fix: str = ""
    button: Button = "dismiss"
    #: How long to wait where the documentation says so and the answer does not.
    wait_s: float | None = None


#: Codes, alone or with a subcode.
Table = Mapping[int | tuple[int, int], GraphCode]

_NEW_TOKEN = "Create a new access token, enter it on the account's page, then resume the account."  # noqa: S105 - no secret
_PERMISSIONS = "Check the token's permissions on the account's page."
_UNBLOCK = "Open the account in Meta's Business settings, fix what it asks for, then resume."
_NONE_LEFT = "You cannot do anything here: this person cannot be reached."
_AGAIN = "Send it again."
_WAIT = "Wait a few minutes, then send it again."


def _all(error: type[SendError], codes: Iterable[int]) -> dict[int | tuple[int, int], GraphCode]:
    return dict.fromkeys(codes, GraphCode(error=error))


def _needs_operator(message: str, fix: str) -> GraphCode:
    return GraphCode(error=AccessLost, message=message, fix=fix, button="resume")


_EXPIRED = _needs_operator("The access token has expired or was revoked.", _NEW_TOKEN)
_NO_PERMISSION = _needs_operator(
    "The app lacks a permission for this page or person.", "Check the token's permissions, and that the app is in live mode."
)
_TOO_MANY_CALLS = GraphCode(error=AppThrottled, message="The app calls the platform too often.", fix=_WAIT, button="resend")
_NOT_REGISTERED = _needs_operator("The number is not registered.", "Register the number on Meta's page WhatsApp > API Setup, then resume.")
_UNAVAILABLE = GraphCode(error=TransientRejection, message="The platform was not available.", fix=_AGAIN, button="resend")
_PLATFORM_ERROR = GraphCode(error=TransientRejection, message="The platform had an internal error.", fix=_AGAIN, button="resend")

CODES: Table = {
    # Token and permission.
    **_all(AccessLost, (2500, *range(200, 300))),
    0: _needs_operator("The platform does not accept the access token.", _NEW_TOKEN),
    102: _EXPIRED,
    190: _EXPIRED,
    131005: _needs_operator("The access token lacks a permission.", _NEW_TOKEN),
    3: _needs_operator("The app is not allowed to do this.", _PERMISSIONS),
    10: GraphCode(error=AccessLost, message="The app lacks a permission, or the contact's 24 hours are over.", fix=_PERMISSIONS),
    200: _NO_PERMISSION,
    230: _NO_PERMISSION,
    # The account is blocked, locked, unpaid, without an approved name, unregistered or gone.
    33: _needs_operator("The account's id cannot be reached with this token.", "Check the id and the token on the account's page."),
    368: _needs_operator("The platform has blocked the account for a while because of its policies.", _UNBLOCK),
    131031: _needs_operator("The platform has locked the account.", _UNBLOCK),
    131037: _needs_operator("The number's display name is not approved yet.", _UNBLOCK),
    131042: _needs_operator("There is a problem with the account's payment method.", _UNBLOCK),
    131045: _NOT_REGISTERED,
    133010: _NOT_REGISTERED,
    # Too much at once: of the app, of the account, to one person.
    4: _TOO_MANY_CALLS,
    613: _TOO_MANY_CALLS,
    **_all(AccountThrottled, (17, 32, 80007)),
    130429: GraphCode(
        error=AccountThrottled,
        message="The account sends more per second than the platform allows.",
        fix="Wait a minute, then send it again.",
        button="resend",
    ),
    131048: GraphCode(
        error=AccountThrottled,
        message="Too many messages from this number were marked as spam, so the platform slows it down.",
        fix="Wait a few hours, then send it again.",
        button="resend",
        wait_s=_HOUR,
    ),
    131064: GraphCode(error=AccountThrottled, wait_s=24 * _HOUR),
    133016: GraphCode(error=AccountThrottled, wait_s=72 * _HOUR),
    131056: GraphCode(error=PairThrottled, message="Too many messages to this person in a short time.", fix=_WAIT, button="resend"),
    131047: GraphCode(
        error=WindowClosed,
        message="The person has not written for 24 hours. After that, the platform accepts no free text.",
        fix="Wait until the person writes again.",
    ),
    # The platform's own trouble.
    1: _PLATFORM_ERROR,
    131000: _PLATFORM_ERROR,
    2: _UNAVAILABLE,
    131016: _UNAVAILABLE,
    131057: GraphCode(error=TransientRejection, wait_s=60.0),
    # This contact: undeliverable, held back, opted out, in an experiment, in a country that is not allowed, another identity.
    **_all(Rejected, (130472, 130497, 131030, 137000)),
    131026: GraphCode(
        error=Rejected,
        message="The message cannot be delivered: no WhatsApp, an outdated app, or terms that were not accepted.",
        fix=_NONE_LEFT,
    ),
    131049: GraphCode(
        error=Rejected,
        message="The platform held the message back to protect the person from too many messages.",
        fix="Wait a day before writing again.",
    ),
    131050: GraphCode(error=Rejected, message="The person does not want such messages.", fix=_NONE_LEFT),
    # This message: parameters, type, media, template.
    100: GraphCode(
        error=Rejected,
        message="The platform says that the message itself is not valid.",
        fix="This is most likely an error in Chinwag: check the message.",
    ),
    131053: GraphCode(error=Rejected, message="The platform could not use the attached file.", fix="Check the file's type and size."),
    **_all(Rejected, (131008, 131009, 131021, 131051, 131052, 131062, 135000)),
    **_all(Rejected, (132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016, 132018, 132068)),
}

_CLOSED = GraphCode(error=WindowClosed)
#: Both Messenger and Instagram.
_PAGES: Table = {
    1200: GraphCode(error=TransientRejection),
    (10, 2018278): _CLOSED,
    # One person: not there, blocked, left, or no tester while the app is in development.
    551: GraphCode(
        error=Rejected, message="The person cannot be reached: they blocked the page, left, or were deactivated.", fix=_NONE_LEFT
    ),
    **dict.fromkeys(((100, 2018001), (100, 33), (200, 2018028)), GraphCode(error=Rejected)),
    # One thread: answered already, or cannot be replied to.
    **_all(Rejected, (10900, 10903)),
    # The page: commerce or messages are switched off.
    **_all(AccessLost, (2022, 10904)),
    (613, 1893015): GraphCode(error=AccountThrottled),
}
MESSENGER: Table = _PAGES
#: Instagram reports a closed window with two more codes.
INSTAGRAM: Table = {**_PAGES, **dict.fromkeys(((10, 2534022), (100, 2534022), (551, 1545041)), _CLOSED)}
NO_ADDITIONS: Table = {}


def about(code: int) -> GraphCode | None:
    """Return what is known of a code on any channel; None where there is nothing to tell."""
    found = CODES.get(code) or _PAGES.get(code)
    return found if found is not None and found.message else None
