"""Reads a model server's answers for a probe. Pure: it takes any bytes and raises nothing."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

import msgspec

from inference.client.finish import end_of, reason_in
from inference.client.refusal import refusal
from inference.client.told import on_one_line
from inference.errors import ModelBusy, OutOfQuota
from inference.probe.cards import Server
from inference.thoughts import learned

T = TypeVar("T")

_MOST_TOKENS = 1_000_000_000
_NONE: Mapping[str, Any] = {}
#: Types of the parts of a content that are the answer.
_TEXTS = ("text", "output_text")
_ENGINE = re.compile(r'^vllm:num_requests_running\{[^}\n]*\bengine="(\d+)"', re.MULTILINE)
_CACHING = re.compile(r'^vllm:cache_config_info\{[^}\n]*\benable_prefix_caching="(True|False)"', re.MULTILINE)


#: No answer, or one from a gateway: a timeout, or no server behind it.
_NOT_FROM_SERVER = (0, 408, 425, 502, 503, 504)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A response with its body; status 0 means that there was none."""

    status: int = 0
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)

    @property
    def is_full(self) -> bool:
        """Whether the server is only overloaded."""
        return isinstance(self._refusal, ModelBusy)

    @property
    def is_out_of_quota(self) -> bool:
        """Whether the account has no credit left."""
        return isinstance(self._refusal, OutOfQuota)

    @property
    def _refusal(self) -> Exception | None:
        return refusal(self.status, self.headers, self.body) if self.status >= 400 else None

    @property
    def retry_after_s(self) -> float:
        """How long the server asks to wait before the next request; 0 where it does not say so in seconds."""
        told = self.headers.get("retry-after", "").strip()
        return float(told) if re.fullmatch(r"[0-9]{1,6}", told) else 0.0

    @property
    def is_unanswered(self) -> bool:
        """Whether it says nothing about what the server can do: silence, a full server, an empty account, a gateway without a server."""
        return self.status in _NOT_FROM_SERVER or self.is_full or self.is_out_of_quota

    @property
    def is_refusal(self) -> bool:
        """Whether the server refuses the request. Engines answer errors of a template with 500 too."""
        return self.status >= 400 and not self.is_unanswered


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A completion."""

    text: str = ""
    thought: str = ""
    #: Tokens of the prompt, and those that came from a cache; None where the server does not count.
    tokens_in: int | None = None
    cached: int | None = None
    #: Whether the server counts thoughts, as those do that show none.
    has_thought: bool = False
    #: Whether it was cut at its limit.
    is_cut: bool = False


class _Version(msgspec.Struct):
    version: str


class _Shaped(msgspec.Struct, forbid_unknown_fields=True):
    """The only answer that SHAPE_SCHEMA allows."""

    shape: Literal["hexagon"]


SHAPE_SCHEMA = {
    "type": "object",
    "properties": {"shape": {"type": "string", "enum": ["hexagon"]}},
    "required": ["shape"],
    "additionalProperties": False,
}


def said(body: bytes) -> Said | None:
    """Return what a completion says; None if this is not one. Each field is read by itself: one that is odd spoils no other."""
    text = body.decode("utf-8", "replace").lstrip("\ufeff \r\n\t")
    # Some servers stream whether asked to or not.
    pages = [line[5:] for line in text.splitlines() if line.startswith("data:")] if text.startswith(("data:", "event:", ":")) else [text]
    read = [page for one in pages if (page := _object(one)) is not None]
    if not read or any(page.get("error") for page in read) or not any("choices" in page or "usage" in page for page in read):
        return None
    choices = [_dict(_first(page.get("choices"))) for page in read]
    messages = [_dict(choice.get("message") or choice.get("delta") or {"content": choice.get("text")}) for choice in choices]
    usage = next((one for page, choice in zip(read, choices, strict=True) if (one := _usage(page, choice))), _NONE)
    return Said(
        text="".join(_text(message.get("content")) for message in messages),
        thought="".join(_thought(message) for message in messages),
        tokens_in=_prompt_tokens(usage),
        cached=_cached(usage),
        has_thought=bool(
            _count(_dict(usage.get("completion_tokens_details")).get("reasoning_tokens")) or _count(usage.get("reasoning_tokens"))
        ),
        is_cut=any(end_of(reason_in(choice)) == "length" for choice in choices),
    )


def version(body: bytes) -> str:
    """Return what /version says, or an empty text."""
    found = _read(body, _Version)
    return on_one_line(found.version, 40) if found else ""


def server_of(metrics: str) -> Server:
    """Return which server these metrics are from."""
    return "vllm" if "\nvllm:" in f"\n{metrics}" else "llamacpp" if "\nllamacpp:" in f"\n{metrics}" else "unknown"


def ranks(metrics: str) -> int:
    """Return how many data-parallel ranks have metrics; 0 if none has."""
    return len(set(_ENGINE.findall(metrics)))


def prefix_caching(metrics: str) -> bool | None:
    """Return whether vLLM says that its prefix cache is on; None where it does not say."""
    found = _CACHING.search(metrics)
    return found[1] == "True" if found else None


def thinks(answer: Said) -> bool:
    """Whether the model thinks before its answer: in a field of its own, within the answer, or out of sight."""
    return bool(answer.thought) or answer.has_thought or bool(learned(answer.text))


def follows_schema(text: str) -> bool:
    """Whether the answer is the only one that SHAPE_SCHEMA allows; no model gives it by chance."""
    return _read(text.strip().encode("utf-8", "replace"), _Shaped) is not None


def costs_as_one(*, plain: int, with_tokens: int, times: int) -> bool:
    """Whether something that is repeated `times` times in a text costs as little as if it were one token each."""
    return with_tokens - plain <= 1.5 * times


def parses(*, plain: int, neutralised: int, times: int) -> bool | None:
    """Say whether what costs one token is read as a template token; None where its neutralised form costs as little."""
    return True if neutralised - plain >= 2 * times else None


def solid_png(side: int = 64, colour: tuple[int, int, int] = (200, 30, 30)) -> bytes:
    """Return a square PNG of one colour."""
    line = b"\0" + bytes(colour) * side
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(line * side)),
        (b"IEND", b""),
    ]
    framed = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def _thought(message: Mapping[str, Any]) -> str:
    """Return a message's thoughts, in any field that is named after them, and in the parts of its content."""
    fields = [_flat(value) for key, value in message.items() if key.startswith(("reasoning", "thinking", "thought"))]
    parts = [part for part in _parts(message.get("content")) if str(part.get("type", "")).startswith(("reasoning", "thinking", "thought"))]
    return "".join([*fields, *(_flat(part) for part in parts)])


