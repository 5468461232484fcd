"""Endpoints and profiles in storage: names are unique, keys are sealed and stay with their server, and one worker probes one endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import Connection

from bots.errors import BadSetting, CannotOpen, NameTaken, NotFound
from bots.storage import endpoints
from bots.storage.database import unit
from bots.storage.endpoints import EndpointRow, Form
from tests.support.processes import until
from tests.support.storage_fixture import StorageFixture

_FORM = Form(name="hosted", url="https://models.example/v1/", model="big", price_in=1.0, price_out=2.0)


@contextmanager
def _web(storage: StorageFixture) -> Iterator[Connection]:
    with unit(storage.web) as connection:
        yield connection


def _add(storage: StorageFixture, form: Form = _FORM, api_key: str | None = "key-1") -> EndpointRow:
    with _web(storage) as connection:
        return endpoints.add(connection, storage.keyring, tenant=storage.account.tenant_id, form=form, api_key=api_key)


def _get(storage: StorageFixture, name: str = "hosted") -> EndpointRow:
    with _web(storage) as connection:
        found = endpoints.get(connection, tenant=storage.account.tenant_id, name=name)
    assert found is not None
    return found


def _changed(storage: StorageFixture, **more: object) -> EndpointRow:
    values = {"name": "hosted", "url": "https://models.example/v1", "model": "big"} | more
    with _web(storage) as connection:
        return endpoints.change(connection, tenant=storage.account.tenant_id, name="hosted", form=Form(**values))


def test_an_endpoint_is_kept_with_its_key_sealed(storage: StorageFixture) -> None:
    row = _add(storage)

    assert (row.url, row.leaves_house, row.price_out, row.profiles) == ("https://models.example/v1", True, 2.0, ())
    assert endpoints.open_key(storage.keyring, row) == "key-1"
    assert b"key-1" not in bytes(storage.value("select api_key from endpoints"))
    assert "key-1" not in repr(row)


def test_a_key_moved_to_another_row_does_not_open(storage: StorageFixture) -> None:
    _add(storage)
    _add(storage, Form(name="other", url="https://other.example/v1", model="big"), api_key=None)
    with _web(storage) as connection:
        connection.exec_driver_sql(
            "update endpoints set api_key = (select api_key from endpoints where name = 'hosted') where name = 'other'"
        )

    with pytest.raises(CannotOpen):
        endpoints.open_key(storage.keyring, _get(storage, "other"))


def test_a_name_is_taken_once(storage: StorageFixture) -> None:
    _add(storage)

    with pytest.raises(NameTaken, match="hosted"):
        _add(storage)


def test_a_key_stays_with_its_server(storage: StorageFixture) -> None:
    _add(storage)

    assert endpoints.open_key(storage.keyring, _changed(storage, model="bigger", url="https://models.example/v2")) == "key-1"
    assert _changed(storage, url="https://elsewhere.example/v1").key is None


def test_a_change_from_an_old_look_tells_no_key_to_another_server(storage: StorageFixture) -> None:
    _add(storage)
    tenant = storage.account.tenant_id
    with ThreadPoolExecutor(1) as threads:
        with _web(storage) as connection:
            moved = Form(name="hosted", url="https://new.example/v1", model="big")
            endpoints.change(connection, tenant=tenant, name="hosted", form=moved)
            endpoints.set_key(connection, storage.keyring, tenant=tenant, name="hosted", api_key="key-of-new")
            # Somebody who saw the old address changes a price.
            late = threads.submit(_changed, storage, price_in=5.0, price_out=6.0)
            until(lambda: storage.value("select count(*) from pg_locks where not granted"), what="the other change waits")
        row = late.result(10)

    assert (row.url, row.price_in, row.key) == ("https://models.example/v1", 5.0, None)


def test_another_model_is_measured_anew_and_another_price_is_not(storage: StorageFixture) -> None:
    _add(storage)
    row = endpoints.claim_probe(storage.worker, within_s=60)
    assert row is not None
    assert endpoints.store_probe(storage.worker, row, traits={"vision": True}, notes=["it has eyes"])

    dearer = _changed(storage, price_in=5.0, price_out=6.0)
    assert (dearer.traits, dearer.notes, dearer.probe_at) == ({"vision": True}, ("it has eyes",), None)
    other = _changed(storage, model="other")
    assert (other.traits, other.notes, other.probed_at) == ({}, (), None)
    assert other.probe_at is not None


def test_one_worker_probes_an_endpoint_and_a_late_one_changes_nothing(storage: StorageFixture) -> None:
    _add(storage)
    first = endpoints.claim_probe(storage.worker, within_s=60)
    nobody = endpoints.claim_probe(storage.worker, within_s=60)
    stored_row = _get(storage)
    assert first is not None
    with _web(storage) as connection:
        endpoints.ask_probe(connection, tenant=storage.account.tenant_id, name="hosted")
    second = endpoints.claim_probe(storage.worker, within_s=60)
    assert second is not None

    assert nobody is None
    assert stored_row.probe_at == first.probe_at
    assert endpoints.store_probe(storage.worker, first, traits={"vision": True}, notes=[]) is False
    assert endpoints.store_probe(storage.worker, second, traits=None, notes=["away"], again_s=60) is True
    assert (_get(storage).traits, _get(storage).notes, _get(storage).probed_at) == ({}, ("away",), None)


def test_a_profile_is_its_endpoints_in_order(storage: StorageFixture) -> None:
    tenant = storage.account.tenant_id
    one, two = _add(storage), _add(storage, Form(name="house", url="http://10.0.0.1:8000/v1", model="m", leaves_house=False))
    with _web(storage) as connection:
        endpoints.set_profile(connection, tenant, "p", [(2, one.id), (1, two.id)])
        endpoints.set_profile(connection, tenant, "q", [(1, one.id)])
        found = endpoints.profiles(connection, tenant)
        endpoints.set_profile(connection, tenant, "q", [])

    assert {name: [(place, row.name) for place, row in places] for name, places in found.items()} == {
        "p": [(1, "house"), (2, "hosted")],
        "q": [(1, "hosted")],
    }
    assert _get(storage).profiles == ("p",)
    with _web(storage) as connection:
        endpoints.remove(connection, tenant=tenant, name="hosted")
        assert [row.name for _, row in endpoints.profiles(connection, tenant)["p"]] == ["house"]


@pytest.mark.parametrize("twice", [False, True])
def test_a_profile_takes_no_endpoint_that_is_not_there_and_none_twice(storage: StorageFixture, twice: bool) -> None:
    row = _add(storage)
    places = [(1, row.id), (2, row.id if twice else uuid4())]

    with pytest.raises(NotFound), _web(storage) as connection:
        endpoints.set_profile(connection, storage.account.tenant_id, "p", places)


def test_what_is_not_there_is_told(storage: StorageFixture) -> None:
    with pytest.raises(NotFound, match="nothing"), _web(storage) as connection:
        endpoints.set_key(connection, storage.keyring, tenant=storage.account.tenant_id, name="nothing", api_key="x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://models.example"},
        {"url": "https://user:pass@models.example/v1"},
        {"url": "https://models.example/v1?key=1"},
        {"url": "models.example"},
        {"url": "http://[::1/v1"},
        {"name": " "},
        {"model": ""},
        {"price_in": -1.0, "price_out": 1.0},
        {"price_in": 1.0},
        {"price_cached": 1.0},
    ],
)
def test_what_no_call_could_use_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadSetting):
        Form(**{"name": "n", "url": "https://models.example/v1", "model": "m"} | wrong)
