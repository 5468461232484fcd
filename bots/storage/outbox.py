"""Outbound messages. Each attempt to send one is journaled before its first byte leaves, and its outcome is recorded afterwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from bots.domain import Outcome, Retry, Scope
from bots.errors import NotStorable, StorageUnavailable
from bots.storage.claims import Handle
from bots.storage.database import call, call_timed, to_json
from bots.storage.together import Together
from bots.storage.undone import Undone

_END_SEVERAL = "select end_attempts(%s::jsonb, %s)::text"
#: How many acceptances one transaction records.
_MOST = 64
_SAID = msgspec.json.Decoder(list[str | None])
_END = "select end_attempt(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_LOSE = "select lose_outcome(%s, %s)"
_LONGEST_ID = 512
_LONGEST_PAUSE_S = 72 * 3600.0
_INT32 = 2**31


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


class HealthRead(msgspec.Struct, frozen=True):
    """An account in outage that has nothing to try but a read of its own health."""

    health_of: UUID
    tenant: UUID


def claim_send(engine: Engine, *, boot: UUID, stale_s: float, reconcile_s: float, younger_s: float) -> Sending | HealthRead | None:
    """Journal the next send that is due; None when there is none. The same call marks stale attempts as unknown.

    In an outage it may be a read of the account's health instead: then `end_health_read` tells what came of it.
    """
    found, began = call_timed(engine, "select claim_send(%s, %s, %s, %s)", (boot, stale_s, reconcile_s, younger_s), repeat=False)
    if found is None:
        return None
    return msgspec.convert(found, HealthRead) if "health_of" in found else msgspec.convert(found | {"journaled_at": began}, Sending)


def end_health_read(engine: Engine, account: UUID, *, answers: bool, longest_s: float) -> str | None:
    """Record whether the platform answered, and return what the account is in now: probing or outage; None: somebody else knows better."""
    return call(engine, "select end_health_read(%s, %s, %s)", (account, answers, max(0.1, longest_s)))


def fail_oldest(engine: Engine, *, younger_s: float) -> None:
    """Fail messages that have waited longer, so that an operator sees them, a hundred of each account at a time."""
    call(engine, "select fail_oldest(%s)", (younger_s,))


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
    outage_after: int = 3,
    longest_s: float = 30.0,
) -> str | None:
    """Record the outcome of an attempt and return the message's status; None when it had been settled in another way.

    What a platform says beside the outcome is stored as far as it can be. Raises NotStorable where the outcome itself cannot be stored, such as
    an id that another message has: the attempt then counts as unknown, and the message is not sent again.
    """
    values = (
        contact,
        attempt,
        outcome.value,
        external_id,
        _int32(http_status),
        _int32(error_code),
        _plain(trace_id),
        retry.value if retry else None,
        _pause(retry_after_s),
        reconcile_s,
        next_part_s,
        scope.value if scope else None,
        max(1, outage_after),
        max(0.1, longest_s),
        _int32(error_subcode),
        is_in_doubt,
    )
    if outcome is Outcome.ACCEPTED and not _is_id(external_id):
        call(engine, _LOSE, (contact, attempt))
        raise NotStorable("The platform accepted the message under an id that cannot be stored.")
    try:
        return call(engine, _END, values)
    except StorageUnavailable:
        if outcome is Outcome.ACCEPTED:
            # Better not to say what it was than to send it again.
            call(engine, _LOSE, (contact, attempt), repeat=False)
        raise
    except (DBAPIError, ValueError) as error:
        call(engine, _LOSE, (contact, attempt))
        # The error itself would show values in a log.
        raise NotStorable(f"The outcome could not be stored: {type(error).__name__}.") from None


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """A message that its platform accepted."""

    contact: UUID
    attempt: UUID
    external_id: str
    http: int | None
    trace: str | None


class Acceptances:
    """What platforms accepted from a worker process: what is to be recorded at once shares a transaction."""

    def __init__(self, engine: Engine, *, reconcile_s: float, next_part_s: float) -> None:
        self._engine, self._reconcile_s, self._next_part_s = engine, reconcile_s, next_part_s
        self._together = Together(self._several, most=_MOST)
        self._undone = Undone("acceptances")

    def end(
        self, *, contact: UUID, attempt: UUID, external_id: str | None, http_status: int | None = None, trace_id: str | None = None
    ) -> str | None:
        """Record that an attempt was accepted, as `end_attempt` does."""
        if external_id is not None and _is_id(external_id):
            said = self._together.call(
                Acceptance(contact=contact, attempt=attempt, external_id=external_id, http=_int32(http_status), trace=_plain(trace_id))
            )
            if said != "busy":
                return said
        return end_attempt(
            self._engine,
            contact=contact,
            attempt=attempt,
            outcome=Outcome.ACCEPTED,
            external_id=external_id,
            http_status=http_status,
            trace_id=trace_id,
            reconcile_s=self._reconcile_s,
            next_part_s=self._next_part_s,
        )

    def _several(self, accepted: Sequence[Acceptance]) -> Sequence[str | None]:
        try:
            return end_several(self._engine, accepted, next_part_s=self._next_part_s)
        except (StorageUnavailable, DBAPIError, ValueError) as error:
            # One of them may be the cause; or it was done, and the answer was lost. Each is done alone, which does no harm where it was.
            self._undone.note(error, calls=len(accepted))
            return ["busy"] * len(accepted)


def end_several(engine: Engine, accepted: Sequence[Acceptance], *, next_part_s: float) -> list[str | None]:
    """Record acceptances in one transaction, and return each message's status; busy where another transaction has it, and nothing was done.

    Nothing is done where one of them cannot be stored.
    """
    return _SAID.decode(call(engine, _END_SEVERAL, (to_json(accepted), next_part_s), repeat=False))


def _is_id(found: object) -> bool:
    """Whether it can be stored, and found again by an index."""
    return isinstance(found, str) and 0 < len(found) <= _LONGEST_ID and found.isprintable()


def _int32(number: object) -> int | None:
    return number if isinstance(number, int) and not isinstance(number, bool) and -_INT32 <= number < _INT32 else None


def _plain(text: object) -> str | None:
    return "".join(sign for sign in text[:128] if sign.isascii() and sign.isprintable()) or None if isinstance(text, str) else None


def _pause(seconds: float | None) -> float | None:
    """A pause in seconds that a platform asked for, if it is one."""
    return None if seconds is None or not math.isfinite(seconds) else min(max(seconds, 0.0), _LONGEST_PAUSE_S)
