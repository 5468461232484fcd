"""The endpoints that `make run` keeps in the database: its model with what is known of it, and the small one behind a better one.

Guarantee: a profile that an operator has arranged is never rearranged. Where one names these endpoints, they lead to the engines of the
running stack; else those of the last run are removed at the next start, whose engines have other ports.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, Engine

from bots.crypto import Keyring
from bots.errors import NameTaken
from bots.settings import Settings
from bots.storage import database, endpoints, tenants
from bots.storage.endpoints import EndpointRow, Form

FIRST, SMALL = "make-run", "make-run-small"
_NAMES = (FIRST, SMALL)
#: The profile of the demo bot, and of every bot that names no other.
_PROFILE = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model on an engine of this machine."""

    url: str
    model: str
    #: What is known of it, as in inference.types.Traits; None: a worker probes it, which takes half a minute of a busy CPU.
    traits: Mapping[str, Any] | None = None


class OwnEndpoints:
    """The endpoints of one stack's database."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._keyring = settings, Keyring.from_settings(settings)

    def settle(self, first: Served | None) -> bool:
        """At a start: remove those of the last run, and enter the engine that answers now if it is on this machine.

        Return whether what is known of it is stored, so that no worker needs to probe it.
        """
        with self._open() as engine, suppress(NameTaken):
            with database.unit(engine) as connection:
                tenant = tenants.default(connection)
                enters = first is not None and first.traits is not None and _is_ours(connection, tenant)
                # A row that is needed again keeps what an operator entered, such as its price.
                kept = _arranged(connection, tenant) | ({FIRST} if enters else set[str]())
                pointed: list[EndpointRow] = []
                for row in _ours(connection, tenant):
                    if first is not None and row.name in kept:
                        pointed.append(self._point(connection, tenant, row.name, first))
                    else:
                        endpoints.remove(connection, tenant=tenant, name=row.name)
                if first is not None and enters:
                    pointed = [self._point(connection, tenant, FIRST, first)]
                    endpoints.set_profile(connection, tenant, _PROFILE, [(0, pointed[0].id)])
            return first is not None and [_store(engine, row, first) for row in pointed].count(True) > 0
        # An operator has a server elsewhere of that name: then ours is the one of the settings.
        return False

    def put_first(self, better: Served, small: Served) -> bool:
        """Let the better model answer, and the small one where it cannot. False: an operator has arranged the profile otherwise, and it stays."""
        with self._open() as engine:
            with database.unit(engine) as connection:
                tenant = tenants.default(connection)
                pointed = [(self._point(connection, tenant, FIRST, better), better)]
                answers = _is_ours(connection, tenant)
                if answers:
                    pointed.append((self._point(connection, tenant, SMALL, small), small))
                    endpoints.set_profile(connection, tenant, _PROFILE, [(n, row.id) for n, (row, _) in enumerate(pointed)])
                else:
                    answers = endpoints.profiles(connection, tenant)[_PROFILE][0][1].name == FIRST
            for row, served in pointed:
                _store(engine, row, served)
            return answers

    def _point(self, connection: Connection, tenant: UUID, name: str, served: Served) -> EndpointRow:
        """Make or change one of ours."""
        row = next((row for row in _ours(connection, tenant) if row.name == name), None)
        if row is None:
            form = Form(name=name, url=served.url, model=served.model, leaves_house=False)
            return endpoints.add(connection, self._keyring, tenant=tenant, form=form)
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


def _is_ours(connection: Connection, tenant: UUID) -> bool:
    """Whether no operator has arranged the profile: it has no endpoints, or ours alone."""
    return all(row.name in _NAMES for _, row in endpoints.profiles(connection, tenant).get(_PROFILE, ()))


def _arranged(connection: Connection, tenant: UUID) -> set[str]:
    """Our endpoints in profiles that an operator has arranged."""
    found: set[str] = set()
    for profile, places in endpoints.profiles(connection, tenant).items():
        if profile != _PROFILE or not _is_ours(connection, tenant):
            found |= {row.name for _, row in places} & set(_NAMES)
    return found


def _store(engine: Engine, row: EndpointRow, served: Served) -> bool:
    """Store what is known, as if it had been probed."""
    return served.traits is not None and endpoints.store_probe(engine, row, traits=served.traits, notes=())
