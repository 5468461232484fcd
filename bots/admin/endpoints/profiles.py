"""Profiles: which endpoints answer, in which order, and which bots they answer for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection

from bots.admin.acting import Operator
from bots.admin.audit import record
from bots.admin.bots.forms import PROFILE
from bots.admin.deps import Deps
from bots.admin.endpoints import tiers
from bots.admin.endpoints.forms import InvalidEndpoint
from bots.admin.endpoints.tiers import Tiers
from bots.domain import Bot
from bots.errors import Conflict, NotFound
from bots.storage import endpoints, personas
from bots.storage.database import unit
from bots.storage.endpoints import EndpointRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A profile, in the order in which its endpoints are tried."""

    name: str
    #: Replicas of one another are in one tier. Without tiers the worker's own model answers.
    tiers: tuple[tuple[EndpointRow, ...], ...]
    #: The bots that use it.
    bots: tuple[Bot, ...]
    #: Whether a running worker serves it.
    is_alive: bool
    #: Only workers with an engine of their own serve it: while an engine is down nobody tries the next endpoint.
    engines_only: bool = False

    @property
    def stays(self) -> bool:
        """Whether one of its endpoints is the operators' own."""
        return any(not row.leaves_house for tier in self.tiers for row in tier)

    @property
    def order(self) -> Tiers:
        """The names of its endpoints."""
        return tuple(tuple(row.name for row in tier) for tier in self.tiers)

    @property
    def mute(self) -> tuple[Bot, ...]:
        """Bots that nothing may answer: their conversations must not leave, and every endpoint is hosted elsewhere."""
        return () if self.stays or not self.tiers else tuple(bot for bot in self.bots if not bot.data_may_leave)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All endpoints and profiles of a tenant."""

    endpoints: tuple[EndpointRow, ...]
    profiles: tuple[Profile, ...]
    #: Whether any worker is running: without one nothing is measured.
    has_worker: bool

    def endpoint(self, name: str) -> EndpointRow:
        """The endpoint of that name. Raises NotFound."""
        found = next((row for row in self.endpoints if row.name == name), None)
        if found is None:
            raise NotFound(f"There is no endpoint named {name[:80]}.")
        return found

    def profile(self, name: str) -> Profile:
        """The profile of that name; one that nobody has set up is answered by the worker's own model. Raises NotFound for an invalid name."""
        if not re.fullmatch(PROFILE, name):
            raise NotFound(
                f"{name[:80]} cannot be a profile's name: use lower-case letters, digits, dots, underscores and dashes, for example default."
            )
        known = next((one for one in self.profiles if one.name == name), None)
        return known or Profile(name=name, tiers=(), bots=(), is_alive=False)


def overview(deps: Deps, operator: Operator) -> Overview:
    """Read all endpoints and profiles: those that were set up, those that bots name, those that running workers serve."""
    with unit(deps.web) as connection:
        return _overview(connection, operator)


def arrange(deps: Deps, operator: Operator, profile: str, order: Tiers) -> Profile:
    """Make a profile of these endpoints; of none, and the worker's own model answers. Raises InvalidEndpoint, NotFound, Conflict."""
    with unit(deps.web) as connection:
        _arrange(connection, operator, profile, order)
        return _overview(connection, operator).profile(profile)


def move(deps: Deps, operator: Operator, profile: str, endpoint: str, *, how: str) -> tuple[Tiers, Tiers]:
    """Change one endpoint's place by one of `tiers.MOVES`; returns the order before and after. Raises NotFound, Conflict."""
    with unit(deps.web) as connection:
        before = _overview(connection, operator).profile(profile).order
        if how not in tiers.MOVES:
            raise NotFound("A profile cannot be changed in this way.")
        after = tiers.MOVES[how](before, endpoint)
        _arrange(connection, operator, profile, after)
        return before, after


def _overview(connection: Connection, operator: Operator) -> Overview:
    tenant = operator.tenant_id
    rows = endpoints.list_all(connection, tenant)
    stored = endpoints.profiles(connection, tenant)
    bots, alive = personas.list_all(connection, tenant=tenant), personas.profiles(connection)
    engines_only = personas.without_plain_worker(connection)
    names = sorted({*stored, *alive, *(bot.profile for bot in bots)})
    found: list[Profile] = []
    for name in names:
        places = stored.get(name, ())
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
    return Overview(endpoints=tuple(rows), profiles=tuple(found), has_worker=bool(alive))


def _arrange(connection: Connection, operator: Operator, profile: str, order: Tiers) -> None:
    tenant = operator.tenant_id
    if not re.fullmatch(PROFILE, profile):
        raise InvalidEndpoint(
            {"profile": "Use lower-case letters, digits, dots, underscores and dashes, at most 60 characters, for example default."}
        )
    ids = {row.name: row.id for row in endpoints.list_all(connection, tenant)}
    # Replicas have no order of their own.
    order = tuple(tuple(sorted(tier)) for tier in order)
    names = [name for tier in order for name in tier]
    missing = [name for name in names if name not in ids]
    if missing:
        raise NotFound(f"There is no endpoint named {missing[0][:80]}.")
    if len(set(names)) < len(names):
        raise InvalidEndpoint({"tiers": "An endpoint can be in a profile only once."})
    stored = endpoints.profiles(connection, tenant).get(profile, ())
    if tiers.of_places((position, row.name) for position, row in stored) == order:
        return
    places = [(position, ids[name]) for position, tier in enumerate(order) for name in tier]
    try:
        endpoints.set_profile(connection, tenant, profile, places)
    except NotFound as error:
        # All of them existed a moment ago, each of them once.
        raise Conflict("Somebody else changed the profile at the same moment. Check it, then try again.") from error
    if order:
        record(connection, operator, "profile.change", f"profile:{profile}", {"order": tiers.written(order)})
    else:
        record(connection, operator, "profile.remove", f"profile:{profile}")
