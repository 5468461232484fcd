"""Endpoints and profiles: the model servers that answer, their order, and their encrypted keys.

A key belongs to the address for which it was entered: an endpoint that moves to another server loses it, so that a new server never gets an
old secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import IntegrityError

from bots.crypto import Keyring
from bots.domain import Sealed
from bots.errors import BadSetting, NameTaken, NotFound
from bots.storage.database import to_json, unit
from wire import address

_COLUMNS = """
select e.tenant_id, e.id, e.name, e.url, e.model, e.api_key, e.leaves_house, e.price_in, e.price_cached, e.price_out, e.traits, e.notes,
    e.probed_at, e.probe_at,
    coalesce((select array_agg(p.profile order by p.profile) from profile_endpoints p
        where p.tenant_id = e.tenant_id and p.endpoint_id = e.id), '{}') as profiles
from endpoints e
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """A model server as stored. Prices are in USD per million tokens; None: not known."""

    id: UUID
    tenant_id: UUID
    name: str
    #: Base address up to and including /v1.
    url: str
    model: str
    #: Whether what people write leaves the operator's own servers to reach it.
    leaves_house: bool = True
    price_in: float | None = None
    price_cached: float | None = None
    price_out: float | None = None
    #: What the probe measured: fields of inference.types.Traits.
    traits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    #: What the probe found that an operator should know, one sentence each.
    notes: Sequence[str] = ()
    probed_at: datetime | None = None
    #: When it is due to be probed next; None: only on request.
    probe_at: datetime | None = None
    key: Sealed | None = None
    profiles: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What an operator enters about an endpoint, apart from its key. Raises BadSetting for values that are not valid."""

    name: str
    url: str
    model: str
    leaves_house: bool = True
    price_in: float | None = None
    price_cached: float | None = None
    price_out: float | None = None

    def __post_init__(self) -> None:
        """Refuse an address that cannot be called, an empty name or model, and negative prices."""
        if not self.name.strip() or not self.model.strip():
            raise BadSetting("An endpoint needs a name and a model.")
        if not address.is_base(self.url):
            raise BadSetting("An endpoint's address must have the form https://host/v1, without a user, a password or a question mark.")
        prices = (self.price_in, self.price_cached, self.price_out)
        if any(price is not None and not 0 <= price < float("inf") for price in prices):
            raise BadSetting("A price is in USD per million tokens, 0 or more.")
        if (self.price_in is None) != (self.price_out is None) or (self.price_in is None and self.price_cached is not None):
            raise BadSetting("A price needs both: tokens in and tokens out.")


def list_all(connection: Connection, tenant: UUID) -> list[EndpointRow]:
    """All endpoints of a tenant, by name."""
    rows = connection.execute(text(_COLUMNS + " where e.tenant_id = :tenant order by e.name"), {"tenant": tenant})
    return [_endpoint(row) for row in rows]


def all_prices(connection: Connection) -> list[tuple[str, dict[str, float | None]]]:
    """Return the names of all endpoints with a price, of any tenant, in order, each with its prices."""
    rows = connection.execute(
        text("select name, price_in, price_cached, price_out from endpoints where price_in is not null order by name")
    )
    return [(row.name, {"price_in": row.price_in, "price_cached": row.price_cached, "price_out": row.price_out}) for row in rows]


def all_models(connection: Connection) -> list[str]:
    """Return the names of all models that any tenant's endpoints serve, in order."""
    return list(connection.execute(text("select distinct model from endpoints order by model")).scalars())


def get(connection: Connection, *, tenant: UUID, name: str, locked: bool = False) -> EndpointRow | None:
    """Find an endpoint by its name. With locked, nobody else can change it until the transaction ends."""
    statement = _COLUMNS + " where e.tenant_id = :tenant and e.name = :name" + (" for update of e" if locked else "")
    found = connection.execute(text(statement), {"tenant": tenant, "name": name}).one_or_none()
    return None if found is None else _endpoint(found)


def add(connection: Connection, keyring: Keyring, *, tenant: UUID, form: Form, api_key: str | None = None) -> EndpointRow:
    """Add an endpoint; it will be probed soon. Raises NameTaken."""
    row = uuid4()
    values = _values(form) | {"tenant": tenant, "id": row, "key": _seal(keyring, row, api_key)}
    try:
        connection.execute(
            text(
                "insert into endpoints (tenant_id, id, name, url, model, api_key, leaves_house, price_in, price_cached, price_out)"
                " values (:tenant, :id, :name, :url, :model, :key, :leaves_house, :price_in, :price_cached, :price_out)"
            ),
            values,
        )
    except IntegrityError as error:
        raise NameTaken(f"There is already an endpoint named {form.name}.") from error
    return _wanted(connection, tenant=tenant, name=form.name)