def _flat(value: Any) -> str:
    """Return something that shows whether there is anything in a value."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        return "..." if value else ""
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in _parts(content) if part.get("type", "text") in _TEXTS and isinstance(part.get("text"), str))


def _parts(content: Any) -> list[dict[str, Any]]:
    items = cast("list[Any]", content) if isinstance(content, list) else []
    return [{"type": "text", "text": item} if isinstance(item, str) else _dict(item) for item in items]


def _usage(page: Mapping[str, Any], choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the counts: of the completion, of its choice, or in Groq's field."""
    found = (_dict(page.get("usage")), _dict(choice.get("usage")), _dict(_dict(page.get("x_groq")).get("usage")))
    return next((one for one in found if _prompt_tokens(one)), _NONE)


def _prompt_tokens(usage: Mapping[str, Any]) -> int | None:
    if (whole := _count(usage.get("prompt_tokens"))) is not None:
        return whole
    # Anthropic's counts leave out what came from the cache or went into it.
    own = _count(usage.get("input_tokens"))
    rest = (_count(usage.get("cache_read_input_tokens")) or 0) + (_count(usage.get("cache_creation_input_tokens")) or 0)
    return None if own is None else own + rest


def _cached(usage: Mapping[str, Any]) -> int | None:
    details = _dict(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    told = (
        details.get("cached_tokens"),
        usage.get("prompt_cache_hit_tokens"),
        usage.get("cached_tokens"),
        usage.get("cache_read_input_tokens"),
    )
    return next((number for one in told if (number := _count(one)) is not None), None)


def _count(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value):
        return int(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return int(value) if is_number else None


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    # One completion in a list is one.
    value = _first(value) if isinstance(value, list) else value
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _first(value: Any) -> Any:
    return cast("list[Any]", value)[0] if isinstance(value, list) and value else None


def _dict(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _read(body: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
