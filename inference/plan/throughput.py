"""Tokens a second from a roofline model: decoding by the bytes that a step reads, prefill by arithmetic.

Three factors account for the difference to real engines. They are fitted, by least squares of relative errors, to the fifteen points in
points.toml. The test that refits them also checks the errors that FIT_ERROR states.
"""

from __future__ import annotations

from dataclasses import dataclass

from inference.catalog import Model, NumberFormat
from inference.catalog.parameters import Parameters
from inference.plan.gpus import Gpu
from inference.plan.layout import Layout
from inference.plan.memory import BYTES_PER_PARAMETER, KvRule, WeightBytes, layer_bytes, shards

#: InfiniBand or RoCE with 400 Gbit/s for each GPU, and the latency of one exchange.
_NETWORK_BYTES_S = 50e9
_NETWORK_S = 25e-6
#: Extra latency of a step's exchange over PCIe; that of NVLink is part of the fitted factors.
_PCIE_S = 10e-6
#: Tokens that a step of speculative decoding tries and yields: 2.4 to 3.1 of 4 reported for Maverick's EAGLE-3, and 85 to 90 % of
#: MTP's guesses in DeepSeek's report.
_ACCEPTED = {"eagle3": (4, 2.4), "eagle": (4, 2.4), "mtp": (2, 1.85)}
FIT_ERROR = (
    "fitted to 15 points published for vLLM 0.8.3 on 8 GPUs, 64 replies at once (2025-04): half of them within 5.1 %, "
    "all but one within 16 %, DeepSeek R1 with 10,000 tokens in is estimated 41 % too fast; newer engines are faster"
)
#: The cost of 1,000 replies without cache hits by hand from Maverick's points ($0.91 at full load), divided by the fit's.
PREFILL_DOUBT = 1.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """Which share of the roofline a real engine reaches."""

    #: Share of the memory bandwidth, while decoding.
    bandwidth: float
    #: Share of the arithmetic, in prefill.
    arithmetic: float
    #: Seconds that a layer takes in each step in any case: launches, synchronisation, scheduling.
    layer_s: float


