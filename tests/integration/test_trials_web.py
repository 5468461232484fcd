"""The trial of a profile's models over HTTP: who may start it, what its page says meanwhile, and that nothing waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bots.domain import Role
from tests.support.cluster import Cluster
from tests.support.operators import SignedIn
from tests.support.stack import Stack

_PROFILE = "/admin/models/profiles/default"


@pytest.fixture(scope="module")
def served(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(cluster, Path(tmp_path_factory.mktemp("trials"))) as running:
        running.settles = False
        running.start_web()
        yield running


@pytest.mark.parametrize("role", [Role.VIEWER, Role.AGENT])
def test_who_may_not_change_models_sees_no_button_and_cannot_start_it(served: Stack, role: Role) -> None:
    profile = f"/admin/models/profiles/for-{role}"
    with SignedIn(served, role) as session:
        page = session.get(profile).text
        assert "the rules alone: not tried" in page
        assert "Try the model" not in page
        assert session.post(f"{profile}/trial", do="start").status_code == 403
    assert served.one("select count(*) from trial_runs where profile = :name", name=f"for-{role}") == 0


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.OWNER])
def test_an_operator_starts_and_stops_it_and_the_page_says_what_it_waits_for(served: Stack, role: Role) -> None:
    with SignedIn(served, role) as session:
        started = session.post(f"{_PROFILE}/trial", do="start")
        assert (started.status_code, started.headers["location"]) == (303, f"{_PROFILE}#facts")
        for path in (_PROFILE, f"{_PROFILE}?part=trial", "/admin/models", "/admin/models?part=profiles"):
            page = session.get(path).text
            assert "Stop the trial" in page
            assert "--queues reply.default,deliver,batch.default" in page
        again = session.post(f"{_PROFILE}/trial", do="start")
        assert again.status_code == 409
        assert "being tried already" in again.text

        assert session.post(f"{_PROFILE}/trial", do="stop").status_code == 303
        assert "The last trial ended without a result." in session.get(_PROFILE).text
        assert session.post(f"{_PROFILE}/trial", do="stop").status_code == 409
    assert served.one("select count(*) from audit where action in ('model.try', 'model.stop_trial') and subject = 'profile:default'") >= 2


def test_a_name_that_no_profile_can_have_is_not_found(served: Stack) -> None:
    with SignedIn(served, Role.OPERATOR) as session:
        assert session.post("/admin/models/profiles/No%20Profile/trial", do="start").status_code == 404
