"""Weights of accounts and tenants: who gets how much where more people wait than there are slots."""

from __future__ import annotations

from uuid import UUID

from bots.admin import audit
from bots.admin.accounts.offer import audit_subject
from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.errors import BotsError
from bots.storage import setups, weights
from bots.storage.database import unit
from bots.storage.weights import TenantShare

LEAST, MOST = 0.01, 1000.0


class BadWeight(BotsError):
    """A weight is a number from 0.01 to 1000. 1 is the weight of whoever was given none, 2 gets twice as much, 0.5 half as much."""


def read(given: str) -> float:
    """Read a weight as people type it, with a point or a comma. Raises BadWeight."""
    try:
        return _checked(float(given.strip().replace(",", ".")))
    except ValueError as error:
        raise BadWeight from error


def set_account(deps: Deps, operator: Operator, account: UUID, weight: float) -> None:
    """Give an account its weight beside the tenant's other accounts. Raises NotFound, BadWeight."""
    _checked(weight)
    with unit(deps.web) as connection:
        found = setups.mine(connection, tenant=operator.tenant_id, account=account)
        before = weights.set_account(connection, found, weight)
        audit.record(connection, operator, "account.weight", audit_subject(found), {"weight": weight, "before": before})


def of_tenants(deps: Deps, _operator: Operator) -> list[TenantShare]:
    """Every tenant of the installation with its weight."""
    with unit(deps.crossing) as connection:
        return weights.of_tenants(connection)


def set_tenant(deps: Deps, operator: Operator, name: str, weight: float) -> None:
    """Give a tenant its weight beside the other tenants; for the server's command line alone. Raises NotFound, BadWeight."""
    _checked(weight)
    with unit(deps.crossing) as connection:
        before = weights.set_tenant(connection, name, weight)
        audit.record(connection, operator, "tenant.weight", f"tenant:{name}", {"weight": weight, "before": before})


def _checked(weight: float) -> float:
    # What is no number at all is within no bounds.
    if not LEAST <= weight <= MOST:
        raise BadWeight
    return weight
