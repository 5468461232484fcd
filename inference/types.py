"""The values that the callers of models give and get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]


#: Side of the tiles that Llama 4 cuts a picture into, and the tokens of each: 144 and a separator. One more tile shows the whole picture.
_TILE_PX, _TILE_TOKENS = 336, 145
#: The longest side of a picture after it was scaled down.
_MOST_PX = 1344
#: How much a reasoning model may think before its answer, in tokens.
_THINKING_TOKENS = 2048


def image_tokens(width: int, height: int) -> int:
    """Return the prompt tokens of a picture of this size as Llama 4 counts them; the other families use no more."""
    return (-(-width // _TILE_PX) * -(-height // _TILE_PX) + 1) * _TILE_TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture of a prompt."""

    #: image/jpeg, image/png or image/webp
    media_type: str
    data: bytes = field(repr=False)
    #: The most tokens that it takes in a prompt.
    tokens: int = image_tokens(_MOST_PX, _MOST_PX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a prompt."""

    role: Role
    content: str
    #: They come before the text, for a model that reads images; only in the user's messages.
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a million tokens cost, in USD."""

    tokens_in: float
    tokens_out: float
    #: None where cached tokens cost as much as others.
    tokens_cached: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What an endpoint really does, as the probe measured it; the defaults are the safe choice."""

    #: Longest prompt and answer together, in tokens; 0: not known.
    context: int = 0
    vision: bool = False
    json_schema: bool = False
    #: It is a reasoning model: it writes thoughts before its answer.
    reasoning: bool = False
    system_role: bool = True
    #: Its template accepts user and assistant messages only in turns.
    roles_alternate: bool = False
    #: Template tokens inside a person's text are read as template tokens.
    parses_tokens: bool = True
    #: It accepts vLLM's fields `priority` and `cache_salt`.
    priority: bool = False
    cache_salt: bool = False
    #: It accepts vLLM's field `stream_interval`: how many tokens come in one piece of a streamed answer.
    stream_interval: bool = False
    #: The form in which it writes thoughts into its answer: a name of inference.thoughts.FORMS; empty where that is not known.
    thoughts: str = ""
    #: It accepts `stream_options`, which asks for token counts in a stream.
    stream_options: bool = True
    #: It wants the limit of an answer as `max_completion_tokens`, as OpenAI's newer models do.
    completion_tokens: bool = False
    #: It accepts `temperature` and `top_p`.
    sampling: bool = True
    #: Data-parallel ranks behind the address, each with a prefix cache of its own.
    ranks: int = 1

    def tokens_for(self, answer: int) -> int:
        """Return how many tokens the server must allow for an answer of this many: thoughts count too."""
        return answer + _THINKING_TOKENS if self.reasoning else answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible server and the model on it."""

    name: str
    #: Base address up to and including /v1.
    url: str
    model: str
    api_key: str = field(default="", repr=False)
    price: Price | None = None
    #: Whether it is outside the operator's own network, so that what people write leaves it.
    leaves_house: bool = False
    traits: Traits = field(default_factory=Traits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a call tells the engine in addition to the prompt. An endpoint is sent only what its traits say it accepts."""

    #: Lower comes first; 0 for people.
    priority: int = 0
    #: A keyed hash of the tenant, so that tenants share no cached prefixes.
    cache_salt: str = ""
    #: Hash of the conversation, from which the data-parallel rank is taken.
    affinity: int | None = None
    #: The JSON schema that the answer is to follow. The prompt has to ask for it, too: not every server takes one.
    schema: Mapping[str, Any] | None = field(default=None, hash=False)


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
    """Tokens of one call as the server counted them, or as we did where it gave no counts."""

    tokens_in: int = 0
    tokens_cached: int = 0
    #: With its thoughts.
    tokens_out: int = 0
    #: Whether any of these was counted or estimated here.
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A model's whole answer."""

    text: str
    usage: Usage
    first_token_ms: float
    total_ms: float
    #: stop: whole; length: cut at a token limit; cut: it ended for a reason that is not known to mean a whole answer.
    finish_reason: Literal["stop", "length", "cut"] = "stop"
    #: What it thought beside its text, in a field of its own. It is shown to nobody, and counted where the server counts nothing.
    thoughts: str = field(default="", repr=False)
