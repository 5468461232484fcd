"""One model of the catalog: its weights, licence, chat template and prices, and the rules that they must obey."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from inference.catalog.architecture import Architecture
from inference.catalog.parameters import Parameters, count
from inference.catalog.rules import above_zero, known_fields, one_of, require
from inference.thought_forms import FORMS

_KEY = re.compile(r"[a-z0-9]+([.-][a-z0-9]+)*")
#: Where the published total differs by more from the sum of the architecture, a digit is wrong somewhere.
_TOTALS_DIFFER = 0.05
_KINDS = ("open", "unpublished", "hosted")
_MODALITIES = ("text", "image", "audio", "video")


class NumberFormat(StrEnum):
    """How a model's weights are stored."""

    BF16 = "bf16"
    FP8 = "fp8"
    W4A16 = "w4a16"
    NVFP4 = "nvfp4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One published file set."""

    format: NumberFormat
    #: Its id on the model hub; empty where it was not published.
    repo: str = ""
    #: GB (10^9 bytes).
    size_gb: float
    #: The lowest NVIDIA compute capability that runs it; 0 for any.
    min_capability: float = 0.0
    #: Arguments of `vllm serve` that this file set needs.
    args: tuple[str, ...] = ()
    #: Environment variables that it needs, as NAME=value.
    env: tuple[str, ...] = ()
    source: str
    unconfirmed: bool = False

    def __post_init__(self) -> None:
        above_zero(self, "size_gb")
        require(all("=" in one for one in self.env), "env", "must have entries of the form NAME=value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """What the licence of the weights allows and requires."""

    name: str
    url: str
    duties: tuple[str, ...] = ()
    #: False: no licence for individuals domiciled, or companies with their principal place of business, in the EU.
    in_eu: bool = True
    #: Keys of catalog models that an operator in the EU may use instead.
    instead_in_eu: tuple[str, ...] = ()
    #: Whether `chinwag model serve` asks the operator to accept the licence first.
    to_accept: bool = False
    source: str

    def __post_init__(self) -> None:
        require(self.in_eu or bool(self.instead_in_eu), "in_eu", "is false, but instead_in_eu names no model to use there")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Which messages the model's chat template accepts, and how it writes tool calls."""

    roles_alternate: bool = False
    system_role: bool = True
    tool_call_parser: str = ""
    #: Name of the template in vLLM's examples that supports tools; empty where the model's own template does.
    chat_template: str = ""
    reasoning_parser: str = ""
    #: The form in which it writes thoughts into an answer where its server does not part them: a name of inference.thoughts.FORMS; empty where it
    #: writes none, or that is not known.
    thoughts: str = ""
    source: str
    #: Names of the fields above that were not read at their origin.
    unconfirmed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        one_of(self.thoughts, ("", *FORMS), "thoughts")
        known_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Arguments of `vllm serve` for this model, with any of its weights. The plan adds the arguments of the layout."""

    args: tuple[str, ...] = ()
    #: Speculative decoding that is worth trying, in the form of --speculative-config; empty for none.
    speculative: str = ""
    #: Its method: eagle, eagle3 or mtp. EAGLE switches off the hybrid KV cache of Llama 4.
    speculative_method: str = ""
    #: Number format of the KV cache that its makers recommend, in the form of --kv-cache-dtype; empty for that of the weights.
    kv_cache: str = ""
    source: str

    def __post_init__(self) -> None:
        require(bool(self.speculative) == bool(self.speculative_method), "speculative", "and speculative_method must be given together")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A hosted price, in USD for a million tokens."""

    provider: str
    model: str
    tokens_in: float
    tokens_out: float
    #: None where cached tokens cost as much as others.
    tokens_cached: float | None = None
    #: The day on which this was the price.
    date: date
    retired_on: date | None = None
    #: Catalog key, or the provider's name, of the model that replaces it.
    successor: str = ""
    source: str
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of the catalog."""

    #: Its name in commands and in other files; also the name of its file.
    key: str
    title: str
    maker: str
    #: open: the weights are published; unpublished: only the totals are known; hosted: there is only an API.
    kind: str
    #: Parameters in total, and those that one token passes through, in billions, as published; 0: not published.
    total_b: float = 0.0
    active_b: float = 0.0
    #: Longest text, in tokens; 0: not published.
    context: int
    #: What it reads. All of them write text.
    modalities: tuple[str, ...] = ("text",)
    #: The most images in a prompt that were tested, and the most tokens of one; 0: not known, or it reads no images.
    images: int = 0
    image_tokens: int = 0
    languages: tuple[str, ...] = ()
    architecture: Architecture | None = None
    weights: tuple[Weights, ...] = ()
    licence: Licence | None = None
    template: Template | None = None
    serving: Serving | None = None
    offers: tuple[Offer, ...] = ()
    #: When the maker switches a hosted model off, and what replaces it.
    retired_on: date | None = None
    successor: str = ""
    source: str
    #: Names of the fields above that were not read at their origin.
    unconfirmed: tuple[str, ...] = ()
    remark: str = ""

    def __post_init__(self) -> None:
        require(
            bool(_KEY.fullmatch(self.key)), "key", f'must be lower-case letters and digits, joined by dots and hyphens, not "{self.key}"'
        )
        one_of(self.kind, _KINDS, "kind")
        for one in self.modalities:
            one_of(one, _MODALITIES, "modalities")
        require("text" in self.modalities, "modalities", "lacks text")
        require(
            "image" in self.modalities or not (self.images or self.image_tokens),
            "modalities",
            "lacks image, but images or image_tokens is given",
        )
        if self.kind != "hosted":
            above_zero(self, "total_b", "active_b")
            require(bool(self.weights), "kind", f"is {self.kind}, but there are no [[weights]]")
        if self.kind == "open":
            above_zero(self, "context")
            require(self.architecture is not None, "kind", "is open, but there is no [architecture]")
            require(self.licence is not None, "kind", "is open, but there is no [licence]")
        require(self.active_b <= self.total_b, "active_b", f"is {self.active_b:g}, more than total_b")
        if self.architecture is not None:
            total = self.parameters().total / 1e9
            adds_up = abs(total - self.total_b) <= _TOTALS_DIFFER * self.total_b
            require(adds_up, "total_b", f"is {self.total_b:g}, but [architecture] adds up to {total:.4g} billion parameters")
        require(self.retired_on is None or bool(self.successor), "retired_on", "is given, but no successor is named")
        known_fields(self)

    def is_retired(self, today: date) -> bool:
        """Whether its maker has switched it off."""
        return self.retired_on is not None and self.retired_on <= today

    def parameters(self) -> Parameters:
        """Count its parameters, by the published totals where its architecture was not published."""
        if self.architecture is None:
            return Parameters(total=self.total_b * 1e9, active=self.active_b * 1e9, routed=None, routed_active=0, expert=0, embedding=0)
        return count(self.architecture)
