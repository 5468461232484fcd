"""What several commands of one turn come to together."""

from __future__ import annotations

from functools import reduce
from uuid import uuid4

import pytest

from workers.turn.commands import Effect

_ONE, _OTHER = uuid4(), uuid4()
_STOP, _START, _RESET = Effect(stopped=True), Effect(stopped=False), Effect(closes=True)


@pytest.mark.parametrize(
    ("effects", "stopped"),
    [((_STOP, _START), False), ((_START, _STOP), True), ((_STOP, Effect(), _RESET), True), ((Effect(), _RESET), None)],
)
def test_of_stop_and_start_the_later_one_counts(effects: tuple[Effect, ...], stopped: bool | None) -> None:
    assert reduce(Effect.then, effects).stopped is stopped


def test_a_reset_is_not_undone_by_what_follows() -> None:
    assert reduce(Effect.then, (_RESET, _STOP, Effect())).closes


def test_all_that_was_to_be_forgotten_is() -> None:
    both = Effect(forget=(_ONE,), history_from=4).then(Effect(forget=(_OTHER,), history_from=5))

    assert set(both.forget) == {_ONE, _OTHER}
    assert both.history_from == 5
    assert both.then(_STOP) == Effect(forget=both.forget, history_from=5, stopped=True)
