"""Trials of a profile's models that operators ask for, in the background: one talk of the trial at a time, after people.

Guarantee: a trial that was interrupted goes on where it was, and ends with a result or with what an operator should do.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import msgspec
import structlog

from bots.storage import trial_runs
from bots.storage.queues import profile_of
from bots.storage.trial_runs import TrialRun, Tried
from inference.errors import InferenceError, ModelUnavailable, OutOfQuota
from inference.types import Endpoint
from workers import leased_work, trial
from workers.deps import Deps
from workers.leased_work import LeasedWork
from workers.model_routes import profile_key
from workers.trial import Result

log = structlog.get_logger()

#: A model that does not answer is asked again after this time, and so often in a row.
_AGAIN_S = 20.0
_TRIES = 5
#: The share of a claim that a talk may take with its two questions.
_OF_LEASE = 0.8
_THEN = "then start the trial again"
#: The result of a model that was asked about no talk yet.
_NOTHING = Result()


def try_one(deps: Deps, queue: str) -> bool:
    """Ask about the next talk of a trial of a batch queue's profile; False when none was due."""
    run = trial_runs.claim(deps.worker, profile_of(queue), within_s=deps.settings.batch_lease_s)
    return run is not None and leased_work.run(deps.in_flight, _Trying(deps, run))


def through(endpoint: Endpoint, result: Result) -> Tried:
    """A model that was asked about every talk."""
    return _tried(_Model(endpoint=endpoint, done=len(trial.talks()), result=result))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """A model of the profile, and how far it is."""

    endpoint: Endpoint
    done: int = 0
    result: Result = _NOTHING

    @property
    def is_through(self) -> bool:
        return self.done >= len(trial.talks())


class _Trying(LeasedWork):
    """A claimed trial, of which the next talk is asked about."""

    def __init__(self, deps: Deps, run: TrialRun) -> None:
        self._deps, self._run = deps, run

    def do(self) -> str:
        models = self._models()
        if not models:
            return self._end(models, "No endpoint of the profile can be asked: connect one, or enter its key again;")
        n = next((n for n, one in enumerate(models) if not one.is_through), None)
        if n is None:
            return self._go_on("done", models, after_s=None)
        model = models[n]
        within_s = min(self._deps.settings.batch_lease_s, self._deps.settings.task_deadline_s) * _OF_LEASE / 2
        try:
            result = model.result.and_(trial.talks()[model.done], trial.asker(model.endpoint, self._deps.model_settings, within_s=within_s))
        except InferenceError as error:
            return self._not_answered(models, model.endpoint, error)
        models[n] = model = _Model(endpoint=model.endpoint, done=model.done + 1, result=result)
        is_over = all(one.is_through for one in models)
        return self._go_on("done" if is_over else "goes_on", models, after_s=None if is_over else 0.0, through=model)

    def failed(self, error: Exception) -> str:
        log.error("trial_broke", profile=self._run.profile, error=type(error).__name__, exc_info=error)
        return self._end(
            self._models(), f"It broke off by a mistake of the program ({type(error).__name__}, in the log of the worker): report it,"
        )

    def ended(self, state: str, *, took_s: float) -> None:
        log.info("trial_went_on", profile=self._run.profile, state=state, took_ms=round(took_s * 1000))

    def _models(self) -> list[_Model]:
        """The profile's models now; each as far as it is, unless it was asked about another version."""
        run = self._run
        known = {(one.url, one.model): one for one in run.models if run.version == trial.version()}
        found = list[_Model]()
        for endpoint in trial.models(self._deps.router, profile_key(run.tenant_id, run.profile)):
            so_far = known.get((endpoint.url, endpoint.model))
            if so_far is None:
                found.append(_Model(endpoint=endpoint))
            else:
                found.append(_Model(endpoint=endpoint, done=so_far.done, result=msgspec.convert(so_far.counts, Result)))
        return found

    def _not_answered(self, models: list[_Model], endpoint: Endpoint, error: InferenceError) -> str:
        """A server that may answer later is waited for; what an operator must mend ends the trial."""
        if isinstance(error, ModelUnavailable) and not isinstance(error, OutOfQuota):
            tries = self._run.tries + 1
            if tries < _TRIES:
                said = f"{endpoint.name} did not answer. It is asked again by itself ({tries} of {_TRIES})."
                return self._go_on("waits", models, after_s=_AGAIN_S, tries=tries, said=said)
            return self._end(models, f"{endpoint.name} did not answer {_TRIES} times in a row. Start its server or correct its address,")
        if isinstance(error, OutOfQuota):
            return self._end(models, f"The account of {endpoint.name} has no credit or quota left. Top it up,")
        status = f" ({error.status})" if error.status else ""
        return self._end(
            models, f"{endpoint.name} refuses to answer{status}. Check its key, its address and the name of its model: probe it,"
        )

    def _end(self, models: list[_Model], said: str) -> str:
        return self._go_on("ended", models, after_s=None, said=f"{said} {_THEN}.")

    def _go_on(
        self, state: str, models: list[_Model], *, after_s: float | None, tries: int = 0, said: str = "", through: _Model | None = None
    ) -> str:
        result = through.result.stored(through.endpoint) if through and through.is_through else None
        done = trial_runs.go_on(
            self._deps.worker,
            self._run,
            [_tried(one) for one in models],
            version=trial.version(),
            after_s=after_s,
            tries=tries,
            said=said,
            result=result,
        )
        return state if done else "fenced"


def _tried(model: _Model) -> Tried:
    endpoint = model.endpoint
    counts = asdict(model.result)
    return Tried(endpoint=endpoint.name, url=endpoint.url, model=endpoint.model, done=model.done, of=len(trial.talks()), counts=counts)
