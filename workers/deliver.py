"""Sending: from a journaled attempt to its recorded outcome. An attempt that may have left the process counts as unknown."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog

from bots.domain import Identity, IdentityKind, OutboundMessage, Outcome, Retry, Scope
from bots.errors import CannotOpen, NotFound, NotSent, SendError, SendUnknown, StorageUnavailable
from bots.storage import outbox
from bots.storage.claims import Handle
from bots.storage.outbox import Sending
from workers import metrics
from workers.deps import Deps

log = structlog.get_logger()

#: Added to the send deadline: after both together an open attempt of a dead process counts as unknown.
_STALE_MARGIN_S = 5.0


def stale_s(deps: Deps) -> float:
    """How long an attempt may stay open, in seconds."""
    return deps.settings.send_deadline_s + _STALE_MARGIN_S


def deliver_one(deps: Deps) -> bool:
    """Send the next message that is due; False when there is none."""
    sending = outbox.claim_send(deps.crossing, boot=deps.boot, stale_s=stale_s(deps), reconcile_s=deps.settings.reconcile_s)
    if sending is None:
        return False
    if sending.resent:
        log.warning("outbound_resent", message=str(sending.message), attempt=sending.n)
    send(deps, sending, sending.identities)
    return True


def send(deps: Deps, sending: Sending, identities: Sequence[Handle]) -> None:
    """Send a journaled message and record what came of it."""
    started = time.monotonic()
    external_id: str | None = None
    failure: SendError | None = None
    http_status: int | None = None
    trace_id: str | None = None
    try:
        opened = deps.open_account(sending.account)
        message = OutboundMessage(
            id=sending.message,
            account_external_id=opened.account.external_id,
            identities=tuple(Identity(kind=IdentityKind(handle.kind), value=handle.value) for handle in identities),
            text=sending.text,
            part=sending.part,
        )
        _check_still_fresh(deps, sending)
        sent = opened.channel.send(message, opened.credentials)
        external_id, http_status, trace_id = sent.external_id, sent.http_status, sent.trace_id
    except SendError as error:
        failure = error
    except (NotFound, CannotOpen):
        failure = _AccountGone()
    except StorageUnavailable:
        failure = NotSent("The account could not be read.")
    except Exception as error:
        log.exception("send_failed", message=str(sending.message), error=type(error).__name__)
        failure = SendUnknown("An error of our own: whether the message left is not known.")
    status = outbox.end_attempt(
        deps.worker,
        contact=sending.contact,
        attempt=sending.attempt,
        outcome=failure.outcome if failure else Outcome.ACCEPTED,
        retry=failure.retry if failure else None,
        external_id=external_id,
        http_status=failure.http_status if failure else http_status,
        error_code=failure.code if failure else None,
        trace_id=failure.trace_id if failure else trace_id,
        retry_after_s=failure.retry_after_s if failure else None,
        reconcile_s=deps.settings.reconcile_s,
        next_part_s=deps.settings.next_part_s,
        scope=failure.scope if failure else None,
        error_subcode=failure.subcode if failure else None,
        is_in_doubt=failure.is_in_doubt if failure else False,
    )
    metrics.count_send(
        failure.outcome if failure else Outcome.ACCEPTED,
        code=failure.code if failure else None,
        took_s=time.monotonic() - started,
        resent=sending.resent,
    )
    log.info(
        "send_ended",
        message=str(sending.message),
        attempt=sending.n,
        outcome=(failure.outcome if failure else Outcome.ACCEPTED).value,
        code=failure.code if failure else None,
        status=status,
        took_ms=round((time.monotonic() - started) * 1000),
    )


def _check_still_fresh(deps: Deps, sending: Sending) -> None:
    """Stop where the process was frozen after the attempt was journaled: another one may have settled it meanwhile. Raises NotSent."""
    if time.monotonic() - sending.journaled_at > deps.settings.journal_to_bytes_s:
        raise NotSent("Too much time passed between the journal and the first byte.")


class _AccountGone(SendError):
    """The account is gone, or its secrets cannot be opened."""

    outcome, retry, concerns = Outcome.NOT_SENT, Retry.ASK_OPERATOR, Scope.ACCOUNT
