"""Refusals of model servers in storage and on the attention page: one row for each endpoint, written seldom, gone once it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from bots.admin.attention import troubles
from bots.admin.attention.troubles import Action, as_row
from bots.storage import endpoints, gauges, model_refusals
from bots.storage.attention import TroubleKind
from bots.storage.database import unit
from bots.storage.model_refusals import ModelRefusal
from inference.errors import InferenceError, ModelRefused, OutOfQuota
from inference.types import Endpoint
from tests.support.storage_fixture import StorageFixture
from workers.refusals import EVERY_S, RefusalNotes

_WRONG_KEY = ModelRefusal(kind="refused", status=401, said="Incorrect API key provided")


class _Clock:
    """A clock that stands until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def _an_error(
    kind: Callable[[], InferenceError] = ModelRefused, *, name: str = "house", status: int = 401, said: str = "no"
) -> InferenceError:
    error = kind()
    error.endpoint, error.status, error.said = Endpoint(name=name, url="http://h/v1", model="m"), status, said
    return error


def _rows(storage: StorageFixture) -> list[tuple[object, ...]]:
    return [tuple(row) for row in storage.rows("select endpoint, kind, status, said, times from model_refusals order by endpoint")]


def _listed(storage: StorageFixture) -> list[troubles.Row]:
    return [as_row(one) for one in troubles.list_troubles(storage.deps, storage.operator(), kind=TroubleKind.MODEL)]


def test_an_endpoint_that_refuses_stands_on_the_page_with_its_words_since_when_and_how_often(storage: StorageFixture) -> None:
    tenant = storage.account.tenant_id
    for _ in range(3):
        model_refusals.note(storage.worker, tenant, "house", _WRONG_KEY)
    (row,) = _listed(storage)

    assert (row.trouble.account, row.trouble.channel, row.trouble.state, row.trouble.count) == ("house", None, "refused", 3)
    assert row.trouble.at == storage.value("select since from model_refusals")
    assert "(HTTP 401): Incorrect API key provided." in row.reason.message
    assert (row.what, row.actions) == ("model server, 3 calls refused", (Action.DISMISS,))
    with unit(storage.crossing) as connection:
        assert gauges.read(connection).attention["model"] == 1


def test_what_was_dismissed_comes_back_for_another_reason_alone(storage: StorageFixture) -> None:
    tenant = storage.account.tenant_id
    model_refusals.note(storage.worker, tenant, "house", _WRONG_KEY)
    troubles.act(storage.deps, storage.operator(), TroubleKind.MODEL, _listed(storage)[0].trouble.id, Action.DISMISS)
    model_refusals.note(storage.worker, tenant, "house", _WRONG_KEY)
    assert _listed(storage) == []

    model_refusals.note(storage.worker, tenant, "house", ModelRefusal(kind="quota", status=402, said=""))
    assert [row.trouble.state for row in _listed(storage)] == ["quota"]


def test_an_answer_removes_it_for_its_own_tenant_and_endpoint_alone(storage: StorageFixture) -> None:
    tenant = storage.account.tenant_id
    for name in ("house", "spare"):
        model_refusals.note(storage.worker, tenant, name, _WRONG_KEY)
    model_refusals.answered(storage.worker, uuid4(), "house")
    assert len(_rows(storage)) == 2

    model_refusals.answered(storage.worker, tenant, "house")
    assert [row[0] for row in _rows(storage)] == ["spare"]


def test_one_process_writes_seldom_and_counts_all(storage: StorageFixture) -> None:
    clock = _Clock()
    notes, tenant = RefusalNotes(storage.worker, clock=clock), storage.account.tenant_id
    for n in range(50):
        notes.note(tenant, _an_error(said=f"no {n}"))
    assert _rows(storage) == [("house", "refused", 401, "no 0", 1)]

    clock.now += EVERY_S
    notes.note(tenant, _an_error(OutOfQuota, status=429, said="empty\0"))
    assert _rows(storage) == [("house", "quota", 429, "empty", 51)]
    notes.note(tenant, _an_error(said="last"))
    notes.refresh()
    assert _rows(storage) == [("house", "refused", 401, "last", 52)]


@pytest.mark.parametrize("reads_between", [True, False])
def test_what_is_not_written_yet_is_over_with_an_answer_too(storage: StorageFixture, reads_between: bool) -> None:
    notes, tenant = RefusalNotes(storage.worker, clock=_Clock()), storage.account.tenant_id
    notes.note(tenant, _an_error())
    notes.answered(tenant, "house")
    if reads_between:
        notes.refresh()
    notes.note(tenant, _an_error())
    assert _rows(storage) == [], "written a moment ago"
    notes.answered(tenant, "house")
    notes.refresh()

    assert _rows(storage) == []


def test_another_process_notices_a_refusal_and_its_answer_ends_it(storage: StorageFixture) -> None:
    tenant = storage.account.tenant_id
    RefusalNotes(storage.worker).note(tenant, _an_error())
    other = RefusalNotes(storage.worker)
    other.answered(tenant, "house")
    assert len(_rows(storage)) == 1, "an answer costs no statement while nothing is known of a refusal"

    other.refresh()
    other.answered(tenant, "house")
    assert _rows(storage) == []


def test_what_nobody_asks_any_more_is_forgotten(storage: StorageFixture) -> None:
    tenant = storage.account.tenant_id
    for name in ("old", "new"):
        model_refusals.note(storage.worker, tenant, name, _WRONG_KEY)
    storage.do("update model_refusals set last_at = now() - interval '8 days' where endpoint = 'old'")
    with unit(storage.crossing) as connection:
        connection.exec_driver_sql("select keep_house(30)")

    assert [row[0] for row in _rows(storage)] == ["new"]


def _changed(storage: StorageFixture, how: str) -> None:
    tenant, old = storage.account.tenant_id, endpoints.Form(name="house", url="http://h/v1", model="m")
    with unit(storage.web) as connection:
        match how:
            case "removed":
                endpoints.remove(connection, tenant=tenant, name="house")
            case "another key":
                endpoints.set_key(connection, storage.keyring, tenant=tenant, name="house", api_key="sk-new")
            case "another name":
                endpoints.change(connection, tenant=tenant, name="house", form=replace(old, name="home"))
            case "another model":
                endpoints.change(connection, tenant=tenant, name="house", form=replace(old, model="n"))
            case _:
                endpoints.change(connection, tenant=tenant, name="house", form=replace(old, price_in=1.0, price_out=2.0))


@pytest.mark.parametrize(
    ("how", "stays"), [("removed", False), ("another key", False), ("another name", False), ("another model", False), ("a price", True)]
)
def test_what_an_endpoint_refused_before_an_operator_changed_it_is_over(storage: StorageFixture, how: str, stays: bool) -> None:
    with unit(storage.web) as connection:
        form = endpoints.Form(name="house", url="http://h/v1", model="m")
        endpoints.add(connection, storage.keyring, tenant=storage.account.tenant_id, form=form)
    model_refusals.note(storage.worker, storage.account.tenant_id, "house", _WRONG_KEY)
    _changed(storage, how)

    assert bool(_rows(storage)) is stays
