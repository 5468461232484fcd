"""Where a conversation belongs: few move when engines come and go, a hot engine spills in order, and what leaves the process is a hash."""

from __future__ import annotations

import random
from collections import Counter
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from bots.crypto import Keyring
from bots.settings import Settings
from inference.affinity import MIN_BOUND, SPREAD, bound, choose, keyed, preference

_ENGINES = [f"engine-{n}" for n in range(8)]
_names = st.lists(st.text("abcdefgh-", min_size=1, max_size=12), min_size=2, max_size=12, unique=True)


@given(key=st.binary(max_size=64), names=_names, data=st.data())
def test_when_an_engine_leaves_the_others_keep_their_order(key: bytes, names: list[str], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(names))
    before = preference(key, names)

    assert preference(key, [name for name in names if name != gone]) == [name for name in before if name != gone]


@given(key=st.binary(max_size=64), names=_names)
def test_the_order_does_not_hang_on_the_order_in_which_engines_are_listed(key: bytes, names: list[str]) -> None:
    assert preference(key, reversed(names)) == preference(key, names)


def test_every_engine_is_somebodys_first_and_all_of_them_about_equally(seed: random.Random) -> None:
    firsts = Counter(preference(seed.randbytes(16), _ENGINES)[0] for _ in range(8000))

    assert all(abs(firsts[name] - 1000) < 150 for name in _ENGINES), firsts


@given(key=st.binary(max_size=64), loads=st.dictionaries(st.sampled_from(_ENGINES), st.integers(0, 400), min_size=2))
def test_no_engine_beyond_the_bound_is_tried_before_one_below_it(key: bytes, loads: dict[str, int]) -> None:
    chosen = choose(key, loads)
    most = bound(sum(loads.values()) + 1, 1 / len(loads))
    hot = [loads[name] >= most for name in chosen]

    assert sorted(chosen) == sorted(loads)
    assert hot == sorted(hot)
    assert not hot[0]
    for part in (False, True):
        kept = [name for name, is_hot in zip(chosen, hot, strict=True) if is_hot is part]
        assert kept == [name for name in preference(key, loads) if name in kept]


def test_a_hot_engine_spills_to_the_next_in_the_conversations_own_order() -> None:
    key = b"a conversation"
    liked = preference(key, _ENGINES)
    loads = dict.fromkeys(_ENGINES, 10) | {liked[0]: 20}

    assert choose(key, loads)[0] == liked[1]
    assert choose(key, dict.fromkeys(_ENGINES, 10))[0] == liked[0]


def test_an_engine_at_ease_keeps_its_conversations_though_the_others_are_idle() -> None:
    key = b"a conversation"
    liked = preference(key, _ENGINES)

    assert choose(key, dict.fromkeys(_ENGINES, 0) | {liked[0]: MIN_BOUND - 1})[0] == liked[0]
    assert choose(key, dict.fromkeys(_ENGINES, 0) | {liked[0]: MIN_BOUND})[0] == liked[1]


@pytest.mark.parametrize(("total", "share", "least", "most"), [(0, 0.5, 4, 4), (80, 0.125, 4, 13), (100, 0.5, 4, 63), (100, 0.5, 64, 64)])
def test_the_bound_is_a_quarter_above_the_share_and_never_below_what_is_no_load(total, share, least, most) -> None:
    assert SPREAD == 1.25
    assert bound(total, share, least=least) == most


def _keyring() -> Keyring:
    return Keyring.from_settings(Settings(keys=Fernet.generate_key().decode()))


def test_a_hash_tells_nothing_without_the_key_and_is_the_same_with_it() -> None:
    conversation = uuid4().bytes
    one, other = _keyring().derive("affinity"), _keyring().derive("affinity")

    assert keyed(one, conversation) == keyed(one, conversation)
    assert keyed(one, conversation) != keyed(other, conversation)
    assert conversation[:4] not in keyed(one, conversation)


def test_each_purpose_has_a_key_of_its_own_and_none_is_the_sealing_key() -> None:
    text = Fernet.generate_key().decode()
    keyring = Keyring.from_settings(Settings(keys=text))
    derived = {keyring.derive(purpose) for purpose in ("affinity", "cache salt")}

    assert len(derived) == 2
    assert all(len(key) == 32 and key.hex() not in repr(keyring) for key in derived)
    assert text not in repr(keyring)
    # The same in every process that has the keys, also while an older one is still kept.
    older = Fernet.generate_key().decode()
    assert Keyring.from_settings(Settings(keys=f"{text},{older}")).derive("affinity") == keyring.derive("affinity")
    assert UUID(bytes=keyed(keyring.derive("affinity"), b"x"))
