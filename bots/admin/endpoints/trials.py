"""Trials of models as finders of facts to remember: started and stopped by operators, and what came of them, profile by profile."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from bots.admin.acting import Operator
from bots.admin.audit import record
from bots.admin.bots.forms import PROFILE
from bots.admin.deps import Deps
from bots.admin.endpoints.profiles import Profile
from bots.errors import Conflict, NotFound
from bots.storage import batches, endpoints, model_trials, trial_runs
from bots.storage.database import unit
from bots.storage.model_trials import ModelTrial
from bots.storage.queues import batch_queue
from bots.storage.trial_runs import TrialRun, Tried


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResult:
    """A model of a profile, and how it did when it was tried last."""

    endpoint: str
    model: str
    #: None: it was not tried yet.
    passed: bool | None = None
    tried_at: datetime | None = None
    why_not: str = ""
    #: Of what would be remembered: how much there was, and how much of it is right.
    kept: int = 0
    right: int = 0
    #: The share of the facts that is found by rules and model together, and by the rules alone.
    together: float = 0.0
    rules: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileTrial:
    """Whether a profile's models may propose facts, and the trial that goes on, if one does."""

    models: Sequence[ModelResult]
    run: TrialRun | None = None
    #: Whether a running worker would take it up.
    is_served: bool = True

    @property
    def may_propose(self) -> bool:
        """Whether all of its models have passed."""
        return bool(self.models) and all(one.passed for one in self.models)

    @property
    def is_tried(self) -> bool:
        """Whether any of its models was tried."""
        return any(one.passed is not None for one in self.models)

    @property
    def goes_on(self) -> bool:
        """Whether a trial waits or goes on."""
        return self.run is not None and self.run.due_at is not None

    @property
    def done(self) -> int:
        """How many talks the models were asked about in the trial that goes on."""
        return sum(one.done for one in self.run.models) if self.run else 0

    @property
    def of(self) -> int:
        """How many there are; 0 before a worker has begun."""
        return sum(one.of for one in self.run.models) if self.run else 0


@dataclass(frozen=True, slots=True)
class Trials:
    """All trials of a tenant."""

    results: Mapping[tuple[str, str], ModelTrial]
    runs: Mapping[str, TrialRun]
    #: Address and model of all endpoints.
    endpoints: Collection[tuple[str, str]]
    #: The profiles with a trial that goes on which a running worker serves.
    served: Collection[str]

    def of(self, profile: Profile) -> ProfileTrial:
        """The trials of a profile's models. A model that only the worker's settings name is known from the last trial."""
        run = self.runs.get(profile.name)
        shown = {(row.url, row.model): row.name for tier in profile.tiers for row in tier}
        last = {(one.url, one.model): one.endpoint for one in (run.models if run else ())}
        own = {at: name for at, name in last.items() if not profile.tiers or at not in self.endpoints}
        models = [self._result(at, name) for at, name in (own | shown).items()]
        return ProfileTrial(models=models, run=run, is_served=profile.name in self.served)

    def _result(self, at: tuple[str, str], name: str) -> ModelResult:
        found = self.results.get(at)
        if found is None:
            return ModelResult(endpoint=name, model=at[1])
        checked, together, rules = (found.figures.get(key, {}) for key in ("checked", "together", "rules"))
        return ModelResult(
            endpoint=name,
            model=at[1],
            passed=found.passed,
            tried_at=found.tried_at,
            why_not=str(found.figures.get("why_not", "")),
            kept=checked.get("found", 0),
            right=checked.get("right", 0),
            together=_recall(together),
            rules=_recall(rules),
        )


def start(deps: Deps, operator: Operator, profile: str) -> None:
    """Let a worker try a profile's models, from the beginning. Raises NotFound for an invalid name, and Conflict while it is tried already."""
    with unit(deps.web) as connection:
        _check(profile)
        if not trial_runs.ask(connection, tenant=operator.tenant_id, profile=profile, by=operator.name):
            raise Conflict("The models of this profile are being tried already.")
        record(connection, operator, "model.try", f"profile:{profile}")


def stop(deps: Deps, operator: Operator, profile: str) -> None:
    """Let the trial end without a result; what was stored before stays. Raises NotFound, and Conflict when it has ended already."""
    with unit(deps.web) as connection:
        _check(profile)
        if not trial_runs.stop(connection, tenant=operator.tenant_id, profile=profile, said=f"{operator.name} stopped it."):
            raise Conflict("No trial of this profile is going on.")
        record(connection, operator, "model.stop_trial", f"profile:{profile}")


def store(deps: Deps, operator: Operator, profile: str, trial: ModelTrial, models: Sequence[Tried]) -> None:
    """Store the result of a trial that was made here, and the profile's models so far; from now on a model that passed is asked."""
    with unit(deps.web) as connection:
        model_trials.store(connection, operator.tenant_id, trial)
        trial_runs.note(connection, tenant=operator.tenant_id, profile=profile, by=operator.name, version=trial.version, models=models)
        record(connection, operator, "model.try", f"model:{trial.model}", {"url": trial.url, "passed": trial.passed})


def overview(deps: Deps, operator: Operator) -> Trials:
    """All trials and their results."""
    with unit(deps.web) as connection:
        return _overview(connection, operator)


def _overview(connection: Connection, operator: Operator) -> Trials:
    tenant = operator.tenant_id
    runs = {run.profile: run for run in trial_runs.list_all(connection, tenant)}
    return Trials(
        {(one.url, one.model): one for one in model_trials.list_all(connection, tenant)},
        runs,
        {(row.url, row.model) for row in endpoints.list_all(connection, tenant)},
        {name for name, run in runs.items() if run.due_at is not None and batches.is_served(connection, batch_queue(name))},
    )


def _check(profile: str) -> None:
    if not re.fullmatch(PROFILE, profile):
        raise NotFound(f"There is no profile named {profile[:80]}.")


def _recall(score: Mapping[str, Any]) -> float:
    return score.get("covered", 0) / score["labelled"] if score.get("labelled") else 0.0
