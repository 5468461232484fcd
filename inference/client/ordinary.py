"""The ordinary events of a streamed answer, in typed fields: a piece, the first piece, the finish reason, the counts. Whatever has more in it does not fit."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

#: More is no count.
_MOST_TOKENS = 1_999_999_999


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta
    index: int = 0
    finish_reason: None = None
    stop_reason: None = None
    error: None = None
    usage: None = None


class _Chunk(msgspec.Struct, gc=False):
    """The ordinary event: one piece of text or of thoughts, and nothing else that counts. All others do not fit, and are read field by field."""

    choices: tuple[_Choice]
    error: None = None
    usage: None = None


class _FirstDelta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    content: str
    role: str | None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    reasoning_content: None = None
    reasoning: None = None


class _OnlyChoice(msgspec.Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    index: int = 0
    stop_reason: None = None
    logprobs: None = None
    token_ids: None = None


class _OnlyChunk(msgspec.Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """An event without a field that is not known here. Whatever has any other one is read field by field."""

    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    id: str | None = None
    created: int | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    prompt_token_ids: None = None


class _FirstChoice(_OnlyChoice, gc=False, forbid_unknown_fields=True, kw_only=True):
    delta: _FirstDelta
    finish_reason: None = None


class _First(_OnlyChunk, gc=False, forbid_unknown_fields=True, kw_only=True):
    """The ordinary first event: a piece of text."""

    choices: tuple[_FirstChoice]
    usage: None = None


class _Nothing(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A delta that says nothing, as it comes with the finish reason."""

    role: str | None = None
    content: Literal[""] | None = None


class _LastChoice(_OnlyChoice, gc=False, forbid_unknown_fields=True, kw_only=True):
    delta: _Nothing
    finish_reason: Literal["stop", "length"]


class _Last(_OnlyChunk, gc=False, forbid_unknown_fields=True, kw_only=True):
    """The ordinary event with the finish reason, and nothing else."""

    choices: tuple[_LastChoice]
    usage: None = None


_Tokens = Annotated[int, msgspec.Meta(ge=0, le=_MOST_TOKENS)]


class _CachedTokens(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    cached_tokens: _Tokens


class _Usage(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    prompt_tokens: _Tokens
    completion_tokens: _Tokens
    total_tokens: _Tokens
    prompt_tokens_details: _CachedTokens | None = None
    completion_tokens_details: None = None


class _Counted(_OnlyChunk, gc=False, forbid_unknown_fields=True, kw_only=True):
    """The ordinary event with the counts, behind the last choice."""

    choices: tuple[()]
    usage: _Usage


#: Each decodes the JSON of one kind of event, and raises ValueError for any other.
piece = msgspec.json.Decoder(_Chunk).decode
first, last = msgspec.json.Decoder(_First).decode, msgspec.json.Decoder(_Last).decode
counted = msgspec.json.Decoder(_Counted).decode
