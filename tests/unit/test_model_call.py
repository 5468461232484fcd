"""What becomes of a request when answers have too little room, or a server will not answer: with a router that is played."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from inference.errors import CircuitOpen, ContentFiltered, InferenceError, ModelBusy, ModelRefused, ModelUnavailable, PromptTooLong
from inference.router import Routed
from inference.settings import ModelSettings
from inference.types import Answer, Endpoint, Hints, Message, Usage
from workers.deps import Deps
from workers.model_call import ModelReply, ModelRequest, call_model

_HOUSE = Endpoint(name="house", url="http://h/v1", model="m")
_Played = Callable[[Sequence[Message]], Any]


class _Router:
    """Answers as the test plays it; a list: all but its last endpoint failed before."""

    def __init__(self, plays: _Played) -> None:
        self._plays = plays
        self.asked: list[str] = []
        self.contexts: list[int] = []

    def chat(self, _profile: str, messages: Sequence[Message], **more: Any) -> Routed:
        self.asked.append(messages[-1].content)
        answer = self._plays(messages)
        played: list[Any] = cast("list[Any]", answer) if isinstance(answer, list) else [answer]
        found = played[-1]
        for error in played[:-1]:
            error.endpoint = _HOUSE
            if "on_failed" in more:
                more["on_failed"](error)
        if isinstance(found, InferenceError):
            found.endpoint = _HOUSE
            raise found
        return Routed(answer=Answer(text=found, usage=Usage(tokens_out=3), first_token_ms=1, total_ms=2), endpoint=_HOUSE)

    def named_context(self, _endpoint: Endpoint, context: int) -> None:
        self.contexts.append(context)


class _Notes:
    """Remembers what was noted of refusals."""

    def __init__(self) -> None:
        self.noted: list[int] = []

    def note(self, _tenant: UUID, error: InferenceError) -> None:
        self.noted.append(error.status)

    def answered(self, _tenant: UUID, _endpoint: str) -> None:
        return None


def _took(routed: Routed, _messages: Sequence[Message]) -> Usage:
    return routed.answer.usage


def _asked(
    plays: _Played,
    *,
    text: str = "whole",
    shorter: Sequence[str] = (),
    apart: Sequence[str] | None = None,
    within_s: float = 60.0,
) -> tuple[ModelReply, _Router, _Notes]:
    router, notes = _Router(plays), _Notes()
    routes = SimpleNamespace(took=_took)
    deps = cast("Deps", SimpleNamespace(router=router, routes=routes, refusals=notes, model_settings=ModelSettings()))
    request = ModelRequest(
        tenant=uuid4(), profile="p", messages=_said(text), may_leave=True, hints=Hints(), affinity=None, max_tokens=512,
        temperature=0.3, top_p=0.9, within_s=within_s,
    )  # fmt: skip
    others = None if apart is None else [_said(each) for each in apart]
    return call_model(deps, request, shorter=[_said(each) for each in shorter], apart=others), router, notes


def _said(text: str) -> list[Message]:
    return [Message(role="user", content=text)]


def _stump(text: str) -> PromptTooLong:
    error = PromptTooLong()
    error.text, error.usage = text, Usage(tokens_in=4000, tokens_out=len(text.split()))
    return error


def _refused(status: int) -> ModelRefused:
    error = ModelRefused()
    error.status = status
    return error


def test_a_stump_is_asked_again_shorter_and_paid_for() -> None:
    reply, router, _ = _asked(lambda messages: "Seven." if messages[-1].content == "less" else _stump("The ferry. It"), shorter=["less"])

    assert (reply.text, reply.is_cut, router.asked) == ("Seven.", False, ["whole", "less"])
    assert [(call.outcome, call.tokens_out) for call in reply.calls] == [("too_long", 3), ("ok", 3)]


@pytest.mark.parametrize(
    ("last", "outcome", "shown"),
    [("The ferry leaves. It", "cut", "The ferry leaves. It"), ("The", "too_long", None), ("", "too_long", None)],
)
def test_when_nothing_shorter_is_left_a_stump_is_shown_if_it_says_something(last: str, outcome: str, shown: str | None) -> None:
    reply, *_ = _asked(lambda _messages: _stump(last), shorter=["less"])

    assert (reply.outcome, reply.text) == (outcome, shown)
    assert reply.is_cut is (outcome == "cut")


def test_a_stump_that_said_something_counts_though_a_shorter_prompt_was_refused() -> None:
    reply, *_ = _asked(
        lambda messages: PromptTooLong() if messages[-1].content == "less" else _stump("The ferry leaves. It"), shorter=["less"]
    )

    assert (reply.outcome, reply.text) == ("cut", "The ferry leaves. It")


@pytest.mark.parametrize(("limit", "kept"), [(600, [600]), (300, []), (10_000_000, [])])
def test_a_context_is_kept_only_if_it_can_be_one(limit: int, kept: list[int]) -> None:
    error = PromptTooLong()
    error.limit = limit

    assert _asked(lambda _messages: error, text="word " * 300)[1].contexts == kept


def test_words_that_a_filter_refuses_are_asked_with_ever_less_before_them() -> None:
    reply, router, notes = _asked(
        lambda messages: "Fine." if messages[-1].content == "alone" else ContentFiltered(), apart=["less", "alone"]
    )

    assert (reply.outcome, reply.apart, reply.was_filtered) == ("ok", 2, True)
    assert router.asked == ["whole", "less", "alone"]
    assert notes.noted == [], "nothing that an operator must fix"


def test_a_filter_that_refuses_all_of_them_ends_the_request() -> None:
    reply, router, _ = _asked(lambda _messages: ContentFiltered(), apart=["alone"])

    assert (reply.outcome, len(router.asked)) == ("filtered", 2)


@pytest.mark.parametrize("status", [0, 400, 403, 413, 422, 451])
def test_an_unknown_refusal_is_one_of_the_words_if_a_harmless_question_is_answered(status: int) -> None:
    reply, router, notes = _asked(lambda messages: "Hi!" if messages[-1].content == "Hello" else _refused(status), apart=["alone"])

    assert (reply.outcome, reply.was_filtered) == ("filtered", False)
    assert router.asked == ["whole", "alone", "Hello", "alone"], "asked once more, to be sure"
    assert notes.noted == [status] * 3
    assert [call.outcome for call in reply.calls] == ["refused", "refused", "plain", "refused"]


@pytest.mark.parametrize("status", [301, 401, 402, 404, 405, 407])
def test_a_refusal_of_the_key_or_the_address_is_asked_once(status: int) -> None:
    reply, router, notes = _asked(lambda _messages: _refused(status), apart=["alone"], shorter=["less"])

    assert (reply.outcome, router.asked, notes.noted) == ("refused", ["whole"], [status])


def test_a_server_that_refuses_everything_is_an_operators_matter() -> None:
    reply, router, _ = _asked(lambda _messages: _refused(400), apart=["alone"])

    assert (reply.outcome, router.asked) == ("refused", ["whole", "alone", "Hello"])


def test_a_batch_line_that_is_refused_is_asked_once() -> None:
    reply, router, _ = _asked(lambda _messages: _refused(400))

    assert (reply.outcome, router.asked) == ("refused", ["whole"])


def test_an_unavailable_server_is_asked_for_nothing_else() -> None:
    reply, router, _ = _asked(lambda _messages: ModelUnavailable(), apart=["alone"], shorter=["less"])

    assert (reply.outcome, router.asked) == ("unavailable", ["whole"])


@pytest.mark.parametrize(
    ("other", "outcome", "asks"), [(ModelBusy, "unavailable", 1), (ModelUnavailable, "unavailable", 1), (CircuitOpen, "filtered", 4)]
)
def test_words_that_one_endpoint_refuses_wait_for_another_that_may_answer_soon_but_not_for_one_that_is_gone(
    other: type[InferenceError], outcome: str, asks: int
) -> None:
    reply, router, _ = _asked(lambda messages: "Hi!" if messages[-1].content == "Hello" else [_refused(400), other()], apart=["alone"])

    assert (reply.outcome, len(router.asked)) == (outcome, asks)


def test_a_long_prompt_is_asked_short_once_though_another_endpoint_may_answer_soon() -> None:
    reply, router, _ = _asked(
        lambda messages: "Fine." if messages[-1].content == "less" else [_refused(400), ModelBusy()],
        text="word " * 2000,
        shorter=["more", "less"],
    )

    assert (reply.text, len(router.asked)) == ("Fine.", 2)


@pytest.mark.parametrize(
    ("error", "outcome"), [(ContentFiltered, "filtered"), (PromptTooLong, "too_long"), (ModelUnavailable, "unavailable")]
)
def test_what_a_server_said_counts_though_no_time_is_left_to_ask_again(error: type[InferenceError], outcome: str) -> None:
    reply, router, _ = _asked(lambda _messages: error(), apart=["alone"], shorter=["less"], within_s=0.0)

    assert (reply.outcome, router.asked) == (outcome, ["whole"])


def test_after_the_shortest_prompt_those_are_asked_that_have_less_in_them_still() -> None:
    """Notes of many turns: the shortest prompt is about all of them, too."""
    turns = "word " * 2000
    reply, router, _ = _asked(
        lambda messages: "Fine." if messages[-1].content == "one" else "Hi!" if messages[-1].content == "Hello" else _refused(400),
        text=turns,
        shorter=["word " * 400],
        apart=["word " * 1000, "word " * 300, "one"],
    )

    assert (reply.text, reply.apart) == ("Fine.", 3)
    assert [len(text.split()) for text in router.asked] == [2000, 400, 300, 1]
