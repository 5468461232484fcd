"""What several commands of one turn come to together."""

from __future__ import annotations

from functools import reduce
from uuid import uuid4

import pytest

from bots.storage.turns import Erasure
from workers.turn.commands import Effect

_ONE, _OTHER, _TURN = uuid4(), uuid4(), uuid4()
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
    both = Effect(forget=(_ONE,), listed=(_ONE, _OTHER)).then(Effect(forget=(_OTHER,), unsay=(_TURN,)))

    assert both.erasure == Erasure(memories=[_ONE, _OTHER], turns=[_TURN])
    assert both.then(_STOP).erasure == both.erasure
    assert both.then(Effect(everything=True)).erasure == Erasure(memories=[_ONE, _OTHER], turns=[_TURN], everything=True)
    assert both.listed == (_ONE, _OTHER)
    assert _STOP.erasure is None


def test_of_two_switches_the_later_one_counts() -> None:
    off, on = Effect(memory_off=True), Effect(memory_off=False)

    assert off.then(on).memory_off is False
    assert on.then(Effect(sensitive_off=True)) == Effect(memory_off=False, sensitive_off=True)
