"""Real expert parallelism: with their experts on two ranks, Llama 4 and DeepSeek V3 answer as with all on one, and as transformers does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.compare import probability_differences, token_differences
from tests.engine.conftest import Asked
from tests.engine.serving import PROMPTS, transformers_tokens

Ask = Callable[[str, str], Asked]

#: In float32 the order of addition changes a log-probability by about a millionth; a wrong expert changes it by tenths.
_TOLERANCE = 0.001

families = pytest.mark.parametrize("family", ["llama4", "llama4-interleaved", "deepseek-v3"])
#: Data parallel ranks take longer to start than tensor parallel ones, and do not treat interleaved layers differently.
referenced = pytest.mark.parametrize("family", ["llama4", "deepseek-v3"])
spreads = pytest.mark.parametrize(
    ("family", "layout"),
    [("llama4", "tensor"), ("llama4", "data"), ("llama4-interleaved", "tensor"), ("deepseek-v3", "tensor"), ("deepseek-v3", "data")],
)


@referenced
def test_vllms_log_shows_half_of_the_experts_on_each_data_parallel_rank(asked: Ask, family: str) -> None:
    assert asked(family, "data").spread_as_vllm_says() == {"0/2": "8/16", "1/2": "8/16"}


@families
def test_vllms_log_shows_half_of_the_experts_on_the_first_tensor_parallel_rank(asked: Ask, family: str) -> None:
    assert asked(family, "tensor").spread_as_vllm_says() == {"0/2": "8/16"}


@spreads
def test_every_expert_is_on_one_of_the_two_ranks(asked: Ask, family: str, layout: str) -> None:
    assert asked(family, layout).spread_as_ranks_say() == ["0, 1, 2, 3, 4, 5, 6, 7", "8, 9, 10, 11, 12, 13, 14, 15"]


@families
def test_one_rank_alone_spreads_nothing(asked: Ask, family: str) -> None:
    alone = asked(family, "alone")

    assert alone.spread_as_vllm_says() == {}
    assert alone.spread_as_ranks_say() == []


@spreads
def test_greedy_tokens_of_twenty_prompts_equal_those_without_expert_parallelism(asked: Ask, family: str, layout: str) -> None:
    alone, spread = asked(family, "alone"), asked(family, layout)

    assert len(alone.tokens) == len(PROMPTS) == 20
    assert token_differences(alone.tokens, spread.tokens) == []


@spreads
def test_log_probabilities_are_those_without_expert_parallelism(asked: Ask, family: str, layout: str) -> None:
    alone, spread = asked(family, "alone"), asked(family, layout)

    assert probability_differences(alone.answers, spread.answers, tolerance=_TOLERANCE) == []


@referenced
def test_the_tokens_are_those_of_transformers_own_implementation(asked: Ask, checkpoints: Path, family: str) -> None:
    assert token_differences(transformers_tokens(checkpoints / family), asked(family, "alone").tokens) == []


def test_the_answers_differ_from_prompt_to_prompt(asked: Ask) -> None:
    # Otherwise equal tokens would prove little.
    tokens = asked("llama4", "alone").tokens

    assert len(set(tokens)) == len(PROMPTS)
    assert len({token for answer in tokens for token in answer}) > 60


def test_with_half_of_the_experts_nulled_the_comparison_of_tokens_turns_red(asked: Ask) -> None:
    alone, nulled = asked("llama4", "alone"), asked("llama4-nulled", "tensor")

    assert len(nulled.spread_as_ranks_say()) == 2
    assert len(token_differences(alone.tokens, nulled.tokens)) >= len(PROMPTS) // 2


@referenced
def test_with_half_of_the_experts_nulled_the_comparison_of_log_probabilities_turns_red(asked: Ask, family: str) -> None:
    alone, nulled = asked(family, "alone"), asked(f"{family}-nulled", "tensor")

    # By a wide margin: most prompts differ by more than fifty times what two correct computations may.
    assert len(probability_differences(alone.answers, nulled.answers, tolerance=50 * _TOLERANCE)) >= len(PROMPTS) // 2


@referenced
def test_both_data_parallel_ranks_answer(asked: Ask, family: str) -> None:
    by_rank = asked(family, "data").by_rank

    assert set(by_rank) == {"0", "1"}
    assert min(by_rank.values()) > 0


@pytest.mark.parametrize("layout", ["tensor", "data"])
def test_the_plugin_says_in_the_log_when_it_can_go(asked: Ask, layout: str) -> None:
    assert "it can go when vllm issue 57837 is closed" in asked("llama4", layout).log


def test_a_prompt_that_came_before_is_found_in_the_prefix_cache(asked: Ask) -> None:
    asked_twice = asked("llama4", "alone")

    # Whole blocks of 32 tokens.
    assert asked_twice.looked_up > 96
    assert asked_twice.found >= 96


def test_mla_on_the_cpu_switches_the_prefix_cache_off(asked: Ask) -> None:
    asked_twice = asked("deepseek-v3", "alone")

    assert "MLA is enabled on a non-GPU platform; forcing chunked prefill and prefix caching to be disabled" in asked_twice.log
    assert (asked_twice.looked_up, asked_twice.found) == (0, 0)
