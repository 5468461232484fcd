"""What a worker process knows of its own slots: whose turns and sends hold them where sends take long."""

from __future__ import annotations

from uuid import uuid4

from workers.in_flight import InFlight


def test_an_account_is_reported_once_a_send_of_it_takes_long_with_its_turns_and_for_a_while_after() -> None:
    found, account, other = InFlight(), uuid4(), uuid4()
    with found.work(lease=uuid4(), account=account):
        assert found.held_by_slow(than_s=0, for_s=60) == {}
        with found.send(account):
            assert found.held_by_slow(than_s=60, for_s=60) == {}
            assert found.held_by_slow(than_s=-1, for_s=60) == {account: (1, 1)}
        # Its next turns end in such sends.
        assert found.held_by_slow(than_s=60, for_s=60) == {account: (1, 0)}
    assert found.held_by_slow(than_s=60, for_s=60) == {}
    with found.work(lease=uuid4(), account=account):
        assert found.held_by_slow(than_s=60, for_s=-1) == {}
        assert found.held_by_slow(than_s=60, for_s=60) == {}
    with found.work(lease=None), found.send(other):
        assert found.held_by_slow(than_s=60, for_s=60) == {}
        assert found.held_by_slow(than_s=-1, for_s=60) == {other: (1, 1)}
