"""Chooses the endpoint that answers: a profile is tiers in order, a tier is endpoints that stand for one another.

Guarantees: what may not leave the house goes to no endpoint outside it; a call, however many endpoints it tries, ends by its deadline.

Inside a tier a conversation keeps to the endpoint that holds its prefix (inference.affinity). A full endpoint is passed over and counts as
healthy; one that fails opens its breaker in time. Both go on along the list, and never back.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeAlias

from inference.affinity import choose
from inference.client import Breaker, ModelClient
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
class _Server:
    """What this process knows of a server, whoever's endpoints lead to it."""

    breaker: Breaker
    #: Calls that this process has in hand there.
    load: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """An endpoint and the way to it."""

    endpoint: Endpoint
    client: ModelClient
    server: _Server


@dataclass(frozen=True, slots=True)
class _Known:
    """What the process knows of, swapped as a whole when profiles change: a reader sees the old or the new."""

    places: Mapping[Endpoint, _Place]
    #: The environment's endpoint as each owner of profiles has it.
    homes: Mapping[str, _Place]
    profiles: Mapping[str, tuple[tuple[_Place, ...], ...]]


class Router:
    """Routes calls for every profile of a process; safe between threads. A profile is called OWNER/NAME, or NAME alone.

    `home` is the environment's endpoint: it answers profiles that nobody described, and stands before the others' where the settings say `first`.
    """

    def __init__(self, home: Endpoint, settings: ModelSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._changing = threading.RLock()
        self._described: Mapping[str, Tiers] = {}
        #: As the environment and its own measurement have it.
        self._home = home
        place = self._placed(home, _Server(breaker=self._breaker()))
        self._known = _Known({home: place}, {}, {})

    @property
    def home(self) -> Endpoint:
        """The environment's endpoint, with what was measured of it."""
        return self._home

    @property
    def endpoints(self) -> Collection[Endpoint]:
        """Every endpoint that may be asked."""
        return self._known.places.keys()

    def learn(self, traits: Traits) -> None:
        """Take over what a probe measured of the environment's endpoint."""
        with self._changing:
            self._home = replace(self._home, traits=traits)
            self.configure(self._described)

    def configure(self, profiles: Mapping[str, Tiers]) -> None:
        """Take these profiles from now on. Clients, breakers and counts of servers that stay go on; calls in hand end as they began."""
        with self._changing:
            self._described = profiles
            places = dict[Endpoint, _Place]()
            servers = {_server(endpoint): place.server for endpoint, place in self._known.places.items()}

            def placed(endpoint: Endpoint) -> _Place:
                if endpoint not in places:
                    server = servers.setdefault(_server(endpoint), _Server(breaker=self._breaker()))
                    places[endpoint] = self._known.places.get(endpoint) or self._placed(endpoint, server)
                return places[endpoint]

            # It answers whoever has described nothing.
            placed(self._home)
            homes = {owner: placed(self._home_of(owner)) for owner in {_owner(profile) for profile in profiles}}
            made: dict[str, tuple[tuple[_Place, ...], ...]] = {}
            for profile, tiers in profiles.items():
                rows: list[tuple[_Place, ...]] = [(homes[_owner(profile)],)] if self._settings.first else []
                for tier in tiers:
                    row = tuple(placed(endpoint) for endpoint in tier if not self._is_first(endpoint))
                    rows += [row] if row else []
                made[profile] = tuple(rows)
            self._known = _Known(places, homes, made)

    def first(self, profile: str, *, may_leave: bool) -> Endpoint | None:
        """Return the endpoint that counts tokens for a profile: the first that may see the text; None: there is none."""
        return next(self.allowed(profile, may_leave=may_leave), None)

    def allowed(self, profile: str, *, may_leave: bool) -> Iterator[Endpoint]:
        """Yield the endpoints of a profile that may see the text, in their order."""
        return (place.endpoint for tier in self._tiers(profile) for place in tier if may_leave or not place.endpoint.leaves_house)

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
                        on_text=on_text,
                        until=min(end, time.monotonic() + total_s),
                    )
                    with _counted(self._lock, place.server):
                        answer = _asked(ask, messages, hints, place.endpoint.traits)
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
            ready = {place.endpoint.name: place for place in allowed if place.server.breaker.is_ready}
            key = affinity if affinity is not None else random.randbytes(16)  # noqa: S311 - no secret
            yield from (ready[name] for name in choose(key, {name: place.server.load for name, place in ready.items()}))
            yield from (place for place in allowed if place.endpoint.name not in ready)

    def _tiers(self, profile: str) -> tuple[tuple[_Place, ...], ...]:
        known = self._known
        tiers = known.profiles.get(profile)
        return ((known.homes.get(_owner(profile)) or known.places[self._home],),) if tiers is None else tiers

    def _is_first(self, endpoint: Endpoint) -> bool:
        """Whether this is the environment's own endpoint again, which stands in front already."""
        return self._settings.first and _address(endpoint) == _address(self._home)

    def _home_of(self, owner: str) -> Endpoint:
        """The environment's endpoint with what this owner says of the same server, and with what a probe measured there.

        What this process measured counts before what stands in a table: that may be of a time before the engine was started anew.
        A mark that words leave the house counts wherever it is.
        """
        own = self._home
        found = (endpoint for profile, tiers in self._described.items() if _owner(profile) == owner for tier in tiers for endpoint in tier)
        same = [endpoint for endpoint in found if _address(endpoint) == _address(own)]
        measured = (endpoint.traits for endpoint in (own, *same) if endpoint.traits != Traits())
        return replace(
            own,
            price=next((endpoint.price for endpoint in same if endpoint.price is not None), own.price),
            traits=next(measured, own.traits),
            leaves_house=own.leaves_house or any(endpoint.leaves_house for endpoint in same),
        )

    def _breaker(self) -> Breaker:
        return Breaker(failures=self._settings.breaker_failures, probe_s=self._settings.breaker_probe_s)

    def _placed(self, endpoint: Endpoint, server: _Server) -> _Place:
        settings = self._settings
        client = ModelClient(endpoint, timeouts=settings.timeouts, breaker=server.breaker, max_response_bytes=settings.max_response_bytes)
        return _Place(endpoint=endpoint, client=client, server=server)


class _Ask(Protocol):
    def __call__(self, messages: Sequence[Message], *, hints: Hints) -> Answer: ...


def _asked(ask: _Ask, messages: Sequence[Message], hints: Hints, traits: Traits) -> Answer:
    """Ask with all that the endpoint is said to take; what it refuses all the same is left out, so that a talk never hangs on it.

    Its ranks may be fewer than when it was measured, and a probe cannot know of each picture.
    """
    fitted = for_endpoint(messages, traits)
    ways: list[tuple[Sequence[Message], Hints]] = [(fitted, hints)]
    if traits.ranks > 1 and hints.affinity is not None:
        ways.append((fitted, replace(hints, affinity=None)))
    if any(message.images for message in fitted):
        ways.append((for_endpoint(messages, replace(traits, vision=False)), replace(hints, affinity=None)))
    for shown, told in ways[:-1]:
        try:
            return ask(shown, hints=told)
        except PromptTooLong:
            raise
        except ModelRefused:
            continue
    shown, told = ways[-1]
    return ask(shown, hints=told)


@contextmanager
def _counted(lock: threading.Lock, server: _Server) -> Generator[None]:
    with lock:
        server.load += 1
    try:
        yield
    finally:
        with lock:
            server.load -= 1


def _owner(profile: str) -> str:
    return profile.partition("/")[0] if "/" in profile else ""


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
