"""Endpoints and profiles behind pages, API and commands: reads for showing them, and each write with its audit row. Synchronous.

A key goes in and never comes out: what is shown says whether one is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Connection

from bots.admin.bots import editor
from bots.admin.endpoints import tiers
from bots.admin.endpoints.forms import PRICES, Unfit, Wish, admit_change, check_key
from bots.admin.endpoints.tiers import Tiers
from bots.crypto import Keyring
from bots.domain import Bot
from bots.errors import Conflict, NotFound
from bots.storage import audit, endpoints, personas
from bots.storage.endpoints import EndpointRow
from inference.catalog import Catalog

_SETTINGS = ("name", "url", "model", "leaves_house", *PRICES)
#: More than anybody has; a profile is read with each change of it.
_MOST_ENDPOINTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A profile, in the order in which its endpoints are tried."""

    name: str
    #: Replicas of one another stand together; empty: the worker's own model answers.
    tiers: tuple[tuple[EndpointRow, ...], ...]
    #: Those that are answered by it.
    bots: tuple[Bot, ...]
    #: Whether a living worker takes its work.
    is_alive: bool
    #: Its living workers have an engine each: while that is away nobody takes the profile's work.
    engines_only: bool = False

    @property
    def stays(self) -> bool:
        """Whether an endpoint of it is in the house."""
        return any(not row.leaves_house for tier in self.tiers for row in tier)

    @property
    def order(self) -> Tiers:
        """The names of its endpoints."""
        return tuple(tuple(row.name for row in tier) for tier in self.tiers)

    @property
    def mute(self) -> tuple[Bot, ...]:
        """Bots that nobody may answer: their conversations stay in the house, and every endpoint is outside."""
        return () if self.stays or not self.tiers else tuple(bot for bot in self.bots if not bot.data_may_leave)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """All endpoints and profiles of a tenant."""

    endpoints: tuple[EndpointRow, ...]
    profiles: tuple[Profile, ...]
    #: Whether any worker lives: without one nothing is measured.
    has_worker: bool

    def profile(self, name: str) -> Profile:
        """A profile of that name; of one that nobody described the worker's own model answers. Raises NotFound for what is no name."""
        if not re.fullmatch(editor.PROFILE, name):
            raise NotFound(f"{name[:80]} is no profile's name: small letters, digits, dots and dashes, as in default.")
        known = next((one for one in self.profiles if one.name == name), None)
        return known or Profile(name=name, tiers=(), bots=(), is_alive=False)


def look(connection: Connection, *, tenant: UUID) -> Shown:
    """Read everything."""
    rows = endpoints.list_all(connection, tenant)
    kept = endpoints.profiles(connection, tenant)
    bots, alive = personas.list_all(connection, tenant=tenant), personas.profiles(connection)
    engines_only = personas.without_plain_worker(connection)
    names = sorted({*kept, *alive, *(bot.profile for bot in bots)})
    found: list[Profile] = []
    for name in names:
        places = kept.get(name, ())
        known = {row.name: row for _, row in places}
        order = tiers.of_places((position, row.name) for position, row in places)
        found.append(
            Profile(
                name=name,
                tiers=tuple(tuple(known[member] for member in tier) for tier in order),
                bots=tuple(bot for bot in bots if bot.profile == name),
                is_alive=name in alive,
                engines_only=name in engines_only,
            )
        )
    return Shown(endpoints=tuple(rows), profiles=tuple(found), has_worker=bool(alive))


def wanted(connection: Connection, *, tenant: UUID, name: str) -> EndpointRow:
    """The endpoint of that name. Raises NotFound."""
    # Names come out of addresses, too: what no column can hold is nobody's.
    row = endpoints.get(connection, tenant=tenant, name=name) if name.isprintable() else None
    if row is None:
        raise NotFound(f"There is no endpoint named {name[:80]}.")
    return row


def add(connection: Connection, keyring: Keyring, wish: Wish, *, tenant: UUID, actor: str) -> EndpointRow:
    """Connect an endpoint that was admitted; a worker measures it soon. Raises NameTaken, Conflict."""
    if len(endpoints.list_all(connection, tenant)) >= _MOST_ENDPOINTS:
        raise Conflict(f"There are {_MOST_ENDPOINTS} endpoints already; remove one first.")
    row = endpoints.add(connection, keyring, tenant=tenant, form=wish.form, api_key=wish.api_key or None)
    detail: dict[str, object] = {"model": row.model, "leaves_house": row.leaves_house, "key": row.key is not None}
    _note(connection, f"endpoint:{row.name}", tenant=tenant, actor=actor, action="endpoint.add", detail=detail)
    return row


