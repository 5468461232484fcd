"""The work on accounts as a request reaches it: what the room has at hand, who acts, the address that they came by."""

from __future__ import annotations

from starlette.requests import Request

from bots.web.acting import Operator
from bots.web.connect import Connections, Desk
from bots.web.room import Room


def connections_of(room: Room) -> Connections:
    """The work on accounts with what the room has at hand."""
    return Connections(web=room.web, crossing=room.crossing, keyring=room.keyring, settings=room.settings)


def desk_of(request: Request, operator: Operator) -> Desk:
    """Who acts, and the address that they came by."""
    return Desk(tenant=operator.tenant_id, actor=operator.name, base=str(request.base_url).rstrip("/"))
