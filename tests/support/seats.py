"""Puts a model server of a test in the one seat of the default profile."""

from __future__ import annotations

import json

from sqlalchemy import text

from tests.support.stack import Stack


def seat(stack: Stack, name: str, url: str, *, vision: bool) -> None:
    """Let an endpoint alone answer for the default profile; its traits as the probe would have found them."""
    values = {"name": name, "url": url + "/v1", "traits": json.dumps({"vision": vision})}
    with stack.owner.begin() as connection:
        connection.execute(text("delete from endpoints"))
        statement = (
            "with e as (insert into endpoints (tenant_id, name, url, model, leaves_house, traits, probe_at)"
            " select tenant_id, :name, :url, :name, false, cast(:traits as jsonb), null from tenants returning tenant_id, id)"
            " insert into profile_endpoints (tenant_id, profile, position, endpoint_id) select tenant_id, 'default', 0, id from e"
        )
        connection.execute(text(statement), values)
