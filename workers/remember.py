"""Facts that a model finds in what people wrote and the rules missed: looked for in the background, once a talk is quiet.

Guarantee: only a model that passed the trial is asked (workers/trial.py), and what it proposes is remembered only where it passes the checks and the
rules say nothing else. What a contact asks to forget meanwhile is not remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from typing import Any

import structlog

from bots.domain import Bot, Statements
from bots.errors import NotFound
from bots.extract.edits import own_words, stated
from bots.extract.proposed import covers
from bots.storage import remembering
from bots.storage.queues import profile_of
from bots.storage.remembering import Reading, Written
from bots.storage.turns import ModelCall, NewEnd, NewFact
from bots.time_zones import zone_of
from inference.types import Message
from workers import budget, leased_work, metrics, proposing, trial
from workers.deps import Deps
from workers.leased_work import LeasedWork
from workers.model_call import ModelReply, background_request, call_model
from workers.model_routes import profile_key
from workers.proposing import Said

log = structlog.get_logger()

#: Messages claimed at once, and read by one question: few enough that a small model keeps them apart.
_MOST_CLAIMED = 200
_MOST_READ = 12
_MOST_CHARS = 4000
#: After so many tries the messages count as read.
_TRIES = 3
_AGAIN_S = 60.0
#: How long it waits after the budget is used up.
_SPENT_S = 600.0


def remember_one(deps: Deps, queue: str) -> bool:
    """Read one quiet talk of a batch queue's profile; False when none was due."""
    claimed = remembering.claim(deps.crossing, queue, most=_MOST_CLAIMED, lease_s=deps.settings.batch_lease_s)
    return claimed is not None and leased_work.run(deps.in_flight, _Reading(deps, claimed, queue))


