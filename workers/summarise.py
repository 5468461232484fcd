"""Notes on the turns that a prompt has no more room for: made by the model in the background, after people and alongside batches.

Guarantee: turns get notes whole, each once. A portion that the model did not manage is tried again smaller, and after the third try rules take over
what the person wrote; what a contact asks to forget meanwhile is not written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

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
from workers.long_text import without_middle
from workers.model_call import ModelReply, background_request, call_model
from workers.model_routes import profile_key
from workers.notes import added, in_own_words, last_day
from workers.sentences import sentence_end

log = structlog.get_logger()

_TASK = (
    "You keep notes on a conversation between a person and their assistant, for the assistant, who will see the notes in place of the"
    " conversation. Write down what must still be known to go on: what the person wants, what was answered and agreed, what is open."
    " Keep names, numbers and dates exactly. At most 80 words, plain sentences, in the language of the person."
    " Add nothing that was not said, give no advice, and do not speak to the person."
)
#: 80 words are 110 tokens of English and up to 330 of a script that the tokenizer has no words for.
_MOST_TOKENS = 400
_TEMPERATURE = 0.2
#: A longer paragraph is cut at the last whole sentence.
_MOST_CHARS = 900
#: After so many tries rules take over.
_TRIES = 3
#: A call that took this share of the longest time to a first word was too slow; one that failed sooner found no model.
_SLOW = 0.8
#: When the turns do not fit the model, only so much of each message is shown: one huge message must not block the summary for ever.
_SHORT_CHARS = 500
_AGAIN_S = 60.0
#: How long a summary waits after the budget is used up: for a larger budget, or the next month.
_SPENT_S = 600.0


def summarise_one(deps: Deps, queue: str) -> bool:
    """Summarise one portion of a conversation of a batch queue's profile; False when none was due."""
    claimed = summaries.claim(deps.crossing, queue, lease_s=deps.settings.batch_lease_s)
    return claimed is not None and leased_work.run(deps.in_flight, _SummaryWork(deps, claimed, queue))


class _SummaryWork(LeasedWork):
    """A claimed conversation, of which the next portion is summarised."""

    def __init__(self, deps: Deps, claimed: SummaryClaim, queue: str) -> None:
        self._deps, self._claimed, self._queue = deps, claimed, queue

    def do(self) -> str:
        try:
            bot = self._deps.open_account(self._claimed.account).bot
        except NotFound:
            return "gone"
        if budget.used_up(self._deps, bot, contact=self._claimed.contact):
            return self._put_off("waits", after_s=_SPENT_S)
        return self._summarise(may_leave=bot.data_may_leave)

    def failed(self, error: Exception) -> str:
        # Without a traceback, which would show the text.
        log.error("summary_broke", conversation=str(self._claimed.conversation), error=type(error).__name__)
        return self._put_off("failed")

    def ended(self, state: str, *, took_s: float) -> None:
        metrics.SUMMARIES.labels(state).inc()
        log.info("summary_finished", conversation=str(self._claimed.conversation), state=state, took_ms=round(took_s * 1000))

    def _summarise(self, *, may_leave: bool) -> str:
        """Summarise as many of the turns as the model has room and time for."""
        deps, claimed = self._deps, self._claimed
        profile = profile_key(claimed.tenant, profile_of(self._queue))
        count = deps.routes.counter(profile, may_leave=may_leave)
        room = deps.routes.room(profile, may_leave=may_leave, answer=_MOST_TOKENS) - count(_TASK)
        turns = _portion(claimed.turns, min(deps.settings.history_tokens, room, deps.portions.most(profile)), count)
        if not turns:
            # The contact asked to forget these turns, or they were never meant for a prompt.
            return self._finish(claimed.summary, until=claimed.until)
        request = background_request(
            deps,
            claimed.tenant,
            self._queue,
            messages=_messages(turns),
            may_leave=may_leave,
            max_tokens=_MOST_TOKENS,
            temperature=_TEMPERATURE,
        )
        fewer, began = _ever_fewer(turns), time.monotonic()
        reply = call_model(deps, request, shorter=[_messages(turns, most=_SHORT_CHARS)], apart=(_messages(some) for some in fewer))
        took_s = time.monotonic() - began
        for call in reply.calls:
            metrics.count_call(call)
        covered = [turns, *fewer][reply.apart]
        until = claimed.until if len(covered) == len(claimed.turns) else covered[-1].number
        tokens = sum(count(turn.asked) + count(turn.answer) for turn in covered)
        if paragraph := _paragraph(reply):
            answer = reply.answer
            if reply.outcome == "ok" and answer is not None:
                deps.portions.well(profile, tokens, first_token_ms=answer.first_token_ms, total_ms=answer.total_ms)
            else:
                deps.portions.too_much(profile, tokens)
            return self._finish(added(claimed.summary, paragraph, day=last_day(covered)), until=until, calls=reply.calls)
        if reply.outcome == "filtered":
            # One turn is left that the server will not take: it gets no notes, so that the others get theirs.
            state = self._finish(claimed.summary, until=until, calls=reply.calls)
            return "skipped" if state == "done" else state
        if reply.outcome == "unavailable" and took_s < deps.model_settings.first_token_s * _SLOW:
            return self._put_off("waits", after_s=max(_AGAIN_S, deps.settings.wait_s(reply.retry_s)), until=until, calls=reply.calls)
        deps.portions.too_much(profile, tokens)
        if claimed.tries + 1 >= _TRIES:
            state = self._finish(added(claimed.summary, in_own_words(covered), day=last_day(covered)), until=until, calls=reply.calls)
            return "by_rules" if state == "done" else state
        return self._put_off("failed", until=until, calls=reply.calls)

    def _finish(self, notes: str | None, *, until: int, calls: Sequence[ModelCall] = ()) -> str:
        return "done" if summaries.finish(self._deps.worker, self._claimed, notes, until=until, calls=calls) else "fenced"

    def _put_off(self, state: str, *, after_s: float | None = None, until: int | None = None, calls: Sequence[ModelCall] = ()) -> str:
        until = self._claimed.until if until is None else until
        summaries.put_off(self._deps.worker, self._claimed, after_s=after_s, until=until, calls=calls)
        return state