FITTED = Factors(bandwidth=0.722, arithmetic=0.317, layer_s=192.5e-6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A model on its GPUs."""

    model: Model
    gpu: Gpu
    layout: Layout
    form: NumberFormat
    parts: WeightBytes
    rule: KvRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """The speed of the whole machine."""

    #: Replies that are written at the same time.
    at_once: int
    #: Decoding speed with that number, of all together.
    tokens_per_s: float
    #: Decoding speed for one person alone.
    one_user_tokens_per_s: float
    #: Decoding speed with other numbers at once.
    curve: tuple[tuple[int, float], ...]
    prefill_tokens_per_s: float
    #: Time to the first token when no other request is waiting.
    first_token_ms: float
    replies_per_s: float

    @property
    def replies_a_day(self) -> float:
        """At full load."""
        return self.replies_per_s * 86_400


def distinct(experts: int, active: int, tokens: float) -> float:
    """Return how many experts of a layer a step with that many tokens is expected to use, if every expert is equally likely."""
    return experts * (1 - (1 - active / experts) ** tokens)


def step_s(machine: Machine, at_once: float, length: float, factors: Factors = FITTED, *, tokens_each: int = 1) -> float:
    """Return the seconds of one decoding step for conversations of `length` tokens; with stages, until all of them have a token."""
    stages = machine.layout.pp
    rows = max(1.0, at_once / stages) * tokens_each
    layers = _layers(machine) + machine.rule.draft_layers * (tokens_each - 1)
    reading = _bytes_read(machine, rows, length, tokens_each) / (machine.gpu.bandwidth_gbps * 1e9)
    arithmetic = rows * _work_s(machine, length) / stages
    work = max(reading / factors.bandwidth, arithmetic / factors.arithmetic)
    return stages * (work + layers / stages * factors.layer_s + _exchange_s(machine, rows, steps=1) / stages)


def prefill_rate(machine: Machine, length: float, factors: Factors = FITTED) -> float:
    """Return the prompt tokens a second of the whole machine, for prompts of `length` tokens."""
    token = _work_s(machine, length / 2) / machine.layout.pp / factors.arithmetic + _exchange_s(machine, 1, steps=0) / machine.layout.pp
    return 1 / token


def measured(machine: Machine, *, at_once: int, tokens_in: int, tokens_out: int, factors: Factors = FITTED) -> float:
    """Return output tokens a second as benchmarks count them: over the time of all prompts and then all answers of `at_once` conversations."""
    prompts = at_once * tokens_in / prefill_rate(machine, tokens_in, factors)
    answers = tokens_out * step_s(machine, at_once, tokens_in + tokens_out / 2, factors)
    return at_once * tokens_out / (prompts + answers)


def decode_rate(machine: Machine, at_once: int, length: float) -> float:
    """Return output tokens a second while nothing is prefilled."""
    method = machine.model.serving.speculative_method if machine.model.serving and machine.rule.draft_layers else ""
    guessed, accepted = _ACCEPTED.get(method, (1, 1.0))
    return at_once * accepted / step_s(machine, at_once, length, tokens_each=guessed)


def speed(machine: Machine, *, at_once: int, tokens_in: int, uncached: float, tokens_out: int) -> Speed:
    """Work out the machine's speed for one kind of reply."""
    length = tokens_in + tokens_out / 2
    prefill = prefill_rate(machine, tokens_in)
    decode = decode_rate(machine, at_once, length)
    numbers = sorted({number for number in (1, 8, 64, 256) if number < at_once} | {at_once})
    return Speed(
        at_once=at_once,
        tokens_per_s=decode,
        one_user_tokens_per_s=decode_rate(machine, 1, length),
        curve=tuple((number, decode_rate(machine, number, length)) for number in numbers),
        prefill_tokens_per_s=prefill,
        first_token_ms=1000 * (uncached * machine.layout.dp * machine.layout.pp / prefill + step_s(machine, 1, tokens_in)),
        replies_per_s=1 / (uncached / prefill + tokens_out / decode),
    )


def _layers(machine: Machine) -> int:
    return machine.model.architecture.layers if machine.model.architecture else 0


def _bytes_read(machine: Machine, rows: float, length: float, tokens_each: int) -> float:
    """Return the bytes that one GPU reads in one stage's step: its share of the weights that are used, and of the caches.

    A draft is read once for each token that it guesses.
    """
    a, layout, parts = machine.model.architecture, machine.layout, machine.parts
    if a is None:
        p = machine.model.parameters()
        return parts.other * (1 - (1 - p.active / p.total) ** rows) / (layout.tp * layout.pp)
    # Only some rows of the input embedding are read, unless it is tied to the output; the vision encoder (bf16) is read for pictures only.
    unread = (0 if a.tied_embeddings else parts.embedding) + 2e9 * a.vision_b
    weights = (parts.other - unread) / layout.tp
    guesses = tokens_each - 1
    weights += guesses * parts.draft_other / layout.tp
    if a.moe is not None:
        weights += parts.routed * distinct(a.moe.experts, a.moe.active, rows) / a.moe.experts / layout.ep
        weights += guesses * parts.draft_routed * distinct(a.moe.experts, a.moe.active, rows / tokens_each) / a.moe.experts / layout.ep
    seen = length * a.layers
    if a.local is not None:
        seen = length * a.local.global_layers + min(length, a.local.window) * a.local.local_layers
    seen += guesses * machine.rule.draft_layers * length
    conversations = rows / tokens_each / layout.dp
    return weights / layout.pp + conversations * layer_bytes(a, machine.rule) * seen / shards(a, layout)


def _work_s(machine: Machine, seen: float) -> float:
    """Return a GPU's seconds for one token of the whole machine, per stage: products with the weights, and attention over `seen` tokens."""
    p, gpu, layout = machine.model.parameters(), machine.gpu, machine.layout
    rest_form = _rest_form(machine, p)
    rest = 2 * (p.active - p.routed_active - p.embedding) + _attention_work(machine, seen)
    whole = 2 * p.routed_active / gpu.rate(machine.form) + rest / gpu.rate(rest_form)
    return whole / (layout.tp * layout.dp)


def _rest_form(machine: Machine, p: Parameters) -> NumberFormat:
    """Return the format of most weights outside the routed experts: many file sets quantise only the experts."""
    if p.routed is None or machine.form is NumberFormat.BF16:
        return machine.form
    mean = machine.parts.other / (p.total - p.routed)
    return machine.form if mean < (BYTES_PER_PARAMETER[machine.form] + 2) / 2 else NumberFormat.BF16


def _attention_work(machine: Machine, seen: float) -> float:
    a = machine.model.architecture
    if a is None:
        return 0.0
    each = 2 * a.heads * ((a.mla.nope + a.mla.rope + a.mla.v) if a.mla else 2 * a.head_size)
    if a.local is None:
        return each * a.layers * seen
    return each * (a.local.global_layers * seen + a.local.local_layers * min(seen, a.local.window / 2))


def _exchange_s(machine: Machine, rows: float, *, steps: int) -> float:
    """Return the seconds of the exchanges between GPUs for `rows` tokens of the whole machine, in all layers; `steps` counts the latencies."""
    a, layout, gpu = machine.model.architecture, machine.layout, machine.gpu
    if a is None:
        return 0.0
    hidden = 2 * a.hidden
    seconds, wait = 0.0, 0.0 if gpu.nvlink else _PCIE_S
    if layout.tp > 1:
        # Two all-reduces for each layer over the rank's own tokens, inside a host.
        one = 2 * hidden * rows / layout.dp * (layout.tp - 1) / layout.tp
        seconds += 2 * a.layers * (one / (gpu.link_gbps * 1e9) + steps * wait)
    if layout.dp > 1 and a.moe is not None:
        # Every layer with experts gathers the tokens of all ranks and scatters the sums.
        across = layout.nodes > 1
        both = 2 * hidden * rows * (layout.dp - 1) / layout.dp
        link = _NETWORK_BYTES_S if across else gpu.link_gbps * 1e9
        seconds += a.moe.layers * (both / link + steps * 2 * (_NETWORK_S if across else wait))
    if layout.pp > 1:
        across = layout.nodes > 1
        link = _NETWORK_BYTES_S if across else gpu.link_gbps * 1e9
        seconds += (layout.pp - 1) * (hidden * rows / link + steps * (_NETWORK_S if across else wait))
    return seconds
