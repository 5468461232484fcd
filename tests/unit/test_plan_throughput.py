"""The roofline's factors are what the published points say, and costs follow from it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest

from inference.catalog import NumberFormat, Offer
from inference.plan import Forced, Question, Reply, read_gpus
from inference.plan.cost import hosted, own
from inference.plan.layout import Layout
from inference.plan.memory import kv_rule, weight_bytes
from inference.plan.throughput import FIT_ERROR, FITTED, PREFILL_DOUBT, Factors, Machine, distinct, measured, step_s
from inference.types import Usage
from inference.usage import per_thousand
from tests.support.plans import CATALOG, FP8, NVFP4, a_plan

_FILE = Path(__file__).parents[2] / "inference" / "plan" / "points.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    machine: Machine
    tokens_in: int
    tokens_per_s: float

    def seconds(self, factors: Factors) -> float:
        """Seconds for an output token of the whole machine, as the roofline has it."""
        return 1 / measured(self.machine, at_once=64, tokens_in=self.tokens_in, tokens_out=1000, factors=factors)


def _points() -> list[_Point]:
    return [_point(row) for row in tomllib.loads(_FILE.read_text("utf-8"))["points"]]


def _point(row: dict[str, object]) -> _Point:
    model, form = CATALOG.get(str(row["model"])), NumberFormat(str(row["format"]))
    weights = next(weights for weights in model.weights if weights.format is form)
    machine = Machine(
        model=model,
        gpu=read_gpus(str(row["gpus"])).kind,
        layout=Layout(tp=8, ep=8),
        form=form,
        parts=weight_bytes(model, weights),
        rule=kv_rule(model, "auto", speculative=False),
    )
    return _Point(machine=machine, tokens_in=int(str(row["tokens_in"])), tokens_per_s=float(str(row["tokens_per_s"])))


def _fit(points: list[_Point]) -> Factors:
    """Least squares of relative errors: where the fitted factors are, a point's time is linear in 1/bandwidth, 1/arithmetic and the seconds a layer."""
    start = [1 / FITTED.bandwidth, 1 / FITTED.arithmetic, FITTED.layer_s]
    rows, wanted = [], []
    for point in points:
        here = point.seconds(_factors(start))
        columns = [
            (point.seconds(_factors([x * (1.01 if at == i else 1) for i, x in enumerate(start)])) - here) / (0.01 * start[at])
            for at in range(3)
        ]
        fixed = here - sum(column * x for column, x in zip(columns, start, strict=True))
        rows.append([column * point.tokens_per_s for column in columns])
        wanted.append(1 - fixed * point.tokens_per_s)
    normal = [[sum(row[i] * row[j] for row in rows) for j in range(3)] for i in range(3)]
    right = [sum(row[i] * want for row, want in zip(rows, wanted, strict=True)) for i in range(3)]
    return _factors(_solve(normal, right))


def _factors(numbers: list[float]) -> Factors:
    slow, work, layer = numbers
    return Factors(bandwidth=1 / slow, arithmetic=1 / work, layer_s=layer)


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Cramer's rule for three unknowns."""

    def determinant(m: list[list[float]]) -> float:
        (a, b, c), (d, e, f), (g, h, i) = m
        return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)

    whole = determinant(matrix)
    replaced = [[[right[r] if c == column else matrix[r][c] for c in range(3)] for r in range(3)] for column in range(3)]
    return [determinant(one) / whole for one in replaced]


def test_the_factors_are_those_that_fit_the_published_points_best() -> None:
    # vLLM 0.8.3, published in 2025-04: fifteen points over three models and two kinds of GPU.
    found = _fit(_points())

    assert pytest.approx(FITTED.bandwidth, rel=0.01) == found.bandwidth
    assert pytest.approx(FITTED.arithmetic, rel=0.01) == found.arithmetic
    assert pytest.approx(FITTED.layer_s, rel=0.01) == found.layer_s


def test_the_fits_error_is_what_plans_say_it_is() -> None:
    points = _points()
    errors = sorted((1 / point.seconds(FITTED) / point.tokens_per_s - 1 for point in points), key=abs)
    worst = max(points, key=lambda point: abs(1 / point.seconds(FITTED) / point.tokens_per_s - 1))

    assert len(errors) == 15
    half = f"half of them within {abs(errors[7]) * 100:.1f} %"
    assert half in FIT_ERROR
    assert half in " ".join((Path(__file__).parents[2] / "docs" / "serving.md").read_text("utf-8").split())
    assert abs(errors[13]) <= 0.16
    assert pytest.approx(0.41, abs=0.01) == errors[14]
    assert (worst.machine.model.key, worst.tokens_in) == ("deepseek-v3", 10_000)


