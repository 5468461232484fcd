"""What is known about one error code of the Graph API: whom it concerns, what kind of trouble it is, and what a send does next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from bots.domain import Scope
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
#: A code, alone or with a subcode.
Code = int | tuple[int, int]


class CodeClass(StrEnum):
    """What kind of trouble a code is."""

    #: The token is not accepted.
    AUTH = "auth"
    #: The token or the app may not do this.
    PERMISSION = "permission"
    #: The platform has blocked or locked something because of its rules.
    BLOCKED = "blocked"
    #: The account itself is not ready: gone, unpaid, unregistered, switched off.
    SETUP = "setup"
    THROTTLE = "throttle"
    #: Too long ago that the person wrote.
    WINDOW = "window"
    #: The person cannot or may not be reached.
    RECIPIENT = "recipient"
    #: Somebody else has the conversation.
    THREAD = "thread"
    PARAMETER = "parameter"
    MEDIA = "media"
    TEMPLATE = "template"
    GROUP = "group"
    #: An error of the platform's own.
    SERVICE = "service"


_THROTTLES: Mapping[Scope, type[SendError]] = {
    Scope.PERSON: PairThrottled,
    Scope.ACCOUNT: AccountThrottled,
    Scope.APP: AppThrottled,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCode:
    """What one error code means."""

    scope: Scope
    kind: CodeClass
    #: For operators.
    message: str
    fix: str
    #: Where it is documented or was reported.
    source: str
    #: Proves by itself that this message or person is meant: however many of them there are, they say nothing about the account.
    is_certain: bool = False
    #: How long to wait where the documentation says so and the answer does not.
    wait_s: float | None = None

    @property
    def error(self) -> type[SendError]:
        """What a send raises for it."""
        if self.kind is CodeClass.THROTTLE:
            return _THROTTLES[self.scope]
        if self.kind is CodeClass.SERVICE:
            return TransientRejection
        if self.kind is CodeClass.WINDOW:
            return WindowClosed
        return AccessLost if self.scope in (Scope.ACCOUNT, Scope.APP) else Rejected

    @property
    def button(self) -> Button:
        """What helps."""
        if self.error is AccessLost:
            return "resume"
        return "resend" if self.kind in (CodeClass.THROTTLE, CodeClass.SERVICE) else "dismiss"


Table = Mapping[Code, GraphCode]


def rows(
    scope: Scope,
    kind: CodeClass,
    source: str,
    fix: str,
    messages: Mapping[Code, str],
    *,
    is_certain: bool = False,
    wait_s: float | None = None,
) -> dict[Code, GraphCode]:
    """Rows that differ only in code and message."""
    return {
        code: GraphCode(scope=scope, kind=kind, message=message, fix=fix, source=source, is_certain=is_certain, wait_s=wait_s)
        for code, message in messages.items()
    }


def find(table: Table, code: int, subcode: int | None = None) -> GraphCode | None:
    """Return what a table says about a code; None where it says nothing."""
    return table.get((code, subcode or 0)) or table.get(code)
