"""Calls the model until a text may be shown, as often as is worth it, and returns the result. Turns, batch items and summaries share it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

import msgspec
import structlog

from bots.storage.queues import profile_of
from bots.storage.turns import ModelCall
from inference.answer_guard import check
from inference.errors import (
    AnswerCut,
    ContentFiltered,
    GarbageAnswer,
    InferenceError,
    ModelBusy,
    ModelRefused,
    ModelUnavailable,
    NoEndpoint,
    OutOfQuota,
    PromptTooLong,
)
from inference.router import Routed
from inference.tokens import estimate
from inference.types import Answer, Endpoint, Hints, Message, Usage
from inference.usage import cost_of, counted
from workers.deps import Deps
from workers.model_routes import BATCH, profile_key
from workers.other_prompts import OtherPrompts, size
from workers.sentences import sentence_end

log = structlog.get_logger()

#: How often a model is called before its answers count as garbage.
TRIES = 2
#: With less than this share of the first-token timeout left it is not called again: a healthy endpoint would be blamed for our short deadline.
_LEAST_SHARE = 0.5
#: The share that the model may take of a lease that nobody renews, and of the time after which the watchdog ends the process.
_OF_LEASE = 0.85
#: Statuses of refusals that are about the address or the key, never about what was asked.
_NEVER_THE_WORDS = frozenset({300, 301, 302, 303, 307, 308, 401, 402, 404, 405, 407})
#: A question that no server has a reason to refuse: it tells whether a refusal was about the words.
_PLAIN = (Message(role="user", content="Hello"),)
_PLAIN_TOKENS = 16
#: A server that names a context larger than the prompt by this share means something else.
_PLAUSIBLE = 1.25
#: A server may count twice what we estimate; more than that is a matter of one odd text.
_LEAST_SCALE = 0.5


#: ok: an answer, whole unless is_cut; cut: it was too slow to finish, or had no room; garbage: nothing that may be shown; filtered: the server
#: will not answer these words; unavailable: try again soon; refused: an operator must fix it.
Outcome: TypeAlias = Literal["ok", "cut", "garbage", "filtered", "too_long", "unavailable", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What a model is asked, and under which limits."""

    tenant: UUID
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

    outcome: Outcome
    calls: list[ModelCall]
    #: The text that may be shown; None where there is none.
    text: str | None = None
    answer: Answer | None = None
    endpoint: Endpoint | None = None
    #: The prompt that was sent last: a shorter one where the first was too long.
    messages: Sequence[Message] = ()
    #: Which of the prompts with less of what came before was sent last; 0: none.
    apart: int = 0
    #: Whether a content filter refused one of the prompts, or the answer to it.
    was_filtered: bool = False
    #: When it is unavailable: how long no endpoint may be asked; 0: not known.
    retry_s: float = 0.0

    @property
    def is_cut(self) -> bool:
        """Whether the text broke off: at the limit of its length or of its time, or for a reason that is not known to mean a whole answer."""
        return self.outcome == "cut" or (self.answer is not None and self.answer.finish_reason != "stop")

    @property
    def limit(self) -> Literal["length", "cut"] | None:
        """Why the text broke off; None: it did not."""
        if not self.is_cut:
            return None
        return "length" if self.answer is not None and self.answer.finish_reason == "length" else "cut"


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
        tenant=tenant,
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
    apart: Iterable[Sequence[Message]] | None = None,
) -> ModelReply:
    """Call the model, and once more after garbage. When the prompt is too long, the next of `shorter` is asked, while there is one.

    When a server will not answer the words, the next of `apart` is asked: prompts with ever less of what came before. None: the words are the
    request's alone. The rules are in docs/decisions/0032. Raises StorageUnavailable while nothing is known of the endpoints.
    """
    return _Asking(deps, request, on_text, OtherPrompts(shorter, apart or ()), may_doubt=apart is not None).reply()


