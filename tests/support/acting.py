"""Who acts in tests of the use cases, and what they work with, without a web or a command around them."""

from __future__ import annotations

from uuid import UUID, uuid4

from cryptography.fernet import Fernet
from sqlalchemy import Engine

from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.crypto import Keyring
from bots.domain import Role
from bots.settings import Settings

LINE_BYTES = 10_000


def acting(tenant: UUID, name: str = "ada") -> Operator:
    """An owner of that name."""
    return Operator(id=uuid4(), tenant_id=tenant, name=name, role=Role.OWNER)


def deps(web: Engine, crossing: Engine | None = None) -> Deps:
    """Dependencies on these engines; batch lines are short, and the key is a new one."""
    settings = Settings(keys=Fernet.generate_key().decode(), batch_line_bytes=LINE_BYTES)
    return Deps(web=web, crossing=crossing or web, keyring=Keyring.from_settings(settings), settings=settings)
