"""Operators of a test's service: signed in over HTTP, as a session or as an API token."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Self
from uuid import uuid4

import httpx

from bots.crypto import hash_password
from bots.domain import Role
from bots.storage import operators, tenants
from tests.support.stack import Stack

PASSWORD = "six blue herons at noon"


def make(stack: Stack, role: Role, *, name: str | None = None) -> str:
    """Make an operator with the password PASSWORD; returns the name."""
    called = name or role.value
    with stack.engine("web").begin() as connection:
        tenant = tenants.default(connection)
        operators.add(connection, tenant=tenant, name=called, role=role, password_hash=hash_password(PASSWORD))
    return called


def a_token(stack: Stack, role: Role) -> str:
    """Make an API token of a new operator in a role."""
    name = make(stack, role, name=f"{role.value}-{uuid4().hex[:8]}")
    with stack.engine("web").begin() as connection:
        tenant = tenants.default(connection)
        known = operators.by_name(connection, tenant=tenant, name=name)
        assert known is not None
        return operators.add_token(connection, tenant=tenant, operator=known.id, name="test", role=role)


class SignedIn:
    """A browser without a browser: the cookie of one signed-in operator."""

    def __init__(self, stack: Stack, role: Role) -> None:
        """Make a new operator in a role and sign in."""
        self.http = httpx.Client(base_url=stack.web_url, timeout=20, trust_env=False, verify=False)
        name = make(stack, role, name=f"{role.value}-{uuid4().hex[:8]}")
        answer = self.http.post("/admin/sign-in", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        found = re.search(r'name="csrf" content="([0-9a-f]+)"', self.http.get("/admin").text)
        assert found is not None
        self.csrf = found.group(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.http.close()

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return self.http.get(path)

    def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form with this session's CSRF token."""
        return self.http.post(path, data={"csrf": self.csrf, **fields})
