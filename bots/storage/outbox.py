"""Outbound messages. Each attempt to send one is journaled before its first byte leaves, and its outcome is recorded afterwards."""

from __future__ import annotations

from uuid import UUID

import msgspec
from sqlalchemy import Engine

from bots.domain import Outcome, Retry, Scope
from bots.storage.claims import Handle
from bots.storage.database import call, call_timed

_END = "select end_attempt(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"


class Sending(msgspec.Struct, frozen=True):
    """A message whose send attempt is journaled, so that it may be sent now."""

    message: UUID
    attempt: UUID
    n: int
    text: str
    part: int
    tenant: UUID
    contact: UUID
    account: UUID
    turn: UUID
    #: Whether this is the one resend of a message about which the platform reported nothing.
    resent: bool = False
    identities: list[Handle] = []
    #: This process's monotonic time shortly before the attempt was journaled: a process that froze since then must not send.
    journaled_at: float = 0.0


def claim_send(engine: Engine, *, boot: UUID, stale_s: float, reconcile_s: float) -> Sending | None:
    """Journal the next send that is due; None when there is none. The same call marks stale attempts as unknown."""
    found, began = call_timed(engine, "select claim_send(%s, %s, %s)", (boot, stale_s, reconcile_s), repeat=False)
    return None if found is None else msgspec.convert(found | {"journaled_at": began}, Sending)


def end_attempt(
    engine: Engine,
    *,
    contact: UUID,
    attempt: UUID,
    outcome: Outcome,
    retry: Retry | None = None,
    external_id: str | None = None,
    http_status: int | None = None,
    error_code: int | None = None,
    trace_id: str | None = None,
    retry_after_s: float | None = None,
    reconcile_s: float,
    next_part_s: float,
    scope: Scope | None = None,
    error_subcode: int | None = None,
    is_in_doubt: bool = False,
) -> str | None:
    """Record the outcome of an attempt and return the message's status; None when it had been settled in another way."""
    return call(
        engine,
        _END,
        (
            contact,
            attempt,
            outcome.value,
            external_id,
            http_status,
            error_code,
            trace_id,
            retry.value if retry else None,
            retry_after_s,
            reconcile_s,
            next_part_s,
            scope.value if scope else None,
            error_subcode,
            is_in_doubt,
        ),
    )
