"""What to answer: commands, other kinds than text, and the model with its guard, one retry and the fallback text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from bots.domain import EventKind, InboundEvent
from bots.errors import SendError
from bots.extract import extract
from bots.extract.commands import Command, language_of, parse_command, unsupported_text
from bots.storage.claims import Claim, ClaimedMessage
from bots.storage.turns import ModelCall, NewFact, Recalled, TurnResult
from inference.answer_guard import check
from inference.errors import AnswerCut, GarbageAnswer, ModelRefused, ModelUnavailable, PromptTooLong
from inference.types import Answer, Message, Usage
from workers import prompt
from workers.commands import Effect, obey
from workers.deps import Deps, Seat
from workers.live import Live

log = structlog.get_logger()

_TRIES = 2
#: The model server refuses our key or request: an operator must mend it, so ask less often.
_REFUSED_RETRY_S = 30.0


@dataclass(slots=True)
class _Draft:
    """What a turn has come to so far."""

    parts: list[str] = field(default_factory=list[str])
    calls: list[ModelCall] = field(default_factory=list[ModelCall])
    effect: Effect = field(default_factory=Effect)


def decide(deps: Deps, claim: Claim, seat: Seat) -> TurnResult:
    """Work out what a turn answers. Raises whatever is wrong with ourselves; a model that fails is a result."""
    if min(message.age_s for message in claim.messages) > deps.settings.answer_if_younger_s:
        return TurnResult(state="skipped", reason="too_old", facts=_facts(claim, seat))
    draft = _Draft()
    texts: list[ClaimedMessage] = []
    others: list[ClaimedMessage] = []
    stopped = claim.stopped
    for message in claim.messages:
        command = parse_command(message.text) if message.supported and message.text else None
        if command is not None and (not stopped or command.name in ("start", "help")):
            _obey(deps, claim, command, draft)
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
    if others:
        draft.parts.extend(seat.channel.render(unsupported_text(others[-1].content_type, language_of(claim.memories))))
    if texts:
        return _ask(deps, claim, seat, texts, draft)
    if not draft.parts:
        return TurnResult(state="skipped", reason="stopped" if stopped else "nothing_to_answer")
    return _result(claim, seat, draft, state="answered", in_history=False, texts=())


def _ask(deps: Deps, claim: Claim, seat: Seat, texts: Sequence[ClaimedMessage], draft: _Draft) -> TurnResult:
    written = [message.text or "" for message in texts]
    history = [] if draft.effect.closes else claim.history
    laid_out = prompt.build(
        persona=seat.bot.persona,
        memories=claim.memories if seat.bot.memory_on else (),
        history=history,
        texts=written,
        budget=deps.settings.history_tokens,
        count=deps.counter.count,
    )
    live = Live(deps.worker, claim, per_s=deps.settings.partial_per_s)
    live.typing()
    messages = laid_out.messages
    history_from = laid_out.history_from
    newest = claim.messages[-1]
    mark = InboundEvent(kind=EventKind.MESSAGE, event_key=newest.event_key)

    def show() -> None:
        try:
            seat.channel.show_typing(seat.account.external_id, mark, seat.credentials)
        except SendError as error:
            log.debug("typing_not_shown", code=error.code)

    with deps.typing.shown(show):
        for attempt in range(1, _TRIES + 1):
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
                draft.calls.append(_call(deps, messages, attempt, "cut", None))
                said = _whole_or(seat, error.text, messages)
                return _answered(claim, seat, draft, said, texts=texts, history_from=history_from, reason="cut")
            except GarbageAnswer:
                draft.calls.append(_call(deps, messages, attempt, "garbage", None))
                continue
            except PromptTooLong:
                draft.calls.append(_call(deps, messages, attempt, "too_long", None))
                # The server knows its context best: start the talk's history anew.
                messages = prompt.build(
                    persona=seat.bot.persona, memories=(), history=(), texts=[written[-1][:2000]], budget=0, count=len
                ).messages
                history_from = claim.number
                continue
            except ModelUnavailable as error:
                draft.calls.append(_call(deps, messages, attempt, type(error).__name__, None))
                return _wait(deps, claim, seat, draft, deps.settings.ask_again_s)
            except ModelRefused as error:
                log.warning("model_refused", turn=str(claim.turn), error=type(error).__name__)
                draft.calls.append(_call(deps, messages, attempt, "refused", None))
                return _wait(deps, claim, seat, draft, _REFUSED_RETRY_S)
            draft.calls.append(_call(deps, messages, attempt, "ok", answer))
            return _answered(claim, seat, draft, text, texts=texts, history_from=history_from)
    return _answered(claim, seat, draft, seat.bot.fallback_text, texts=texts, history_from=history_from, reason="fallback")


def _answered(
    claim: Claim,
    seat: Seat,
    draft: _Draft,
    text: str,
    *,
    texts: Sequence[ClaimedMessage],
    history_from: int | None,
    reason: str | None = None,
) -> TurnResult:
    draft.parts.extend(seat.channel.render(text))
    return _result(claim, seat, draft, state="answered", reason=reason, texts=texts, answer=text, history_from=history_from)


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
        retry_s=retry_s,
    )


def _result(
    claim: Claim,
    seat: Seat,
    draft: _Draft,
    *,
    state: str,
    texts: Sequence[ClaimedMessage],
    answer: str | None = None,
    reason: str | None = None,
    in_history: bool = True,
    history_from: int | None = None,
) -> TurnResult:
    effect = draft.effect
    if effect.closes and texts:
        # More was said behind /reset: the talk goes on, and tells nothing from before.
        history_from = claim.number
    recalls = (
        [Recalled(memory=memory.id, reason="told before this talk") for memory in claim.memories] if texts and seat.bot.memory_on else []
    )
    values: dict[str, object] = {}
    if effect.stopped is not None:
        values["stopped"] = effect.stopped
    if history_from is not None:
        values["new_session"] = True
    return TurnResult(
        state=state,  # pyright: ignore[reportArgumentType] - one of the literals at both callers
        reason=reason,
        answer=answer,
        in_history=in_history,
        parts=draft.parts,
        calls=draft.calls,
        recalls=recalls,
        facts=_facts(claim, seat),
        forget=list(effect.forget),
        history_from=effect.history_from if effect.history_from is not None else history_from,
        close=effect.closes and not texts,
        **values,  # pyright: ignore[reportArgumentType] - two booleans, left out when unset
    )


def _facts(claim: Claim, seat: Seat) -> list[NewFact]:
    if not seat.bot.memory_on:
        return []
    return [
        NewFact(kind=fact.kind, text=fact.value, single=fact.single, source=message.id)
        for message in claim.messages
        if message.supported and message.text and parse_command(message.text) is None
        for fact in extract(message.text)
    ]


def _obey(deps: Deps, claim: Claim, command: Command, draft: _Draft) -> None:
    effect, text = obey(deps, claim, command, language=language_of(claim.memories))
    draft.effect = draft.effect.then(effect)
    draft.parts.append(text)


def _call(deps: Deps, messages: Sequence[Message], attempt: int, outcome: str, answer: Answer | None) -> ModelCall:
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
