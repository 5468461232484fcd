"""Reads a model server's answers for a probe. Pure: it takes any bytes and raises nothing."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, TypeVar

import msgspec

from inference.client.chunk import choices_in, error_in, is_completion, unwrapped
from inference.client.chunk import thinks as shows_thoughts
from inference.client.counts import Counts
from inference.client.finish import end_of
from inference.client.refusal import refusal
from inference.client.shapes import fields, value_of
from inference.client.shown import on_one_line
from inference.errors import ModelBusy, OutOfQuota
from inference.probe.cards import Server
from inference.thoughts import learned

T = TypeVar("T")

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
        """How long a full server asks to wait before the next request; 0 where it does not say so."""
        refused = self._refusal
        return refused.retry_after_s if isinstance(refused, ModelBusy) else 0.0

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
    """Return what a completion says, read as the client reads it; None if this is not one."""
    events = [unwrapped(event) for event in _events(body)]
    choices = [choice for event in events for choice in islice(choices_in(event), 1)]
    counts = Counts()
    for holder in (*events, *(place for choice in choices for place in choice.places)):
        counts.read(holder)
    if any(map(error_in, events)) or not (any(map(is_completion, events)) or counts.are_begun):
        return None
    is_thinking = any(shows_thoughts(place) for choice in choices for place in choice.places)
    return Said(
        text="".join(choice.text for choice in choices),
        thought="".join(choice.thoughts for choice in choices) or ("..." if is_thinking else ""),
        tokens_in=counts.usage.tokens_in or None,
        cached=counts.usage.tokens_cached if counts.tell_cached else None,
        has_thought=counts.thought > 0,
        is_cut=any(end_of(choice.reason) == "length" for choice in choices if choice.reason),
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


def _events(body: bytes) -> list[dict[str, Any]]:
    """Return the objects of an answer. Some servers stream whether asked to or not."""
    text = body.strip(b"\xef\xbb\xbf \r\n\t")
    is_stream = text.startswith((b"data:", b"event:", b":"))
    pages = [line[5:] for line in text.splitlines() if line.startswith(b"data:")] if is_stream else [text]
    return [event for page in pages if (event := fields(_json(page)))]


def _json(text: bytes) -> object:
    try:
        return value_of(text)
    except ValueError:
        return None


def _read(body: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
