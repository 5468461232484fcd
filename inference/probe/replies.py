"""Reads a model server's answers for a probe. Pure: it takes any bytes and raises nothing."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import msgspec

from inference.client.refusal import is_full
from inference.types import Endpoint

T = TypeVar("T")
Server = Literal["vllm", "llamacpp", "unknown"]

_MOST_NAMES = 10
_LONGEST_MESSAGE = 200
#: Marks of reasoning models: DeepSeek, Qwen and similar ones; gpt-oss; Mistral.
_THOUGHTS = ("<think>", "</think>", "<|channel|>analysis", "[THINK]")
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
        return is_full(self.status, self.headers, self.body.lower())

    @property
    def retry_after_s(self) -> float:
        """How long the server asks to wait before the next request; 0 where it does not say so in seconds."""
        told = self.headers.get("retry-after", "").strip()
        return float(told) if re.fullmatch(r"[0-9]{1,6}", told) else 0.0

    @property
    def is_unanswered(self) -> bool:
        """Whether it says nothing about what the server can do: silence, a full server, a gateway without a server."""
        return self.status in _NOT_FROM_SERVER or self.is_full

    @property
    def is_refusal(self) -> bool:
        """Whether the server refuses the request. Engines answer errors of a template with 500 too."""
        return self.status >= 400 and not self.is_unanswered


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A model in /v1/models."""

    name: str
    #: Longest prompt and answer together, in tokens; 0: not stated.
    context: int
    server: Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A completion; None where the server does not count."""

    text: str
    thought: str
    tokens_in: int | None
    cached: int | None


class _Meta(msgspec.Struct):
    n_ctx: int | None = None


class _Card(msgspec.Struct):
    """A model's context, for which vLLM, llama.cpp and hosted servers have different names."""

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None
    context_length: int | None = None
    context_window: int | None = None
    meta: _Meta | None = None


class _Cards(msgspec.Struct):
    data: list[_Card]


class _Message(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class _Version(msgspec.Struct):
    version: str


class _Shaped(msgspec.Struct, forbid_unknown_fields=True):
    """The only answer that SHAPE_SCHEMA allows."""

    shape: Literal["hexagon"]


class _Problem(msgspec.Struct):
    message: str = ""


class _Failure(msgspec.Struct):
    """OpenAI's form of an error; older servers have the message at the top level."""

    error: _Problem | str | None = None
    message: str = ""


SHAPE_SCHEMA = {
    "type": "object",
    "properties": {"shape": {"type": "string", "enum": ["hexagon"]}},
    "required": ["shape"],
    "additionalProperties": False,
}


def models(body: bytes) -> list[Listed] | None:
    """Return the models that the server lists; None if this is not a list of models."""
    cards = _read(body, _Cards)
    if cards is None:
        return None
    return [Listed(name=card.id, context=max(0, _context(card)), server=_server(card.owned_by)) for card in cards.data]


def said(body: bytes) -> Said | None:
    """Return what a completion says; None if this is not one."""
    completion = _read(body, _Completion)
    if completion is None or not completion.choices:
        return None
    message, usage = completion.choices[0].message, completion.usage or _Usage()
    return Said(
        text=message.content or "",
        thought=message.reasoning_content or message.reasoning or "",
        tokens_in=usage.prompt_tokens,
        cached=usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None,
    )


def version(body: bytes) -> str:
    """Return what /version says, or an empty text."""
    found = _read(body, _Version)
    return _plain(found.version, 40) if found else ""


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
    """Whether the model writes thoughts before its answer."""
    return bool(answer.thought) or any(mark in answer.text for mark in _THOUGHTS)


def follows_schema(text: str) -> bool:
    """Whether the answer is the only one that SHAPE_SCHEMA allows; no model gives it by chance."""
    return _read(text.strip().encode("utf-8", "replace"), _Shaped) is not None


def costs_as_one(*, plain: int, with_tokens: int, times: int) -> bool:
    """Whether something that is repeated `times` times in a text costs as little as if it were one token each."""
    return with_tokens - plain <= 1.5 * times


def parses(*, plain: int, neutralised: int, times: int) -> bool | None:
    """Say whether what costs one token is read as a template token; None where its neutralised form costs as little."""
    return True if neutralised - plain >= 2 * times else None


def explain(reply: Reply, endpoint: Endpoint, listed: Sequence[Listed] | None) -> str:
    """Say in one line why a plain request was not answered, and what to do."""
    status = reply.status
    if status == 0:
        why = "the server does not answer a plain request in time, or breaks off"
    elif status in (401, 403):
        told = "the key is wrong" if endpoint.api_key else "it requires a key, and none was given"
        why = f"the server denies access ({status}): {told}"
    elif 300 <= status < 400:
        why = f"the server redirects ({status}): give its final address"
    elif status in (400, 404, 422) and listed and all(model.name != endpoint.model for model in listed):
        why = f"the server has no model {endpoint.model}; it has: {names(listed)}"
    elif status == 404 and listed is None:
        why = f"the server has no chat at this address (404): does {endpoint.url} end in /v1 as it should?"
    elif reply.is_full:
        why = f"the server is full ({status}): try again later"
    elif status == 200:
        why = "the server answers a plain request with something that is not a completion"
    else:
        message = _message(reply.body).replace(endpoint.api_key or "\n", "***")
        why = f"the server rejects a plain request ({status}){': ' if message else ''}{message}"
    return why


def names(listed: Sequence[Listed]) -> str:
    """Return the names of the first models of a list."""
    more = ", ..." if len(listed) > _MOST_NAMES else ""
    return ", ".join(_plain(model.name, 100) for model in listed[:_MOST_NAMES]) + more


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


def _context(card: _Card) -> int:
    known = (card.max_model_len, card.meta.n_ctx if card.meta else None, card.context_length, card.context_window)
    return next((length for length in known if length), 0)


def _server(owner: str | None) -> Server:
    return "vllm" if owner == "vllm" else "llamacpp" if owner == "llamacpp" else "unknown"


def _message(body: bytes) -> str:
    failure = _read(body, _Failure) or _Failure()
    told = failure.error if isinstance(failure.error, str) else failure.error.message if failure.error else failure.message
    return _plain(told, _LONGEST_MESSAGE)


def _plain(text: str, longest: int) -> str:
    """Return text of unknown origin on one line, safe for a terminal."""
    line = " ".join(text.split())
    shown = "".join(character if character.isprintable() else "?" for character in line)
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def _read(body: bytes, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
