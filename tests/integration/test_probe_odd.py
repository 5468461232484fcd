"""What the probe makes of servers that answer in their own way: odd completions, odd lists of models, reasons in odd places, refused fields."""

from __future__ import annotations

from typing import Any

import pytest

from inference.probe import Probed, probe
from inference.types import Endpoint, Timeouts
from tests.support.odd_server import Chat, Told, complaint, odd_server, usual

_USAGE = {"prompt_tokens": 40, "completion_tokens": 6, "total_tokens": 46}
_CARD = {"data": [{"id": "ferry"}]}


def _probe(*, models: Any = _CARD, chat: Chat = lambda _: None, model: str = "ferry", key: str = "") -> Probed:
    with odd_server(models=models, chat=chat) as url:
        return probe(Endpoint(name="x", url=url, model=model, api_key=key), Timeouts(first_token_s=5, total_s=5))


def _short(body: dict[str, Any]) -> bool:
    """Whether it is a question whose answer hardly matters."""
    return not body.get("stream") and body["max_tokens"] < 64


@pytest.mark.parametrize(
    "whole",
    [
        {"choices": [], "usage": _USAGE},
        {"choices": None, "usage": _USAGE},
        {"choices": [{"index": 0, "finish_reason": "length"}], "usage": _USAGE},
        {"choices": [{"index": 0, "message": None, "finish_reason": "length"}], "usage": _USAGE},
        {"choices": [{"index": 0, "message": {"role": "assistant"}}], "usage": _USAGE},
        {"choices": [{"message": {"content": [{"type": "text", "text": "OK"}]}}], "usage": _USAGE},
        {"choices": [{"message": {"content": ""}}], "usage": {"prompt_tokens": 40.0, "completion_tokens": "6"}},
        {"choices": [{"text": "OK"}], "usage": _USAGE},
        {"usage": _USAGE},
        [{"choices": [], "usage": _USAGE}],
    ],
)
def test_a_short_answer_of_nothing_is_an_answer(whole: Any) -> None:
    found = _probe(chat=lambda body: Told(body=whole) if _short(body) else None)

    assert (found.failures, found.missing) == ((), ())
    # A server that counts the same for every prompt teaches nothing about roles.
    assert (found.traits.system_role, found.traits.roles_alternate) == (True, False)


@pytest.mark.parametrize("usage", [_USAGE, {"prompt_tokens": 0, "completion_tokens": 0}, None])
def test_counts_that_never_change_are_no_proof_that_messages_are_dropped(usage: dict[str, int] | None) -> None:
    found = _probe(chat=lambda body: usual(body, usage=usage))

    assert (found.failures, found.traits.system_role, found.traits.roles_alternate, found.traits.vision) == ((), True, False, False)
    assert "rightly" in "; ".join(found.notes)


def test_a_server_that_does_not_count_in_a_stream_can_be_used() -> None:
    found = _probe(chat=lambda body: usual(body, usage=None) if body.get("stream") else None)

    assert found.failures == ()
    assert "costs are estimates" in "; ".join(found.notes)


@pytest.mark.parametrize("least", [16, 64])
def test_a_server_with_a_least_number_of_tokens_is_asked_for_as_many(least: int) -> None:
    words = f"Invalid 'max_tokens': integer below minimum value. Expected a value >= {least}, but got 16 instead."
    found = _probe(
        chat=lambda body: complaint(words, param="max_tokens", code="integer_below_min_value") if body["max_tokens"] < least else None
    )

    assert (found.failures, found.missing, found.traits.completion_tokens) == ((), (), False)


def test_a_model_that_must_think_first_gets_tokens_enough() -> None:
    words = "Could not finish the message because max_tokens or model output limit was reached. Please try again with higher max_tokens."
    found = _probe(chat=lambda body: complaint(words) if body["max_tokens"] < 500 else None)

    assert (found.failures, found.missing, found.traits.system_role) == ((), (), True)


def test_a_server_that_only_streams_can_be_used() -> None:
    words = "This model only support stream mode, please enable the stream parameter to access the model."
    found = _probe(chat=lambda body: None if body.get("stream") else complaint(words))

    assert (found.failures, found.again) == ((), False)
    assert found.measured.keys() == {"context", "stream_options", "completion_tokens", "sampling"}
    assert "only streamed" in found.notes[-1]


def test_a_server_that_always_streams_is_measured() -> None:
    found = _probe(chat=lambda body: usual({**body, "stream": True}))

    assert (found.failures, found.missing) == ((), ())


