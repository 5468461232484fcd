"""What a plan is asked for: the size of a reply, the context, and every choice that a person may force."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from inference.catalog import NumberFormat
from inference.plan.errors import CannotPlan

Prefer = Literal["latency", "throughput"]
Kv = Literal["auto", "fp8"]

#: Context in tokens where none is given, or the model's own where that is shorter.
DEFAULT_CONTEXT = 32_768
#: The largest number of anything that is asked for; above it is a typing error.
_MOST = 1e9
_STEPS = {"": 1, "k": 1024, "m": 1024**2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The reply that speed and cost are computed for. The defaults are the reference reply of docs/serving.md."""

    tokens_in: int = 3000
    tokens_out: int = 150
    #: Share of tokens_in that comes from the prefix cache.
    cached: float = 0.75
    #: Whether tokens_in is only the default, so that a shorter context cuts it instead of being refused.
    may_be_cut: bool = False

    def __post_init__(self) -> None:
        """Raise CannotPlan unless the numbers can be a reply."""
        if self.tokens_in < 1 or self.tokens_out < 1 or not 0 <= self.cached < 1:
            raise CannotPlan("a reply has at least 1 token in, at least 1 out, and a cached share of at least 0 and below 1")

    @property
    def uncached(self) -> float:
        """Tokens of the prompt that must be computed."""
        return self.tokens_in * (1 - self.cached)

    @property
    def tokens(self) -> int:
        """Length of the conversation when the reply has been written."""
        return self.tokens_in + self.tokens_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Forced:
    """Parts of the layout that a person sets; None leaves the choice to the plan."""

    tp: int | None = None
    dp: int | None = None
    pp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything that a plan is asked for, apart from the model and the GPUs."""

    #: None: the format with the most bits that fits.
    format: NumberFormat | None = None
    #: None: DEFAULT_CONTEXT, or the model's own length where that is less.
    context: int | None = None
    #: Number format of the KV cache; auto means bf16, as it does in vLLM for these models.
    kv: Kv = "auto"
    #: People who write to the assistant.
    contacts: int | None = None
    #: Replies that one of them gets in a day.
    replies_per_contact: float = 3.0
    #: None: derived from the number of contacts; latency where none is given.
    prefer: Prefer | None = None
    #: Whether to use the speculative decoding that the catalog names.
    speculative: bool = False
    #: Extra experts for vLLM's load balancer (EPLB), over all ranks (--eplb-config num_redundant_experts).
    redundant_experts: int = 0
    #: Memory for the KV cache on each host, in GiB; 0 for none.
    offload_gib: float = 0.0
    #: Replies that are written at the same time at full load. The plan's own maximum is the limit, and the default.
    at_once: int | None = None
    reply: Reply = field(default_factory=lambda: Reply(may_be_cut=True))
    forced: Forced = field(default_factory=Forced)
    #: USD for one GPU and hour; None: the price in gpus.toml.
    price_per_hour: float | None = None
    #: Address of the first host, for the commands of several hosts.
    head: str = "10.0.0.1"

    def check(self) -> None:
        """Raise CannotPlan unless every number is possible."""
        least = {
            "--contacts": (self.contacts, 1),
            "--replies-per-contact": (self.replies_per_contact, 1e-6),
            "--redundant-experts": (self.redundant_experts, 0),
            "--offload-gib": (self.offload_gib, 0),
            "--at-once": (self.at_once, 1),
            "--price": (self.price_per_hour, 0),
        }
        for option, (given, smallest) in least.items():
            if given is not None and not smallest <= given <= _MOST:
                wanted = "a number above 0" if 0 < smallest < 1 else f"a number from {smallest}"
                raise CannotPlan(f"{option} takes {wanted} to {_MOST:.0e}, not {given:g}")
        if not self.head or any(letter.isspace() for letter in self.head):
            raise CannotPlan("--head takes the address of the first host, such as 10.0.0.1")


def read_context(text: str) -> int:
    """Read a length such as 32k, 1M or 40000, in tokens; k is 1,024. Raise CannotPlan for anything else."""
    found = re.fullmatch(r"(\d{1,9})\s*([km]?)", text.strip().lower())
    if found is None or int(found[1]) == 0:
        raise CannotPlan(f"a context is a number of tokens such as 32k, 128k, 1M or 40000, not {text!r}")
    return int(found[1]) * _STEPS[found[2]]
