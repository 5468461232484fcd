"""Trials of models as finders of facts to remember: their results by the model's address."""

from __future__ import annotations

from bots.admin.acting import Operator
from bots.admin.audit import record
from bots.admin.deps import Deps
from bots.storage import model_trials
from bots.storage.database import unit
from bots.storage.model_trials import ModelTrial


def store(deps: Deps, operator: Operator, trial: ModelTrial) -> None:
    """Store the result of a trial; from now on a model that passed is asked, and one that did not is not."""
    with unit(deps.web) as connection:
        model_trials.store(connection, operator.tenant_id, trial)
        record(connection, operator, "model.try", f"model:{trial.model}", {"url": trial.url, "passed": trial.passed})


def overview(deps: Deps, operator: Operator) -> list[ModelTrial]:
    """The last trial of each model."""
    with unit(deps.web) as connection:
        return model_trials.list_all(connection, operator.tenant_id)
