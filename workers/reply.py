"""One turn from claim to sent, in three short transactions with none open across a network call."""

from __future__ import annotations

import random
import time
from functools import partial

import msgspec
import structlog

from bots.errors import Fenced, StorageUnavailable
from bots.storage import claims, turns
from bots.storage.claims import Claim
from bots.storage.outbox import Sending
from bots.storage.turns import TurnResult
from workers import metrics
from workers.answer import decide
from workers.deliver import send, stale_s
from workers.deps import Deps

log = structlog.get_logger()

#: Quiet for this long, and the next message begins a new session of talk: memories told meanwhile enter the prompt.
_SESSION_S = 1800.0


def reply_one(deps: Deps, queue: str) -> bool:
    """Work one due conversation of the queue to its end; False when none was due."""
    settings = deps.settings
    claim = claims.claim_turn(deps.crossing, queue, boot=deps.boot, lease_s=settings.lease_s, session_s=_SESSION_S)
    if claim is None:
        return False
    started = time.monotonic()
    with deps.in_flight.turn(claim.conversation):
        result = _decided(deps, claim)
        try:
            sending = _finish(deps, claim, result)
        except Fenced:
            log.warning("turn_fenced", turn=str(claim.turn), token=claim.token)
            metrics.count_fenced(result)
            return True
        took_s = time.monotonic() - started
        metrics.count_turn(result, waited_s=min((message.age_s for message in claim.messages), default=0.0), took_s=took_s)
        log.info(
            "turn_finished",
            turn=str(claim.turn),
            state=result.state,
            reason=result.reason,
            parts=len(result.parts),
            calls=len(result.calls),
            took_ms=round(took_s * 1000),
        )
        if sending is not None:
            send(deps, sending, claim.identities)
    return True


def _decided(deps: Deps, claim: Claim) -> TurnResult:
    try:
        return decide(deps, claim, deps.seat(claim.account))
    except StorageUnavailable:
        raise
    except Exception as error:
        log.exception("turn_failed", turn=str(claim.turn), tries=claim.tries + 1, error=type(error).__name__)
        return _own_error(deps, claim, type(error).__name__)


def _finish(deps: Deps, claim: Claim, result: TurnResult) -> Sending | None:
    finish = partial(
        turns.finish,
        deps.worker,
        contact=claim.contact,
        turn=claim.turn,
        token=claim.token,
        boot=deps.boot,
        stale_s=stale_s(deps),
    )
    try:
        return finish(result=result)
    except (Fenced, StorageUnavailable):
        raise
    except Exception as error:  # noqa: BLE001 - the same edge: what Postgres will not store must not come back for ever
        log.error("finish_failed", turn=str(claim.turn), error=type(error).__name__)  # noqa: TRY400 - a traceback would show the text
        # What was asked is paid for all the same. Its words stay away: they may be what was not stored.
        calls = [msgspec.structs.replace(call, prompt=[]) for call in result.calls]
        return finish(result=msgspec.structs.replace(_own_error(deps, claim, type(error).__name__), calls=calls))


def _own_error(deps: Deps, claim: Claim, name: str) -> TurnResult:
    delay_s = deps.settings.own_error_delay_s(claim.tries)
    if delay_s is None:
        return TurnResult(state="dead", reason=f"error:{name}")
    return TurnResult(state="retry", reason=f"error:{name}", retry_s=delay_s * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
