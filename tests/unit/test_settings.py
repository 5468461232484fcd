"""Settings are read from variables, and what is wrong is said at once."""

from __future__ import annotations

import pytest

from bots.errors import BadSetting
from bots.settings import Settings
from workers.turn.answer import OF_DEADLINE


def test_values_are_read_with_their_types() -> None:
    settings = Settings.from_env({"CHINWAG_WEB_PORT": "9000", "CHINWAG_SIMULATOR": "yes", "CHINWAG_LEASE_S": "2.5", "PATH": "/bin"})

    assert (settings.web_port, settings.simulator, settings.lease_s) == (9000, True, 2.5)


def test_every_problem_is_in_one_message() -> None:
    with pytest.raises(BadSetting) as caught:
        Settings.from_env({"CHINWAG_WEB_PORT": "many", "CHINWAG_TYPO": "1", "CHINWAG_LEASE_S": "-1"})

    assert all(name in str(caught.value) for name in ("CHINWAG_WEB_PORT", "CHINWAG_TYPO", "CHINWAG_LEASE_S"))


def test_another_rooms_settings_are_left_to_it() -> None:
    assert Settings.from_env({"CHINWAG_MODEL_URL": "http://127.0.0.1/v1", "CHINWAG_ENGINE_VENV": "/opt/engine"}) == Settings()


def test_secrets_do_not_print() -> None:
    assert "hunter2" not in repr(Settings(redis_url="redis://:hunter2@host", web_database_url="postgresql://u:hunter2@h/d"))


def test_the_watchdogs_deadline_is_above_every_sum_of_inner_deadlines() -> None:
    settings = Settings()
    two_model_calls, statements, send = 2 * 60.0, 3 * 10.0, settings.send_deadline_s
    pictures_and_asking = settings.task_deadline_s * OF_DEADLINE

    assert settings.task_deadline_s > pictures_and_asking + statements + send
    assert pictures_and_asking > two_model_calls
    assert pictures_and_asking - settings.media_deadline_s > 60.0, "one model call in full whatever pictures took"


def test_an_error_of_ours_is_tried_again_after_each_delay_in_turn_and_then_no_more() -> None:
    settings = Settings(own_error_delays_s="2, 8,30")

    assert [settings.own_error_delay_s(tries) for tries in range(4)] == [2.0, 8.0, 30.0, None]
