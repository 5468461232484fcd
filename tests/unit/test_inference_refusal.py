"""What a status and a body mean: by the class of the error a caller knows what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.client.refusal import refusal
from inference.errors import InferenceError, ModelBusy, ModelRefused, ModelUnavailable, PromptTooLong

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
