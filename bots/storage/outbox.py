"""What goes out. An attempt is journaled before its first byte; what came of it is recorded after."""

from __future__ import annotations

from uuid import UUID

import msgspec
from sqlalchemy import Engine

from bots.domain import Outcome, Retry
from bots.storage.claims import Handle
from bots.storage.database import call, call_timed

_END = "select end_attempt(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"


class Sending(msgspec.Struct, frozen=True):
    """A message whose attempt is journaled: it may leave now."""

    message: UUID
    attempt: UUID
    n: int
    text: str
    part: int
    tenant: UUID
    contact: UUID
    account: UUID
    turn: UUID
    #: True for the one resend of a message of which nothing was heard.
    resent: bool = False
    identities: list[Handle] = []
    #: Monotonic time of this process before which it was not journaled: whoever froze since then must not send.
    journaled_at: float = 0.0


def claim_send(engine: Engine, *, boot: UUID, stale_s: float, reconcile_s: float) -> Sending | None:
    """Journal the next send that is due; None when there is none. Stale attempts become unknown on the way."""
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
) -> str | None:
    """Record what came of an attempt and return the message's status; None when it was settled otherwise before."""
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
        ),
    )
