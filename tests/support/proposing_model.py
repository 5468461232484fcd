"""A model that is asked for facts: reads the questions of workers/proposing.py as a model would, and answers what the test says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bots.storage import model_trials
from bots.storage.database import unit
from bots.storage.model_trials import ModelTrial
from tests.support.one_worker import OneWorker
from tests.support.played_model import Played, Prompt
from workers import trial

_LINE = re.compile(r'^(\d+): (".*")$', re.MULTILINE)

#: Kind and value of each fact that the model reads in a message.
Facts = Sequence[tuple[str, str]]


def asks_for_facts(prompt: Prompt) -> bool:
    """Whether this is the question for facts."""
    return '{"facts"' in str(prompt[-1]["content"])


def asks_to_confirm(prompt: Prompt) -> bool:
    """Whether these are the closed questions."""
    return '{"answers"' in str(prompt[-1]["content"])


def shown(prompt: Prompt) -> dict[int, str]:
    """The messages in a question for facts, by their numbers."""
    return {int(number): json.loads(words) for number, words in _LINE.findall(str(prompt[-1]["content"]))}


def answers(known: Mapping[str, Facts] | Callable[[str], Facts], *, confirms: bool = True) -> Callable[[Prompt], Played | None]:
    """A model that reads these facts in messages, and confirms all of them or none; to people it repeats what they said."""

    def read(words: str) -> Facts:
        return known(words) if callable(known) else known.get(words, ())

    def plays(prompt: Prompt) -> Played | None:
        if asks_for_facts(prompt):
            facts = [
                {"message": number, "kind": kind, "value": value} for number, words in shown(prompt).items() for kind, value in read(words)
            ]
            return Played(words=["```json\n", json.dumps({"facts": facts}, ensure_ascii=False), "\n```"])
        if asks_to_confirm(prompt):
            count = str(prompt[-1]["content"]).count(" Does the person say that ")
            return Played(words=[json.dumps({"answers": [confirms] * count})])
        return None

    return plays


def labels() -> dict[str, Facts]:
    """What is to be found in the messages of the trial."""
    return {said.text: list(facts) for talk in trial.talks() for said, facts in zip(talk.said, talk.facts, strict=True)}


def passed(worker: OneWorker, *names: str, **changed: Any) -> None:
    """Let these endpoints' models have passed the trial."""
    with unit(worker.storage.web) as connection:
        for name in names:
            done = ModelTrial(url=getattr(worker, name).url, model=name, version=trial.version(), passed=True, figures={})
            model_trials.store(connection, worker.storage.account.tenant_id, replace(done, **changed))