def _portion(turns: Sequence[PastTurn], room: int, count: Callable[[str], int]) -> Sequence[PastTurn]:
    """The first turns, as many as the prompt has room for and at least one, each whole; the next claim summarises the others."""
    size = 0
    for n, turn in enumerate(turns):
        size += count(turn.asked) + count(turn.answer)
        if n and size > room:
            return turns[:n]
    return turns


def _ever_fewer(turns: Sequence[PastTurn]) -> list[Sequence[PastTurn]]:
    """Return half of these turns, the first ones, then half of those, down to one."""
    found = list[Sequence[PastTurn]]()
    while len(turns) > 1:
        turns = turns[: len(turns) // 2]
        found.append(turns)
    return found


def _messages(turns: Sequence[PastTurn], *, most: int | None = None) -> Sequence[Message]:
    """What the model is shown; of each message at most so many characters. Not the notes so far: a small model writes them again, and nothing else."""
    lines: list[str] = []
    for turn in turns:
        asked, answer = (without_middle(text, most) if most else text for text in (turn.asked, turn.answer))
        lines += [f"Person: {asked}", f"Assistant: {answer}"]
    text = neutralise("\n\n".join([*lines, "Write the notes."]))
    return [Message(role="system", content=_TASK), Message(role="user", content=text)]


def _paragraph(reply: ModelReply) -> str:
    """The notes in a reply, as far as they are whole sentences; empty where there are none."""
    if reply.outcome not in ("ok", "cut") or reply.text is None:
        return ""
    return shortened(reply.text, is_whole=not reply.is_cut)


def shortened(text: str, *, is_whole: bool = True) -> str:
    """Return notes of at most 900 characters; if they are longer or broke off, they end at a whole sentence.

    Where there is none, long ones end at a word, and of those that broke off nothing is left.
    """
    text = " ".join(text.split())
    if is_whole and len(text) <= _MOST_CHARS:
        return text
    cut = text[:_MOST_CHARS]
    end = sentence_end(cut)
    return cut[:end] if end else cut.rsplit(" ", 1)[0] if is_whole else ""
