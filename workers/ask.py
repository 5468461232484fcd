"""Asks the model for a text that may be shown, as often as is worth it, and says what came of it. Turns and batch items ask alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import structlog

from bots.storage.turns import ModelCall
from inference.answer_guard import check
from inference.errors import AnswerCut, GarbageAnswer, InferenceError, ModelRefused, ModelUnavailable, NoEndpoint, PromptTooLong
from inference.router import Routed
from inference.tokens import estimate
from inference.types import Answer, Endpoint, Hints, Message, Usage
from inference.usage import cost_of
from workers.deps import Deps

log = structlog.get_logger()

#: How often a model is asked before its answers count as garbage.
TRIES = 2
#: With less than this share of the time to a first word left, it is not asked again: a healthy endpoint would be blamed for our haste.
_LEAST_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a model is asked, and on which terms."""

    #: As the router knows it: workers.routes.profile_key.
    profile: str
    messages: Sequence[Message]
    may_leave: bool
    hints: Hints
    #: A hash of the conversation; None: any replica will do.
    affinity: bytes | None
    max_tokens: int
    temperature: float
    top_p: float
    #: However many tries: no longer than this.
    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of a question."""

    #: ok: a whole answer; cut: it was too slow to come to its end; garbage: nothing that may be shown; unavailable: ask again soon;
    #: refused: an operator must mend it.
    outcome: Literal["ok", "cut", "garbage", "too_long", "unavailable", "refused"]
    calls: list[ModelCall]
    #: What may be shown; of a cut answer None where that is nothing.
    text: str | None = None
    answer: Answer | None = None
    endpoint: Endpoint | None = None
    #: The prompt that was asked last: a shorter one where the first was too long.
    messages: Sequence[Message] = ()


def ask(
    deps: Deps,
    question: Question,
    *,
    on_text: Callable[[str], None] | None = None,
    shorter: Iterable[Sequence[Message]] = (),
) -> Reply:
    """Ask, and once more after garbage; after a prompt that was too long with the next shorter one, as long as there is one.

    Raises StorageUnavailable while nothing is known of the endpoints.
    """
    usual = deps.model_settings
    until = time.monotonic() + min(TRIES * usual.total_s, question.within_s)
    messages, calls, shorter = question.messages, list[ModelCall](), iter(shorter)
    tries = 0
    while tries < TRIES:
        if calls and until - time.monotonic() < usual.first_token_s * _LEAST_SHARE:
            break
        try:
            routed = _routed(deps, question, messages, calls, on_text=on_text, until=until)
        except GarbageAnswer:
            tries += 1
            continue
        except PromptTooLong as error:
            next_one = next(shorter, None)
            if next_one is None:
                return Reply(outcome="too_long", calls=calls, endpoint=error.endpoint)
            messages = next_one
            continue
        except AnswerCut as error:
            # Asking again would end alike: what is there is an answer all the same.
            shown = _shown(error.text, messages)
            return Reply(outcome="cut", calls=calls, text=shown, endpoint=error.endpoint, messages=messages)
        except ModelUnavailable as error:
            return Reply(outcome="unavailable", calls=calls, endpoint=error.endpoint)
        except ModelRefused as error:
            log.warning(
                "model_refused", endpoint=error.endpoint and error.endpoint.name, error=type(error).__name__, mend=_mend(error, question)
            )
            return Reply(outcome="refused", calls=calls, endpoint=error.endpoint)
        try:
            text = check(routed.answer, messages)
        except GarbageAnswer:
            # It is paid for all the same.
            calls.append(_call(calls, messages, routed.endpoint, "garbage", answer=routed.answer))
            tries += 1
            continue
        calls.append(_call(calls, messages, routed.endpoint, "ok", answer=routed.answer))
        return Reply(outcome="ok", calls=calls, text=text, answer=routed.answer, endpoint=routed.endpoint, messages=messages)
    return Reply(outcome="garbage", calls=calls, messages=messages)


def _routed(
    deps: Deps,
    question: Question,
    messages: Sequence[Message],
    calls: list[ModelCall],
    *,
    on_text: Callable[[str], None] | None,
    until: float,
) -> Routed:
    """Ask once, and keep every call that gave no answer. Raises what the router raises."""
    note = partial(_note, calls, messages)
    try:
        return deps.router.chat(
            question.profile,
            messages,
            affinity=question.affinity,
            may_leave=question.may_leave,
            max_tokens=question.max_tokens,
            temperature=question.temperature,
            top_p=question.top_p,
            hints=question.hints,
            on_text=on_text,
            on_failed=note,
            until=until,
        )
    except InferenceError as error:
        note(error)
        raise


def _note(calls: list[ModelCall], messages: Sequence[Message], error: InferenceError) -> None:
    """Keep a call that gave no answer."""
    match error:
        case AnswerCut():
            outcome = "cut"
        case GarbageAnswer():
            outcome = "garbage"
        case PromptTooLong():
            outcome = "too_long"
        case ModelRefused():
            outcome = "refused"
        case _:
            outcome = type(error).__name__
    if error.endpoint is not None:
        calls.append(_call(calls, messages, error.endpoint, outcome, usage=_begun(messages, error.text) if error.text else None))


def _mend(error: ModelRefused, question: Question) -> str | None:
    """Say what an operator has to do where no endpoint may be asked."""
    if not isinstance(error, NoEndpoint):
        return None
    if question.may_leave:
        return "the profile has no endpoint: chinwag profile set"
    return (
        "the bot's words stay in the house, and no endpoint of its profile is known to be there: chinwag bot set NAME --data-may-leave lets them"
        " leave; chinwag endpoint change NAME --stays, or CHINWAG_MODEL_LEAVES_HOUSE=no for the worker's own model, says that one is in the house"
    )


def _begun(messages: Sequence[Message], text: str) -> Usage:
    """What an answer took that broke off. Its server told no counts: they are estimated, pictures as nothing."""
    return Usage(tokens_in=sum(estimate(message.content) for message in messages), tokens_out=estimate(text))


def _shown(text: str, messages: Sequence[Message]) -> str | None:
    """What the model came to say, where that may be shown."""
    try:
        return check(Answer(text=text, usage=Usage(), first_token_ms=0.0, total_ms=0.0, finish_reason="length"), messages)
    except GarbageAnswer:
        return None


def _call(
    calls: Sequence[ModelCall],
    messages: Sequence[Message],
    endpoint: Endpoint,
    outcome: str,
    *,
    answer: Answer | None = None,
    usage: Usage | None = None,
) -> ModelCall:
    """What is kept and counted of one call of a model."""
    usage = answer.usage if answer else usage
    return ModelCall(
        attempt=len(calls) + 1,
        endpoint=endpoint.name,
        model=endpoint.model,
        prompt=[_told(message) for message in messages],
        outcome=outcome,
        tokens_in=usage.tokens_in if usage else None,
        tokens_cached=usage.tokens_cached if usage else None,
        tokens_out=usage.tokens_out if usage else None,
        first_token_ms=round(answer.first_token_ms, 1) if answer else None,
        total_ms=round(answer.total_ms, 1) if answer else None,
        cost=cost_of(endpoint.price, usage) if usage else None,
    )


def _told(message: Message) -> dict[str, str | int]:
    """What is kept of a message: of its pictures their number."""
    told: dict[str, str | int] = {"role": message.role, "content": message.content}
    return told | {"images": len(message.images)} if message.images else told
