"""Turns that a prompt has no more room for, told in a few sentences: made by the model, in the background, behind people and beside batches.

Guarantee: messages are summarised whole, each once, and one that could not be stays to be summarised; what a contact wants forgotten meanwhile
is not written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from bots.errors import NotFound, StorageUnavailable
from bots.storage import summaries
from bots.storage.claims import PastTurn
from bots.storage.placing import profile_of
from bots.storage.summaries import SummaryClaim
from bots.storage.turns import ModelCall
from inference.prompt_style import neutralise
from inference.types import Message
from workers import budget, metrics
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
#: 120 words are 160 tokens of English and up to 500 of a script that the tokenizer has no words for.
_MOST_TOKENS = 600
_TEMPERATURE = 0.2
#: Longer notes were not asked for; they end at the last whole sentence.
_MOST_CHARS = 1500
_ENDS = (". ", "! ", "? ", "\u3002", "\uff01", "\uff1f", "\u0964", "\u06d4", "\u061f")
#: Where the turns are more than the model takes, so much of each side is told: one huge message must not stand in the way for ever.
_SHORT_CHARS = 500
_AGAIN_S = 60.0
#: Until there is money again: a larger budget, or the next month.
_SPENT_S = 600.0
#: Of a claim, which nobody renews, and of the time after which the watchdog ends the process, asking takes so much at most.
_OF_LEASE = 0.85


def summarise_one(deps: Deps, queue: str) -> bool:
    """Summarise one portion of a conversation of a batch queue's profile; False when none was due."""
    claimed = summaries.claim(deps.crossing, queue, lease_s=deps.settings.batch_lease_s)
    if claimed is None:
        return False
    started = time.monotonic()
    # For the watchdog. A contact's id is no conversation's, so no lease is renewed: the claim is longer than the call may take.
    with deps.in_flight.turn(claimed.contact):
        state = _work(deps, claimed, queue)
    metrics.SUMMARIES.labels(state).inc()
    log.info("summary_finished", conversation=str(claimed.conversation), state=state, took_ms=round((time.monotonic() - started) * 1000))
    return True


def _work(deps: Deps, claimed: SummaryClaim, queue: str) -> str:
    try:
        seat = deps.seat(claimed.account)
        if budget.used_up(deps, seat.bot, contact=claimed.contact):
            summaries.put_off(deps.worker, claimed, after_s=_SPENT_S, until=claimed.until, calls=())
            return "waits"
        return _told(deps, claimed, seat, profile_key(claimed.tenant, profile_of(queue)))
    except NotFound:
        return "gone"
    except StorageUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 - the task's edge: the talk goes on without a summary
        log.error("summary_broke", conversation=str(claimed.conversation), error=type(error).__name__)  # noqa: TRY400 - a traceback would show words
        summaries.put_off(deps.worker, claimed, after_s=None, until=claimed.until, calls=())
        return "failed"


def _told(deps: Deps, claimed: SummaryClaim, seat: Seat, profile: str) -> str:
    """Tell the next portion in notes, and say how it ended: done, fenced, waits (the model is away) or failed."""
    may_leave = seat.bot.data_may_leave
    count = deps.routes.counter(profile, may_leave=may_leave)
    room = deps.routes.room(profile, may_leave=may_leave, answer=_MOST_TOKENS) - count(_TASK) - count(claimed.summary or "")
    turns = _portion(claimed.turns, min(deps.settings.history_tokens, room), count)
    until = claimed.until if len(turns) == len(claimed.turns) else turns[-1].number
    if not turns:
        # What was to be summarised was forgotten, or never was for a prompt.
        return _finished(deps, claimed, claimed.summary, until=until, calls=())
    question = _question(deps, claimed, seat, profile=profile, turns=turns)
    reply = ask(deps, question, shorter=[_messages(claimed.summary, turns, most=_SHORT_CHARS)])
    for call in reply.calls:
        metrics.count_call(call)
    if reply.outcome == "ok" and reply.text is not None:
        is_whole = reply.answer is None or reply.answer.finish_reason != "length"
        return _finished(deps, claimed, shortened(reply.text, is_whole=is_whole), until=until, calls=reply.calls)
    state = "waits" if reply.outcome == "unavailable" else "failed"
    summaries.put_off(deps.worker, claimed, after_s=_AGAIN_S if state == "waits" else None, until=until, calls=reply.calls)
    return state


def _finished(deps: Deps, claimed: SummaryClaim, notes: str | None, *, until: int, calls: Sequence[ModelCall]) -> str:
    return "done" if summaries.finish(deps.worker, claimed, notes, until=until, calls=calls) else "fenced"


def _portion(turns: Sequence[PastTurn], room: int, count: Callable[[str], int]) -> Sequence[PastTurn]:
    """The first of the turns that a prompt has room for, each whole, and one at least; the others are the next claim's."""
    size = 0
    for n, turn in enumerate(turns):
        size += count(turn.asked) + count(turn.answer)
        if n and size > room:
            return turns[:n]
    return turns


def _question(deps: Deps, claimed: SummaryClaim, seat: Seat, *, profile: str, turns: Sequence[PastTurn]) -> Question:
    return Question(
        profile=profile,
        messages=_messages(claimed.summary, turns),
        may_leave=seat.bot.data_may_leave,
        hints=deps.routes.hints(claimed.tenant, priority=BATCH),
        # Nothing of the conversation's prefix is used: any replica will do.
        affinity=None,
        max_tokens=_MOST_TOKENS,
        temperature=_TEMPERATURE,
        top_p=deps.model_settings.top_p,
        within_s=min(deps.settings.batch_lease_s, deps.settings.task_deadline_s) * _OF_LEASE,
    )


def _messages(notes: str | None, turns: Sequence[PastTurn], *, most: int | None = None) -> Sequence[Message]:
    """What the model is shown; of each side of a turn at most so many characters."""
    lines = [f"Notes so far: {notes}"] if notes else []
    for turn in turns:
        lines += [f"Person: {turn.asked[:most]}", f"Assistant: {turn.answer[:most]}"]
    text = neutralise("\n\n".join([*lines, "Write the notes."]))
    return [Message(role="system", content=_TASK), Message(role="user", content=text)]


def shortened(text: str, *, is_whole: bool = True) -> str:
    """Return notes of at most 1,500 characters; where they are longer or broke off they end at a whole sentence, if there is one."""
    text = " ".join(text.split())
    if is_whole and len(text) <= _MOST_CHARS:
        return text
    cut = text[:_MOST_CHARS]
    end = max(cut.rfind(mark) for mark in _ENDS)
    return cut[: end + 1] if end > 0 else cut.rsplit(" ", 1)[0]
