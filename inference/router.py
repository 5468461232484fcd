"""Chooses the endpoint that answers. A profile is an ordered list of tiers; the endpoints of a tier are interchangeable.

Guarantees: text that must stay on the operator's own servers is never sent to an outside endpoint (`leaves_house`). A call ends by its
deadline, however many endpoints it tries.

Inside a tier a conversation stays with the endpoint that has its prefix in the cache (inference.affinity). A full endpoint is skipped and
counts as healthy; one that keeps failing opens its breaker; one that says when to ask again is not asked before. Each time the next endpoint
of the list is tried, and never an earlier one.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeAlias

from inference.affinity import choose
from inference.client import Breaker, ModelClient
from inference.errors import (
    AnswerCut,
    ContentFiltered,
    GarbageAnswer,
    InferenceError,
    ModelBusy,
    ModelRefused,
    ModelUnavailable,
    NoEndpoint,
    OutOfQuota,
    PromptTooLong,
)
from inference.known_server import KnownServer
from inference.prompt_style import for_endpoint
from inference.settings import ModelSettings
from inference.thoughts import hiding, learned
from inference.types import Answer, Endpoint, Hints, Message, Traits

#: What a call may take beyond one endpoint's total time, as a share of it, when it had to go on to others.
MORE_FOR_OTHERS = 0.25
#: With less than this share of the time for a first token left, no other endpoint is tried: it would count as failed for lack of time.
_LEAST_SHARE = 0.5

Tiers: TypeAlias = Sequence[Sequence[Endpoint]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """An answer and the endpoint that gave it."""

    answer: Answer
    endpoint: Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """An endpoint, the client that calls it, and its server."""

    endpoint: Endpoint
    client: ModelClient
    server: KnownServer


@dataclass(frozen=True, slots=True)
class _Known:
    """The routes of all profiles. It is replaced as a whole when profiles change, so a reader sees the old state or the new one."""

    routes: Mapping[Endpoint, _Route]
    #: The default endpoint, with what each owner of profiles says of it.
    defaults: Mapping[str, _Route]
    profiles: Mapping[str, tuple[tuple[_Route, ...], ...]]


class Router:
    """Routes calls for every profile of a process; safe between threads. A profile is called OWNER/NAME, or NAME alone.

    `default` is the endpoint that the environment names. It answers profiles that have no endpoints of their own, and comes before all others
    where the settings say `first`.
    """

    def __init__(self, default: Endpoint, settings: ModelSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._changing = threading.RLock()
        self._described: Mapping[str, Tiers] = {}
        #: As the environment names it and the probe measured it.
        self._default = default
        #: The form of thoughts that the catalog names for its model; what a probe learns counts more.
        self._thoughts = default.traits.thoughts
        route = self._connect(default, KnownServer(self._breaker()))
        self._known = _Known({default: route}, {}, {})

    @property
    def default_endpoint(self) -> Endpoint:
        """The endpoint that the environment names, with what was measured of it."""
        return self._default

    @property
    def endpoints(self) -> Collection[Endpoint]:
        """Every endpoint that may be asked."""
        return self._known.routes.keys()

    def learn(self, traits: Traits) -> None:
        """Take over what a probe measured of the default endpoint."""
        with self._changing:
            self._default = replace(self._default, traits=replace(traits, thoughts=traits.thoughts or self._thoughts))
            self.configure(self._described)

    def configure(self, profiles: Mapping[str, Tiers]) -> None:
        """Use these profiles from now on. Servers that stay keep their clients, breakers and counts; running calls are not touched."""
        with self._changing:
            self._described = profiles
            routes = dict[Endpoint, _Route]()
            servers = {_server(endpoint): route.server for endpoint, route in self._known.routes.items()}

            def route_to(endpoint: Endpoint) -> _Route:
                if endpoint not in routes:
                    server = servers.setdefault(_server(endpoint), KnownServer(self._breaker()))
                    routes[endpoint] = self._known.routes.get(endpoint) or self._connect(endpoint, server)
                return routes[endpoint]

            # It answers owners who have no profiles.
            route_to(self._default)
            defaults = {owner: route_to(self._default_of(owner)) for owner in {_owner(profile) for profile in profiles}}
            made: dict[str, tuple[tuple[_Route, ...], ...]] = {}
            for profile, tiers in profiles.items():
                rows: list[tuple[_Route, ...]] = [(defaults[_owner(profile)],)] if self._settings.first else []
                for tier in tiers:
                    row = tuple(route_to(endpoint) for endpoint in tier if not self._is_first(endpoint))
                    rows += [row] if row else []
                made[profile] = tuple(rows)
            self._known = _Known(routes, defaults, made)

    def first(self, profile: str, *, may_leave: bool) -> Endpoint | None:
        """Return the endpoint that counts tokens for a profile: the first that may see the text, or None."""
        return next(self.allowed(profile, may_leave=may_leave), None)

    def allowed(self, profile: str, *, may_leave: bool) -> Iterator[Endpoint]:
        """Yield the endpoints of a profile that may see the text, in their order."""
        return (route.endpoint for tier in self._tiers(profile) for route in tier if may_leave or not route.endpoint.leaves_house)

    def context(self, endpoint: Endpoint) -> int:
        """Return the longest prompt and answer that an endpoint takes together, as measured or as its server named it since; 0: not known."""
        route = self._known.routes.get(endpoint)
        known = [found for found in (endpoint.traits.context, route.server.context if route else 0) if found]
        return min(known, default=0)

    def named_context(self, endpoint: Endpoint, context: int) -> None:
        """Note the context that an endpoint's server named when it refused a prompt, so that later prompts are laid out for it."""
        route = self._known.routes.get(endpoint)
        if route is not None:
            route.server.named(context)

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

        `affinity` is a hash of the conversation (None: any replica will do). `until` is the monotonic time by which the call ends at the latest.
        `on_failed` is told of each endpoint that failed before another was tried. Errors name their endpoint.

        Raises what the client raises. PromptTooLong, ContentFiltered, AnswerCut and GarbageAnswer are raised at once. When no endpoint is left to
        try, it is ModelUnavailable where one of them may answer later, the one that may answer first, else ModelRefused; NoEndpoint where none
        may be asked.
        """
        total_s, least_s = self._settings.total_s, self._settings.first_token_s * _LEAST_SHARE
        end = time.monotonic() + total_s * (1 + MORE_FOR_OTHERS)
        end = end if until is None else min(end, until)
        failed: list[InferenceError] = []
        try:
            for route in self._along(profile, affinity, may_leave=may_leave):
                if failed and end - time.monotonic() < least_s:
                    break
                try:
                    form = route.endpoint.traits.thoughts or route.server.thoughts
                    ask = partial(
                        route.client.chat,
                        max_tokens=max_tokens,
                        temperature=temperature,
                        top_p=top_p,
                        on_text=on_text and hiding(on_text, form),
                        until=min(end, time.monotonic() + total_s),
                    )
                    route.server.enter()
                    with route.server.counted():
                        answer = _asked(ask, messages, hints, route.endpoint.traits)
                    route.server.answered()
                    if on_text and not form:
                        route.server.thoughts = learned(answer.text)
                    return Routed(answer=answer, endpoint=route.endpoint)
                except InferenceError as error:
                    error.endpoint = route.endpoint
                    if isinstance(error, PromptTooLong | ContentFiltered | AnswerCut | GarbageAnswer):
                        raise
                    if isinstance(error, ModelBusy | OutOfQuota) and error.asked:
                        route.server.paused(error)
                    failed.append(error)
            raise _most_hopeful(failed)
        finally:
            # An error's traceback refers to this frame. If the frame kept the errors, that cycle would keep the connection open.
            _tell(failed, on_failed)

    def _along(self, profile: str, affinity: bytes | None, *, may_leave: bool) -> Iterator[_Route]:
        """The endpoints in the order in which they are tried; those that may not be asked now come last in their tier, and raise why."""
        for tier in self._tiers(profile):
            allowed = [route for route in tier if may_leave or not route.endpoint.leaves_house]
            if len(allowed) == 1:
                yield allowed[0]
                continue
            ready = {route.endpoint.name: route for route in allowed if route.server.is_ready}
            key = affinity if affinity is not None else random.randbytes(16)  # noqa: S311 - no secret
            yield from (ready[name] for name in choose(key, {name: route.server.load for name, route in ready.items()}))
            yield from (route for route in allowed if route.endpoint.name not in ready)

    def _tiers(self, profile: str) -> tuple[tuple[_Route, ...], ...]:
        known = self._known
        tiers = known.profiles.get(profile)
        return ((known.defaults.get(_owner(profile)) or known.routes[self._default],),) if tiers is None else tiers

    def _is_first(self, endpoint: Endpoint) -> bool:
        """Whether this is the default endpoint again, which is already first."""
        return self._settings.first and _address(endpoint) == _address(self._default)

    def _default_of(self, owner: str) -> Endpoint:
        """The default endpoint, with what this owner says of the same server and what a probe measured there.

        What this process measured counts more than what is in the database, which may be older than the engine's last start.
        It counts as outside where either side says so.
        """
        own = self._default
        found = (endpoint for profile, tiers in self._described.items() if _owner(profile) == owner for tier in tiers for endpoint in tier)
        same = [endpoint for endpoint in found if _address(endpoint) == _address(own)]
        measured = (endpoint.traits for endpoint in (own, *same) if endpoint.traits != Traits(thoughts=endpoint.traits.thoughts))
        return replace(
            own,
            price=next((endpoint.price for endpoint in same if endpoint.price is not None), own.price),
            traits=next(measured, own.traits),
            leaves_house=own.leaves_house or any(endpoint.leaves_house for endpoint in same),
        )

    def _breaker(self) -> Breaker:
        return Breaker(failures=self._settings.breaker_failures, probe_s=self._settings.breaker_probe_s)

    def _connect(self, endpoint: Endpoint, server: KnownServer) -> _Route:
        settings = self._settings
        client = ModelClient(endpoint, timeouts=settings.timeouts, breaker=server.breaker, max_response_bytes=settings.max_response_bytes)
        return _Route(endpoint=endpoint, client=client, server=server)


class _Ask(Protocol):
    def __call__(self, messages: Sequence[Message], *, hints: Hints) -> Answer: ...


def _asked(ask: _Ask, messages: Sequence[Message], hints: Hints, traits: Traits) -> Answer:
    """Ask with all that the endpoint is said to accept, and leave out what it refuses, so that a conversation never gets stuck on it.

    It may have fewer ranks than when it was measured, and a probe cannot try every picture.
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
        except (PromptTooLong, ContentFiltered):
            raise
        except ModelRefused:
            continue
    shown, told = ways[-1]
    return ask(shown, hints=told)


def _owner(profile: str) -> str:
    return profile.partition("/")[0] if "/" in profile else ""


def _address(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.url, endpoint.model


def _server(endpoint: Endpoint) -> tuple[str, str, str]:
    return endpoint.url, endpoint.model, endpoint.api_key


def _tell(failed: list[InferenceError], on_failed: Callable[[InferenceError], None] | None) -> None:
    for error in failed:
        if on_failed is not None and error.asked:
            on_failed(error)
    failed.clear()


def _most_hopeful(failed: list[InferenceError]) -> InferenceError:
    """Take out the error to raise: of those that may pass by themselves the one that may pass first, else the last, which an operator must fix."""
    waits = [(_wait_s(error), -n) for n, error in enumerate(failed) if isinstance(error, ModelUnavailable)]
    return failed.pop(-min(waits)[1] if waits else -1) if failed else NoEndpoint()


def _wait_s(error: ModelUnavailable) -> float:
    return error.retry_after_s if isinstance(error, ModelBusy | OutOfQuota) else 0.0
