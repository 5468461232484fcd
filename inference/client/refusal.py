"""What a response with another status than 200 means, by status and body, for every client of a model server. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from inference.errors import ContentFiltered, GarbageAnswer, ModelBusy, ModelRefused, ModelUnavailable, OutOfQuota, PromptTooLong

#: How much of an error's body is read to find out its kind.
ERROR_BODY_BYTES = 64 * 1024
_TOO_LONG_WORDS = (b"exceed_context_size", b"context_length_exceeded", b"maximum context length", b"maximum model length")
#: llama.cpp answers 500 to a picture that its model cannot read.
_NO_VISION = b"image input is not supported"
#: Said by vLLM when its queue is full, by llama.cpp while it loads or has no free slot, and by hosted servers under too much load.
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


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> ModelUnavailable | ModelRefused | GarbageAnswer:
    """Return the error that the response means. Header names are in lower case, or the mapping ignores case."""
    lowered = body.lower()
    said = _said(body)
    found = _kind(status, headers, lowered)
    found.said = said
    if isinstance(found, ModelBusy | OutOfQuota):
        found.retry_after_s = _seconds(headers.get("retry-after", ""))
    return found


def _too_long(lowered: bytes) -> PromptTooLong:
    error = PromptTooLong()
    limit, size = (re.search(words, lowered) for words in (rb"length is (\d+)", rb"resulted in (\d+)"))
    error.limit, error.size = (int(found[1]) if found else 0 for found in (limit, size))
    return error


def _said(body: bytes) -> str:
    found = re.search(rb'"message":\s*"((?:[^"\\]|\\.)*)"', body)
    return "" if found is None else " ".join(found[1].decode(errors="replace").split())[:300]


def _seconds(value: str) -> float:
    return float(value) if value.isdigit() else 0.0


def _kind(  # noqa: PLR0911 - one return for each kind
    status: int, headers: Mapping[str, str], lowered: bytes
) -> ModelUnavailable | ModelRefused | GarbageAnswer:
    if status == 402 or b"insufficient_quota" in lowered:
        return OutOfQuota(f"the account has no credit ({status})")
    if b"content_filter" in lowered:
        return ContentFiltered()
    if is_full(status, headers, lowered):
        return ModelBusy(f"the model server is full ({status})")
    if status >= 400 and _NO_VISION in lowered:
        return ModelRefused(f"the model takes no pictures ({status})")
    if status >= 500 or status in (408, 425):
        return ModelUnavailable(f"the model server failed ({status})")
    if status in (400, 413, 422) and any(words in lowered for words in _TOO_LONG_WORDS):
        return _too_long(lowered)
    if 300 <= status < 400:
        return ModelRefused(f"the model server redirects ({status}): set its final address")
    if status < 300:
        return GarbageAnswer(f"the model server answered {status}")
    return ModelRefused(f"the model server rejects the request ({status})")


def is_full(status: int, headers: Mapping[str, str], lowered: bytes) -> bool:
    """Whether the server is only overloaded: a 503 may come from a full model server, or from a proxy in front of a dead one.

    A full model server says so in the error, or says when to try again. Any other 503 may come from a gateway whose engine is gone; if that
    counted as full, it would be asked for ever.
    """
    if status != 503:
        return status == 429
    return "retry-after" in headers or (not lowered.lstrip().startswith(b"<") and any(words in lowered for words in _BUSY_WORDS))
