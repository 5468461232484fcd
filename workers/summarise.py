"""Summaries of the turns that a prompt has no more room for: made by the model in the background, behind people and beside batches.

Guarantee: turns are summarised whole, each once, and a turn that could not be summarised stays due; what a contact wants forgotten meanwhile is
not written down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import structlog

from bots.errors import NotFound
from bots.storage import summaries
from bots.storage.claims import PastTurn
from bots.storage.queues import profile_of
from bots.storage.summaries import SummaryClaim
from bots.storage.turns import ModelCall
from inference.prompt_style import neutralise
from inference.types import Message
from workers import budget, leased_work, metrics
from workers.deps import Deps
from workers.leased_work import LeasedWork
from workers.model_call import ModelRequest, call_model
from workers.model_routes import BATCH, profile_key

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
#: Longer notes than that were not asked for: they are cut at the last whole sentence.
_MOST_CHARS = 1500
_ENDS = (". ", "! ", "? ", "\u3002", "\uff01", "\uff1f", "\u0964", "\u06d4", "\u061f")
#: Where the turns are more than the model takes, so much of each message is told: one huge message must not block the summary for ever.
_SHORT_CHARS = 500
_AGAIN_S = 60.0
#: How long a summary waits for money: a larger budget, or the next month.
_SPENT_S = 600.0
#: The share that the model may take of a claim, which nobody renews, and of the time after which the watchdog ends the process.
_OF_LEASE = 0.85


def summarise_one(deps: Deps, queue: str) -> bool:
    """Summarise one portion of a conversation of a batch queue's profile; False when none was due."""
    claimed = summaries.claim(deps.crossing, queue, lease_s=deps.settings.batch_lease_s)
    if claimed is None:
        return False
    leased_work.run(deps, _SummaryWork(deps, claimed, profile_key(claimed.tenant, profile_of(queue))))
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Summary:
    """What came of a claim. gone: the account was removed; waits: the model is away, or a budget is used up."""

    state: Literal["done", "gone", "waits", "failed"]
    #: The last turn that was to be summarised.
    until: int
    notes: str | None = None
    calls: Sequence[ModelCall] = ()
    #: When it waits: for how long.
    after_s: float | None = None


class _SummaryWork(LeasedWork[_Summary]):
    """A claimed conversation, of which the next portion is summarised."""

    def __init__(self, deps: Deps, claimed: SummaryClaim, profile: str) -> None:
        self._deps, self._claimed, self._profile = deps, claimed, profile

    def do(self) -> _Summary:
        try:
            bot = self._deps.open_account(self._claimed.account).bot
        except NotFound:
            return _Summary(state="gone", until=self._claimed.until)
        if budget.used_up(self._deps, bot, contact=self._claimed.contact):
            return _Summary(state="waits", until=self._claimed.until, after_s=_SPENT_S)
        return self._summarised(may_leave=bot.data_may_leave)

    def store(self, result: _Summary) -> str:
        claimed, worker = self._claimed, self._deps.worker
        if result.state == "done":
            return "done" if summaries.finish(worker, claimed, result.notes, until=result.until, calls=result.calls) else "fenced"
        if result.state != "gone":
            summaries.put_off(worker, claimed, after_s=result.after_s, until=result.until, calls=result.calls)
        return result.state

    def failed(self, error: Exception) -> _Summary:
        # Without a traceback, which would show the text.
        log.error("summary_broke", conversation=str(self._claimed.conversation), error=type(error).__name__)
        return _Summary(state="failed", until=self._claimed.until)

    def ended(self, state: str, *, took_s: float) -> None:
        metrics.SUMMARIES.labels(state).inc()
        log.info("summary_finished", conversation=str(self._claimed.conversation), state=state, took_ms=round(took_s * 1000))

    def _summarised(self, *, may_leave: bool) -> _Summary:
        """Summarise as many of the turns as the model has room for."""
        deps, claimed, profile = self._deps, self._claimed, self._profile
        count = deps.routes.counter(profile, may_leave=may_leave)
        room = deps.routes.room(profile, may_leave=may_leave, answer=_MOST_TOKENS) - count(_TASK) - count(claimed.summary or "")
        turns = _portion(claimed.turns, min(deps.settings.history_tokens, room), count)
        until = claimed.until if len(turns) == len(claimed.turns) else turns[-1].number
        if not turns:
            # What was to be summarised was forgotten, or never was for a prompt.
            return _Summary(state="done", until=until, notes=claimed.summary)
        request = self._request(turns, may_leave=may_leave)
        reply = call_model(deps, request, shorter=[_messages(claimed.summary, turns, most=_SHORT_CHARS)])
        for call in reply.calls:
            metrics.count_call(call)
        if reply.outcome == "ok" and reply.text is not None:
            is_whole = reply.answer is None or reply.answer.finish_reason != "length"
            return _Summary(state="done", until=until, notes=shortened(reply.text, is_whole=is_whole), calls=reply.calls)
        if reply.outcome == "unavailable":
            return _Summary(state="waits", until=until, after_s=_AGAIN_S, calls=reply.calls)
        return _Summary(state="failed", until=until, calls=reply.calls)

    def _request(self, turns: Sequence[PastTurn], *, may_leave: bool) -> ModelRequest:
        deps, claimed = self._deps, self._claimed
        return ModelRequest(
            profile=self._profile,
            messages=_messages(claimed.summary, turns),
            may_leave=may_leave,
            hints=deps.routes.hints(claimed.tenant, priority=BATCH),
            # Nothing of the conversation's prefix is used: any replica will do.
            affinity=None,
            max_tokens=_MOST_TOKENS,
            temperature=_TEMPERATURE,
            top_p=deps.model_settings.top_p,
            within_s=min(deps.settings.batch_lease_s, deps.settings.task_deadline_s) * _OF_LEASE,
        )


def _portion(turns: Sequence[PastTurn], room: int, count: Callable[[str], int]) -> Sequence[PastTurn]:
    """The first turns, as many as the prompt has room for and at least one, each whole; the next claim summarises the others."""
    size = 0
    for n, turn in enumerate(turns):
        size += count(turn.asked) + count(turn.answer)
        if n and size > room:
            return turns[:n]
    return turns


def _messages(notes: str | None, turns: Sequence[PastTurn], *, most: int | None = None) -> Sequence[Message]:
    """What the model is shown; of each message at most so many characters."""
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