class _Asking:
    """One request, from its first call to its result."""

    def __init__(
        self, deps: Deps, request: ModelRequest, on_text: Callable[[str], None] | None, others: OtherPrompts, *, may_doubt: bool
    ) -> None:
        self._deps, self._request, self._on_text, self._others = deps, request, on_text, others
        #: Whether a refusal in unknown words may be one of the words.
        self._may_doubt = may_doubt
        self._until = time.monotonic() + min(TRIES * deps.model_settings.total_s, request.within_s)
        self._messages = request.messages
        self._calls: list[ModelCall] = []
        #: Whether an endpoint refused these messages in words that are not known.
        self._is_unclear = False
        self._was_filtered = self._is_doubted = False
        #: The last answer that had too little room in the context.
        self._stump: ModelReply | None = None

    def reply(self) -> ModelReply:
        tries = 0
        while tries < TRIES and not (self._calls and self._is_late()):
            self._is_unclear = False
            try:
                routed = self._routed()
                text = check(routed.answer, self._messages, thoughts=routed.endpoint.traits.thoughts)
            except GarbageAnswer:
                tries += 1
            except AnswerCut as error:
                # Another call would end the same way, and the part of the answer that arrived can be shown.
                return self._reply("cut", error, text=_text_so_far(error, self._messages))
            except InferenceError as error:
                other = self._other_prompt(error)
                if other is None or self._is_late():
                    return self._failed(error)
                self._messages = other
            else:
                self._deps.refusals.answered(self._request.tenant, routed.endpoint.name)
                self._calls[-1] = msgspec.structs.replace(self._calls[-1], outcome="ok")
                return self._reply("ok", text=text, answer=routed.answer, endpoint=routed.endpoint)
        return self._reply("garbage")

    def _routed(self) -> Routed:
        """Call the model once, and record every call: one that gave an answer as garbage, until it was checked. Raises what the router raises."""
        request, messages = self._request, self._messages
        try:
            routed = self._deps.router.chat(
                request.profile,
                messages,
                affinity=request.affinity,
                may_leave=request.may_leave,
                max_tokens=request.max_tokens,
                temperature=request.temperature,
                top_p=request.top_p,
                hints=request.hints,
                on_text=self._on_text,
                on_failed=self._note,
                until=self._until,
            )
        except InferenceError as error:
            self._note(error)
            raise
        # It is paid for all the same.
        self._answered(routed, messages, "garbage")
        return routed

    def _answered(self, routed: Routed, messages: Sequence[Message], outcome: str) -> None:
        """Record a call that gave an answer."""
        usage = self._deps.routes.took(routed, messages)
        self._calls.append(_call(self._calls, messages, routed.endpoint, outcome, answer=routed.answer, usage=usage))

    def _note(self, error: InferenceError) -> None:
        """Record a call that gave no answer, and for the operators a refusal that they must fix.

        What the model had written by then, or its server counted, is paid for.
        """
        if error.endpoint is not None:
            usage, written = None, error.thoughts + error.text
            if written or (error.usage is not None and (error.usage.tokens_in > 0 or error.usage.tokens_out > 0)):
                # Its tokenizer is not asked: a server that has just failed may keep this waiting.
                usage = counted(error.usage, endpoint=error.endpoint, messages=self._messages, text=written, count=estimate)
            self._calls.append(_call(self._calls, self._messages, error.endpoint, _outcome(error), usage=usage))
        is_refusal = isinstance(error, ModelRefused) and not isinstance(error, PromptTooLong | ContentFiltered | NoEndpoint)
        if is_refusal and error.status not in _NEVER_THE_WORDS:
            self._is_unclear = True
        if error.asked and (is_refusal or isinstance(error, OutOfQuota)):
            self._deps.refusals.note(self._request.tenant, error)

    def _other_prompt(self, error: InferenceError) -> Sequence[Message] | None:
        """Return what is asked instead; None: nothing."""
        if isinstance(error, PromptTooLong):
            text = _text_so_far(error, self._messages) if error.text else None
            if text and sentence_end(text):
                self._stump = self._reply("cut", error, text=text)
            answer = error.endpoint.traits.tokens_for(self._request.max_tokens) if error.endpoint else self._request.max_tokens
            ours = size(self._messages)
            if error.endpoint and self._request.max_tokens < error.limit <= (max(ours, error.size) + answer) * _PLAUSIBLE:
                # In tokens as we count them, where the server counts more.
                scale = min(1.0, max(_LEAST_SCALE, ours / error.size)) if error.size else 1.0
                self._deps.router.named_context(error.endpoint, int(error.limit * scale))
            return self._others.after_too_long(self._messages, error, answer=answer)
        if isinstance(error, ContentFiltered):
            self._was_filtered = True
            return self._others.after_filter()
        if not self._is_unclear:
            return None
        if isinstance(error, ModelUnavailable) and (error.asked or isinstance(error, ModelBusy)):
            # Another endpoint may answer soon; only the length is worth another round.
            return self._others.after_long(self._messages)
        return self._others.after_unclear(self._messages) or (self._messages if self._doubts() else None)

    def _failed(self, error: InferenceError) -> ModelReply:
        """The result when nothing else can be asked."""
        if isinstance(error, PromptTooLong):
            # An answer that had too little room is shown if it says something.
            return self._stump or self._reply("too_long", error)
        if isinstance(error, ContentFiltered) or (self._is_unclear and self._is_doubted):
            return self._reply("filtered", error)
        if isinstance(error, ModelUnavailable):
            return self._reply("unavailable", error, retry_s=error.retry_after_s if isinstance(error, ModelBusy | OutOfQuota) else 0.0)
        name = error.endpoint and error.endpoint.name
        log.warning("model_refused", endpoint=name, error=type(error).__name__, fix=_fix(error, self._request))
        return self._reply("refused", error)

    def _doubts(self) -> bool:
        """Whether a refusal may be one of the words: an endpoint answers a harmless question. Then these are asked once more, to be sure."""
        request = self._request
        if not self._may_doubt or self._is_doubted:
            return False
        try:
            routed = self._deps.router.chat(
                request.profile, _PLAIN, affinity=request.affinity, may_leave=request.may_leave, max_tokens=_PLAIN_TOKENS, until=self._until
            )
        except InferenceError:
            return False
        self._answered(routed, _PLAIN, "plain")
        self._is_doubted = True
        return True

    def _is_late(self) -> bool:
        """Whether too little time is left for another call."""
        return self._until - time.monotonic() < self._deps.model_settings.first_token_s * _LEAST_SHARE

    def _reply(
        self,
        outcome: Outcome,
        error: InferenceError | None = None,
        *,
        text: str | None = None,
        answer: Answer | None = None,
        endpoint: Endpoint | None = None,
        retry_s: float = 0.0,
    ) -> ModelReply:
        return ModelReply(
            outcome=outcome,
            calls=self._calls,
            text=text,
            answer=answer,
            endpoint=endpoint or (error.endpoint if error else None),
            messages=self._messages,
            apart=self._others.apart,
            was_filtered=self._was_filtered,
            retry_s=retry_s,
        )


def _outcome(error: InferenceError) -> str:
    """How a call that gave no answer is recorded."""
    match error:
        case AnswerCut():
            return "cut"
        case GarbageAnswer():
            return "garbage"
        case PromptTooLong():
            return "too_long"
        case ContentFiltered():
            return "filtered"
        case ModelRefused():
            return "refused"
        case _:
            return type(error).__name__


def _fix(error: InferenceError, request: ModelRequest) -> str | None:
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


def _text_so_far(error: InferenceError, messages: Sequence[Message]) -> str | None:
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
