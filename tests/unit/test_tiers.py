"""The order of a profile: moves by name, and how it is typed and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.admin.endpoints import tiers
from bots.admin.endpoints.tiers import Tiers

_NAMES = "abcdef"
_MOVES = (tiers.added, tiers.dropped, tiers.raised, tiers.lowered, tiers.joined)


@pytest.mark.parametrize(
    ("words", "order"),
    [
        (["a"], (("a",),)),
        (["a", "b"], (("a",), ("b",))),
        (["a,b", "c"], (("a", "b"), ("c",))),
        (["a=2", "b=1", "c=2"], (("b",), ("a", "c"))),
        (["a=5", "b"], (("a",), ("b",))),
        ([], ()),
    ],
)
def test_an_order_is_read_as_it_is_typed(words: list[str], order: Tiers) -> None:
    assert tiers.read(words) == order


@pytest.mark.parametrize("words", [["a", "a"], ["a,a"], [""], ["a,"], ["a=x"], ["a=-1"], ["=1"], ["a=1000000"], ["a=\N{SUPERSCRIPT TWO}"]])
def test_a_wrong_order_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match=r".+\."):
        tiers.read(words)


def test_moves_change_one_endpoint_and_leave_the_others_in_order() -> None:
    order = (("a", "b"), ("c",), ("d",))

    assert tiers.raised(order, "b") == (("b",), ("a",), ("c",), ("d",))
    assert tiers.lowered(order, "a") == (("b",), ("a",), ("c",), ("d",))
    assert tiers.raised(order, "d") == (("a", "b"), ("d",), ("c",))
    assert tiers.lowered(order, "c") == (("a", "b"), ("d",), ("c",))
    assert tiers.joined(order, "d") == (("a", "b"), ("c", "d"))
    assert tiers.joined(order, "c") == (("a", "b", "c"), ("d",))
    assert tiers.dropped(order, "c") == (("a", "b"), ("d",))
    assert tiers.added(order, "e") == (*order, ("e",))


def test_what_cannot_move_stays() -> None:
    order = (("a",), ("b",))

    assert [tiers.raised(order, "a"), tiers.lowered(order, "b"), tiers.joined(order, "a"), tiers.added(order, "b")] == [order] * 4
    assert [move(order, "x") for move in _MOVES[1:]] == [order] * 4


@given(st.lists(st.tuples(st.sampled_from(_MOVES), st.sampled_from(_NAMES))))
def test_whatever_is_pressed_every_endpoint_stands_once_and_no_tier_is_empty(presses: list[tuple[object, str]]) -> None:
    order: Tiers = ()
    for move, name in presses:
        assert callable(move)
        order = move(order, name)
        members = [member for tier in order for member in tier]
        assert len(set(members)) == len(members)
        assert all(order)
        assert tiers.read(tiers.written(order).split()) == order
