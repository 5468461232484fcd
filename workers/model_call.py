"""Calls the model until a text may be shown, as often as is worth it, and returns the result. Turns, batch items and summaries share it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal
from uuid import UUID

import structlog

from bots.storage.queues import profile_of
from bots.storage.turns import ModelCall
from inference.answer_guard import check
from inference.errors import AnswerCut, GarbageAnswer, InferenceError, ModelRefused, ModelUnavailable, NoEndpoint, PromptTooLong
from inference.router import Routed
from inference.tokens import estimate
from inference.types import Answer, Endpoint, Hints, Message, Usage
from inference.usage import cost_of, counted
from workers.deps import Deps
from workers.model_routes import BATCH, profile_key

log = structlog.get_logger()

#: How often a model is called before its answers count as garbage.
TRIES = 2
#: With less than this share of the first-token timeout left it is not called again: a healthy endpoint would be blamed for our short deadline.
_LEAST_SHARE = 0.5
#: The share that the model may take of a lease that nobody renews, and of the time after which the watchdog ends the process.
_OF_LEASE = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What a model is asked, and under which limits."""

    #: By the router's name for it: workers.model_routes.profile_key.
    profile: str
    messages: Sequence[Message]
    may_leave: bool
    hints: Hints
    #: A hash of the conversation; None: any replica will do.
    affinity: bytes | None
    max_tokens: int
    temperature: float
    top_p: float
    #: The limit for all tries together.
    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """The result of a request."""

    #: ok: an answer, whole unless is_cut; cut: it was too slow to finish; garbage: nothing that may be shown; unavailable: try again soon;
    #: refused: an operator must fix it.
    outcome: Literal["ok", "cut", "garbage", "too_long", "unavailable", "refused"]
    calls: list[ModelCall]
    #: The text that may be shown; None where there is none.
    text: str | None = None
    answer: Answer | None = None
    endpoint: Endpoint | None = None
    #: The prompt that was sent last: a shorter one where the first was too long.
    messages: Sequence[Message] = ()

    @property
    def is_cut(self) -> bool:
        """Whether the text broke off, at the limit of its length or of its time."""
        return self.outcome == "cut" or (self.answer is not None and self.answer.finish_reason == "length")


def background_request(
    deps: Deps,
    tenant: UUID,
    queue: str,
    *,
    messages: Sequence[Message],
    may_leave: bool,
    max_tokens: int,
    temperature: float,
    top_p: float | None = None,
) -> ModelRequest:
    """Return the request of work in a batch queue: after people, within its lease, and at any replica, since it shares no long prefix."""
    return ModelRequest(
        profile=profile_key(tenant, profile_of(queue)),
        messages=messages,
        may_leave=may_leave,
        hints=deps.routes.hints(tenant, priority=BATCH),
        affinity=None,
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=deps.model_settings.top_p if top_p is None else top_p,
        within_s=min(deps.settings.batch_lease_s, deps.settings.task_deadline_s) * _OF_LEASE,
    )


def call_model(
    deps: Deps,
    request: ModelRequest,
    *,
    on_text: Callable[[str], None] | None = None,
    shorter: Iterable[Sequence[Message]] = (),
) -> ModelReply:
    """Call the model, and once more after garbage; when the prompt is too long, with the next shorter one while there is one.

    Raises StorageUnavailable while nothing is known of the endpoints.
    """
    usual = deps.model_settings
    until = time.monotonic() + min(TRIES * usual.total_s, request.within_s)
    messages, calls, shorter = request.messages, list[ModelCall](), iter(shorter)
    tries = 0
    while tries < TRIES:
        if calls and until - time.monotonic() < usual.first_token_s * _LEAST_SHARE:
            break
        try:
            routed = _routed(deps, request, messages, calls, on_text=on_text, until=until)
        except GarbageAnswer:
            tries += 1
            continue
        except PromptTooLong as error:
            next_one = next(shorter, None)
            if next_one is None:
                return ModelReply(outcome="too_long", calls=calls, endpoint=error.endpoint)
            messages = next_one
            continue
        except AnswerCut as error:
            # Another call would end the same way, and the part of the answer that arrived can be shown.
            text = _text_so_far(error, messages)
            return ModelReply(outcome="cut", calls=calls, text=text, endpoint=error.endpoint, messages=messages)
        except ModelUnavailable as error:
            return ModelReply(outcome="unavailable", calls=calls, endpoint=error.endpoint)
        except ModelRefused as error:
            name = error.endpoint and error.endpoint.name
            log.warning("model_refused", endpoint=name, error=type(error).__name__, fix=_fix(error, request))
            return ModelReply(outcome="refused", calls=calls, endpoint=error.endpoint)
        usage = deps.routes.took(routed, messages)
        try:
            text = check(routed.answer, messages, thoughts=routed.endpoint.traits.thoughts)
        except GarbageAnswer:
            # It is paid for all the same.
            calls.append(_call(calls, messages, routed.endpoint, "garbage", answer=routed.answer, usage=usage))
            tries += 1
            continue
        calls.append(_call(calls, messages, routed.endpoint, "ok", answer=routed.answer, usage=usage))
        return ModelReply(outcome="ok", calls=calls, text=text, answer=routed.answer, endpoint=routed.endpoint, messages=messages)
    return ModelReply(outcome="garbage", calls=calls, messages=messages)


