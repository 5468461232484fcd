"""What a bot remembers: its settings are stored as they were given, and what cannot be is refused."""

from __future__ import annotations

from uuid import uuid4

import pytest

from bots.admin.bots import forms
from bots.domain import Bot
from bots.storage import personas
from bots.storage.database import unit
from tests.support.storage_fixture import StorageFixture


def test_a_bot_keeps_its_memory_settings(storage: StorageFixture) -> None:
    with unit(storage.web) as connection:
        bot = personas.make(
            connection,
            Bot(
                id=uuid4(),
                tenant_id=storage.account.tenant_id,
                name="b",
                kinds_off=("pet",),
                sensitive_on=False,
                keeps_messages=True,
                time_zone="Asia/Tokyo",
            ),
            by="ana",
        )
        personas.save(connection, Bot(id=bot.id, tenant_id=bot.tenant_id, name="b", kinds_off=("likes", "pet")))
        saved = personas.by_id(connection, tenant=bot.tenant_id, bot=bot.id)

    assert (bot.kinds_off, bot.sensitive_on, bot.keeps_messages, bot.time_zone) == (("pet",), False, True, "Asia/Tokyo")
    assert saved is not None
    assert (saved.kinds_off, saved.sensitive_on, saved.keeps_messages, saved.time_zone) == (("likes", "pet"), True, False, None)


@pytest.mark.parametrize(("typed", "read"), [(" Europe/Madrid ", "Europe/Madrid"), ("", None), ("  ", None)])
def test_a_time_zone_is_read(typed: str, read: str | None) -> None:
    assert forms.time_zone(typed) == read


@pytest.mark.parametrize("typed", ["Madrid", "UTC+2", "../etc/passwd", "europe/madrid\n!"])
def test_a_time_zone_that_does_not_exist_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="Europe/Madrid"):
        forms.time_zone(typed)


def test_kinds_that_are_off_are_read_in_their_order_and_unknown_ones_refused() -> None:
    assert forms.kinds_off(["pet", "name", "pet"]) == ("name", "pet")
    with pytest.raises(ValueError, match="no kind of fact named cats"):
        forms.kinds_off(["pet", "cats"])
