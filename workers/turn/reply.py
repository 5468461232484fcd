"""One turn from its claim to the sent answer, in three short steps in Postgres; no transaction is open during a network call."""

from __future__ import annotations

import msgspec
import structlog

from bots.errors import Fenced, Superseded
from bots.storage.claims import Claim
from bots.storage.outbox import Sending
from bots.storage.turns import Finishing, ModelCall, TurnResult
from workers import leased_work, metrics
from workers.deliver import send
from workers.deps import Deps
from workers.leased_work import LeasedWork
from workers.turn.answer import decide
from workers.turn.claimed import ClaimedTurn

log = structlog.get_logger()


def reply_one(deps: Deps, queue: str) -> bool:
    """Work one due conversation of the queue to its end; False when none was due."""
    claim = deps.claims.claim(queue)
    return claim is not None and leased_work.run(deps.in_flight, _Reply(deps, claim))


class _Reply(LeasedWork):
    """The answer to a claimed turn, and the first send of it."""

    def __init__(self, deps: Deps, claim: Claim) -> None:
        self._deps, self._claim = deps, claim
        self.lease, self.account = claim.conversation, claim.account
        #: The result that was stored, or was to be.
        self._result: TurnResult | None = None
        self._sending: Sending | None = None

    def do(self) -> str:
        return self._store(decide(ClaimedTurn(self._deps, self._claim, self._deps.open_account(self._claim.account))))

    def failed(self, error: Exception) -> str:
        claim, name, calls = self._claim, type(error).__name__, list[ModelCall]()
        if self._result is None:
            log.error("turn_failed", turn=str(claim.turn), tries=claim.tries + 1, error=name, exc_info=error)
        else:
            # A result that Postgres cannot store must not come back for ever. No traceback: it would show the text.
            log.error("finish_failed", turn=str(claim.turn), error=name)
            # The calls are paid for all the same; without their texts, which may be what could not be stored.
            calls = [msgspec.structs.replace(call, prompt=[]) for call in self._result.calls]
        retry_s, reason = leased_work.retry_s(self._deps.settings, claim.tries), f"error:{name}"
        if retry_s is None:
            return self._store(TurnResult(state="dead", reason=reason, calls=calls))
        return self._store(TurnResult(state="retry", reason=reason, calls=calls, retry_s=retry_s))

    def ended(self, state: str, *, took_s: float) -> None:
        claim, result = self._claim, self._result
        assert result is not None
        if state == "fenced":
            log.warning("turn_fenced", turn=str(claim.turn), token=claim.token)
            metrics.count_unused(result, state)
            return
        if state == "superseded":
            log.info("turn_superseded", turn=str(claim.turn), calls=len(result.calls), took_ms=round(took_s * 1000))
            metrics.count_unused(result, state)
            return
        metrics.count_turn(result, waited_s=min((message.age_s for message in claim.messages), default=0.0), took_s=took_s)
        log.info(
            "turn_finished",
            turn=str(claim.turn),
            state=state,
            reason=result.reason,
            parts=len(result.parts),
            calls=len(result.calls),
            took_ms=round(took_s * 1000),
        )
        if self._sending is not None:
            send(self._deps, self._sending, claim.identities)

    def _store(self, result: TurnResult) -> str:
        deps, claim, self._result = self._deps, self._claim, result
        try:
            self._sending = deps.finishes.finish(Finishing(contact=claim.contact, turn=claim.turn, token=claim.token, result=result))
        except Fenced:
            return "fenced"
        except Superseded:
            return "superseded"
        return result.state
