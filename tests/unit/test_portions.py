"""How much a model takes notes of in one call is learned from its calls."""

from __future__ import annotations

import sys

from inference.settings import ModelSettings
from workers.portions import Portions


def portions() -> Portions:
    return Portions(ModelSettings.from_env({"CHINWAG_MODEL_FIRST_TOKEN_S": "20", "CHINWAG_MODEL_TOTAL_S": "60"}))


def test_a_profile_that_was_never_asked_has_no_limit() -> None:
    assert portions().most("p") == sys.maxsize


def test_a_portion_takes_half_of_the_time_that_a_call_has() -> None:
    learned = portions()
    learned.well("p", 1500, first_token_ms=2_000.0, total_ms=57_000.0)

    assert learned.most("p") == int(1500 * 30 / 57)
    assert learned.most("other") == sys.maxsize
    learned.well("p", 400, first_token_ms=16_000.0, total_ms=20_000.0)
    assert learned.most("p") == 250, "the first word has a limit of its own"


def test_after_a_call_that_gave_nothing_it_is_halved_down_to_a_least_portion() -> None:
    learned = portions()
    for tokens, most in ((1500, 750), (750, 375), (150, 100), (1, 100)):
        learned.too_much("p", tokens)
        assert learned.most("p") == most


def test_a_quick_model_soon_gets_all_again() -> None:
    learned = portions()
    learned.too_much("p", 400)
    learned.well("p", 200, first_token_ms=100.0, total_ms=1_000.0)

    assert learned.most("p") == 6_000


def test_a_call_without_times_teaches_nothing() -> None:
    learned = portions()
    learned.well("p", 200, first_token_ms=None, total_ms=None)

    assert learned.most("p") == sys.maxsize
