"""The typing mark: shown soon, also while a long turn is at work, and not for a turn that has ended."""

from __future__ import annotations

import threading

from workers.typing import TypingKeeper

_PATIENCE_S = 5.0


def test_a_turn_that_lasts_is_shown_also_beside_one_that_waits_for_its_renewal() -> None:
    keeper = TypingKeeper()
    first, second = threading.Event(), threading.Event()

    with keeper.shown(first.set):
        assert first.wait(_PATIENCE_S)
        with keeper.shown(second.set):
            assert second.wait(_PATIENCE_S)


def test_a_mark_that_fails_harms_no_other() -> None:
    keeper = TypingKeeper()
    shown = threading.Event()

    def fail() -> None:
        raise RuntimeError

    with keeper.shown(fail), keeper.shown(fail), keeper.shown(fail), keeper.shown(fail), keeper.shown(fail), keeper.shown(shown.set):
        assert shown.wait(_PATIENCE_S)


def test_a_turn_that_ended_at_once_is_not_shown() -> None:
    keeper = TypingKeeper()
    late, after = threading.Event(), threading.Event()
    with keeper.shown(late.set):
        pass

    with keeper.shown(after.set):
        assert after.wait(_PATIENCE_S)
    assert not late.is_set()
