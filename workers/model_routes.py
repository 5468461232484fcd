"""A worker process's routes to the models: its router, the endpoints as the database has them, and the hashes that go with a call.

Guarantee: no hint for an engine names a tenant, a conversation or a person; only keyed hashes of them are sent.
"""

from __future__ import annotations

import hmac
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import Engine

from bots.crypto import Keyring
from bots.errors import CannotOpen
from bots.storage import endpoints
from bots.storage.database import unit
from bots.storage.endpoints import EndpointRow
from inference.affinity import keyed
from inference.catalog import Catalog, load
from inference.errors import CatalogError
from inference.router import Routed, Router, Tiers
from inference.settings import ModelSettings
from inference.tokens import TokenCounter, estimate
from inference.types import Endpoint, Hints, Message, Price, Traits, Usage
from inference.usage import counted

log = structlog.get_logger()

#: How long a changed endpoint or profile may go unnoticed.
EVERY_S = 2.0
#: For vLLM's scheduler, lower is sooner: people before work that can wait.
PEOPLE, BATCH = 0, 10
#: This share of a context is filled: the rest is for the template's own tokens, and for a tokenizer that counts more than ours.
_FILLED = 0.9
#: A count after an answer holds it up by this much at most, once a minute: an endpoint's tokenizer that did not answer is left alone that long.
_COUNT_WITHIN_S = 0.5
#: Hex digits of a tenant's salt: 128 bits.
_SALT_DIGITS = 32

_Rows = Mapping[tuple[UUID, str], tuple[tuple[int, EndpointRow], ...]]


