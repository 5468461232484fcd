"""Endpoints with their keys, for commands that call endpoints themselves. Nothing else returns a key."""

from __future__ import annotations

from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.storage import endpoints
from bots.storage.database import hot
from bots.storage.endpoints import EndpointRow


def by_name(deps: Deps, operator: Operator) -> dict[str, EndpointRow]:
    """All endpoints, by name."""
    with hot(deps.web) as connection:
        return {row.name: row for row in endpoints.list_all(connection, operator.tenant_id)}


def opened(deps: Deps, _operator: Operator, row: EndpointRow) -> str:
    """An endpoint's key; empty where it has none. Raises CannotOpen."""
    return endpoints.open_key(deps.keyring, row)