def _routed(
    deps: Deps,
    request: ModelRequest,
    messages: Sequence[Message],
    calls: list[ModelCall],
    *,
    on_text: Callable[[str], None] | None,
    until: float,
) -> Routed:
    """Call the model once, and record every call that gave no answer. Raises what the router raises."""
    note = partial(_note, calls, messages)
    try:
        return deps.router.chat(
            request.profile,
            messages,
            affinity=request.affinity,
            may_leave=request.may_leave,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            hints=request.hints,
            on_text=on_text,
            on_failed=note,
            until=until,
        )
    except InferenceError as error:
        note(error)
        raise


def _note(calls: list[ModelCall], messages: Sequence[Message], error: InferenceError) -> None:
    """Record a call that gave no answer. What the model had written by then, or its server counted, is paid for."""
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
        usage = None
        if error.text or (error.usage is not None and (error.usage.tokens_in > 0 or error.usage.tokens_out > 0)):
            # Its tokenizer is not asked: a server that has just failed may keep this waiting.
            usage = counted(error.usage, endpoint=error.endpoint, messages=messages, text=error.text, count=estimate)
        calls.append(_call(calls, messages, error.endpoint, outcome, usage=usage))


def _fix(error: ModelRefused, request: ModelRequest) -> str | None:
    """What an operator has to do when no endpoint may be called."""
    if not isinstance(error, NoEndpoint):
        return None
    if request.may_leave:
        return "the profile has no endpoint: chinwag profile set"
    return (
        "the bot's conversations must not leave your own machines, and no endpoint of its profile is known to run there: chinwag bot set NAME"
        " --data-may-leave allows it; chinwag endpoint change NAME --stays, or CHINWAG_MODEL_LEAVES_HOUSE=no for the worker's own model, marks an"
        " endpoint as your own"
    )


def _text_so_far(error: AnswerCut, messages: Sequence[Message]) -> str | None:
    """The text so far, where it may be shown."""
    answer = Answer(text=error.text, usage=Usage(), first_token_ms=0.0, total_ms=0.0, finish_reason="length")
    try:
        return check(answer, messages, thoughts=error.endpoint.traits.thoughts if error.endpoint else "")
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
    """The record of one call of a model."""
    return ModelCall(
        attempt=len(calls) + 1,
        endpoint=endpoint.name,
        model=endpoint.model,
        prompt=[_recorded(message) for message in messages],
        outcome=outcome,
        tokens_in=usage.tokens_in if usage else None,
        tokens_cached=usage.tokens_cached if usage else None,
        tokens_out=usage.tokens_out if usage else None,
        first_token_ms=round(answer.first_token_ms, 1) if answer else None,
        total_ms=round(answer.total_ms, 1) if answer else None,
        cost=cost_of(endpoint.price, usage) if usage else None,
        estimated=usage is not None and usage.estimated,
    )


def _recorded(message: Message) -> dict[str, str | int]:
    """The record of a message: of its pictures only how many they are."""
    recorded: dict[str, str | int] = {"role": message.role, "content": message.content}
    return recorded | {"images": len(message.images)} if message.images else recorded