@pytest.mark.parametrize(
    ("experts", "active", "tokens", "touched"),
    [
        (16, 1, 1, 1.0),
        (128, 1, 1, 1.0),
        (256, 8, 1, 8.0),
        (16, 1, 64, 15.74),
        (128, 1, 64, 50.51),
        (256, 8, 64, 222.44),
        (128, 1, 100_000, 128.0),
    ],
)
def test_a_step_touches_as_many_experts_as_even_choice_expects(experts: int, active: int, tokens: int, touched: float) -> None:
    assert pytest.approx(touched, abs=0.01) == distinct(experts, active, tokens)


def test_one_person_on_one_workstation_card_reads_what_was_reported() -> None:
    # Scout nvfp4 on one 96 GB RTX PRO 6000, vLLM 0.14: 30 to 60 tokens/s for one user (2026, a blog). Not among the fitted points.
    speed = a_plan("llama-4-scout", "rtx-pro-6000", Question(format=NVFP4)).speed

    assert speed is not None
    assert 30 <= speed.one_user_tokens_per_s <= 60


def test_wide_expert_parallelism_on_h200_comes_near_what_vllm_reported() -> None:
    # DeepSeek R1, wide EP, vLLM and llm-d, 2025-12: 2.2k tokens/s per H200. Not among the fitted points.
    speed = a_plan("deepseek-v3", "8xH200", Question(format=FP8, prefer="throughput")).speed

    assert speed is not None
    assert pytest.approx(2200, rel=0.15) == speed.tokens_per_s / 8


def test_maverick_costs_what_the_published_points_cost() -> None:
    # By hand from those points, 64 at once: $0.43 for 1,000 replies at full load, $1.44 at 30 %; without prefix cache $0.91 and $3.0.
    cached = a_plan("llama-4-maverick", "8xH100", Question(format=FP8, at_once=64)).cost
    naked = a_plan("llama-4-maverick", "8xH100", Question(format=FP8, at_once=64, reply=Reply(cached=0.0))).cost

    assert cached is not None
    assert naked is not None
    assert pytest.approx(0.43, rel=0.1) == dict(cached.per_1000)[1.0]
    assert pytest.approx(1.44, rel=0.1) == dict(cached.per_1000)[0.3]
    # The fit takes prefill to be quicker than the sum made by hand did, and says so.
    assert pytest.approx(0.91, rel=0.02) == dict(naked.per_1000)[1.0] * PREFILL_DOUBT
    assert pytest.approx(3.0, rel=0.02) == dict(naked.per_1000)[0.3] * PREFILL_DOUBT
    assert any(f"{PREFILL_DOUBT:g} times" in one for one in a_plan("llama-4-maverick", "8xH100").assumptions)


def test_more_at_once_than_have_room_change_nothing() -> None:
    room = a_plan("llama-4-scout", "h100", Question(kv="fp8"))
    more = a_plan("llama-4-scout", "h100", Question(kv="fp8", at_once=1000))

    assert room.speed is not None
    assert (room.speed, room.cost, room.command) == (more.speed, more.cost, more.command)
    assert room.speed.at_once == room.conversations == 31
    assert any("1,000 replies at once were asked for, but only 31 fit" in one for one in more.assumptions)


def test_a_first_token_waits_for_all_stages_one_after_the_other() -> None:
    # What the stages do at the same time for many prompts they do one after the other for one.
    speed = a_plan("deepseek-v3", "16xH100", Question(forced=Forced(tp=8, pp=2))).speed

    assert speed is not None
    assert speed.first_token_ms > 1000 * 2 * 750 / speed.prefill_tokens_per_s


def test_the_price_of_a_million_tokens_is_that_of_the_replies() -> None:
    plan = a_plan("llama-4-maverick", "8xH100", Question(format=FP8))

    assert plan.cost is not None
    reply = Usage(tokens_in=3000, tokens_cached=2250, tokens_out=150)
    for (load, dollars), (same_load, price) in zip(plan.cost.per_1000, plan.cost.per_million, strict=True):
        assert load == same_load
        assert pytest.approx(dollars) == per_thousand(price, reply)


