"""Who acts, and the refusal of what they may not do: what pages, API and commands share."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from bots.domain import Role
from bots.errors import BotsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Somebody signed in."""

    id: UUID
    tenant_id: UUID
    name: str
    role: Role
    by_token: bool = False


class Refused(BotsError):
    """The request is not allowed."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
