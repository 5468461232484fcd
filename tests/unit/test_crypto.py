"""Sealed secrets open for their own row and column only."""

from __future__ import annotations

from uuid import uuid4

import pytest

from bots.crypto import Keyring, new_key
from bots.errors import BadSetting, CannotOpen
from bots.settings import Settings

ROW, OTHER = uuid4(), uuid4()


def a_keyring(*keys: str) -> Keyring:
    return Keyring.from_settings(Settings(keys=",".join(keys)))


def test_a_sealed_secret_opens_for_its_row() -> None:
    ring = a_keyring(new_key())

    sealed = ring.seal("s3cret", table="accounts", row=ROW, column="app_secret")

    assert ring.open(sealed, table="accounts", row=ROW, column="app_secret") == "s3cret"


@pytest.mark.parametrize(
    ("table", "row", "column"),
    [("accounts", OTHER, "app_secret"), ("accounts", ROW, "access_token"), ("bots", ROW, "app_secret")],
)
def test_a_sealed_secret_that_was_moved_does_not_open(table, row, column) -> None:
    ring = a_keyring(new_key())
    sealed = ring.seal("s3cret", table="accounts", row=ROW, column="app_secret")

    with pytest.raises(CannotOpen):
        ring.open(sealed, table=table, row=row, column=column)


def test_an_older_key_still_opens_beside_a_newer_one() -> None:
    old, new = new_key(), new_key()
    sealed = a_keyring(old).seal("s3cret", table="accounts", row=ROW, column="app_secret")

    assert a_keyring(new, old).open(sealed, table="accounts", row=ROW, column="app_secret") == "s3cret"


def test_a_missing_key_does_not_open() -> None:
    sealed = a_keyring(new_key()).seal("s3cret", table="accounts", row=ROW, column="app_secret")

    with pytest.raises(CannotOpen):
        a_keyring(new_key()).open(sealed, table="accounts", row=ROW, column="app_secret")


@pytest.mark.parametrize("keys", ["", "not-a-key"])
def test_a_bad_key_stops_the_start_with_a_message(keys) -> None:
    with pytest.raises(BadSetting):
        Keyring.from_settings(Settings(keys=keys))


def test_a_sealed_value_prints_as_stars() -> None:
    sealed = a_keyring(new_key()).seal("s3cret", table="accounts", row=ROW, column="app_secret")

    assert repr(sealed) == "Sealed(***)"