def change(connection: Connection, wish: Wish, catalog: Catalog, *, today: date, tenant: UUID, name: str, actor: str) -> EndpointRow:
    """Give an endpoint new values, but no key; on another server it loses its own. Raises NotFound, NameTaken, Unfit."""
    before = wanted(connection, tenant=tenant, name=name)
    row = endpoints.change(connection, tenant=tenant, name=name, form=wish.form)
    admit_change(wish, before, row, catalog, today=today)
    changed = [key for key in _SETTINGS if getattr(before, key) != getattr(row, key)]
    if changed:
        detail: dict[str, object] = {"changed": changed}
        if "name" in changed:
            detail["name_before"] = before.name
        if before.key is not None and row.key is None:
            detail["key"] = False
        _note(connection, f"endpoint:{row.name}", tenant=tenant, actor=actor, action="endpoint.change", detail=detail)
    return row


def set_key(connection: Connection, keyring: Keyring, *, tenant: UUID, name: str, api_key: str | None, actor: str) -> None:
    """Replace an endpoint's key, or take it away; it is measured anew. Raises NotFound, Unfit."""
    key = None if api_key is None else check_key(api_key)
    row = wanted(connection, tenant=tenant, name=name)
    endpoints.set_key(connection, keyring, tenant=tenant, name=row.name, api_key=key)
    _note(connection, f"endpoint:{name}", tenant=tenant, actor=actor, action="endpoint.key", detail={"key": key is not None})


def probe(connection: Connection, *, tenant: UUID, name: str, actor: str) -> None:
    """Let a worker measure an endpoint anew. Raises NotFound."""
    row = wanted(connection, tenant=tenant, name=name)
    endpoints.ask_probe(connection, tenant=tenant, name=row.name)
    _note(connection, f"endpoint:{name}", tenant=tenant, actor=actor, action="endpoint.probe")


def remove(connection: Connection, *, tenant: UUID, name: str, actor: str) -> Sequence[str]:
    """Remove an endpoint and its key; returns the profiles that it was in. Raises NotFound."""
    row = wanted(connection, tenant=tenant, name=name)
    endpoints.remove(connection, tenant=tenant, name=name)
    _note(connection, f"endpoint:{name}", tenant=tenant, actor=actor, action="endpoint.remove", detail={"profiles": list(row.profiles)})
    return row.profiles


def arrange(connection: Connection, order: Tiers, *, tenant: UUID, profile: str, actor: str) -> None:
    """Make a profile of these endpoints; of none, and the worker's own model answers. Raises Unfit, NotFound, Conflict."""
    if not re.fullmatch(editor.PROFILE, profile):
        raise Unfit({"profile": "Small letters, digits, dots and dashes, at most 60, as in default."})
    ids = {row.name: row.id for row in endpoints.list_all(connection, tenant)}
    # Replicas have no order of their own.
    order = tuple(tuple(sorted(tier)) for tier in order)
    names = [name for tier in order for name in tier]
    missing = [name for name in names if name not in ids]
    if missing:
        raise NotFound(f"There is no endpoint named {missing[0][:80]}.")
    if len(set(names)) < len(names):
        raise Unfit({"tiers": "An endpoint stands in a profile once."})
    kept = endpoints.profiles(connection, tenant).get(profile, ())
    if tiers.of_places((position, row.name) for position, row in kept) == order:
        return
    places = [(position, ids[name]) for position, tier in enumerate(order) for name in tier]
    try:
        endpoints.set_profile(connection, tenant, profile, places)
    except NotFound as error:
        # They were there a moment ago, each of them once.
        raise Conflict("Somebody else changed it at the same moment. Look again.") from error
    action = "profile.change" if order else "profile.remove"
    _note(
        connection,
        f"profile:{profile}",
        tenant=tenant,
        actor=actor,
        action=action,
        detail={"order": tiers.written(order)} if order else None,
    )


def _note(
    connection: Connection, subject: str, *, tenant: UUID, actor: str, action: str, detail: Mapping[str, object] | None = None
) -> None:
    audit.record(connection, tenant=tenant, actor=actor, action=action, subject=subject, detail=None if detail is None else dict(detail))
