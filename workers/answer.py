"""What to answer: commands, other kinds than text, and the model with its guard, one retry and the fallback text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog
from msgspec import UNSET

from bots.domain import EventKind, Identity, IdentityKind, InboundEvent
from bots.errors import SendError
from bots.extract import extract
from bots.extract.commands import Command, language_of, parse_command, unsupported_text
from bots.storage.claims import Claim, ClaimedMessage, KnownFact
from bots.storage.turns import ModelCall, NewFact, Recalled, TurnResult
from inference.answer_guard import check
from inference.errors import AnswerCut, GarbageAnswer, ModelRefused, ModelUnavailable, PromptTooLong
from inference.types import Answer, Message, Usage
from workers import prompt
from workers.commands import Effect, known_memories, obey
from workers.deps import Deps, Seat
from workers.live import Live

log = structlog.get_logger()

#: How often a model is asked before its answers count as garbage.
TRIES = 2
#: As many memories as a claim brings.
_MOST_MEMORIES = 20
#: What somebody who has opted out may still ask for.
_FOR_STOPPED = frozenset({"start", "help", "memory", "forget"})
#: The model server refuses our key or request: an operator must mend it, so ask less often.
_REFUSED_RETRY_S = 30.0


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
        elif message.supported and message.text:
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
    written = [message.text or "" for message in texts]
    laid_out = _lay_out(deps, claim, seat, written, draft)
    live = Live(deps.worker, claim, per_s=deps.settings.partial_per_s)
    live.typing()
    messages = laid_out.messages
    history_from = laid_out.history_from
    newest = claim.messages[-1]
    people = tuple(Identity(kind=IdentityKind(handle.kind), value=handle.value) for handle in claim.identities)
    mark = InboundEvent(kind=EventKind.MESSAGE, event_key=newest.event_key, identities=people)

    def show() -> None:
        try:
            seat.channel.show_typing(seat.account.external_id, mark, seat.credentials)
        except SendError as error:
            log.debug("typing_not_shown", code=error.code)

    with deps.typing.shown(show, lasts_s=seat.channel.typing_s):
        for attempt in range(1, TRIES + 1):
            try:
                answer = deps.model.chat(
                    messages,
                    max_tokens=deps.settings.answer_tokens,
                    temperature=deps.model_settings.temperature,
                    top_p=deps.model_settings.top_p,
                    on_text=live.partial if claim.watched else None,
                )
                text = check(answer, messages)
            except AnswerCut as error:
                # Too slow to come to its end: what is there is an answer all the same, and asking again would end alike.
                draft.calls.append(call_of(deps, messages, attempt, "cut", None))
                said = _whole_or(seat, error.text, messages)
                return _answered(claim, seat, draft, said, texts=texts, asked=laid_out.asked, history_from=history_from, reason="cut")
            except GarbageAnswer:
                draft.calls.append(call_of(deps, messages, attempt, "garbage", None))
                continue
            except PromptTooLong:
                draft.calls.append(call_of(deps, messages, attempt, "too_long", None))
                # The server knows its context best: start the talk's history anew.
                laid_out = prompt.build(persona=seat.bot.persona, memories=(), history=(), texts=[written[-1][:2000]], budget=0, count=len)
                messages = laid_out.messages
                history_from = claim.number
                continue
            except ModelUnavailable as error:
                draft.calls.append(call_of(deps, messages, attempt, type(error).__name__, None))
                return _wait(deps, claim, seat, draft, deps.settings.ask_again_s)
            except ModelRefused as error:
                log.warning("model_refused", turn=str(claim.turn), error=type(error).__name__)
                draft.calls.append(call_of(deps, messages, attempt, "refused", None))
                return _wait(deps, claim, seat, draft, _REFUSED_RETRY_S)
            draft.calls.append(call_of(deps, messages, attempt, "ok", answer))
            return _answered(claim, seat, draft, text, texts=texts, asked=laid_out.asked, history_from=history_from)
    said = seat.bot.fallback_text
    return _answered(claim, seat, draft, said, texts=texts, asked=laid_out.asked, history_from=history_from, reason="fallback")


def _lay_out(deps: Deps, claim: Claim, seat: Seat, written: Sequence[str], draft: _Draft) -> prompt.Prompt:
    effect = draft.effect
    gone = set(effect.forget)
    afresh = effect.closes or effect.history_from is not None
    build = partial(
        prompt.build,
        persona=seat.bot.persona,
        history=[] if afresh else claim.history,
        texts=written,
        budget=deps.settings.history_tokens,
        count=deps.counter.count,
    )
    told = [memory for memory in claim.memories if memory.id not in gone] if seat.bot.memory_on else []
    laid_out = build(memories=told)
    if seat.bot.memory_on and (effect.closes or laid_out.history_from is not None):
        # What was told in the turns that are left out now would else be known again only in the next turn.
        known = [KnownFact(id=memory.id, kind=memory.kind, text=memory.text) for memory in known_memories(deps, claim)]
        told = [memory for memory in known if memory.id not in gone][:_MOST_MEMORIES]
        laid_out = build(memories=told)
    draft.told = told
    return laid_out


def _answered(
    claim: Claim,
    seat: Seat,
    draft: _Draft,
    text: str,
    *,
    texts: Sequence[ClaimedMessage],
    asked: str,
    history_from: int | None,
    reason: str | None = None,
) -> TurnResult:
    draft.parts.extend(seat.channel.render(text))
    return _result(claim, seat, draft, state="answered", reason=reason, texts=texts, asked=asked, answer=text, history_from=history_from)


def _whole_or(seat: Seat, text: str, messages: Sequence[Message]) -> str:
    """What the model came to say, or the fallback text where that is nothing."""
    try:
        return check(Answer(text=text, usage=Usage(), first_token_ms=0.0, total_ms=0.0, finish_reason="length"), messages)
    except GarbageAnswer:
        return seat.bot.fallback_text


def _wait(deps: Deps, claim: Claim, seat: Seat, draft: _Draft, retry_s: float) -> TurnResult:
    apology = seat.bot.apology_text
    say = apology is not None and not claim.apologised and claim.open_s >= deps.settings.apology_after_s
    return TurnResult(
        state="wait",
        reason="model_unavailable",
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
        **values,  # pyright: ignore[reportArgumentType] - two booleans, left out when unset
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


def call_of(deps: Deps, messages: Sequence[Message], attempt: int, outcome: str, answer: Answer | None) -> ModelCall:
    """What is kept and counted of one call of the model."""
    return ModelCall(
        attempt=attempt,
        endpoint=deps.endpoint.name,
        model=deps.endpoint.model,
        prompt=[{"role": message.role, "content": message.content} for message in messages],
        outcome=outcome,
        tokens_in=answer.usage.tokens_in if answer else None,
        tokens_cached=answer.usage.tokens_cached if answer else None,
        tokens_out=answer.usage.tokens_out if answer else None,
        first_token_ms=round(answer.first_token_ms, 1) if answer else None,
        total_ms=round(answer.total_ms, 1) if answer else None,
    )
