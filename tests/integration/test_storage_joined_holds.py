"""Two handles turn out to be one person while somebody has one of the two conversations: who has it keeps it."""

from __future__ import annotations

import pytest

from bots.domain import EventKind, InboundEvent
from tests.support.storage_fixture import StorageFixture, a_bsuid, a_message, a_phone

_DUE = "select count(*) from conversations where ready_at is not null and closed_at is null"


@pytest.mark.parametrize("taken", ["kept", "gone"])
def test_a_take_over_outlives_the_joining_of_two_contacts(storage: StorageFixture, taken: str) -> None:
    storage.let_in(a_message("first", by=(a_phone(),)))
    storage.let_in(a_message("second", by=(a_bsuid(),)))
    order = "asc" if taken == "kept" else "desc"
    storage.do(f"select take_over(id, 'ana', null) from (select id from conversations order by created_at {order} limit 1) x")

    storage.let_in(InboundEvent(kind=EventKind.SYSTEM, event_key="notice", identities=(a_bsuid(),), previous=(a_phone(),)))

    assert storage.rows("select taken_by from conversations where closed_at is null") == [("ana",)]
    assert storage.value("select count(*) from conversations where closed_at is not null and taken_by is not null") == 0
    assert storage.value(_DUE) == 0
    assert storage.claim() is None
    storage.do("select give_back(id) from conversations where closed_at is null")
    assert sorted(message.text or "" for message in storage.claimed().messages) == ["first", "second"]
