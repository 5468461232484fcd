"""What can go wrong in the messaging wing. A class states what its caller needs in order to decide."""

from __future__ import annotations

from typing import ClassVar

from bots.domain import Outcome, Retry


class BotsError(Exception):
    """Something in the messaging wing went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class BadSetting(BotsError):
    """A setting has a value that cannot be used."""


class Forged(BotsError):
    """The signature does not match this account's app secret."""


class CannotOpen(BotsError):
    """A sealed secret does not open: the key is missing, or it belongs to another row."""


class NotFound(BotsError):
    """There is no such thing."""


class Conflict(BotsError):
    """There is such a thing already."""


class NameTaken(Conflict):
    """The name is somebody else's."""


class Fenced(BotsError):
    """The lease has passed to somebody else; this result is dropped."""


class StorageUnavailable(BotsError):
    """Postgres cannot take this now; it is safe to try again."""


class SendError(BotsError):
    """The platform did not take the message."""

    outcome: ClassVar[Outcome] = Outcome.REJECTED
    retry: ClassVar[Retry] = Retry.NEVER

    def __init__(
        self,
        message: str | None = None,
        *,
        http_status: int | None = None,
        code: int | None = None,
        trace_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.trace_id = trace_id
        self.retry_after_s = retry_after_s


class NotSent(SendError):
    """No byte of the request left: the platform could not be reached."""

    outcome, retry = Outcome.NOT_SENT, Retry.LATER


class SendUnknown(SendError):
    """The request left, and no readable answer came: accepted or not, nobody knows yet."""

    outcome, retry = Outcome.UNKNOWN, Retry.LATER


class Throttled(SendError):
    """The platform asks to slow down."""

    outcome, retry = Outcome.REJECTED, Retry.LATER


class PairThrottled(Throttled):
    """Too many messages to this contact for now."""


class AccountThrottled(Throttled):
    """Too many messages from this account for now."""


class AppThrottled(Throttled):
    """Too many calls of this app for now."""


class TransientRejection(SendError):
    """The platform says that it did not process the message and may later."""

    outcome, retry = Outcome.REJECTED, Retry.LATER


class WindowClosed(SendError):
    """The contact has not written for 24 hours; free text is refused."""


class Rejected(SendError):
    """The platform refuses this message for good."""


class AccessLost(SendError):
    """The account's token is expired, revoked or lacks a permission."""

    outcome, retry = Outcome.REJECTED, Retry.ASK_OPERATOR


class MediaError(BotsError):
    """The picture cannot be had."""

    retry: ClassVar[Retry] = Retry.NEVER
    #: For the record; the same for all of a class.
    reason: ClassVar[str] = "refused"


class MediaUnavailable(MediaError):
    """The platform did not hand the picture over this time."""

    retry, reason = Retry.LATER, "unreachable"


class MediaGone(MediaError):
    """The platform does not have the picture any more, or not for us."""

    reason = "gone"


class MediaForbidden(MediaError):
    """The picture's address is none of the platform's, or leads to a private network: it was not contacted."""

    reason = "forbidden_address"


class MediaTooLarge(MediaError):
    """The picture has more bytes or more pixels than allowed."""

    reason = "too_large"


class NotAPicture(MediaError):
    """The bytes are no picture of a kind that is taken."""

    reason = "not_a_picture"
