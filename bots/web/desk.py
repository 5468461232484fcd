"""The work on accounts as a request reaches it: what the site has at hand, who acts, the address that they came by."""

from __future__ import annotations

from starlette.requests import Request

from bots.admin.accounts.connections import Connections, Desk
from bots.admin.acting import Operator
from bots.web.admin_site import AdminSite


def connections_of(site: AdminSite) -> Connections:
    """The work on accounts with what the site has at hand."""
    return Connections(web=site.web, crossing=site.crossing, keyring=site.keyring, settings=site.settings)


def desk_of(request: Request, operator: Operator) -> Desk:
    """Who acts, and the address that they came by."""
    return Desk(tenant=operator.tenant_id, actor=operator.name, base=str(request.base_url).rstrip("/"))
