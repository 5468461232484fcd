"""The values that cross the model wing's border."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a prompt."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible server and the model on it."""

    name: str
    #: Base address up to and including /v1.
    url: str
    model: str
    api_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The deadlines of one call to a model, in seconds."""

    connect_s: float = 3.0
    #: From the request to the first word of the answer.
    first_token_s: float = 20.0
    #: Between two events of the stream.
    silence_s: float = 10.0
    #: From the request to the last byte, whatever else happens.
    total_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call as the server counted them."""

    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A model's whole answer."""

    text: str
    usage: Usage
    first_token_ms: float
    total_ms: float
    #: stop or length, in OpenAI's words.
    finish_reason: str = "stop"
