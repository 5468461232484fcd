"""What a response that is not 200 means, by status and body, for every client of a model server. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from inference.errors import GarbageAnswer, ModelBusy, ModelRefused, ModelUnavailable, PromptTooLong

#: An error's body is read to tell its kind; no server needs more to say it.
ERROR_BODY_BYTES = 64 * 1024
_TOO_LONG_WORDS = (b"exceed_context_size", b"context_length_exceeded", b"maximum context length", b"maximum model length")
#: llama.cpp answers 500 to a picture that its model has no eyes for.
_NO_EYES = b"image input is not supported"
#: Of vLLM's admission, of llama.cpp while it loads or has no slot, and of hosted servers that have too much to do.
_BUSY_WORDS = (
    b'"serviceunavailableerror"',
    b"in flight",
    b"loading model",
    b"no slot",
    b"busy",
    b"queue is full",
    b"overload",
    b"too many requests",
)


def refusal(  # noqa: PLR0911 - one a kind
    status: int, headers: Mapping[str, str], body: bytes
) -> ModelUnavailable | ModelRefused | GarbageAnswer:
    """Return the error that the response stands for; header names in lower case, or in a mapping that does not care."""
    lowered = body.lower()
    if is_full(status, headers, lowered):
        return ModelBusy(f"the model server is full ({status})")
    if status >= 400 and _NO_EYES in lowered:
        return ModelRefused(f"the model takes no pictures ({status})")
    if status >= 500 or status in (408, 425):
        return ModelUnavailable(f"the model server failed ({status})")
    if status in (400, 413, 422) and any(words in lowered for words in _TOO_LONG_WORDS):
        return PromptTooLong()
    if 300 <= status < 400:
        return ModelRefused(f"the model server redirects ({status}): set its final address")
    if status < 300:
        return GarbageAnswer(f"the model server answered {status}")
    return ModelRefused(f"the model server rejects the request ({status})")


def is_full(status: int, headers: Mapping[str, str], lowered: bytes) -> bool:
    """Whether the server only has too much to do: a 503 may come from a full model server or from a proxy before a dead one.

    A model server says in an error that it has too much to do, or tells when to come again. Any other error may be a gateway's whose engine
    is gone: to take that for full would ask it for ever.
    """
    if status != 503:
        return status == 429
    return "retry-after" in headers or (not lowered.lstrip().startswith(b"<") and any(words in lowered for words in _BUSY_WORDS))