class ModelRoutes:
    """Keeps the router in step with the database. Safe between threads."""

    def __init__(self, worker: Engine, keyring: Keyring, settings: ModelSettings) -> None:
        """Raises BadModelSetting when the environment names no endpoint."""
        self._engine, self._keyring = worker, keyring
        self._catalog = _catalog(settings.catalog)
        own = settings.open_endpoint()
        self._router = Router(replace(own, traits=Traits(thoughts=self._catalog.thoughts(own.model))), settings)
        self._rows: _Rows | None = None
        self._lock = threading.Lock()
        self._counters: dict[Endpoint, TokenCounter] = {}
        self._salts: dict[UUID, str] = {}
        self._affinity, self._salting = keyring.derive("affinity"), keyring.derive("cache salt")

    @property
    def router(self) -> Router:
        """The router; the first use reads the profiles. Raises StorageUnavailable then."""
        if self._rows is None:
            with self._lock:
                if self._rows is None:
                    self._read()
        return self._router

    def refresh(self) -> None:
        """Read the profiles again and open their keys, if anything changed. Raises StorageUnavailable."""
        with self._lock:
            self._read()

    def _read(self) -> None:
        with unit(self._engine) as connection:
            found = endpoints.every_profile(connection)
        rows = {key: tuple((position, _routed(row)) for position, row in places) for key, places in found.items()}
        if rows != self._rows:
            self._router.configure({profile_key(*key): self._tiers(places) for key, places in rows.items()})
            self._rows = rows
            # Forget the counters of endpoints that are gone.
            known = self._router.endpoints
            self._counters = {endpoint: counter for endpoint, counter in dict(self._counters).items() if endpoint in known}

    def counter(self, profile: str, *, may_leave: bool) -> Callable[[str], int]:
        """Return the function that counts tokens for a profile: the tokenizer of its first endpoint that may see the text, else an estimate."""
        endpoint = self.router.first(profile, may_leave=may_leave)
        return estimate if endpoint is None else self._counter_of(endpoint).count

    def took(self, routed: Routed, messages: Sequence[Message]) -> Usage:
        """Return the tokens of an answer: as its endpoint counted them; else by its tokenizer where that answers at once, or an estimate."""
        count = partial(self._counter_of(routed.endpoint).count, within_s=_COUNT_WITHIN_S)
        answer = routed.answer
        return counted(answer.usage, endpoint=routed.endpoint, messages=messages, text=answer.thoughts + answer.text, count=count)

    def _counter_of(self, endpoint: Endpoint) -> TokenCounter:
        counter = self._counters.get(endpoint)
        if counter is None:
            counter = self._counters[endpoint] = TokenCounter(endpoint)
        return counter

    def room(self, profile: str, *, may_leave: bool, answer: int, images: int = 0) -> int:
        """Return how many tokens of text a prompt may have, so that with an answer of so many tokens it fits every endpoint that may see it.

        images are the tokens of its pictures, which only some endpoints see. When no endpoint's context is known there is no limit.
        """
        known = ((endpoint, self.router.context(endpoint)) for endpoint in self.router.allowed(profile, may_leave=may_leave))
        return min(
            (
                int(context * _FILLED) - endpoint.traits.tokens_for(answer) - (images if endpoint.traits.vision else 0)
                for endpoint, context in known
                if context
            ),
            default=sys.maxsize,
        )

    def affinity(self, conversation: UUID) -> bytes:
        """Return the hash that brings a conversation back to its endpoint."""
        return keyed(self._affinity, conversation.bytes)

    def hints(self, tenant: UUID, *, priority: int, affinity: bytes | None = None) -> Hints:
        """Return what is sent to an engine of our own besides the prompt."""
        salt = self._salts.get(tenant)
        if salt is None:
            salt = self._salts[tenant] = hmac.new(self._salting, tenant.bytes, "sha256").hexdigest()[:_SALT_DIGITS]
        rank = None if affinity is None else int.from_bytes(affinity[:8], "big")
        return Hints(priority=priority, cache_salt=salt, affinity=rank)

    def _tiers(self, places: tuple[tuple[int, EndpointRow], ...]) -> Tiers:
        found = [[self._endpoint(row) for _, row in tier] for _, tier in groupby(places, key=lambda place: place[0])]
        return [[endpoint for endpoint in tier if endpoint is not None] for tier in found]

    def _endpoint(self, row: EndpointRow) -> Endpoint | None:
        try:
            key = endpoints.open_key(self._keyring, row)
        except CannotOpen:
            # Without its key it would refuse each call.
            log.error("endpoint_key_cannot_be_opened", endpoint=row.name)  # noqa: TRY400 - nothing to trace
            return None
        endpoint = as_endpoint(row, key)
        if endpoint.traits.thoughts:
            return endpoint
        return replace(endpoint, traits=replace(endpoint.traits, thoughts=self._catalog.thoughts(row.model)))


def _routed(row: EndpointRow) -> EndpointRow:
    """A row without the columns that do not affect a call."""
    return replace(row, notes=(), probed_at=None, probe_at=None, profiles=())


def _catalog(folder: str) -> Catalog:
    """The models as data. A mistake in the operator's folder must not keep a worker from starting: `chinwag doctor` shows it."""
    try:
        return load(Path(folder) if folder else None)
    except CatalogError as error:
        log.warning("catalog_not_read", error=str(error))
        return load()


def profile_key(tenant: UUID, profile: str) -> str:
    """Return the name under which the router knows a tenant's profile."""
    return f"{tenant}/{profile}"


def as_endpoint(row: EndpointRow, key: str) -> Endpoint:
    """Return a stored endpoint as inference knows it, with its opened key."""
    price = None
    if row.price_in is not None and row.price_out is not None:
        price = Price(tokens_in=row.price_in, tokens_out=row.price_out, tokens_cached=row.price_cached)
    try:
        traits = msgspec.convert(dict(row.traits), Traits)
    except msgspec.ValidationError:
        log.warning("traits_not_understood", endpoint=row.name)
        traits = Traits()
    return Endpoint(name=row.name, url=row.url, model=row.model, api_key=key, price=price, leaves_house=row.leaves_house, traits=traits)
