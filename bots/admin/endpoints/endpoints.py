"""Endpoints: connected, changed, measured and removed by operators.

A key goes in and never comes out: what is shown says whether there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from bots.admin.acting import Operator
from bots.admin.audit import record
from bots.admin.deps import Deps
from bots.admin.endpoints.forms import PRICES, Wish, admit, admit_change, check_key
from bots.errors import Conflict, NotFound
from bots.storage import endpoints, personas
from bots.storage.database import hot, unit
from bots.storage.endpoints import EndpointRow
from inference.catalog import Catalog

_SETTINGS = ("name", "url", "model", "leaves_house", *PRICES)
#: More than anybody has; a profile is read with each change of it.
_MOST_ENDPOINTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """An endpoint after a change."""

    row: EndpointRow
    #: It moved to another server, and its key was removed.
    lost_key: bool


def today() -> date:
    """The day (UTC) by which the catalog's dates are judged."""
    return datetime.now(UTC).date()


def list_all(deps: Deps, operator: Operator) -> list[EndpointRow]:
    """All endpoints, by name."""
    with hot(deps.web) as connection:
        return endpoints.list_all(connection, operator.tenant_id)


def get(deps: Deps, operator: Operator, name: str) -> EndpointRow:
    """The endpoint of that name. Raises NotFound."""
    with hot(deps.web) as connection:
        return _wanted(connection, operator, name)


def measured(deps: Deps, operator: Operator, name: str) -> tuple[EndpointRow, bool]:
    """The endpoint, and whether any worker is running that could measure it. Raises NotFound."""
    with hot(deps.web) as connection:
        return _wanted(connection, operator, name), bool(personas.profiles(connection))


def add(deps: Deps, operator: Operator, wish: Wish, catalog: Catalog) -> EndpointRow:
    """Connect an endpoint; a worker measures it soon. Raises InvalidEndpoint, NameTaken, Conflict."""
    admit(wish, catalog, today=today())
    with unit(deps.web) as connection:
        if len(endpoints.list_all(connection, operator.tenant_id)) >= _MOST_ENDPOINTS:
            raise Conflict(f"There are already {_MOST_ENDPOINTS} endpoints; remove one first.")
        row = endpoints.add(connection, deps.keyring, tenant=operator.tenant_id, form=wish.form, api_key=wish.api_key or None)
        detail: dict[str, object] = {"model": row.model, "leaves_house": row.leaves_house, "key": row.key is not None}
        record(connection, operator, "endpoint.add", f"endpoint:{row.name}", detail)
        return row


def change(deps: Deps, operator: Operator, name: str, wish: Wish, catalog: Catalog) -> Changed:
    """Give an endpoint new values, but no key; on another server it loses its own. Raises NotFound, NameTaken, InvalidEndpoint."""
    with unit(deps.web) as connection:
        before = _wanted(connection, operator, name)
        row = endpoints.change(connection, tenant=operator.tenant_id, name=name, form=wish.form)
        admit_change(wish, before, row, catalog, today=today())
        lost_key = before.key is not None and row.key is None
        changed = [key for key in _SETTINGS if getattr(before, key) != getattr(row, key)]
        if changed:
            detail: dict[str, object] = {"changed": changed}
            if "name" in changed:
                detail["name_before"] = before.name
            if lost_key:
                detail["key"] = False
            record(connection, operator, "endpoint.change", f"endpoint:{row.name}", detail)
        return Changed(row=row, lost_key=lost_key)


def set_key(deps: Deps, operator: Operator, name: str, api_key: str | None) -> EndpointRow:
    """Replace an endpoint's key, or remove it; the endpoint is measured again. Raises NotFound, InvalidEndpoint."""
    key = None if api_key is None else check_key(api_key)
    with unit(deps.web) as connection:
        _wanted(connection, operator, name)
        endpoints.set_key(connection, deps.keyring, tenant=operator.tenant_id, name=name, api_key=key)
        record(connection, operator, "endpoint.key", f"endpoint:{name}", {"key": key is not None})
        return _wanted(connection, operator, name)


def probe(deps: Deps, operator: Operator, name: str) -> EndpointRow:
    """Let a worker measure an endpoint again. Raises NotFound."""
    with unit(deps.web) as connection:
        _wanted(connection, operator, name)
        endpoints.ask_probe(connection, tenant=operator.tenant_id, name=name)
        record(connection, operator, "endpoint.probe", f"endpoint:{name}")
        return _wanted(connection, operator, name)


def remove(deps: Deps, operator: Operator, name: str) -> Sequence[str]:
    """Remove an endpoint and its key; returns the profiles that it was in. Raises NotFound."""
    with unit(deps.web) as connection:
        row = _wanted(connection, operator, name)
        endpoints.remove(connection, tenant=operator.tenant_id, name=name)
        record(connection, operator, "endpoint.remove", f"endpoint:{name}", {"profiles": list(row.profiles)})
        return row.profiles


def _wanted(connection: Connection, operator: Operator, name: str) -> EndpointRow:
    # Names come from addresses too: one that no column can hold belongs to no endpoint.
    row = endpoints.get(connection, tenant=operator.tenant_id, name=name) if name.isprintable() else None
    if row is None:
        raise NotFound(f"There is no endpoint named {name[:80]}.")
    return row
