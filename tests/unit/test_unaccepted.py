"""What a refusal teaches about a call's optional fields, in the words of many servers, and where those words stand."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.client.told import told
from inference.client.unaccepted import unaccepted
from inference.types import Traits

_BASE = Traits(cache_salt=True, priority=True, stream_interval=True)
_LIMIT = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."


def _learned(body: Any, *, status: int = 400, traits: Traits = _BASE) -> dict[str, Any]:
    better = unaccepted(status, json.dumps(body).encode(), traits)
    before = asdict(traits)
    return {} if better is None else {name: value for name, value in asdict(better).items() if value != before[name]}


def _openai(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", **fields}}


@pytest.mark.parametrize(
    ("body", "change"),
    [
        (_openai(_LIMIT, param="max_tokens", code="unsupported_parameter"), {"completion_tokens": True}),
        (_openai("The model does not support the max_tokens parameter; use max_completion_tokens"), {"completion_tokens": True}),
        (_openai("Unsupported value: 'temperature' does not support 0.3 with this model. Only the default (1) value is supported.",
                 param="temperature", code="unsupported_value"), {"sampling": False}),
        (_openai("Unsupported parameter: 'top_p' is not supported with this model."), {"sampling": False}),
        (_openai("invalid temperature: only 0.6 is allowed for this model"), {"sampling": False}),
        (_openai('json: unknown field "top_p"'), {"sampling": False}),
        ({"type": "error", "error": {"message": "`temperature` and `top_p` cannot both be specified for this model."}}, {"sampling": False}),
        ({"type": "error", "error": {"message": "`temperature` may only be set to 1 when thinking is enabled."}}, {"sampling": False}),
        ({"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]},
         {"stream_options": False}),
        ({"error": "extra fields not permitted: stream_options"}, {"stream_options": False}),
        ({"message": "Additional properties are not allowed ('stream_options' was unexpected)"}, {"stream_options": False}),
        (_openai("Unknown parameter: 'stream_options.include_usage'.", param="stream_options.include_usage"), {"stream_options": False}),
        ({"error": {"message": "openai does not support parameters: ['stream_options'], for model=x. Set `litellm.drop_params=True`"}},
         {"stream_options": False}),
        (_openai("Unrecognized request argument: stream_options. Supported parameters: model, messages, temperature, max_tokens"),
         {"stream_options": False}),
        (_openai("[{'type': 'extra_forbidden', 'loc': ('body', 'cache_salt'), 'msg': 'Extra inputs are not permitted'}]"), {"cache_salt": False}),
        (_openai("Unsupported parameter(s): `stream_interval`"), {"stream_interval": False}),
        (_openai("Unexpected field `priority`"), {"priority": False}),
        (_openai("Provider returned error", metadata={"raw": json.dumps(_openai(_LIMIT))}), {"completion_tokens": True}),
        (_openai(f"litellm.BadRequestError: OpenAIException - {json.dumps(_openai(_LIMIT))}"), {"completion_tokens": True}),
        (_openai("Unsupported value: 'messages[0].role' does not support 'system' with this model.", param="messages[0].role"),
         {"system_role": False}),
        ([_openai("Developer instruction is not enabled for models/gemma-3-27b-it")], {"system_role": False}),
        (_openai("System role not supported"), {"system_role": False}),
        (_openai("Conversation roles must alternate user/assistant/user/assistant/..."), {"roles_alternate": True}),
        (_openai("After the (optional) system message(s), user and assistant roles should be alternating."), {"roles_alternate": True}),
    ],
)  # fmt: skip
def test_a_field_that_a_server_refuses_is_learned(body: Any, change: dict[str, Any]) -> None:
    assert _learned(body) == change


@pytest.mark.parametrize(
    "body",
    [
        _openai("max_tokens must be at least 1, got -4800."),
        _openai("'max_tokens' or 'max_completion_tokens' is too large: 5000. This model supports at most 4096 completion tokens"),
        _openai("temperature must be between 0 and 1"),
        _openai("temperature: Input should be less than or equal to 1"),
        {"error": "Input validation error: `temperature` must be strictly positive", "error_type": "validation"},
        _openai("something about the temperature of tea"),
        _openai("you sent something wrong"),
        # What a server repeats of the request are not its words.
        {
            "detail": [
                {"loc": ["body", "prompt"], "msg": "Field required", "input": {"messages": [{"content": "temperature not supported"}]}}
            ]
        },
        {},
    ],
)
def test_a_value_out_of_range_or_something_else_teaches_nothing(body: Any) -> None:
    assert _learned(body) == {}


@pytest.mark.parametrize("status", [200, 401, 402, 429, 502, 503])
def test_only_a_refused_request_teaches(status: int) -> None:
    assert _learned(_openai(_LIMIT), status=status) == {}


def test_what_is_already_left_out_is_not_learned_again() -> None:
    assert _learned(_openai(_LIMIT), traits=Traits(completion_tokens=True)) == {}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":{"message":"no room"}}', "no room"),
        (b'[{"error":{"message":"no room"}}]', "no room"),
        (b'{"error":"no room"}', "no room"),
        (b'"no room"', "no room"),
        (b'"{\\"error\\":{\\"message\\":\\"no room\\"}}"', "no room"),
        (b'{"error":{"message":"cannot read {\\"n\\":1} here"}}', "cannot read … here"),
        (b"event: error\n\n", ""),
        (b"no healthy upstream", "no healthy upstream"),
        (b'{"title":"Bad Request","detail":"no room","status":400}', "Bad Request: no room"),
        (b'{"errors":[{"message":"a"},{"message":"b"}]}', "a: b"),
        (b'{"error_description":"no room"}', "no room"),
        (b'{"Message":"no room"}', "no room"),
        (b'{"code":500,"msg":"404 NOT_FOUND"}', "404 NOT_FOUND"),
        (b'{"error":{"code":"model_not_found"}}', "model_not_found"),
        (b'{"detail":[{"loc":["body","n"],"msg":"Field required"}]}', "n: Field required"),
        (b'{"error":{"message":"{\\"error\\":{\\"message\\":\\"no room\\"}}"}}', "no room"),
        (b"<html><head><title>502 Bad\nGateway</title></head><body>x</body>", "502 Bad Gateway"),
        (b"<html><body><h1>Access &amp; more</h1>", "Access & more"),
        (b'<?xml version="1.0"?><Error><Code>No</Code><Message>no room</Message></Error>', "no room"),
        (b'event: error\ndata: {"message":"no room"}\n\n', "no room"),
        (b'\xef\xbb\xbf{"message":"no room"}', "no room"),
        (b'{"error":{"message":"a [list] of {things}"}}', "a [list] of {things}"),
        (b"", ""),
        (b'{"message":null,"error":null}', ""),
    ],
)
def test_words_are_found_wherever_they_stand(body: bytes, words: str) -> None:
    assert told(body).words == words


@given(st.binary() | st.text().map(str.encode) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner:
       st.lists(inner) | st.dictionaries(st.sampled_from(["error", "message", "detail", "loc", "msg", "code", "details", "param"]), inner))
       .map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_bytes_are_read_without_an_error(body: bytes) -> None:
    assert isinstance(told(body).words, str)
    assert unaccepted(400, body, Traits()) is None or isinstance(unaccepted(400, body, Traits()), Traits)


@pytest.mark.parametrize(
    "body", [b"[" * 60_000, b'{"error":' * 9_000, b"<title>" * 9_000, b"{" * 60_000, b"not " * 15_000, b'{"message":"' + b"system " * 8_000]
)
def test_a_long_body_costs_little(body: bytes) -> None:
    assert len(told(body).words) < 5_000
    unaccepted(400, body, Traits())
