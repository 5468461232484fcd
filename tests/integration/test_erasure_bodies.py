"""The bodies of webhooks: a worker empties those of its contact, and can neither touch others nor write into one."""

from __future__ import annotations

from uuid import UUID

import pytest
from sqlalchemy.exc import ProgrammingError

from bots.storage.database import unit
from tests.support.changes import ADA, BOB, says
from tests.support.storage_fixture import StorageFixture


def _as_worker(storage: StorageFixture, contact: UUID | None, statement: str) -> int:
    """Run it as a worker in this contact's rows, and return how many rows it changed."""
    with unit(storage.worker) as connection:
        if contact is not None:
            connection.exec_driver_sql("select set_config('app.contact_id', %s, true)", (str(contact),))
        return connection.exec_driver_sql(statement).rowcount


def _bodies(storage: StorageFixture) -> list[bytes | None]:
    return [row.body for row in storage.rows("select body from envelopes order by received_at")]


def test_a_worker_empties_only_the_bodies_of_its_contact(storage: StorageFixture) -> None:
    for n, by in enumerate((ADA, BOB, ADA)):
        storage.let_in(says("hello", f"w{n}", by=by), body=b"words")
    ada = storage.value("select contact_id from contact_identities where value = %s", ADA.value)
    empty = "update envelopes set body = null where state = 'parsed'"

    assert _as_worker(storage, None, empty) == 0
    assert _as_worker(storage, ada, empty) == 2
    assert _bodies(storage) == [None, b"words", None]


def test_a_worker_writes_into_no_body(storage: StorageFixture) -> None:
    storage.let_in(says("hello", "w1"), body=b"words")
    ada = storage.value("select contact_id from contact_identities where value = %s", ADA.value)

    with pytest.raises(ProgrammingError, match="row-level security"):
        _as_worker(storage, ada, "update envelopes set body = 'others'")
    assert _bodies(storage) == [b"words"]