def change(connection: Connection, *, tenant: UUID, name: str, form: Form) -> EndpointRow:
    """Change an endpoint's values. Raises NotFound, NameTaken.

    After a change of the model or the address it is probed again; a change of the server also removes the key.
    """
    # Locked, so that nobody changes its address or its key in between.
    before = _wanted(connection, tenant=tenant, name=name, locked=True)
    moved, other = _server(before.url) != _server(form.url), (before.url, before.model) != (form.url.rstrip("/"), form.model)
    values = _values(form) | {"tenant": tenant, "id": before.id, "moved": moved, "other": other}
    try:
        connection.execute(
            text(
                "update endpoints set name = :name, url = :url, model = :model, leaves_house = :leaves_house, price_in = :price_in,"
                " price_cached = :price_cached, price_out = :price_out, api_key = case when :moved then null else api_key end,"
                " traits = case when :other then '{}' else traits end, notes = case when :other then '[]' else notes end,"
                " probed_at = case when :other then null else probed_at end, probe_at = case when :other then now() else probe_at end"
                " where tenant_id = :tenant and id = :id"
            ),
            values,
        )
    except IntegrityError as error:
        raise NameTaken(f"There is already an endpoint named {form.name}.") from error
    if form.name != name or other:
        _forget_refusals(connection, tenant, name)
    return _wanted(connection, tenant=tenant, name=form.name)


def set_key(connection: Connection, keyring: Keyring, *, tenant: UUID, name: str, api_key: str | None) -> None:
    """Replace or remove an endpoint's key; the endpoint is probed again. Raises NotFound."""
    row = _wanted(connection, tenant=tenant, name=name)
    connection.execute(
        text(
            "update endpoints set api_key = :key, notes = '[]', probed_at = null, probe_at = now() where tenant_id = :tenant and id = :id"
        ),
        {"key": _seal(keyring, row.id, api_key), "tenant": tenant, "id": row.id},
    )
    _forget_refusals(connection, tenant, name)


def open_key(keyring: Keyring, row: EndpointRow) -> str:
    """Return an endpoint's decrypted key, or None. Raises CannotOpen."""
    return "" if row.key is None else keyring.open(row.key, table="endpoints", row=row.id, column="api_key")


def remove(connection: Connection, *, tenant: UUID, name: str) -> None:
    """Remove an endpoint, also from its profiles. Raises NotFound."""
    row = _wanted(connection, tenant=tenant, name=name)
    connection.execute(text("delete from endpoints where tenant_id = :tenant and id = :id"), {"tenant": tenant, "id": row.id})
    _forget_refusals(connection, tenant, name)


def set_profile(connection: Connection, tenant: UUID, profile: str, places: Iterable[tuple[int, UUID]]) -> None:
    """Set a profile to these (position, endpoint) pairs. Without any it is removed, and the endpoint of the settings answers. Raises NotFound."""
    connection.execute(
        text("delete from profile_endpoints where tenant_id = :tenant and profile = :profile"), {"tenant": tenant, "profile": profile}
    )
    wanted = [{"tenant": tenant, "profile": profile, "position": position, "endpoint": endpoint} for position, endpoint in places]
    if not wanted:
        return
    try:
        connection.execute(
            text(
                "insert into profile_endpoints (tenant_id, profile, position, endpoint_id) values (:tenant, :profile, :position, :endpoint)"
            ),
            wanted,
        )
    except IntegrityError as error:
        raise NotFound("A profile needs endpoints that exist, each of them once.") from error


def profiles(connection: Connection, tenant: UUID) -> Mapping[str, tuple[tuple[int, EndpointRow], ...]]:
    """A tenant's profiles, each with its endpoints in order."""
    return {profile: places for (_, profile), places in every_profile(connection, tenant).items()}


def every_profile(connection: Connection, tenant: UUID | None = None) -> Mapping[tuple[UUID, str], tuple[tuple[int, EndpointRow], ...]]:
    """All tenants' profiles (or one's), by tenant and name, each with its endpoints in order."""
    of_one = "" if tenant is None else " where e.tenant_id = :tenant"
    rows = [_endpoint(row) for row in connection.execute(text(_COLUMNS + of_one), {} if tenant is None else {"tenant": tenant})]
    known = {(row.tenant_id, row.id): row for row in rows}
    found: dict[tuple[UUID, str], list[tuple[int, EndpointRow]]] = {}
    for place in connection.execute(text("select tenant_id, profile, position, endpoint_id from profile_endpoints")):
        row = known.get((place.tenant_id, place.endpoint_id))
        if row is not None:
            found.setdefault((place.tenant_id, place.profile), []).append((place.position, row))
    return {key: tuple(sorted(places, key=lambda place: (place[0], place[1].name))) for key, places in found.items()}


