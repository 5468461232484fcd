"""Whether somebody was told within the hour that messages of a kind cannot be read."""

from __future__ import annotations

from bots.storage import turns
from bots.storage.claims import Claim
from bots.storage.database import unit
from tests.support.changes import BOB, says
from tests.support.storage_fixture import StorageFixture


def was_told(storage: StorageFixture, claim: Claim) -> bool:
    with unit(storage.worker, contact=claim.contact) as connection:
        return turns.told_unsupported(connection, conversation=claim.conversation, before=claim.turn)


def test_only_a_turn_that_told_so_within_the_hour_counts(storage: StorageFixture) -> None:
    storage.let_in(says("", "w1", content_type="unsupported", supported=False))
    claim = storage.claimed()
    assert not was_told(storage, claim)
    # A colleague answered, or the model's words stood for it: nobody said what cannot be read.
    storage.finish(claim, parts=["Please call us."])
    storage.let_in(says("", "w2", content_type="unsupported", supported=False))
    claim = storage.claimed()
    assert not was_told(storage, claim)
    storage.finish(claim, reason="unsupported")
    storage.let_in(
        says("", "w3", content_type="unsupported", supported=False), says("", "w4", by=BOB, content_type="unsupported", supported=False)
    )
    claims = [storage.claimed(), storage.claimed()]
    assert sorted(was_told(storage, one) for one in claims) == [False, True]

    storage.do("update turns set finished_at = finished_at - interval '61 minutes'")
    assert not any(was_told(storage, one) for one in claims)
