"""The body of a call, for an endpoint as it was measured: nothing is sent that it does not accept."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from inference.errors import ModelRefused
from inference.types import Endpoint, Hints, Message, Traits

_encode = msgspec.json.Encoder().encode


def body_of(
    endpoint: Endpoint, messages: Sequence[Message], *, max_tokens: int, temperature: float, top_p: float, hints: Hints, piece: int = 1
) -> bytes:
    """Return the JSON of a call. piece: how many tokens may come at once. Raises ModelRefused for what no server should be asked."""
    # Servers differ here: llama.cpp invents text when there are no messages, and accepts any temperature. So it is checked here.
    if not messages or max_tokens < 1 or not 0 <= temperature <= 2 or not 0 < top_p <= 1:
        raise ModelRefused("a call must have messages, max_tokens of at least 1, temperature from 0 to 2, and top_p above 0 and up to 1")
    traits = endpoint.traits
    shown = [{"role": m.role, "content": _parts(endpoint, m) if m.images else m.content} for m in messages]
    request: dict[str, Any] = {"model": endpoint.model, "messages": shown}
    request |= answer_fields(traits, max_tokens=traits.tokens_for(max_tokens), temperature=temperature, top_p=top_p)
    request["stream"] = True
    if traits.stream_options:
        request["stream_options"] = {"include_usage": True}
    # While a model thinks, its engine takes the stream apart as it comes, and is made for one token at a time.
    if traits.stream_interval and piece > 1 and not traits.reasoning:
        request["stream_interval"] = piece
    # A request without the field has priority 0.
    if traits.priority and hints.priority:
        request["priority"] = hints.priority
    if traits.cache_salt and hints.cache_salt:
        request["cache_salt"] = hints.cache_salt
    if traits.json_schema and hints.schema:
        request["response_format"] = answer_format(hints.schema)
    try:
        return _encode(request)
    except UnicodeEncodeError as error:
        raise ModelRefused("a message holds half a character (a lone surrogate)") from error


def answer_fields(traits: Traits, *, max_tokens: int, temperature: float, top_p: float) -> dict[str, float]:
    """Return the fields that say how to answer, under the names that the endpoint accepts."""
    limit = "max_completion_tokens" if traits.completion_tokens else "max_tokens"
    return {limit: max_tokens} | ({"temperature": temperature, "top_p": top_p} if traits.sampling else {})


def _parts(endpoint: Endpoint, message: Message) -> list[dict[str, Any]]:
    if not endpoint.traits.vision or message.role != "user":
        raise ModelRefused("a picture was given to a model that reads none, or in a message that is not the user's")
    return image_parts(message)


def image_parts(message: Message) -> list[dict[str, Any]]:
    """Return the content of a message with pictures, in OpenAI's form: the pictures first, then the text."""
    urls = (f"data:{image.media_type};base64,{b64encode(image.data).decode('ascii')}" for image in message.images)
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [*parts, {"type": "text", "text": message.content}] if message.content else parts


def answer_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the field `response_format` that asks for JSON of this schema."""
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
