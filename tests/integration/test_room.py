"""The room of a prompt: what the smallest endpoint that may see it takes, beside the answer."""

from __future__ import annotations

import json
import sys
from typing import Any

from bots.storage import endpoints
from bots.storage.database import unit
from inference.settings import ModelSettings
from tests.support.storage_fixture import StorageFixture
from workers.model_routes import ModelRoutes, profile_key


def _rooms(storage: StorageFixture, *, images: int = 0, **traits: dict[str, Any]) -> tuple[int, int]:
    """The room of a profile of these endpoints, for a bot whose conversations must stay on our servers and for one whose conversations may leave them."""
    tenant = storage.account.tenant_id
    with unit(storage.web) as connection:
        rows = [
            endpoints.add(
                connection,
                storage.keyring,
                tenant=tenant,
                form=endpoints.Form(name=name, url=f"http://127.0.0.1:9/{name}/v1", model=name, leaves_house=name.startswith("hosted")),
            )
            for name in traits
        ]
        endpoints.set_profile(connection, tenant, "default", [(n, row.id) for n, row in enumerate(rows)])
    with unit(storage.worker) as connection:
        for name, found in traits.items():
            connection.exec_driver_sql("update endpoints set traits = %s::jsonb where name = %s", (json.dumps(found), name))
    routes = ModelRoutes(storage.worker, storage.keyring, ModelSettings.from_env({"CHINWAG_MODEL_URL": "http://127.0.0.1:9/v1"}))
    home, anywhere = (routes.room(profile_key(tenant, "default"), may_leave=may, answer=500, images=images) for may in (False, True))
    return home, anywhere


def test_it_is_the_smallest_known_context_among_those_that_may_see_the_words(storage: StorageFixture) -> None:
    home, anywhere = _rooms(storage, own={"context": 32_000}, other={}, hosted={"context": 8000})

    assert 32_000 * 0.8 < home <= 32_000 - 500
    assert 8000 * 0.8 < anywhere <= 8000 - 500


def test_a_model_that_thinks_aloud_leaves_less(storage: StorageFixture) -> None:
    thinking, plain = _rooms(storage, own={"context": 32_000}, hosted={"context": 32_000, "reasoning": True})[::-1]

    assert thinking < plain - 1000


def test_pictures_take_room_where_they_are_seen(storage: StorageFixture) -> None:
    home, anywhere = _rooms(storage, images=5000, own={"context": 16_000}, hosted={"context": 16_000, "vision": True})

    assert home - anywhere == 5000


def test_where_no_endpoint_tells_its_context_there_is_no_end(storage: StorageFixture) -> None:
    assert _rooms(storage, own={}, hosted={"vision": True}) == (sys.maxsize, sys.maxsize)