@pytest.mark.parametrize(
    ("models", "context"),
    [
        ([{"id": "ferry", "object": "model", "context_length": 8192}], 8192),
        ({"data": [{"id": "other", "context_length": "131072"}, {"id": "ferry", "context_length": 32768}]}, 32768),
        ({"data": [{"id": "ferry", "context_length": 32768.0}]}, 32768),
        ({"data": [{"id": f"m{n}", "description": "x" * 2000} for n in range(3000)] + [{"id": "ferry", "context_window": 4096}]}, 4096),
    ],
)
def test_a_context_is_found_in_any_list(models: Any, context: int) -> None:
    found = _probe(models=models)

    assert (found.failures, found.traits.context) == ((), context)


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        (
            Told(status=400, body=[{"error": {"code": 400, "message": "the roof is wet", "status": "INVALID_ARGUMENT"}}]),
            "(400): the roof is wet",
        ),
        (
            complaint("there is no model ferry", status=404, code="model_not_found"),
            "no model ferry; it has: fairy, other. Did you mean fairy?",
        ),
        (
            complaint("insufficient_quota: pay", status=429, code="insufficient_quota"),
            "no credit or quota left (429); it says: insufficient",
        ),
        (complaint("API key not valid. Please pass a valid API key."), "denies access (400): the key is wrong; it says: API key not valid"),
        (Told(status=403, body=b"<html><title>Access denied | Cloudflare</title>"), "(403): the key is wrong; it says: Access denied"),
        (Told(status=422, body={"detail": [{"loc": ["body", "n"], "msg": "Field required"}]}), "(422): n: Field required"),
    ],
)
def test_why_a_server_refuses_is_told_in_its_words(refused: Told, words: str) -> None:
    found = _probe(models=["fairy", "other"], chat=lambda _: refused, key="sk-1")

    assert words in found.failures[0]


@pytest.mark.parametrize(
    "thought",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm"},
        {"thinking": "hm"},
        {"thinking_blocks": [{"type": "thinking", "thinking": "hm"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "4"}]},
        {"content": "hm</think>4"},
        {"content": "<think>hm</think>4"},
    ],
)
def test_a_model_that_thinks_is_known_wherever_its_thoughts_stand(thought: dict[str, Any]) -> None:
    message = {"role": "assistant", "content": "4", **thought}
    found = _probe(chat=lambda body: None if body.get("stream") else Told(body={"choices": [{"message": message}], "usage": _USAGE}))

    assert found.traits.reasoning
    assert bool(found.traits.thoughts) == ("think>" in str(thought))


def test_a_model_that_shows_only_the_end_of_its_thoughts_is_asked_for_more() -> None:
    def chat(body: dict[str, Any]) -> Told | None:
        if body.get("stream"):
            return None
        ended = body["max_tokens"] > 200
        choice = {"message": {"content": "two and two" + ("</think>4" if ended else "")}, "finish_reason": "stop" if ended else "length"}
        return Told(body={"choices": [choice], "usage": _USAGE})

    assert _probe(chat=chat).traits.reasoning


@pytest.mark.parametrize(("seen", "vision"), [("Red", True), ("Blue", False)])
def test_without_counts_a_picture_is_read_where_its_colour_is_named(seen: str, vision: bool) -> None:
    def chat(body: dict[str, Any]) -> Told:
        has_picture = isinstance(body["messages"][-1]["content"], list)
        return usual(body, seen if has_picture else "Which?", usage=None)

    found = _probe(chat=chat)

    assert found.traits.vision == vision
    assert ("does not show that it reads them" in "; ".join(found.notes)) != vision


def test_a_model_that_hides_its_thoughts_is_known_by_what_it_counts() -> None:
    usage = {**_USAGE, "completion_tokens_details": {"reasoning_tokens": 64}}

    assert _probe(chat=lambda body: usual(body, usage=usage)).traits.reasoning


_LIMIT = complaint(
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    param="max_tokens",
    code="unsupported_parameter",
)
_ONE = complaint("Unsupported value: 'temperature' does not support 0.3 with this model. Only the default (1) value is supported.")


def test_what_gpt_5_refuses_is_left_out() -> None:
    found = _probe(chat=lambda body: _LIMIT if "max_tokens" in body else _ONE if "temperature" in body else None)

    assert (found.failures, found.missing) == ((), ())
    assert (found.traits.completion_tokens, found.traits.sampling, found.traits.stream_options) == (True, False, True)


def test_what_cannot_be_left_out_is_named() -> None:
    found = _probe(chat=lambda body: complaint("streaming is not offered to this account") if body.get("stream") else None)

    assert "not the streamed one" in found.failures[0]
