"""What one JSON object of an answer says: words, signs of life, its end, an error. Any shape is read, each field by itself. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inference.client.finish import reason_in
from inference.client.shapes import fields, is_empty, is_list, is_object, items

#: Fields that are there whether or not the model does anything.
_STRUCTURE = frozenset(
    [
        "role",
        "type",
        "index",
        "id",
        "name",
        "object",
        "created",
        "model",
        "content",
        "text",
        "message",
        "delta",
        "usage",
        "logprobs",
        "finish_reason",
        "finishReason",
        "stop_reason",
        "finish_details",
        "native_finish_reason",
        "done_reason",
        "stop_sequence",
        "refusal",
        "token_ids",
    ]
)
#: What thoughts are called, wherever they stand.
_THOUGHTS = ("reasoning", "thinking", "thought")
#: Where a gateway puts a completion that it wraps.
_WRAPPERS = ("data", "result", "output", "response", "chunk", "body")
_CHOICES = ("choices", "candidates", "outputs")
#: Types of an event that ends an answer: Anthropic's, Cohere's, OpenAI's responses.
_DONE = frozenset({"message_stop", "message-end", "message_end", "stream-end", "response.completed"})
#: A status in one of these words is an error; others tell how far the server is ("queued", "in_progress").
_BAD_STATUS = re.compile(
    r"err|fail|unavail|exhaust|denied|invalid|abort|cancel|time[ _-]?out|exceed|overload|internal|reject|block|not[ _]found|unauth|\bbad|too many"
)
_GOOD_CODES = frozenset({"", "0", "none", "null", "ok", "success", "successful", "succeeded", "true"})
_FEEDBACK, _BLOCKED = ("promptFeedback", "prompt_feedback"), ("blockReason", "block_reason")
#: How deep the parts of a content may lie in one another.
_DEEPEST = 4
_ERROR_TYPES = ("error", "exception")


@dataclass(frozen=True, slots=True, kw_only=True)
class Saying:
    """What a choice says."""

    text: str = ""
    #: Thoughts that stand in a field of their own.
    thoughts: str = ""
    #: Whether the model did anything: words, thoughts, calls of tools.
    is_alive: bool = False
    reason: str = ""
    #: Whether it is a whole message, not a part of one.
    is_message: bool = False
    index: int | None = None
    #: Where counts may stand: the choice, its delta and its message.
    places: tuple[dict[str, Any], ...] = ()


def unwrapped(event: dict[str, Any]) -> dict[str, Any]:
    """Return the completion, or the chunk of one, in an event."""
    if any(name in event for name in _CHOICES):
        return event
    inner = (fields(event.get(name)) for name in _WRAPPERS)
    return next((one for one in inner if any(name in one for name in _CHOICES)), event)


def choices_in(event: dict[str, Any]) -> Iterator[Saying]:
    """Yield what each choice of an event says. An event without choices may be one itself."""
    for name in _CHOICES:
        if name in event:
            yield from (_said(one) for one in items(event[name]) if is_object(one))
            return
    is_choice = is_object(event.get("delta")) or is_object(event.get("message"))
    if is_choice or ("role" in event and "content" in event) or event.get("done") is True or event.get("finish_reason"):
        yield _said(event)


def is_completion(event: dict[str, Any]) -> bool:
    """Whether it has choices, even none or null."""
    return any(name in event for name in _CHOICES)


def is_done(event: dict[str, Any]) -> bool:
    """Whether the event says by itself that the answer is complete."""
    return event.get("done") is True or event.get("type") in _DONE or str(event.get("object", "")).endswith((".done", ".completed"))


def thinks(holder: dict[str, Any]) -> bool:
    """Whether thoughts stand in any field of an event or a choice, or in a part of its content."""
    return any(_is_thought(name) and not is_empty(value) for name, value in holder.items()) or any(
        is_object(part) and _is_thoughts(part) for part in items(holder.get("content"))
    )


def _is_thoughts(part: dict[str, Any]) -> bool:
    """Whether a part of a content is thoughts."""
    return part.get("thought") is True or any(word in str(part.get("type", "")).lower() for word in _THOUGHTS)


@functools.lru_cache(maxsize=1024)
def _is_thought(name: str) -> bool:
    return name not in _STRUCTURE and any(word in name.lower() for word in _THOUGHTS)


def error_in(event: dict[str, Any]) -> dict[str, Any] | None:
    """Return what an event says of an error; None where it is none."""
    choice = fields(event.get("choices"))
    for holder in (event, choice):
        error = holder.get("error")
        if error is not None and not is_empty(error) and not _is_good(error):
            return holder
    if choice:
        return None
    blocked = next((why for name in _FEEDBACK if (why := _first_text(fields(event.get(name)), _BLOCKED))), "")
    if blocked:
        # Gemini answers so, without a choice, to words that it does not answer.
        return {"code": "content_filter", "message": f"the prompt was blocked: {blocked}"}
    told = str(event.get("object", "")).lower(), str(event.get("type", "")).lower()
    words = any(isinstance(event.get(name), str) and event[name] for name in ("message", "msg", "error_msg", "error_message", "detail"))
    if "error" in told or not is_empty(event.get("errors")) or (words and any(word in told[1] for word in _ERROR_TYPES)):
        return event
    codes = [event.get(name) for name in ("code", "status_code", "statusCode", "error_code", "err_code", "errcode")]
    base = fields(event.get("base_resp"))
    if (
        (words and not (all(map(_is_good_code, codes)) and _is_good_status(event.get("status"))))
        or not _is_good_code(base.get("status_code"))
        or not is_empty(event.get("error_code"))
    ):
        return event
    return event if event.get("success") is False else None


def _is_good(error: object) -> bool:
    """Whether what stands under `error` says that there is none."""
    if isinstance(error, str):
        return error.strip().lower() in _GOOD_CODES
    holder = fields(error)
    code = holder.get("code")
    return bool(holder) and code is not None and str(code).lower() not in ("", "none", "null") and _is_good_code(code)


def _is_good_status(status: object) -> bool:
    return _is_good_code(status) or (isinstance(status, str) and not status.strip().isdecimal() and not _BAD_STATUS.search(status.lower()))


def _first_text(holder: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((one for name in names if isinstance(one := holder.get(name), str) and one), "")


def _is_good_code(code: object) -> bool:
    if isinstance(code, bool) or code is None:
        return True
    text = str(code).strip().lower()
    return text in _GOOD_CODES or (text.isdecimal() and 200 <= int(text[:9]) < 300)


def _said(choice: dict[str, Any]) -> Saying:
    delta, message, index = choice.get("delta"), choice.get("message"), choice.get("index")
    is_message = is_empty(delta)
    holder = fields(message) if is_message else fields(delta)
    if not is_message and is_object(holder.get("message")):
        holder = fields(holder["message"])
    text, is_alive = _words(holder)
    if not text:
        text = next((one for one in (delta, message) if isinstance(one, str)), "")
    if not text and is_message:
        # Completions of the older kind, and Gemini's.
        text, more = _text_of(choice.get("text") or choice.get("content"))
        is_alive |= more
    return Saying(
        text=text,
        thoughts="".join(
            value for name, value in holder.items() if isinstance(value, str) and any(word in name.lower() for word in _THOUGHTS)
        ),
        is_alive=is_alive or bool(text) or thinks(choice),
        reason=reason_in(choice) or reason_in(holder) or ("" if holder is delta else reason_in(fields(delta))),
        is_message=is_message and (is_object(message) or isinstance(message, str) or "delta" not in choice),
        index=index if isinstance(index, int) and not isinstance(index, bool) else None,
        places=(choice, fields(delta), fields(message)),
    )


def _words(holder: dict[str, Any]) -> tuple[str, bool]:
    """Return the text of a delta or a message, and whether anything in it shows that the model works."""
    if any(word in str(holder.get("type", "")) for word in _THOUGHTS):
        return "", any(not is_empty(value) for name, value in holder.items() if name not in ("type", "index"))
    text, is_alive = _text_of(holder.get("content"))
    if not text:
        text, more = _text_of(holder.get("text"))
        is_alive |= more
    refusal = holder.get("refusal")
    if not text and isinstance(refusal, str):
        text = refusal
    return text, is_alive or any(not is_empty(value) for name, value in holder.items() if name not in _STRUCTURE)


def _text_of(content: object, depth: int = 0) -> tuple[str, bool]:
    """Return the text of a content in any of its forms, and whether it holds anything. Parts that are thoughts are no text."""
    if is_list(content) and depth < _DEEPEST:
        parts = [_text_of(one, depth + 1) for one in items(content)]
        return "".join(text for text, _ in parts), any(alive for _, alive in parts)
    if is_object(content) and depth < _DEEPEST:
        part = content
        if _is_thoughts(part):
            return "", True
        name = next((name for name in ("text", "value", "parts", "content") if name in part), None)
        return ("", not is_empty(part)) if name is None else _text_of(part[name], depth + 1)
    if isinstance(content, (int, float)) and not isinstance(content, bool):
        # A gateway that read the model's "7" as JSON.
        content = str(content)
    return (content, bool(content)) if isinstance(content, str) else ("", False)