def ask_probe(connection: Connection, *, tenant: UUID, name: str) -> None:
    """Let a worker probe an endpoint again; the earlier findings are used until then. Raises NotFound."""
    row = _wanted(connection, tenant=tenant, name=name)
    connection.execute(
        text("update endpoints set notes = '[]', probed_at = null, probe_at = now() where tenant_id = :tenant and id = :id"),
        {"tenant": tenant, "id": row.id},
    )


def claim_probe(engine: Engine, *, within_s: float) -> EndpointRow | None:
    """Take the next endpoint that is due to be probed; after `within_s` another process may take it. None: there is nothing to do."""
    with unit(engine) as connection:
        due = connection.execute(
            text("select id, tenant_id from endpoints where probe_at <= now() order by probe_at limit 1 for update skip locked")
        ).one_or_none()
        if due is None:
            return None
        values = {"id": due.id, "tenant": due.tenant_id, "within": within_s}
        connection.execute(
            text("update endpoints set probe_at = now() + make_interval(secs => :within) where id = :id and tenant_id = :tenant"), values
        )
        return _endpoint(connection.execute(text(_COLUMNS + " where e.id = :id and e.tenant_id = :tenant"), values).one())


def store_probe(
    engine: Engine, row: EndpointRow, *, traits: Mapping[str, Any] | None, notes: Sequence[str], again_s: float | None = None
) -> bool:
    """Store what a probe of this row found; without traits, the earlier ones stay. again_s: when to probe it next.

    False when the endpoint was changed meanwhile: then it will be probed again anyway.
    """
    values = {
        "id": row.id,
        "tenant": row.tenant_id,
        "url": row.url,
        "model": row.model,
        "claimed": row.probe_at,
        "traits": None if traits is None else to_json(dict(traits)),
        "notes": to_json(list(notes)),
        "again": again_s,
    }
    with unit(engine) as connection:
        done = connection.execute(
            text(
                "update endpoints set traits = coalesce(cast(:traits as jsonb), traits), notes = cast(:notes as jsonb),"
                " probed_at = case when cast(:traits as jsonb) is null then probed_at else now() end,"
                " probe_at = now() + make_interval(secs => cast(:again as double precision))"
                " where id = :id and tenant_id = :tenant and url = :url and model = :model and probe_at = :claimed"
            ),
            values,
        )
        return done.rowcount == 1


def _forget_refusals(connection: Connection, tenant: UUID, name: str) -> None:
    """What it refused is over: no endpoint has this name any more, or its key, its model or its address is another one."""
    connection.execute(text("delete from model_refusals where tenant_id = :tenant and endpoint = :name"), {"tenant": tenant, "name": name})


def _values(form: Form) -> dict[str, Any]:
    return {
        "name": form.name,
        "url": form.url.rstrip("/"),
        "model": form.model,
        "leaves_house": form.leaves_house,
        "price_in": form.price_in,
        "price_cached": form.price_cached,
        "price_out": form.price_out,
    }


def _wanted(connection: Connection, *, tenant: UUID, name: str, locked: bool = False) -> EndpointRow:
    found = get(connection, tenant=tenant, name=name, locked=locked)
    if found is None:
        raise NotFound(f"There is no endpoint named {name}.")
    return found


def _server(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _seal(keyring: Keyring, row: UUID, plain: str | None) -> bytes | None:
    return keyring.seal(plain, table="endpoints", row=row, column="api_key").token if plain else None


def _endpoint(row: Row[Any]) -> EndpointRow:
    return EndpointRow(
        id=row.id,
        tenant_id=row.tenant_id,
        name=row.name,
        url=row.url,
        model=row.model,
        leaves_house=row.leaves_house,
        price_in=row.price_in,
        price_cached=row.price_cached,
        price_out=row.price_out,
        traits=row.traits,
        notes=tuple(row.notes),
        probed_at=row.probed_at,
        probe_at=row.probe_at,
        key=Sealed(token=bytes(row.api_key)) if row.api_key else None,
        profiles=tuple(row.profiles),
    )
