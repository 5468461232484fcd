"""Sending: from a journaled attempt to its recorded outcome. An attempt that may have left the process counts as unknown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import UUID

import structlog

from bots.domain import Identity, IdentityKind, OutboundMessage, Outcome, Retry, Scope
from bots.errors import (
    CannotOpen,
    NotFound,
    NotSent,
    NotStorable,
    SendError,
    SendUnknown,
    SentUnderNoId,
    StorageUnavailable,
    TransientRejection,
)
from bots.storage import outbox
from bots.storage.claims import Handle
from bots.storage.outbox import HealthRead, Sending
from workers import metrics
from workers.deps import Deps

log = structlog.get_logger()


def deliver_one(deps: Deps) -> bool:
    """Send the next message that is due; False when there is none."""
    settings = deps.settings
    sending = outbox.claim_send(
        deps.crossing, boot=deps.boot, stale_s=settings.stale_s, reconcile_s=settings.reconcile_s, younger_s=settings.answer_if_younger_s
    )
    if sending is None:
        return False
    if isinstance(sending, HealthRead):
        _read_health(deps, sending.health_of)
        return True
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
        with deps.in_flight.send(sending.account):
            sent = opened.channel.send(message, opened.credentials)
        external_id, http_status, trace_id = sent.external_id, sent.http_status, sent.trace_id
    except SendError as error:
        failure = error
    except (NotFound, CannotOpen):
        failure = _AccountGone()
    except StorageUnavailable:
        failure = NotSent("The account could not be read.", ours=True)
    except Exception as error:
        log.exception("send_failed", message=str(sending.message), error=type(error).__name__)
        failure = SendUnknown("An error of our own: whether the message left is not known.", ours=True)
    status = _store(deps, sending, failure, external_id=external_id, http_status=http_status, trace_id=trace_id)
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


def _store(
    deps: Deps, sending: Sending, failure: SendError | None, *, external_id: str | None, http_status: int | None, trace_id: str | None
) -> str | None:
    """Record the outcome of an attempt; what cannot be stored ends as unknown, so that it is not sent again and again."""
    try:
        if failure is None:
            return deps.acceptances.end(
                contact=sending.contact, attempt=sending.attempt, external_id=external_id, http_status=http_status, trace_id=trace_id
            )
        status = outbox.end_attempt(
            deps.worker,
            contact=sending.contact,
            attempt=sending.attempt,
            outcome=failure.outcome,
            retry=failure.retry,
            external_id=external_id,
            http_status=failure.http_status,
            error_code=failure.code,
            trace_id=failure.trace_id,
            retry_after_s=failure.retry_after_s,
            reconcile_s=deps.settings.reconcile_s,
            next_part_s=deps.settings.next_part_s,
            scope=failure.scope,
            outage_after=deps.settings.outage_after,
            longest_s=deps.settings.probe_longest_s,
            error_subcode=failure.subcode,
            is_in_doubt=failure.is_in_doubt,
        )
    except NotStorable as error:
        return _lost(sending, error)
    return _lost(sending, failure) if isinstance(failure, SentUnderNoId) else status


def _lost(sending: Sending, error: NotStorable | SentUnderNoId) -> str:
    """Raise the alarm about a message that is not sent again by itself, although nobody knows whether it arrived."""
    metrics.OUTBOUND_NOT_STORED.inc()
    # Without its traceback, which would show values.
    log.error("outcome_not_stored", message=str(sending.message), attempt=sending.n, error=str(error))
    return "unknown"


def _read_health(deps: Deps, account: UUID) -> None:
    """Read an account in outage from its platform. Any answer but "not now" shows that the platform works."""
    answers = True
    try:
        opened = deps.open_account(account)
        opened.channel.ping(opened.account.external_id, opened.credentials)
    except (NotSent, SendUnknown, TransientRejection):
        answers = False
    except (NotFound, CannotOpen, SendError):
        # What is wrong with the account itself shows with the next message.
        pass
    state = outbox.end_health_read(deps.crossing, account, answers=answers, longest_s=deps.settings.probe_longest_s)
    metrics.HEALTH_READS.labels(str(answers).lower()).inc()
    log.info("health_read", account=str(account), answers=answers, state=state)


def _check_still_fresh(deps: Deps, sending: Sending) -> None:
    """Stop where the process was frozen after the attempt was journaled: another one may have settled it meanwhile. Raises NotSent."""
    if time.monotonic() - sending.journaled_at > deps.settings.journal_to_bytes_s:
        raise NotSent("Too much time passed between the journal and the first byte.", ours=True)


class _AccountGone(SendError):
    """The account is gone, or its secrets cannot be opened."""

    outcome, retry, concerns = Outcome.NOT_SENT, Retry.ASK_OPERATOR, Scope.ACCOUNT
