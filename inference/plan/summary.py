"""The plan itself: all results, ready to be printed, drawn, served or written as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from inference.catalog import Model, Weights
from inference.plan.cost import Cost
from inference.plan.gpus import Gpus
from inference.plan.layout import Layout
from inference.plan.memory import Footprint, shards
from inference.plan.question import Question
from inference.plan.throughput import Speed

_SPEED_KEYS: tuple[str, ...] = (
    "tokens_per_s",
    "at_once",
    "tokens_per_s_one_user",
    "tokens_per_s_at",
    "prefill_tokens_per_s",
    "first_token_ms",
    "replies_per_s",
    "replies_a_day",
)
_COST_KEYS: tuple[str, ...] = ("cost_per_1000", "cost_per_million", "cost_per_hour", "hosted")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCommand:
    """The process that one host runs."""

    #: Number of the host; 0 is the first one, which has the API.
    host: int
    #: vllm, serve, the model and the options.
    argv: tuple[str, ...]
    #: Environment variables that this model needs on these GPUs.
    environment: Mapping[str, str]

    @property
    def text(self) -> str:
        """One line for a shell."""
        return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in self.environment.items()), shlex.join(self.argv)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A layout or a number format that was tried."""

    #: tp8 dp1 ep8 pp1, or the format.
    what: str
    fits: bool
    #: Why not, or its speed.
    why: str
    tokens_per_s: float | None = None
    conversations: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A change that makes it fit, checked by the same arithmetic."""

    #: As options of `chinwag plan`.
    options: str
    #: In words.
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What the contacts need in the busiest hour, and what share of the machine's full load that is."""

    contacts: int
    replies_a_day: float
    peak_replies_per_s: float
    #: Share of full load at the peak, and over the whole day; None where nothing fits.
    peak_load: float | None
    mean_load: float | None
    #: Copies of this plan that keep the peak at or below 60 % of full load.
    replicas: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One model on one set of GPUs. All numbers are for the chosen layout, or for the closest one where none fits."""

    model: Model
    gpus: Gpus
    question: Question
    weights: Weights
    format_reason: str
    context: int
    fits: bool
    #: By how much it does not fit, or why it cannot run; None where it fits.
    why_not: str | None
    #: Changes that make it fit, the smallest first; empty where it fits.
    advice: tuple[Advice, ...]
    layout: Layout
    layout_reason: str
    memory: Footprint
    #: Conversations of the reply's length that stay cached on the GPUs (within the margin) and in host memory; None: the KV size is unknown.
    conversations: int | None
    offloaded: int | None
    #: None where it does not fit.
    speed: Speed | None
    cost: Cost | None
    demand: Demand | None
    #: One for each host; empty where it does not fit.
    commands: tuple[HostCommand, ...]
    layouts: tuple[Considered, ...]
    formats: tuple[Considered, ...]
    warnings: tuple[str, ...]
    assumptions: tuple[str, ...]

    @property
    def command(self) -> str | None:
        """The processes as shell lines, one for each host; None where it does not fit."""
        return "\n".join(command.text for command in self.commands) or None

    def to_json(self) -> dict[str, object]:
        """Return the plan as one JSON object; what is unknown, or missing because it does not fit, is null."""
        m, reply = self.memory, self.question.reply
        return {
            "model": self.model.key,
            "title": self.model.title,
            "gpus": self.gpus.text,
            "gpu": self.gpus.kind.title,
            "format": self.weights.format.value,
            "format_reason": self.format_reason,
            "weights": self.weights.repo or None,
            "context": self.context,
            "kv_cache": self.question.kv,
            "reply": {"tokens_in": reply.tokens_in, "cached": reply.cached, "tokens_out": reply.tokens_out},
            "fits": self.fits,
            "why_not": self.why_not,
            "what_would_fit": [{"options": one.options, "text": one.text} for one in self.advice],
            "layout": {**self.layout.sizes(), "nodes": self.layout.nodes},
            "layout_reason": self.layout_reason,
            "parameters_b": _parameters(self.model),
            "weights_gb_per_gpu": round(m.weights / 1e9, 2),
            "overhead_gb_per_gpu": round(m.overhead / 1e9, 2),
            "usable_gb_per_gpu": round(m.usable / 1e9, 2),
            "kv_pool_gb_per_gpu": round(m.pool / 1e9, 2),
            "missing_gb_per_gpu": round(m.missing / 1e9, 2),
            "kv_bytes_per_token": m.kv_per_token,
            "kv_gb_per_conversation": _conversation_gb(self),
            "kv_pool_tokens": m.pool_tokens,
            "longest_context": m.longest,
            "conversations": self.conversations,
            "conversations_offloaded": self.offloaded,
            **_speed(self.speed),
            **_cost(self.cost),
            "demand": None if self.demand is None else asdict(self.demand),
            "command": self.command,
            "commands": [{"host": one.host, "environment": dict(one.environment), "argv": list(one.argv)} for one in self.commands],
            "layouts": [asdict(one) for one in self.layouts],
            "formats": [asdict(one) for one in self.formats],
            "warnings": list(self.warnings),
            "assumptions": list(self.assumptions),
        }


def _parameters(model: Model) -> dict[str, float | None]:
    counted = model.parameters()
    routed = None if counted.routed is None else round(counted.routed / 1e9, 2)
    return {"total": round(counted.total / 1e9, 2), "active": round(counted.active / 1e9, 2), "routed": routed}


def _conversation_gb(plan: Plan) -> float | None:
    """Return the KV of one conversation with the whole context, in one copy."""
    a, m = plan.model.architecture, plan.memory
    return None if a is None or m.sequence is None else round(m.sequence * shards(a, plan.layout) / 1e9, 2)


def _speed(speed: Speed | None) -> Mapping[str, object]:
    if speed is None:
        return dict.fromkeys(_SPEED_KEYS)
    return {
        "tokens_per_s": round(speed.tokens_per_s, 1),
        "at_once": speed.at_once,
        "tokens_per_s_one_user": round(speed.one_user_tokens_per_s, 1),
        "tokens_per_s_at": {str(number): round(rate, 1) for number, rate in speed.curve},
        "prefill_tokens_per_s": round(speed.prefill_tokens_per_s, 1),
        "first_token_ms": round(speed.first_token_ms, 1),
        "replies_per_s": round(speed.replies_per_s, 3),
        "replies_a_day": round(speed.replies_a_day),
    }


def _percent(load: float) -> str:
    return f"{load:.0%}".rstrip("%")


def _cost(cost: Cost | None) -> Mapping[str, object]:
    if cost is None:
        return dict.fromkeys(_COST_KEYS)
    return {
        "cost_per_1000": {_percent(load): round(price, 4) for load, price in cost.per_1000},
        "cost_per_million": {
            _percent(load): {"in": round(price.tokens_in, 4), "cached": price.tokens_cached, "out": round(price.tokens_out, 4)}
            for load, price in cost.per_million
        },
        "cost_per_hour": round(cost.per_hour, 2),
        "hosted": [
            {
                "provider": rival.provider,
                "model": rival.model,
                "same_model": rival.same_model,
                "per_1000": round(rival.per_1000, 4),
                "break_even_load": None if rival.break_even is None else round(rival.break_even, 4),
                "break_even_replies_a_day": None if rival.replies_a_day is None else round(rival.replies_a_day),
                "priced_on": rival.priced_on.isoformat(),
                "ends_on": rival.ends_on.isoformat() if rival.ends_on else None,
                "unconfirmed": rival.unconfirmed,
            }
            for rival in cost.rivals
        ],
    }
