"""What the dispatcher decides of engines' queues: who is placed where, what is returned, and when a queue spills."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from bots.storage.placement import QueueLoad
from bots.storage.queues import batch_queue, engine_queue, is_batch, is_engines, profile_of, profile_queue, reply_queue
from inference.affinity import preference
from workers.placement import decide, to_move

_HOME = "reply.default"
_A, _B = engine_queue("default", "a"), engine_queue("default", "b")


def _load(queue: str, *, slots: int = 0, running: int = 0, due: int = 0) -> QueueLoad:
    return QueueLoad(queue=queue, slots=slots, running=running, due=due)


def _likes(queue: str, n: int) -> list[UUID]:
    """So many conversations that prefer a queue of the two."""
    found: list[UUID] = []
    while len(found) < n:
        one = uuid4()
        if preference(one.bytes, [_A, _B])[0] == queue:
            found.append(one)
    return found


@pytest.mark.parametrize(
    ("queue", "home", "profile", "engines"),
    [
        ("reply.default", "reply.default", "default", False),
        ("reply.llama.scout", "reply.llama.scout", "llama.scout", False),
        ("reply.llama.scout.@gpu-1", "reply.llama.scout", "llama.scout", True),
        ("batch.llama.scout", "batch.llama.scout", "llama.scout", False),
        ("deliver", "deliver", "", False),
    ],
)
def test_a_queues_name_tells_its_profile_and_whether_it_is_an_engines(queue, home, profile, engines) -> None:
    assert (profile_queue(queue), profile_of(queue), is_engines(queue)) == (home, profile, engines)


@pytest.mark.parametrize("name", ["", "a.b", "a,b", "a b", "@a", "ä"])
def test_an_engine_cannot_have_a_name_that_breaks_its_queue(name: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        engine_queue("default", name)


def test_a_new_conversation_goes_to_the_engine_it_prefers() -> None:
    loads = [_load(_HOME, due=2), _load(_A, slots=4), _load(_B, slots=4)]
    (one,), (other,) = _likes(_A, 1), _likes(_B, 1)

    assert to_move(loads) == {_HOME: 2}
    assert decide(loads, {_HOME: [one, other]}) == [(one, _HOME, _A), (other, _HOME, _B)]


def test_without_a_living_engine_conversations_return_to_the_profile() -> None:
    loads = [_load(_A, due=2)]
    ones = [uuid4(), uuid4()]

    assert to_move(loads) == {_A: 2}
    assert decide(loads, {_A: ones}) == [(one, _A, _HOME) for one in ones]


def test_conversations_of_a_gone_engine_are_placed_on_the_living_one() -> None:
    loads = [_load(_HOME), _load(_A, due=3), _load(_B, slots=4)]
    ones = [uuid4() for _ in range(3)]

    assert decide(loads, {_A: ones}) == [(one, _A, _B) for one in ones]


def test_nothing_moves_from_an_engine_that_has_room_or_where_no_other_has_it() -> None:
    idle = [_load(_HOME), _load(_A, slots=16, running=10, due=5), _load(_B, slots=16)]
    both_full = [_load(_HOME), _load(_A, slots=16, running=16, due=30), _load(_B, slots=16, running=16, due=30)]
    alone = [_load(_HOME), _load(_A, slots=16, running=16, due=900)]

    assert [to_move(loads) for loads in (idle, both_full, alone)] == [{}, {}, {}]


def test_what_an_engine_has_beyond_its_bound_spills_to_the_one_with_room() -> None:
    loads = [_load(_HOME), _load(_A, slots=16, running=16, due=24), _load(_B, slots=16, running=2)]

    # 42 in all: 21 each, a quarter more is 27.
    assert to_move(loads) == {_A: 40 - 27}
    moves = decide(loads, {_A: _likes(_A, 13)})
    assert [(before, after) for _, before, after in moves] == [(_A, _B)] * 13
    # Afterwards nothing has to move back or on.
    assert to_move([_load(_HOME), _load(_A, slots=16, running=16, due=11), _load(_B, slots=16, running=15)]) == {}


def test_an_engine_with_more_slots_takes_more() -> None:
    loads = [_load(_HOME, due=100), _load(_A, slots=96), _load(_B, slots=32)]
    moves = decide(loads, {_HOME: _likes(_B, 100)})

    assert sum(after == _B for _, _, after in moves) == 32
    assert sum(after == _A for _, _, after in moves) == 68


def test_engines_of_another_profile_are_not_looked_at() -> None:
    other = engine_queue("other", "a")
    loads = [_load(_HOME, due=1), _load(_A, slots=1, running=1), _load("reply.other"), _load(other, slots=64)]
    (one,) = _likes(_A, 1)

    assert decide(loads, {_HOME: [one]}) == [(one, _HOME, _A)]


def test_queues_are_named_in_one_place() -> None:
    root = Path(__file__).parents[2]
    spelt = re.compile(r"""["'](?:reply|batch)\.["'{]""")
    found = {
        str(path.relative_to(root))
        for wing in ("bots", "workers")
        for path in (root / wing).rglob("*.py")
        if spelt.search(path.read_text("utf-8"))
    }

    # An audit action is called batch.SOMETHING, too.
    assert found - {"bots/storage/batches.py"} == {"bots/storage/queues.py"}
    for profile in ("default", "talk.v2"):
        assert [profile_of(queue) for queue in (reply_queue(profile), batch_queue(profile), engine_queue(profile, "a"))] == [profile] * 3
        assert [is_batch(queue) for queue in (reply_queue(profile), batch_queue(profile))] == [False, True]