def test_each_guess_of_a_draft_reads_the_draft() -> None:
    machine = replace(_points()[0].machine, rule=kv_rule(CATALOG.get("llama-4-maverick"), "auto", speculative=True))
    drafted = replace(machine, parts=replace(machine.parts, draft_other=8e12))

    # 8,000 GB over eight GPUs of 3,350 GB/s, three guesses a step.
    seconds = step_s(drafted, 1, 1000, tokens_each=4) - step_s(machine, 1, 1000, tokens_each=4)
    assert pytest.approx(3 * 8e12 / 8 / 3.35e12 / FITTED.bandwidth) == seconds


@pytest.mark.parametrize(
    ("model", "provider", "hosted_model", "dollars"),
    [
        # The providers' price lists of 2026-11, for 1,000 reference replies (3,000 tokens in, 75 % of them cached, 150 out).
        ("gpt-4o", "OpenAI", "gpt-4o", 6.19),
        ("llama-4-scout", "DeepInfra", "Scout", 0.35),
        ("llama-4-maverick", "DeepInfra", "Maverick", 0.72),
        ("llama-4-maverick", "Fireworks", "maverick", 0.79),
        ("llama-4-maverick", "Amazon Bedrock", "maverick", 0.87),
        ("deepseek-v3", "DeepInfra", "V3-0324", 0.62),
        ("gemini-2.5-flash-lite", "Gemini API", "gemini", 0.16),
    ],
)
def test_a_hosted_reply_costs_what_the_price_map_says(model: str, provider: str, hosted_model: str, dollars: float) -> None:
    offer = next(offer for offer in CATALOG.get(model).offers if offer.provider == provider and hosted_model in offer.model)

    assert pytest.approx(dollars, abs=0.006) == hosted(offer, Reply())


def test_cached_tokens_without_a_price_of_their_own_cost_as_others_do() -> None:
    offer = Offer(provider="x", model="y", tokens_in=1.0, tokens_out=2.0, date=date(2026, 1, 1), source="here")
    reply = Reply(tokens_in=1000, tokens_out=100, cached=0.5)

    assert pytest.approx(1.2) == hosted(offer, reply)
    assert pytest.approx(0.7) == hosted(replace(offer, tokens_cached=0.0), reply)


def test_own_cost_is_rent_over_replies() -> None:
    # By hand: 15.4 replies/s on 8 GPUs at $3 an hour.
    assert pytest.approx(0.433, abs=0.001) == own(24.0, 15.4, 1.0)


def test_own_gpus_are_cheaper_above_the_break_even_load_and_not_below() -> None:
    plan = a_plan("llama-4-maverick", "8xH100", Question(format=FP8))

    assert plan.cost is not None
    assert plan.speed is not None
    full = dict(plan.cost.per_1000)[1.0]
    for rival in plan.cost.rivals:
        if rival.break_even is None:
            assert rival.per_1000 <= full
        else:
            assert pytest.approx(rival.per_1000) == full / rival.break_even
            assert pytest.approx(rival.break_even * plan.speed.replies_a_day) == rival.replies_a_day


def test_offers_that_have_ended_are_not_compared_with() -> None:
    plan = a_plan("llama-4-scout", "8xH100")

    assert plan.cost is not None
    names = {rival.model for rival in plan.cost.rivals}
    assert "gpt-4o" in names
    assert {"gemini-2.0-flash", "gemini-2.0-flash-lite"}.isdisjoint(names)


def test_speculation_helps_one_person_and_less_a_crowd() -> None:
    # Published with the draft models: accepted length 2.4 to 3.1 of 4; helps up to about 256 at once.
    def gain(at_once: int) -> float:
        plain = a_plan("llama-4-maverick", "8xH100", Question(format=FP8, at_once=at_once)).speed
        drafted = a_plan("llama-4-maverick", "8xH100", Question(format=FP8, at_once=at_once, speculative=True)).speed
        assert plain is not None
        assert drafted is not None
        return drafted.tokens_per_s / plain.tokens_per_s

    assert 2.0 < gain(1) <= 2.4
    assert gain(64) < gain(1)
