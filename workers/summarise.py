"""Turns that a prompt has no more room for, told in a few sentences: made by the model, in the background, behind people and beside batches.

Guarantee: messages are summarised whole, each once; what a contact wants forgotten meanwhile is not written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import structlog

from bots.errors import NotFound, StorageUnavailable
from bots.storage import summaries
from bots.storage.claims import PastTurn
from bots.storage.summaries import SummaryClaim
from bots.storage.turns import ModelCall
from inference.prompt_style import neutralise
from inference.types import Message
from workers import metrics
from workers.ask import Question, ask
from workers.deps import Deps, Seat
from workers.routes import BATCH, profile_key

log = structlog.get_logger()

_TASK = (
    "You keep notes on a conversation between a person and their assistant, for the assistant, who will see the notes in place of the"
    " conversation. Write down what must still be known to go on: what the person wants, what was answered and agreed, what is open."
    " Keep names, numbers and dates exactly. At most 120 words, plain sentences, in the language of the person."
    " Add nothing that was not said, give no advice, and do not speak to the person."
)
_MOST_TOKENS = 300
_TEMPERATURE = 0.2
#: Longer notes were not asked for; they end at the last whole sentence.
_MOST_CHARS = 1500
_AGAIN_S = 60.0


def summarise_one(deps: Deps, queue: str) -> bool:
    """Summarise one conversation of a batch queue's profile; False when none was due."""
    claimed = summaries.claim(deps.crossing, queue, lease_s=deps.settings.batch_lease_s)
    if claimed is None:
        return False
    started = time.monotonic()
    # For the watchdog. A contact's id is no conversation's, so no lease is renewed: the claim is longer than the calls may take.
    with deps.in_flight.turn(claimed.contact):
        state = _work(deps, claimed, queue)
    metrics.SUMMARIES.labels(state).inc()
    log.info("summary_finished", conversation=str(claimed.conversation), state=state, took_ms=round((time.monotonic() - started) * 1000))
    return True


def _work(deps: Deps, claimed: SummaryClaim, queue: str) -> str:
    try:
        seat = deps.seat(claimed.account)
        text, calls, state = _told(deps, claimed, seat, queue)
        for call in calls:
            metrics.count_call(call)
    except NotFound:
        return "gone"
    except StorageUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - the task's edge: the talk goes on without a summary
        log.error("summary_broke", conversation=str(claimed.conversation), error=type(error).__name__)  # noqa: TRY400 - a traceback would show words
        summaries.put_off(deps.worker, claimed, after_s=None, calls=())
        return "failed"
    if state == "done":
        return "done" if summaries.finish(deps.worker, claimed, text or "", calls=calls) else "fenced"
    summaries.put_off(deps.worker, claimed, after_s=_AGAIN_S if state == "waits" else None, calls=calls)
    return state


def _told(deps: Deps, claimed: SummaryClaim, seat: Seat, queue: str) -> tuple[str | None, Sequence[ModelCall], str]:
    """The notes, what they took, and how it ended: done, waits (the model is away) or failed."""
    profile = profile_key(claimed.tenant, queue.removeprefix("batch."))
    count = deps.routes.counter(profile, may_leave=seat.bot.data_may_leave)
    notes, calls = claimed.summary, list[ModelCall]()
    for turns in _portions(claimed.turns, deps.settings.history_tokens, count):
        reply = ask(deps, _question(deps, claimed, seat, profile=profile, notes=notes, turns=turns))
        calls += reply.calls
        if reply.outcome in {"unavailable", "refused"}:
            return None, calls, "waits"
        if reply.text is None:
            return None, calls, "failed"
        notes = shortened(reply.text)
    return notes, calls, "done"


def _portions(turns: Sequence[PastTurn], budget: int, count: Callable[[str], int]) -> Iterator[Sequence[PastTurn]]:
    """The turns in portions that a prompt has room for, each turn whole."""
    portion: list[PastTurn] = []
    size = 0
    for turn in turns:
        more = count(turn.asked) + count(turn.answer)
        if portion and size + more > budget:
            yield portion
            portion, size = [], 0
        portion.append(turn)
        size += more
    if portion:
        yield portion


def _question(deps: Deps, claimed: SummaryClaim, seat: Seat, *, profile: str, notes: str | None, turns: Sequence[PastTurn]) -> Question:
    lines = [f"Notes so far: {notes}"] if notes else []
    for turn in turns:
        lines += [f"Person: {turn.asked}", f"Assistant: {turn.answer}"]
    text = neutralise("\n\n".join([*lines, "Write the notes."]))
    return Question(
        profile=profile,
        messages=[Message(role="system", content=_TASK), Message(role="user", content=text)],
        may_leave=seat.bot.data_may_leave,
        hints=deps.routes.hints(claimed.tenant, priority=BATCH),
        # Nothing of the conversation's prefix is used: any replica will do.
        affinity=None,
        max_tokens=_MOST_TOKENS,
        temperature=_TEMPERATURE,
        top_p=deps.model_settings.top_p,
        within_s=deps.settings.batch_lease_s / 2,
    )


def shortened(text: str) -> str:
    """Return notes of at most 1,500 characters, ended at a whole sentence where there is one."""
    text = " ".join(text.split())
    if len(text) <= _MOST_CHARS:
        return text
    cut = text[:_MOST_CHARS]
    end = max(cut.rfind(mark) for mark in (". ", "! ", "? ", "\u3002"))
    return cut[: end + 1] if end > 0 else cut.rsplit(" ", 1)[0]
