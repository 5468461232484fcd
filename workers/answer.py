"""What to answer: commands, other kinds than text, and the model with its guard, one retry and the fallback text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from msgspec import UNSET

from bots.domain import EventKind, Identity, IdentityKind, InboundEvent
from bots.errors import SendError
from bots.extract import extract
from bots.extract.commands import Command, language_of, parse_command, picture_lost_text, unsupported_text
from bots.storage.claims import Claim, ClaimedMessage, KnownFact, PastTurn
from bots.storage.placing import profile_of
from bots.storage.turns import ModelCall, NewFact, Recalled, TurnResult
from inference.types import Message
from workers import budget, pictures, prompt
from workers.ask import Question, ask
from workers.commands import Effect, known_memories, obey
from workers.deps import Deps, Seat
from workers.history import Notes
from workers.live import Live
from workers.pictures import Pictures
from workers.routes import PEOPLE, profile_key

log = structlog.get_logger()

#: As many memories as a claim brings.
_MOST_MEMORIES = 20
#: What somebody who has opted out may still ask for.
_FOR_STOPPED = frozenset({"start", "help", "memory", "forget"})
#: The model server refuses our key or request: an operator must mend it, so ask less often.
_REFUSED_RETRY_S = 30.0
#: Of the time after which the watchdog ends a process with a stuck turn, pictures and asking take so much at most: storing and sending follow.
OF_DEADLINE = 0.7
#: Where a prompt is too long with nothing before it, so much of its newest message is asked.
_SHORT_CHARS = 2000


@dataclass(slots=True)
class _Draft:
    """What a turn has come to so far."""

    parts: list[str] = field(default_factory=list[str])
    calls: list[ModelCall] = field(default_factory=list[ModelCall])
    effect: Effect = field(default_factory=Effect)
    #: The memories that went into the prompt.
    told: Sequence[KnownFact] = ()


def decide(deps: Deps, claim: Claim, seat: Seat) -> TurnResult:
    """Work out what a turn answers. Raises whatever is wrong with ourselves; a model that fails is a result."""
    draft = _Draft()
    too_old = min(message.age_s for message in claim.messages) > deps.settings.answer_if_younger_s
    texts: list[ClaimedMessage] = []
    others: list[ClaimedMessage] = []
    stopped = claim.stopped
    for message in claim.messages:
        command = parse_command(message.text) if message.supported and message.text else None
        if command is not None and (not stopped or command.name in _FOR_STOPPED):
            _obey(deps, claim, seat, command, draft)
            stopped = draft.effect.stopped if draft.effect.stopped is not None else stopped
            if command.name in ("reset", "stop"):
                # What came before belongs to the talk that ends here.
                texts, others = [], []
        elif stopped:
            continue
        elif message.supported and (message.text or message.media):
            texts.append(message)
        else:
            others.append(message)
    if too_old:
        # A late word to stop still counts; an answer after so long would only confuse.
        draft.parts.clear()
        return _result(claim, seat, draft, state="skipped", reason="too_old", texts=())
    if others:
        draft.parts.extend(seat.channel.render(unsupported_text(others[-1].content_type, _language(claim, seat))))
    if texts:
        return _ask(deps, claim, seat, texts, draft)
    if not draft.parts:
        return TurnResult(state="skipped", reason="stopped" if stopped else "nothing_to_answer")
    return _result(claim, seat, draft, state="answered", in_history=False, texts=())


def _ask(deps: Deps, claim: Claim, seat: Seat, texts: Sequence[ClaimedMessage], draft: _Draft) -> TurnResult:
    refused = budget.refusal(deps, claim, seat)
    if refused is not None:
        draft.parts.extend(seat.channel.render(refused))
        return _result(claim, seat, draft, state="answered", reason="budget", in_history=False, texts=texts)
    began, history = time.monotonic(), _history(claim, draft)
    shown = pictures.load(deps, claim, seat, texts, history=history)
    if shown.waits_for is not None:
        return _wait(deps, claim, seat, draft, deps.settings.ask_again_s, reason="picture_unavailable")
    if shown.are_lost(texts):
        draft.parts.extend(seat.channel.render(picture_lost_text(_language(claim, seat))))
        return _result(claim, seat, draft, state="answered", reason="picture_lost", in_history=False, texts=texts)
    written = [shown.words(message) for message in texts]
    build, laid_out = _layout(deps, claim, seat, draft, written=written, shown=shown)
    live = Live(deps.worker, claim, per_s=deps.settings.partial_per_s)
    live.typing()
    shorter = _shorter(build, laid_out, history, written=written, shown=shown)
    question = _question(deps, claim, seat, laid_out, within_s=deps.settings.task_deadline_s * OF_DEADLINE - (time.monotonic() - began))
    with deps.typing.shown(_mark(claim, seat), lasts_s=seat.channel.typing_s):
        reply = ask(deps, question, on_text=live.partial if claim.watched else None, shorter=shorter)
    draft.calls.extend(reply.calls)
    if reply.outcome == "unavailable":
        return _wait(deps, claim, seat, draft, deps.settings.ask_again_s)
    if reply.outcome == "refused":
        return _wait(deps, claim, seat, draft, _REFUSED_RETRY_S)
    reason = {"ok": None, "cut": "cut"}.get(reply.outcome, "fallback")
    said = seat.bot.fallback_text if reply.text is None else reply.text
    draft.parts.extend(seat.channel.render(said))
    return _result(
        claim,
        seat,
        draft,
        state="answered",
        reason=reason,
        texts=texts,
        asked=reply.messages[-1].content if reply.messages else laid_out.asked,
        answer=said,
        history_from=laid_out.history_from,
        summarise_to=laid_out.summarise_to,
    )


def _question(deps: Deps, claim: Claim, seat: Seat, laid_out: prompt.Prompt, *, within_s: float) -> Question:
    affinity = deps.routes.affinity(claim.conversation)
    return Question(
        profile=profile_key(claim.tenant, profile_of(claim.queue)),
        messages=laid_out.messages,
        may_leave=seat.bot.data_may_leave,
        hints=deps.routes.hints(claim.tenant, priority=PEOPLE, affinity=affinity),
        affinity=affinity,
        max_tokens=deps.settings.answer_tokens,
        temperature=deps.model_settings.temperature,
        top_p=deps.model_settings.top_p,
        within_s=within_s,
    )


def _mark(claim: Claim, seat: Seat) -> Callable[[], None]:
    """What shows the contact that an answer is being written."""
    people = tuple(Identity(kind=IdentityKind(handle.kind), value=handle.value) for handle in claim.identities)
    mark = InboundEvent(kind=EventKind.MESSAGE, event_key=claim.messages[-1].event_key, identities=people)

    def show() -> None:
        try:
            seat.channel.show_typing(seat.account.external_id, mark, seat.credentials)
        except SendError as error:
            log.debug("typing_not_shown", code=error.code)

    return show


def _begins_anew(draft: _Draft) -> bool:
    """Whether a command has just cut off all that was before."""
    return draft.effect.closes or draft.effect.history_from is not None


def _history(claim: Claim, draft: _Draft) -> Sequence[PastTurn]:
    """What the prompt may tell of before: nothing where a command has just cut it off."""
    return () if _begins_anew(draft) else claim.history


def _layout(
    deps: Deps, claim: Claim, seat: Seat, draft: _Draft, *, written: Sequence[str], shown: Pictures
) -> tuple[Callable[..., prompt.Prompt], prompt.Prompt]:
    """Lay out the prompt with what is to be told; and what lays out shorter ones."""
    effect = draft.effect
    gone = set(effect.forget)
    profile = profile_key(claim.tenant, profile_of(claim.queue))
    may_leave = seat.bot.data_may_leave
    build = partial(
        prompt.build,
        persona=seat.bot.persona,
        history=_history(claim, draft),
        notes=Notes() if _begins_anew(draft) else Notes(text=claim.summary, until=claim.summary_until),
        texts=written,
        images=shown.new,
        past_images=shown.past,
        budget=deps.settings.history_tokens,
        count=deps.routes.counter(profile, may_leave=may_leave),
        room=lambda images: deps.routes.room(profile, may_leave=may_leave, answer=deps.settings.answer_tokens, images=images),
    )
    told = [memory for memory in claim.memories if memory.id not in gone] if seat.bot.memory_on else []
    laid_out = build(memories=told)
    if seat.bot.memory_on and (effect.closes or laid_out.history_from is not None):
        # What was told in the turns that are left out now would else be known again only in the next turn.
        known = [KnownFact(id=memory.id, kind=memory.kind, text=memory.text) for memory in known_memories(deps, claim)]
        told = [memory for memory in known if memory.id not in gone][:_MOST_MEMORIES]
        laid_out = build(memories=told)
    draft.told = told
    return partial(build, memories=told), laid_out


def _shorter(
    build: Callable[..., prompt.Prompt], laid_out: prompt.Prompt, history: Sequence[PastTurn], *, written: Sequence[str], shown: Pictures
) -> Iterator[Sequence[Message]]:
    """Ever shorter prompts, for a server that knows its context best: without earlier pictures, with half of the history, with nothing before.

    For this call alone: perhaps only a small endpoint was left, and the talk tells the same again when the others are back.
    """
    if any(message.images for message in laid_out.messages[:-1]):
        yield build(past_images={}).messages
    if laid_out.turns > 1:
        yield build(past_images={}, history=history[len(history) - laid_out.turns // 2 :]).messages
    yield build(memories=(), history=(), notes=Notes(), images=shown.new[-1:], texts=[written[-1][:_SHORT_CHARS]]).messages


def _wait(deps: Deps, claim: Claim, seat: Seat, draft: _Draft, retry_s: float, *, reason: str = "model_unavailable") -> TurnResult:
    apology = seat.bot.apology_text
    say = apology is not None and not claim.apologised and claim.open_s >= deps.settings.apology_after_s
    return TurnResult(
        state="wait",
        reason=reason,
        parts=list(seat.channel.render(apology))[:1] if say and apology else [],
        calls=draft.calls,
        # What a contact wants erased does not wait for a model; nor does a wish for silence.
        forget=list(draft.effect.forget),
        stopped=draft.effect.stopped if draft.effect.stopped is not None else UNSET,
        retry_s=retry_s,
    )


def _result(
    claim: Claim,
    seat: Seat,
    draft: _Draft,
    *,
    state: str,
    texts: Sequence[ClaimedMessage],
    asked: str | None = None,
    answer: str | None = None,
    reason: str | None = None,
    in_history: bool = True,
    history_from: int | None = None,
    summarise_to: int | None = None,
) -> TurnResult:
    effect = draft.effect
    if effect.closes and texts:
        # More was said behind /reset: the talk goes on, and tells nothing from before.
        history_from = claim.number
    values: dict[str, object] = {}
    if effect.stopped is not None:
        values["stopped"] = effect.stopped
    if history_from is not None:
        values["new_session"] = True
    if summarise_to is not None:
        values["summarise_to"] = summarise_to
    return TurnResult(
        state=state,  # pyright: ignore[reportArgumentType] - one of the literals at both callers
        reason=reason,
        asked=asked,
        answer=answer,
        in_history=in_history,
        parts=[*_opening(claim, seat), *draft.parts] if state == "answered" else draft.parts,
        calls=draft.calls,
        recalls=[Recalled(memory=memory.id, reason="told before this talk") for memory in draft.told],
        facts=_facts(claim, seat),
        forget=list(effect.forget),
        history_from=effect.history_from if effect.history_from is not None else history_from,
        close=effect.closes and not texts,
        # What was forgotten, or ended with /reset, is not told on by notes either.
        drop_summary=_begins_anew(draft),
        **values,  # pyright: ignore[reportArgumentType] - left out when unset
    )


def _facts(claim: Claim, seat: Seat) -> list[NewFact]:
    if not seat.bot.memory_on or claim.stopped:
        return []
    found: list[NewFact] = []
    for message in claim.messages:
        if not message.supported or not message.text:
            continue
        command = parse_command(message.text)
        if command is None:
            found.extend(_said(message))
        elif command.name == "forget":
            # What was said just before is meant, too.
            found.clear()
    return found


def _said(message: ClaimedMessage) -> list[NewFact]:
    try:
        facts = extract(message.text or "")
    except Exception as error:  # noqa: BLE001 - what is remembered never costs the answer
        log.error("extract_failed", message=str(message.id), error=type(error).__name__)  # noqa: TRY400 - a traceback would show the text
        return []
    return [NewFact(kind=fact.kind, text=fact.value, single=fact.single, source=message.id) for fact in facts]


def _obey(deps: Deps, claim: Claim, seat: Seat, command: Command, draft: _Draft) -> None:
    effect, text = obey(deps, claim, command, language=_language(claim, seat))
    draft.effect = draft.effect.then(effect)
    draft.parts.extend(seat.channel.fit(text))


def _language(claim: Claim, seat: Seat) -> str:
    """The language of the service's own sentences: the contact's, else the bot's."""
    return language_of(claim.memories, default=seat.bot.language or "en")


def _opening(claim: Claim, seat: Seat) -> Sequence[str]:
    """What stands before the first answer that a contact ever gets."""
    said = seat.bot.first_contact
    return seat.channel.render(said) if said and claim.first else ()
