"""The endpoints that `make run` keeps in the database: where the better model answers, and the small one behind it.

Guarantee: a profile that an operator has arranged is never rearranged. Where one names these endpoints, they lead to the engines of the
running stack; else they are removed at the next start, whose engines have other ports.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, Engine

from bots.crypto import Keyring
from bots.settings import Settings
from bots.storage import database, endpoints, tenants
from bots.storage.endpoints import EndpointRow, Form

BETTER, SMALL = "make-run", "make-run-small"
_NAMES = (BETTER, SMALL)
#: The profile of the demo bot, and of every bot that names no other.
_PROFILE = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model on an engine of this machine."""

    url: str
    model: str
    #: What is known of it, as in inference.types.Traits; None: a worker probes it.
    traits: Mapping[str, Any] | None = None


class OwnEndpoints:
    """The endpoints of one stack's database."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._keyring = settings, Keyring.from_settings(settings)

    def settle(self, first: Served | None) -> None:
        """At a start: remove those of the last run. Those that an operator uses in a profile lead to the engine that answers now, if it is on this machine."""
        with self._open() as engine, database.unit(engine) as connection:
            tenant = tenants.default(connection)
            used = _used(connection, tenant)
            for row in _ours(connection, tenant):
                if first is not None and row.name in used:
                    _point(connection, self._keyring, tenant, row.name, first)
                else:
                    endpoints.remove(connection, tenant=tenant, name=row.name)

    def put_first(self, better: Served, small: Served) -> bool:
        """Let the better model answer, and the small one where it cannot. False: an operator has arranged the profile otherwise, and it stays."""
        with self._open() as engine:
            with database.unit(engine) as connection:
                tenant = tenants.default(connection)
                rows = [_point(connection, self._keyring, tenant, name, served) for name, served in ((BETTER, better), (SMALL, small))]
            for row, served in zip(rows, (better, small), strict=True):
                if served.traits is not None:
                    # As if it had been probed, which takes half a minute of a busy CPU.
                    endpoints.store_probe(engine, row, traits=served.traits, notes=())
            with database.unit(engine) as connection:
                places = endpoints.profiles(connection, tenant).get(_PROFILE, ())
                if any(row.name not in _NAMES for _, row in places):
                    return places[0][1].name == BETTER
                endpoints.set_profile(connection, tenant, _PROFILE, [(n, row.id) for n, row in enumerate(rows)])
                return True

    @contextmanager
    def _open(self) -> Generator[Engine]:
        engine = database.open_engine(self._settings.owner_database_url, pool=2, name="local")
        try:
            yield engine
        finally:
            engine.dispose()


def _ours(connection: Connection, tenant: UUID) -> list[EndpointRow]:
    rows = (endpoints.get(connection, tenant=tenant, name=name) for name in _NAMES)
    # An operator may have given one of his own such a name.
    return [row for row in rows if row is not None and urlsplit(row.url).hostname == "127.0.0.1"]


def _used(connection: Connection, tenant: UUID) -> set[str]:
    """Our endpoints in profiles that are not as `put_first` makes them."""
    used: set[str] = set()
    for profile, places in endpoints.profiles(connection, tenant).items():
        names = [row.name for _, row in places]
        if (profile, names) != (_PROFILE, list(_NAMES)):
            used |= set(names) & set(_NAMES)
    return used


def _point(connection: Connection, keyring: Keyring, tenant: UUID, name: str, served: Served) -> EndpointRow:
    """Make or change one of ours."""
    row = next((row for row in _ours(connection, tenant) if row.name == name), None)
    if row is None:
        form = Form(name=name, url=served.url, model=served.model, leaves_house=False)
        return endpoints.add(connection, keyring, tenant=tenant, form=form)
    form = Form(
        name=name,
        url=served.url,
        model=served.model,
        leaves_house=row.leaves_house,
        price_in=row.price_in,
        price_cached=row.price_cached,
        price_out=row.price_out,
    )
    return endpoints.change(connection, tenant=tenant, name=name, form=form)