class _Reading(LeasedWork):
    """A claimed talk, of which the next portion is read."""

    def __init__(self, deps: Deps, claimed: Reading, queue: str) -> None:
        self._deps, self._claimed, self._queue = deps, claimed, queue
        self._calls: list[ModelCall] = []
        self._last: ModelReply | None = None

    def do(self) -> str:
        deps, claimed = self._deps, self._claimed
        try:
            bot = deps.open_account(claimed.account).bot
        except NotFound:
            return "gone"
        profile = profile_key(claimed.tenant, profile_of(self._queue))
        if (
            not bot.memory_on
            or not deps.settings.remember_after_s
            or not trial.may_propose(deps, claimed.tenant, profile, may_leave=bot.data_may_leave)
        ):
            # Since this became due, it was switched off, or the profile has another model.
            return self._finish("off", until=claimed.until)
        if budget.used_up(deps, bot, contact=claimed.contact):
            return self._put_off("waits", until=claimed.until, after_s=_SPENT_S)
        return self._read(bot)

    def failed(self, error: Exception) -> str:
        # Without a traceback, which would show the text.
        log.error("remembering_broke", conversation=str(self._claimed.conversation), error=type(error).__name__)
        return self._give_up_or_wait(self._claimed.until)

    def ended(self, state: str, *, took_s: float) -> None:
        metrics.REMEMBERED.labels(state).inc()
        log.info("remembering_finished", conversation=str(self._claimed.conversation), state=state, took_ms=round(took_s * 1000))

    def _read(self, bot: Bot) -> str:
        """Ask about as many of the messages as one question has room for."""
        zone = zone_of(self._claimed.identities, bot.time_zone, self._deps.settings.time_zone)
        written = [(one, words) for one in self._claimed.messages if (words := own_words(one.text))]
        portion, until = _portion(written, self._claimed)
        said = [Said(text=words, day=one.at.astimezone(zone).date()) for one, words in portion]
        if not said:
            return self._finish("nothing", until=until)
        found = proposing.find(said, partial(self._ask, may_leave=bot.data_may_leave))
        if found.proposals is None:
            reply = self._last
            if reply is not None and reply.outcome == "unavailable":
                return self._put_off("waits", until=until, after_s=max(_AGAIN_S, self._deps.settings.wait_s(reply.retry_s)))
            return self._give_up_or_wait(until)
        stands = _Rules(written, zone)
        facts = [
            NewFact(kind=fact.kind, text=fact.value, source=portion[n][0].id, topic=fact.topic, day=fact.day, last_day=fact.last_day)
            for n, fact in found.facts
            if not any(covers(end, fact) for later in stands.after(portion[n][0]) for end in later.ends)
        ]
        endpoint = self._last.endpoint if self._last else None
        return self._finish(
            "done" if facts else "nothing", until=until, facts=facts, ends=stands.ends(), by=f"model {endpoint.model if endpoint else '?'}"
        )

    def _ask(self, messages: Sequence[Message], schema: Mapping[str, Any], *, may_leave: bool) -> str | None:
        request = background_request(
            self._deps,
            self._claimed.tenant,
            self._queue,
            messages=messages,
            may_leave=may_leave,
            max_tokens=proposing.MOST_TOKENS,
            temperature=proposing.TEMPERATURE,
        )
        # Both questions together end within the lease.
        request = replace(request, hints=replace(request.hints, schema=schema), within_s=request.within_s / 2)
        reply = self._last = call_model(self._deps, request)
        for call in reply.calls:
            metrics.count_call(call)
        self._calls += reply.calls
        return reply.text if reply.outcome in {"ok", "cut"} else None

    def _give_up_or_wait(self, until: int) -> str:
        """The model gave no answer to the question: once more later, and after the third time these messages are left alone."""
        if self._claimed.tries + 1 >= _TRIES:
            return self._finish("given_up", until=until)
        return self._put_off("failed", until=until)

    def _finish(self, state: str, *, until: int, facts: Sequence[NewFact] = (), ends: Sequence[NewEnd] = (), by: str = "") -> str:
        again_s = 0.0 if until < self._claimed.until else self._deps.settings.remember_after_s
        done = remembering.finish(
            self._deps.worker, self._claimed, until=until, facts=facts, ends=ends, by=by, again_s=again_s, calls=self._numbered()
        )
        return state if done else "fenced"

    def _put_off(self, state: str, *, until: int, after_s: float | None = None) -> str:
        remembering.put_off(self._deps.worker, self._claimed, until=until, after_s=after_s, calls=self._numbered())
        return state

    def _numbered(self) -> list[ModelCall]:
        calls, self._calls = self._calls, []
        return calls


class _Rules:
    """What the rules read in the messages: what ended later is not remembered by a model that reads earlier words only now."""

    def __init__(self, written: Sequence[tuple[Written, str]], zone: tzinfo) -> None:
        self._read: list[tuple[Written, Statements]] = [
            (one, stated(words, str(one.id), at=one.at.astimezone(zone))) for one, words in written
        ]

    def after(self, message: Written) -> list[Statements]:
        """What the messages behind this one state."""
        at = next(n for n, (one, _) in enumerate(self._read) if one.id == message.id)
        return [statements for _, statements in self._read[at + 1 :]]

    def ends(self) -> list[NewEnd]:
        """What they say is no longer so."""
        return [NewEnd.said(end, one.id) for one, statements in self._read for end in statements.ends]


def _portion(written: Sequence[tuple[Written, str]], claimed: Reading) -> tuple[Sequence[tuple[Written, str]], int]:
    """The first messages, by whole turns, as many as one question has room for, and the last turn that is read then."""
    whole = written
    until = claimed.until
    if len(claimed.messages) >= _MOST_CLAIMED and claimed.messages[0].turn < claimed.until:
        # Of its last turn more messages may wait.
        whole, until = [one for one in written if one[0].turn < claimed.until], claimed.until - 1
    chars = 0
    for n, (one, words) in enumerate(whole):
        chars += len(words)
        if n and (n >= _MOST_READ or chars > _MOST_CHARS) and one.turn > whole[0][0].turn:
            turn = one.turn
            return [past for past in whole[:n] if past[0].turn < turn], turn - 1
    return whole, until
