"""The router before scripted servers, real processes: who is asked in which order, who is never asked, and by when a call ends."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference.affinity import choose
from inference.errors import InferenceError, ModelBusy, ModelRefused, ModelUnavailable, NoEndpoint, PromptTooLong
from inference.prompt_style import UNSEEN_PICTURE
from inference.router import MORE_FOR_OTHERS, Routed, Router
from inference.settings import ModelSettings
from inference.types import Endpoint, Hints, Image, Message, Price, Traits
from tests.support.fakes import Model
from tests.support.model_servers import scripted
from tests.support.processes import Processes, until

_HI = (Message(role="system", content="You are Bo."), Message(role="user", content="hi there"))
_NAMES = ("one", "two", "three")
_QUICK = ModelSettings(
    connect_s=0.5, first_token_s=0.6, silence_s=0.5, total_s=1.6, breaker_failures=2, breaker_probe_s=60.0, endpoint="home"
)

_OWNERS = {"a/p": Price(tokens_in=1.0, tokens_out=2.0), "b/p": None}


class _House:
    """Three servers of models and a router before them."""

    def __init__(self, models: Sequence[Model], settings: ModelSettings = _QUICK) -> None:
        self.models = dict(zip(_NAMES, models, strict=True))
        self.home = Endpoint(name="home", url=f"{self.models['one'].url}/v1", model="scripted")
        self.router = Router(self.home, settings)

    def endpoint(self, name: str, **more: Any) -> Endpoint:
        return Endpoint(name=name, url=f"{self.models[name].url}/v1", model="scripted", **more)

    def tiers(self, *tiers: str, **more: Any) -> None:
        """Describe the profile: "one two" are replicas, and each further word the next tier."""
        self.router.configure({"p": [[self.endpoint(name, **more) for name in tier.split()] for tier in tiers]})

    def ask(self, *, profile: str = "p", affinity: bytes | None = b"a", may_leave: bool = True, **more: Any) -> Routed:
        return self.router.chat(profile, _HI, affinity=affinity, may_leave=may_leave, max_tokens=64, **more)

    def asked(self) -> dict[str, int]:
        """How many requests each server got."""
        return {name: len(model.log()) for name, model in self.models.items()}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Model]]:
    running = Processes(Path(tmp_path_factory.mktemp("router")))
    found = [Model(running.start(name, ["inference.scripted", "--port", "0"], {}).wait_listening()) for name in _NAMES]
    yield found
    for model in found:
        model.close()
    running.end_all()


@pytest.fixture
def house(models: list[Model]) -> _House:
    for model in models:
        model.reset()
        model.forget()
    return _House(models)


def _error(house: _House, **more: Any) -> InferenceError:
    """The error of a call, without its traceback: the two would keep one another, and open connections with them."""
    try:
        house.ask(**more)
    except InferenceError as error:
        return error.with_traceback(None)
    raise AssertionError("there was an answer")


def _preferred(affinity: bytes, *names: str) -> list[str]:
    return choose(affinity, dict.fromkeys(names, 0))


def test_a_profile_that_nobody_described_is_answered_by_the_environments_endpoint(house: _House) -> None:
    assert house.ask(profile="other", may_leave=False).endpoint == house.home
    assert house.asked() == {"one": 1, "two": 0, "three": 0}


def test_a_profile_without_usable_endpoints_is_not_answered_by_the_environments(house: _House) -> None:
    house.router.configure({"p": []})

    with pytest.raises(NoEndpoint):
        house.ask()
    assert house.asked() == {"one": 0, "two": 0, "three": 0}


def test_the_first_tier_answers_while_it_can(house: _House) -> None:
    house.tiers("two", "three")

    assert {house.ask(affinity=bytes([n])).endpoint.name for n in range(8)} == {"two"}


@pytest.mark.parametrize("mode", ["down503", "error500", "close", "hang", "refuse503", "busy429", "error401", "error400"])
def test_what_fails_is_full_or_refuses_is_passed_over_along_the_list(house: _House, mode: str) -> None:
    house.tiers("one", "two", "three")
    house.models["one"].script(mode=mode)
    house.models["two"].script(mode=mode)
    told: list[str | None] = []

    assert house.ask(on_failed=lambda error: told.append(error.endpoint and error.endpoint.name)).endpoint.name == "three"
    assert house.asked() == {"one": 1, "two": 1, "three": 1}
    assert told == ["one", "two"]


def test_a_conversation_keeps_to_its_replica_and_conversations_spread_over_them(house: _House) -> None:
    house.tiers("one two three")
    asked = {bytes([n]): [house.ask(affinity=bytes([n])).endpoint.name for _ in range(2)] for n in range(24)}

    assert asked == {key: [_preferred(key, *_NAMES)[0]] * 2 for key in asked}
    assert {names[0] for names in asked.values()} == set(_NAMES)


def test_a_busy_replica_spills_to_the_next_and_its_breaker_stays_closed(house: _House) -> None:
    house.tiers("one two", "three")
    first, second = _preferred(b"a", "one", "two")
    house.models[first].script(mode="refuse503")
    for _ in range(_QUICK.breaker_failures + 3):
        assert house.ask().endpoint.name == second
    house.models[first].reset()

    assert house.ask().endpoint.name == first
    assert house.asked()["three"] == 0


def test_a_picture_that_an_endpoint_refuses_is_told_in_words(house: _House) -> None:
    """The probe found that it can see; this picture is refused all the same. The person gets an answer, not a wait without end."""
    house.router.configure({"p": [[house.endpoint("one", traits=Traits(vision=True))]]})
    shown = Message(role="user", content="What is this?", images=(Image(media_type="image/png", data=b"no picture at all"),))
    routed = house.router.chat("p", [shown], affinity=None, may_leave=False, max_tokens=8)
    told = house.models["one"].log()[-1]["messages"]

    assert routed.answer.text
    assert told == [{"role": "user", "content": f"{UNSEEN_PICTURE}\nWhat is this?"}]


def test_a_failing_replica_is_left_alone_after_some_failures_and_is_not_asked(house: _House) -> None:
    house.tiers("one two")
    first, second = _preferred(b"a", "one", "two")
    house.models[first].script(mode="error500")
    for _ in range(6):
        assert house.ask().endpoint.name == second

    assert house.asked()[first] == _QUICK.breaker_failures
    assert house.asked()[second] == 6


def test_a_replica_that_was_left_alone_is_tried_again_and_taken_back(house: _House) -> None:
    quick = _House(list(house.models.values()), replace(_QUICK, breaker_probe_s=0.2))
    quick.tiers("one two")
    first, _ = _preferred(b"a", "one", "two")
    quick.models[first].script(mode="error500")
    for _ in range(_QUICK.breaker_failures):
        quick.ask()
    quick.models[first].reset()

    until(lambda: quick.ask().endpoint.name == first, what="the replica answers again", timeout_s=5)


def test_a_hot_replica_spills_though_it_is_healthy(house: _House) -> None:
    house.tiers("one two")
    first, second = _preferred(b"a", "one", "two")
    house.models[first].script(mode="hold")
    settings = replace(_QUICK, first_token_s=20.0, total_s=30.0)
    patient = _House(list(house.models.values()), settings)
    patient.tiers("one two")
    with ThreadPoolExecutor(6) as threads:
        held = [threads.submit(patient.ask) for _ in range(4)]
        until(lambda: house.models[first].held() == 4, what="four calls wait at the first replica")
        spilled = patient.ask()
        house.models[first].release()

    assert [future.result().endpoint.name for future in held] == [first] * 4
    assert spilled.endpoint.name == second


def test_the_environments_endpoint_outside_the_house_is_asked_only_where_words_may_leave(house: _House) -> None:
    outside = Router(replace(house.home, leaves_house=True), _QUICK)

    with pytest.raises(NoEndpoint):
        outside.chat("p", _HI, affinity=None, may_leave=False, max_tokens=8)
    assert outside.first("p", may_leave=False) is None
    assert house.asked()["one"] == 0
    assert outside.chat("p", _HI, affinity=None, may_leave=True, max_tokens=8).endpoint.name == "home"


def test_a_mark_that_words_leave_the_house_holds_for_the_environments_endpoint_at_the_same_address(house: _House) -> None:
    own = _House(list(house.models.values()), replace(_QUICK, first=True))
    own.router.configure({"t/p": [[own.endpoint("one", leaves_house=True)]]})

    for profile in ("t/p", "t/other"):
        with pytest.raises(NoEndpoint):
            own.ask(profile=profile, may_leave=False)
        assert own.router.first(profile, may_leave=False) is None
    assert own.asked()["one"] == 0


def test_a_price_of_the_environments_endpoint_is_its_owners_alone_and_goes_with_the_row(house: _House) -> None:
    dear = Price(tokens_in=1000.0, tokens_out=1000.0)
    house.router.configure({"a/p": [[house.endpoint("one", price=dear)]], "b/p": [[house.endpoint("two")]]})
    prices = {profile: house.ask(profile=profile).endpoint.price for profile in ("a/q", "b/q", "c/q")}
    house.router.configure({})

    assert prices == {"a/q": dear, "b/q": None, "c/q": None}
    assert house.ask(profile="a/q").endpoint == house.home


def test_a_row_that_was_measured_tells_of_the_environments_endpoint_until_that_is_measured_itself(house: _House) -> None:
    row, fresh = Traits(ranks=4), Traits(ranks=2, vision=True)
    house.router.configure({"t/p": [[house.endpoint("one")], [house.endpoint("one", traits=row)]]})
    before = house.ask(profile="t/q").endpoint.traits
    house.router.learn(fresh)

    assert (before, house.ask(profile="t/q").endpoint.traits) == (row, fresh)


def test_a_rank_that_is_no_more_costs_a_question_and_not_the_answer(tmp_path: Path) -> None:
    with scripted(tmp_path, "--flavour", "vllm", "--ranks", "2") as server:
        router = Router(server.endpoint(), _QUICK)
        router.configure({"p": [[server.endpoint(traits=Traits(ranks=4))]]})
        for rank in range(4):
            answered = router.chat("p", _HI, affinity=b"a", may_leave=False, max_tokens=8, hints=Hints(affinity=rank))
            assert answered.answer.text
        outcomes = [entry["outcome"] for entry in server.log()]

    assert outcomes == ["answered", "answered", "failed", "answered", "failed", "answered"]


def test_what_may_not_leave_the_house_goes_to_no_endpoint_outside(house: _House) -> None:
    inside, outside = house.endpoint("one"), house.endpoint("two", leaves_house=True)
    house.router.configure({"p": [[outside, inside], [outside]], "out": [[outside]]})
    house.models["one"].script(mode="down503")

    with pytest.raises(ModelUnavailable):
        house.ask(may_leave=False)
    with pytest.raises(NoEndpoint):
        house.ask(profile="out", may_leave=False)
    assert house.asked()["two"] == 0
    assert [house.router.first(profile, may_leave=False) for profile in ("p", "out")] == [inside, None]
    assert house.ask(may_leave=True).endpoint == outside


def test_a_prompt_that_is_too_long_is_told_at_once(house: _House) -> None:
    house.tiers("one", "two")
    house.models["one"].script(mode="toolong")

    error = _error(house)

    assert (type(error), error.endpoint) == (PromptTooLong, house.endpoint("one"))
    assert house.asked()["two"] == 0


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        (("refuse503", "error401"), ModelBusy),
        (("error401", "refuse503"), ModelBusy),
        (("error401", "error400"), ModelRefused),
        (("down503", "refuse503"), ModelBusy),
    ],
)
def test_when_none_answers_the_error_says_whether_it_may_heal_by_itself(house: _House, modes, expected) -> None:
    house.tiers("one", "two")
    for name, mode in zip(("one", "two"), modes, strict=True):
        house.models[name].script(mode=mode)

    told: list[str] = []

    error = _error(house, on_failed=lambda error: told.append(error.endpoint.name if error.endpoint else ""))

    assert type(error) is expected
    assert error.endpoint is not None
    # Each is told of once: by the error or beside it.
    assert sorted([*told, error.endpoint.name]) == ["one", "two"]


@pytest.mark.parametrize("mode", ["hang", "drip_headers", "hang_midway"])
def test_a_call_ends_by_its_deadline_however_many_endpoints_are_silent(house: _House, mode: str) -> None:
    hasty = _House(list(house.models.values()), replace(_QUICK, total_s=1.0))
    hasty.tiers("one", "two", "three")
    for model in house.models.values():
        model.script(mode=mode)
    began = time.monotonic()

    with pytest.raises(ModelUnavailable):
        hasty.ask()
    assert time.monotonic() - began < 1.0 * (1 + MORE_FOR_OTHERS) + 0.3
    assert house.asked()["three"] == 0


def test_a_call_ends_by_the_callers_own_deadline(house: _House) -> None:
    house.tiers("one", "two", "three")
    for model in house.models.values():
        model.script(mode="hang")
    began = time.monotonic()

    with pytest.raises(ModelUnavailable):
        house.ask(until=began + 0.4)
    assert time.monotonic() - began < 0.7
    assert house.asked()["three"] == 0


def test_new_profiles_keep_the_breakers_of_endpoints_that_stay(house: _House) -> None:
    house.tiers("one", "two")
    house.models["one"].script(mode="error500")
    for _ in range(_QUICK.breaker_failures):
        house.ask()
    # Its price and its place change; it is the same server.
    house.tiers("one", "three", price=Price(tokens_in=1.0, tokens_out=2.0))

    assert house.ask().endpoint.name == "three"
    assert house.asked()["one"] == _QUICK.breaker_failures


def test_new_profiles_keep_what_a_server_has_in_hand(house: _House) -> None:
    first, second = _preferred(b"a", "one", "two")
    house.models[first].script(mode="hold")
    patient = _House(list(house.models.values()), replace(_QUICK, first_token_s=20.0, total_s=30.0))
    patient.tiers("one two")
    with ThreadPoolExecutor(6) as threads:
        held = [threads.submit(patient.ask) for _ in range(4)]
        until(lambda: house.models[first].held() == 4, what="four calls wait at the first replica")
        # Its price becomes known: it is as hot as before.
        patient.tiers("one two", price=Price(tokens_in=1.0, tokens_out=2.0))
        spilled = patient.ask()
        house.models[first].release()

    assert [future.result().endpoint.name for future in held] == [first] * 4
    assert spilled.endpoint.name == second


def test_two_owners_endpoints_of_one_server_have_one_breaker(house: _House) -> None:
    house.router.configure({owner: [[house.endpoint("one")], [house.endpoint("two", price=price)]] for owner, price in _OWNERS.items()})
    house.models["two"].script(mode="error500")
    house.models["one"].script(mode="error500")
    for _ in range(_QUICK.breaker_failures):
        _error(house, profile="a/p")
    _error(house, profile="b/p")

    assert house.asked() == {"one": _QUICK.breaker_failures, "two": _QUICK.breaker_failures, "three": 0}


def test_a_new_key_begins_with_a_closed_breaker(house: _House) -> None:
    house.tiers("one", "two")
    house.models["one"].script(mode="error500")
    for _ in range(_QUICK.breaker_failures):
        house.ask()
    house.models["one"].reset()
    house.tiers("one", "two", api_key="new")

    assert house.ask().endpoint.name == "one"


def test_an_engine_of_the_process_own_stands_before_every_profile(house: _House) -> None:
    own = _House(list(house.models.values()), replace(_QUICK, first=True))
    measured = Traits(cache_salt=True, ranks=2)
    # The profile names it, too: it is asked once, and what is known of it is taken over.
    own.router.configure({"p": [[own.endpoint("two"), own.endpoint("one", traits=measured)], [own.endpoint("three")]]})

    answered = own.ask(affinity=next(bytes([n]) for n in range(99) if _preferred(bytes([n]), "one", "two")[0] == "two"))
    assert (answered.endpoint.name, answered.endpoint.traits) == ("home", measured)
    own.models["one"].script(mode="down503")
    assert own.ask().endpoint.name == "two"
    assert own.asked()["one"] == 2


def test_hints_reach_the_engine_that_knows_them_and_no_other(house: _House) -> None:
    known = Traits(cache_salt=True, priority=True, ranks=4)
    house.router.configure({"p": [[house.endpoint("one", traits=known)]], "q": [[house.endpoint("two")]]})
    hints = Hints(priority=10, cache_salt="5a17", affinity=2**63 + 5)
    for profile in ("p", "q"):
        house.ask(profile=profile, hints=hints)
    (told,), (untold,) = (house.models[name].log() for name in ("one", "two"))

    assert (told["request"]["priority"], told["request"]["cache_salt"]) == (10, "5a17")
    assert {"priority", "cache_salt"}.isdisjoint(untold["request"])
