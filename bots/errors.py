"""What can go wrong in messaging. Each class states what its caller needs in order to decide."""

from __future__ import annotations

from typing import ClassVar

from bots.domain import Outcome, Retry, Scope


class BotsError(Exception):
    """Something in messaging went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class BadSetting(BotsError):
    """A setting has a value that cannot be used."""


class Forged(BotsError):
    """The signature does not match this account's app secret."""


class CannotOpen(BotsError):
    """A secret cannot be decrypted: the key is missing, or the secret belongs to another row."""


class NotFound(BotsError):
    """It does not exist."""


class Conflict(BotsError):
    """It exists already."""


class NameTaken(Conflict):
    """The name is taken."""


class Fenced(BotsError):
    """The lease has passed to another worker; this result is dropped."""


class Superseded(BotsError):
    """More was written before the answer was sent: it is dropped, and the turn asks again with everything."""


class StorageUnavailable(BotsError):
    """Postgres cannot take this now; it is safe to try again."""


class NotStorable(BotsError):
    """Postgres refuses to store this, now and later."""


class SendError(BotsError):
    """The platform did not accept the message."""

    outcome: ClassVar[Outcome] = Outcome.REJECTED
    retry: ClassVar[Retry] = Retry.NEVER
    #: Whom it concerns, where the error itself does not say more.
    concerns: ClassVar[Scope] = Scope.MESSAGE

    def __init__(
        self,
        message: str | None = None,
        *,
        http_status: int | None = None,
        code: int | None = None,
        trace_id: str | None = None,
        retry_after_s: float | None = None,
        scope: Scope | None = None,
        subcode: int | None = None,
        is_in_doubt: bool = False,
        ours: bool = False,
    ) -> None:
        super().__init__(message)
        #: None: the failure is our own, and says nothing about the platform.
        self.scope = None if ours else scope or self.concerns
        #: Whether the account may be the cause although the answer does not say so: three refusals alike in a row then park it.
        self.is_in_doubt = is_in_doubt
        self.http_status = http_status
        self.code = code
        self.subcode = subcode
        self.trace_id = trace_id
        self.retry_after_s = retry_after_s


class NotSent(SendError):
    """Nothing of the request was sent: the platform could not be reached."""

    outcome, retry = Outcome.NOT_SENT, Retry.LATER


class SendUnknown(SendError):
    """The request was sent, and no readable answer came: it is not known whether the message was accepted."""

    outcome, retry = Outcome.UNKNOWN, Retry.LATER


class SentUnderNoId(SendUnknown):
    """The platform says that it accepted the message, under an id that cannot be stored. Sent again, it would arrive twice."""

    retry = Retry.NEVER


class Throttled(SendError):
    """The platform asks us to slow down."""

    outcome, retry = Outcome.REJECTED, Retry.LATER


class PairThrottled(Throttled):
    """Too many messages to this contact for now."""

    concerns = Scope.PERSON


class AccountThrottled(Throttled):
    """Too many messages from this account for now."""

    concerns = Scope.ACCOUNT


class AppThrottled(Throttled):
    """Too many calls from this app for now."""

    concerns = Scope.APP


class TransientRejection(SendError):
    """The platform says that it did not process the message, and may do so later."""

    outcome, retry = Outcome.REJECTED, Retry.LATER


class Unclear(SendError):
    """Something refused the request without an error of the platform: a proxy on the way, or a wrong address."""

    outcome, retry = Outcome.REJECTED, Retry.LATER


class WindowClosed(SendError):
    """The contact has not written for 24 hours; free text is refused."""


class Rejected(SendError):
    """The platform refuses this message for good."""


class AccessLost(SendError):
    """The account's token is expired, revoked or lacks a permission."""

    outcome, retry, concerns = Outcome.REJECTED, Retry.ASK_OPERATOR, Scope.ACCOUNT


class MediaError(BotsError):
    """The picture is not available."""

    retry: ClassVar[Retry] = Retry.NEVER
    #: What is recorded; the same for each error of a class.
    reason: ClassVar[str] = "refused"


class MediaUnavailable(MediaError):
    """The platform did not deliver the picture this time."""

    retry, reason = Retry.LATER, "unreachable"


class MediaGone(MediaError):
    """The platform no longer has the picture, or does not give it to us."""

    reason = "gone"


class MediaForbidden(MediaError):
    """The picture's address does not belong to the platform, or leads to a private network: it was not contacted."""

    reason = "forbidden_address"


class MediaTooLarge(MediaError):
    """The picture has more bytes or more pixels than allowed."""

    reason = "too_large"


class NotAPicture(MediaError):
    """The file is not a picture of a supported kind."""

    reason = "not_a_picture"
