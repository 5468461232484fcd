"""Trials of a profile's models in the background: talk by talk, after people, to a result or to what an operator should do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bots.admin.endpoints import profiles, trials
from bots.admin.endpoints.trials import ProfileTrial
from bots.errors import Conflict, NotFound
from bots.storage import batch_items, claims, model_trials, trial_runs
from bots.storage.claims import Waiting
from bots.storage.database import unit
from tests.support.cluster import Cluster
from tests.support.one_worker import BATCHES, OneWorker, one_worker
from tests.support.played_model import Played, Prompt
from tests.support.proposing_model import answers, asks_for_facts, labels
from workers import trial
from workers.tasks import work_through
from workers.trying import try_one

_TALKS = len(trial.talks())


@pytest.fixture
def worker(cluster: Cluster) -> Iterator[OneWorker]:
    with one_worker(cluster) as running:
        running.first.plays = answers(labels())
        running.second.plays = answers(labels())
        yield running


def _start(worker: OneWorker, profile: str = "default") -> None:
    trials.start(worker.storage.deps, worker.storage.operator(), profile)


def _shown(worker: OneWorker, profile: str = "default") -> ProfileTrial:
    """As the pages show it."""
    deps, operator = worker.storage.deps, worker.storage.operator()
    return trials.overview(deps, operator).of(profiles.overview(deps, operator).profile(profile))


def _said(worker: OneWorker) -> str:
    run = _shown(worker).run
    assert run is not None
    return run.said


def _to_its_end(worker: OneWorker) -> int:
    """Do all that is due, and what becomes due by waiting; returns how many talks were asked about."""
    asked = 0
    while try_one(worker.deps, BATCHES):
        asked += 1
        _make_due(worker)
    return asked


def _make_due(worker: OneWorker) -> None:
    """Let time pass for a trial that waits, and the claim of a worker that died."""
    with unit(worker.deps.worker) as connection:
        connection.exec_driver_sql("update trial_runs set due_at = now() where due_at is not null")


def _status(status: int, **body: Any) -> Mapping[str, Any]:
    return {"status": status, "body": {"error": {"message": "no", **body}}}


def test_a_model_that_finds_what_is_there_may_propose_afterwards(worker: OneWorker) -> None:
    worker.profile("first")
    assert not _shown(worker).is_tried
    _start(worker)
    assert _shown(worker).goes_on

    assert _to_its_end(worker) == _TALKS
    shown = _shown(worker)
    assert (shown.goes_on, shown.may_propose, _said(worker)) == (False, True, "")
    (result,) = shown.models
    assert (result.endpoint, result.right, result.kept > 0) == ("first", result.kept, True)
    assert result.together > result.rules > 0
    tenant = worker.storage.account.tenant_id
    assert trial.may_propose(worker.deps, tenant, f"{tenant}/default", may_leave=False)


def test_one_that_finds_nothing_is_told_apart_with_its_reason(worker: OneWorker) -> None:
    worker.profile("first")
    worker.first.plays = answers({})
    _start(worker)
    _to_its_end(worker)

    shown = _shown(worker)
    assert (shown.may_propose, shown.is_tried) == (False, True)
    assert shown.models[0].why_not == "It finds nothing that the rules do not find."


def test_all_models_of_the_profile_are_tried_and_each_must_pass(worker: OneWorker) -> None:
    worker.profile("first", "second")
    worker.second.plays = answers({})
    _start(worker)

    assert _to_its_end(worker) == 2 * _TALKS
    shown = _shown(worker)
    assert {one.endpoint: one.passed for one in shown.models} == {"first": True, "second": False}
    assert not shown.may_propose


def test_the_model_of_the_workers_settings_is_shown_once_it_was_tried(worker: OneWorker) -> None:
    assert _shown(worker).models == []
    _start(worker)
    _to_its_end(worker)

    assert [(one.endpoint, one.passed) for one in _shown(worker).models] == [("default", True)]


def test_how_far_it_is_can_be_seen_and_a_worker_that_dies_costs_one_talk(worker: OneWorker) -> None:
    worker.profile("first")
    _start(worker)
    assert (_shown(worker).done, _shown(worker).of) == (0, 0)
    for _ in range(3):
        assert try_one(worker.deps, BATCHES)
    assert (_shown(worker).done, _shown(worker).of) == (3, _TALKS)

    died = trial_runs.claim(worker.deps.worker, "default", within_s=60)
    assert died is not None
    assert not try_one(worker.deps, BATCHES)
    _make_due(worker)
    assert _to_its_end(worker) == _TALKS - 3
    assert not trial_runs.go_on(worker.deps.worker, died, died.models, version="", after_s=None)
    assert _shown(worker).may_propose


def test_people_are_answered_between_two_talks(worker: OneWorker) -> None:
    worker.profile("first")
    plays = worker.first.plays
    said = list[str]()

    def one_writes(prompt: Prompt) -> Played | None:
        said.append("talk" if asks_for_facts(prompt) else "person" if "Hello there" in str(prompt[-1]["content"]) else "")
        if said == ["talk"]:
            worker.say("Hello there")
        return plays(prompt)

    worker.first.plays = one_writes
    _start(worker)
    work_through(worker.deps, BATCHES)

    assert [what for what in said if what][:3] == ["talk", "person", "talk"]


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (_status(401), "first refuses to answer (401). Check its key"),
        (_status(404), "first refuses to answer (404). Check its key, its address"),
        (_status(402), "has no credit or quota left. Top it up, then start the trial again."),
        (_status(503), "did not answer 5 times in a row. Start its server"),
        (_status(429), "did not answer 5 times in a row."),
    ],
)
def test_a_trial_that_cannot_go_on_says_what_to_do_and_stores_no_result(worker: OneWorker, refusal: Mapping[str, Any], told: str) -> None:
    worker.profile("first")
    worker.first.plays = lambda _: Played(**refusal)
    _start(worker)
    _to_its_end(worker)

    shown = _shown(worker)
    assert (shown.goes_on, shown.is_tried) == (False, False)
    assert told in _said(worker)
    assert _said(worker).endswith("then start the trial again.")


def test_a_server_that_is_away_for_a_moment_costs_nothing(worker: OneWorker) -> None:
    worker.profile("first")
    plays = worker.first.plays
    worker.first.plays = lambda _: Played(status=503)
    _start(worker)
    assert try_one(worker.deps, BATCHES)
    assert "It is asked again by itself (1 of 5)." in _said(worker)
    assert not try_one(worker.deps, BATCHES)

    worker.first.plays = plays
    _make_due(worker)
    assert try_one(worker.deps, BATCHES)
    assert (_said(worker), _shown(worker).done) == ("", 1)


def test_it_is_started_once_stopped_and_started_anew_and_each_is_noted(worker: OneWorker) -> None:
    worker.profile("first")
    _start(worker)
    with pytest.raises(Conflict):
        _start(worker)
    assert try_one(worker.deps, BATCHES)
    trials.stop(worker.storage.deps, worker.storage.operator(), "default")
    assert not try_one(worker.deps, BATCHES)
    assert _said(worker) == "ana stopped it."
    with pytest.raises(Conflict):
        trials.stop(worker.storage.deps, worker.storage.operator(), "default")
    _start(worker)
    assert _to_its_end(worker) == _TALKS

    with unit(worker.storage.web) as connection:
        noted = connection.exec_driver_sql("select action, subject from audit where action like 'model.%%' order by at, id").all()
    assert [tuple(row) for row in noted] == [
        ("model.try", "profile:default"),
        ("model.stop_trial", "profile:default"),
        ("model.try", "profile:default"),
    ]


def test_a_stop_in_the_middle_of_a_talk_holds(worker: OneWorker) -> None:
    worker.profile("first")
    plays = worker.first.plays

    def stopped(prompt: Prompt) -> Played | None:
        worker.first.plays = plays
        trials.stop(worker.storage.deps, worker.storage.operator(), "default")
        return plays(prompt)

    worker.first.plays = stopped
    _start(worker)
    assert try_one(worker.deps, BATCHES)

    assert (_said(worker), _shown(worker).done, _shown(worker).goes_on) == ("ana stopped it.", 0, False)


@pytest.mark.parametrize("name", ["", "No Profile", "../x", "a" * 90])
def test_a_name_that_no_profile_has_is_refused(worker: OneWorker, name: str) -> None:
    with pytest.raises(NotFound):
        _start(worker, name)


def test_a_trial_makes_a_task_for_workers_of_its_profile_alone(worker: OneWorker) -> None:
    storage = worker.storage
    claims.heartbeat(storage.crossing, "w", boot=storage.boot, queues=["reply.default", BATCHES, "batch.thorough"], slots=20, busy=0)

    def waiting() -> list[str]:
        found: list[Waiting] = claims.waiting(storage.crossing, reserve=16)
        return [one.queue for one in found if one.due]

    batch_items.keep_house(storage.crossing)
    assert waiting() == []
    _start(worker, "thorough")
    assert waiting() == ["batch.thorough"]
    assert _shown(worker, "thorough").is_served
    assert not try_one(worker.deps, BATCHES)


def test_what_passed_another_version_of_the_trial_has_to_be_tried_again(worker: OneWorker) -> None:
    worker.profile("first")
    _start(worker)
    _to_its_end(worker)
    model_trials.outdate(worker.deps.worker, trial.version())
    assert _shown(worker).may_propose

    model_trials.outdate(worker.deps.worker, "of the next release")
    assert not _shown(worker).may_propose
    assert "have changed since" in _shown(worker).models[0].why_not
