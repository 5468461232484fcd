"""Chooses the endpoint that answers: a profile is tiers in order, a tier is endpoints that stand for one another.

Guarantees: what may not leave the house goes to no endpoint outside it; a call, however many endpoints it tries, ends by its deadline.

Inside a tier a conversation keeps to the endpoint that holds its prefix (inference.affinity). A full endpoint is passed over and counts as
healthy; one that fails opens its breaker in time. Both go on along the list, and never back.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from inference.affinity import choose
from inference.breaker import Breaker
from inference.client import ModelClient
from inference.errors import (
    AnswerCut,
    GarbageAnswer,
    InferenceError,
    ModelLeftAlone,
    ModelRefused,
    ModelUnavailable,
    NoEndpoint,
    PromptTooLong,
)
from inference.prompt_style import for_endpoint
from inference.settings import ModelSettings
from inference.types import Answer, Endpoint, Hints, Message, Traits

#: What a call may take beyond one endpoint's total time, as a share of it, when it had to go on to others.
MORE_FOR_OTHERS = 0.25
#: With less than this share of the time to a first word left, another endpoint is not begun: it would be blamed for our haste.
_LEAST_SHARE = 0.5

Tiers: TypeAlias = Sequence[Sequence[Endpoint]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """An answer and who gave it."""

    answer: Answer
    endpoint: Endpoint


@dataclass(slots=True, kw_only=True)
class _Place:
    """An endpoint with what this process knows of it."""

    endpoint: Endpoint
    client: ModelClient
    breaker: Breaker
    #: Calls that this process has in hand there.
    load: int = 0


@dataclass(frozen=True, slots=True)
class _Known:
    """What the process knows of, swapped as a whole when profiles change: a reader sees the old or the new."""

    #: By address, model and key: whatever else changes of an endpoint, its breaker and its load stay.
    places: Mapping[Endpoint, _Place] = field(default_factory=dict["Endpoint", "_Place"])
    profiles: Mapping[str, tuple[tuple[_Place, ...], ...]] = field(default_factory=dict[str, "tuple[tuple[_Place, ...], ...]"])


class Router:
    """Routes calls for every profile of a process; safe between threads.

    `home` is the environment's endpoint: it answers profiles that nobody described, and stands before the others' where `home_first` is set.
    """

    def __init__(self, home: Endpoint, settings: ModelSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._changing = threading.RLock()
        self._described: Mapping[str, Tiers] = {}
        self._home = self._place(home, None)
        self._known = _Known()

    @property
    def home(self) -> Endpoint:
        """The environment's endpoint, with what was learned of it."""
        return self._home.endpoint

    def learn(self, traits: Traits) -> None:
        """Take over what a probe measured of the environment's endpoint."""
        with self._changing:
            self._home = self._place(replace(self._home.endpoint, traits=traits), self._home)
            self.configure(self._described)

    def configure(self, profiles: Mapping[str, Tiers]) -> None:
        """Take these profiles from now on. Clients, breakers and counts of endpoints that stay go on; calls in hand end as they began."""
        with self._changing:
            self._described = profiles
            self._home = self._learned(endpoint for tiers in profiles.values() for tier in tiers for endpoint in tier)
            before, places = self._known.places, dict[Endpoint, _Place]()
            made: dict[str, tuple[tuple[_Place, ...], ...]] = {}
            for profile, tiers in profiles.items():
                rows: list[tuple[_Place, ...]] = [(self._home,)] if self._settings.first else []
                for tier in tiers:
                    row = tuple(self._kept(endpoint, before, places) for endpoint in tier if not self._is_home(endpoint))
                    rows += [row] if row else []
                made[profile] = tuple(rows)
            self._known = _Known(places, made)

    def first(self, profile: str, *, may_leave: bool) -> Endpoint | None:
        """Return the endpoint that counts tokens for a profile: the first that may see the text; None: there is none."""
        allowed = (place.endpoint for tier in self._tiers(profile) for place in tier if may_leave or not place.endpoint.leaves_house)
        return next(allowed, None)

    def chat(
        self,
        profile: str,
        messages: Sequence[Message],
        *,
        affinity: bytes | None,
        may_leave: bool,
        max_tokens: int,
        temperature: float = 0.3,
        top_p: float = 0.9,
        hints: Hints = Hints(),  # noqa: B008 - frozen
        on_text: Callable[[str], None] | None = None,
        on_failed: Callable[[InferenceError], None] | None = None,
        until: float | None = None,
    ) -> Routed:
        """Return the answer of the first endpoint along the profile's list that gives one.

        `affinity` is a hash of the conversation (None: any replica will do), `until` the monotonic time by which the call ends in any case;
        `on_failed` hears of each endpoint that was tried in vain before another was. Errors name their endpoint.

        Raises what the client raises: PromptTooLong, AnswerCut and GarbageAnswer at once; otherwise, when none is left to try,
        ModelUnavailable where any may answer later, else ModelRefused; NoEndpoint where none may be asked.
        """
        total_s, least_s = self._settings.total_s, self._settings.first_token_s * _LEAST_SHARE
        end = time.monotonic() + total_s * (1 + MORE_FOR_OTHERS)
        end = end if until is None else min(end, until)
        failed: list[InferenceError] = []
        try:
            for place in self._along(profile, affinity, may_leave=may_leave):
                if failed and end - time.monotonic() < least_s:
                    break
                try:
                    ask = partial(
                        place.client.chat,
                        max_tokens=max_tokens,
                        temperature=temperature,
                        top_p=top_p,
                        hints=hints,
                        on_text=on_text,
                        until=min(end, time.monotonic() + total_s),
                    )
                    with _counted(self._lock, place):
                        answer = _seen_or_told(ask, messages, place.endpoint.traits)
                    return Routed(answer=answer, endpoint=place.endpoint)
                except InferenceError as error:
                    error.endpoint = place.endpoint
                    if isinstance(error, PromptTooLong | AnswerCut | GarbageAnswer):
                        raise
                    failed.append(error)
            raise _most_hopeful(failed)
        finally:
            # An error knows this frame by its traceback: kept here, the two would keep one another, and the connection with them.
            _tell(failed, on_failed)

    def _along(self, profile: str, affinity: bytes | None, *, may_leave: bool) -> Iterator[_Place]:
        """The endpoints in the order in which they are tried; those that are left alone come at the end of their tier, to say so."""
        for tier in self._tiers(profile):
            allowed = [place for place in tier if may_leave or not place.endpoint.leaves_house]
            if len(allowed) == 1:
                yield allowed[0]
                continue
            ready = {place.endpoint.name: place for place in allowed if place.breaker.is_ready}
            key = affinity if affinity is not None else random.randbytes(16)  # noqa: S311 - no secret
            yield from (ready[name] for name in choose(key, {name: place.load for name, place in ready.items()}))
            yield from (place for place in allowed if place.endpoint.name not in ready)

    def _tiers(self, profile: str) -> tuple[tuple[_Place, ...], ...]:
        return self._known.profiles.get(profile, ((self._home,),))

    def _is_home(self, endpoint: Endpoint) -> bool:
        """Whether this is the environment's own endpoint again, which stands in front already."""
        return self._settings.first and _address(endpoint) == _address(self._home.endpoint)

    def _learned(self, endpoints: Iterable[Endpoint]) -> _Place:
        """The environment's endpoint with what is known of it elsewhere: its price, and what a probe measured."""
        own = self._home.endpoint
        same = next((endpoint for endpoint in endpoints if _address(endpoint) == _address(own)), None)
        if same is None:
            return self._home
        # One that was not measured yet tells nothing.
        learned = replace(own, price=same.price, traits=own.traits if same.traits == Traits() else same.traits)
        return self._home if learned == own else self._place(learned, self._home)

    def _kept(self, endpoint: Endpoint, before: Mapping[Endpoint, _Place], places: dict[Endpoint, _Place]) -> _Place:
        place = places.get(endpoint) or before.get(endpoint)
        if place is None:
            same = (place for place in before.values() if _server(place.endpoint) == _server(endpoint))
            place = self._place(endpoint, next(same, None))
        places[endpoint] = place
        return place

    def _place(self, endpoint: Endpoint, before: _Place | None) -> _Place:
        settings = self._settings
        breaker = Breaker(failures=settings.breaker_failures, probe_s=settings.breaker_probe_s) if before is None else before.breaker
        client = ModelClient(endpoint, timeouts=settings.timeouts, breaker=breaker, max_response_bytes=settings.max_response_bytes)
        return _Place(endpoint=endpoint, client=client, breaker=breaker)


