"""What a status and a body mean: by the class of the error a caller knows what to do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.client.refusal import event_error, refusal
from inference.errors import InferenceError, ModelBusy, ModelRefused, ModelUnavailable, PromptTooLong
from tests.support.model_player import cases

_VLLM_FULL = b'{"error":{"message":"The queue is full: 8 requests are in flight","type":"ServiceUnavailableError","code":503}}'


@pytest.mark.parametrize(
    ("status", "headers", "body", "error"),
    [
        (503, {}, _VLLM_FULL, ModelBusy),
        (503, {"retry-after": "1"}, b"", ModelBusy),
        (503, {}, b"Server is Overloaded", ModelBusy),
        (503, {}, b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}', ModelBusy),
        (503, {}, b'{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}', ModelBusy),
        (503, {}, b"<html>no upstream</html>", ModelUnavailable),
        (503, {}, b"<html>the queue is full, the server is busy</html>", ModelUnavailable),
        # Gateways whose engine is gone.
        (503, {}, b'{"error":"no available workers"}', ModelUnavailable),
        (503, {}, b'{"error":{"message":"litellm.ServiceUnavailableError: connection refused","code":"503"}}', ModelUnavailable),
        (503, {}, b'{"error":{"message":"No healthy upstream in the queue","code":503}}', ModelUnavailable),
        (429, {}, b"", ModelBusy),
        (500, {}, b"", ModelUnavailable),
        (408, {}, b"", ModelUnavailable),
        (400, {}, b'{"error":{"type":"exceed_context_size_error"}}', PromptTooLong),
        (400, {}, b"This model's Maximum Context Length is 8192 tokens", PromptTooLong),
        (400, {}, b"", ModelRefused),
        (401, {}, b"maximum context length", ModelRefused),
        (301, {}, b"", ModelRefused),
        (204, {}, b"", ModelUnavailable),
    ],
)
def test_a_response_that_is_no_answer_has_its_error(status: int, headers: dict[str, str], body: bytes, error: type[InferenceError]) -> None:
    assert type(refusal(status, headers, body)) is error


@given(st.integers(100, 599), st.binary(max_size=200))
def test_an_errors_words_hold_nothing_of_the_body(status: int, body: bytes) -> None:
    said = str(refusal(status, {}, b"secret " + body))

    assert "secret" not in said
    assert "\n" not in said


_PLAYED = cases("refusals")


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in _PLAYED])
def test_a_servers_refusal_means_what_its_words_say(case: dict[str, Any]) -> None:
    body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    found = refusal(case["status"], case.get("headers", {}), body.encode())
    told = {name: getattr(found, name) for name in case["want"].keys() - {"error"}} | {"error": type(found).__name__}

    assert told == case["want"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in _PLAYED if case["status"] in (400, 422) and case["body"]])
def test_an_error_event_means_the_same_as_the_refusal(case: dict[str, Any]) -> None:
    body = case["body"][0] if isinstance(case["body"], list) else case["body"]
    found = type(event_error({"status": case["status"], **body})).__name__

    assert found == case["want"]["error"]
