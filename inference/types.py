"""The values that cross the model wing's border."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]


#: Side of the tiles that Llama 4 cuts a picture into, and what it makes of each, and of one more of the whole: 144 tokens and a mark.
_TILE_PX, _TILE_TOKENS = 336, 145
#: The largest side of a picture that was fetched.
_MOST_PX = 1344
#: What a model that thinks aloud may think before its answer, in tokens.
_THINKING_TOKENS = 2048


def image_tokens(width: int, height: int) -> int:
    """Return what a picture of so many pixels takes of a prompt: as Llama 4 reads it; the other families make no more of it."""
    return (-(-width // _TILE_PX) * -(-height // _TILE_PX) + 1) * _TILE_TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture of a prompt."""

    #: image/jpeg, image/png or image/webp
    media_type: str
    data: bytes = field(repr=False)
    #: What it takes of a prompt at most.
    tokens: int = image_tokens(_MOST_PX, _MOST_PX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a prompt."""

    role: Role
    content: str
    #: Shown before the text, to a model that has eyes; only in the user's messages.
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a million tokens cost, in USD."""

    tokens_in: float
    tokens_out: float
    #: None: cached tokens cost as others do.
    tokens_cached: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What an endpoint really does, as the probe measured it; the defaults are the safe side."""

    #: Longest prompt and answer together, in tokens; 0: not known.
    context: int = 0
    vision: bool = False
    json_schema: bool = False
    #: It thinks aloud before it answers.
    reasoning: bool = False
    system_role: bool = True
    #: Its template takes user and assistant by turns alone.
    roles_alternate: bool = False
    #: Template tokens in a person's text are read as such.
    parses_tokens: bool = True
    #: It takes vLLM's fields `priority` and `cache_salt`.
    priority: bool = False
    cache_salt: bool = False
    #: Data-parallel ranks behind the address, each with a prefix cache of its own.
    ranks: int = 1

    def tokens_for(self, answer: int) -> int:
        """Return how many tokens an answer of so many takes: what is thought before it counts, too."""
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
    #: Whether what people write leaves the house on the way to it.
    leaves_house: bool = False
    traits: Traits = field(default_factory=Traits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a call tells an engine of ours beside the prompt; an endpoint gets only what its traits name."""

    #: Lower is sooner; 0 for people.
    priority: int = 0
    #: A keyed hash of the tenant: nothing of its prefixes is shared beyond it.
    cache_salt: str = ""
    #: Hash of the conversation, from which the data-parallel rank is taken.
    affinity: int | None = None


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