def _seen_or_told(ask: Callable[[Sequence[Message]], Answer], messages: Sequence[Message], traits: Traits) -> Answer:
    """Ask with the pictures; where they are refused, which a probe cannot know of each, with what stands for them: a talk never hangs on one."""
    fitted = for_endpoint(messages, traits)
    try:
        return ask(fitted)
    except ModelRefused as error:
        if isinstance(error, PromptTooLong) or not any(message.images for message in fitted):
            raise
    return ask(for_endpoint(messages, replace(traits, vision=False)))


@contextmanager
def _counted(lock: threading.Lock, place: _Place) -> Generator[None]:
    with lock:
        place.load += 1
    try:
        yield
    finally:
        with lock:
            place.load -= 1


def _address(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.url, endpoint.model


def _server(endpoint: Endpoint) -> tuple[str, str, str]:
    return endpoint.url, endpoint.model, endpoint.api_key


def _tell(failed: list[InferenceError], on_failed: Callable[[InferenceError], None] | None) -> None:
    for error in failed:
        if on_failed is not None and not isinstance(error, ModelLeftAlone):
            on_failed(error)
    failed.clear()


def _most_hopeful(failed: list[InferenceError]) -> InferenceError:
    """Take out the error to raise: the last that may heal by itself, else the last, which an operator must mend."""
    healing = [n for n, error in enumerate(failed) if isinstance(error, ModelUnavailable)]
    return failed.pop(healing[-1] if healing else -1) if failed else NoEndpoint()
