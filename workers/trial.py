"""The trial that a model passes before it may propose facts to remember, and which models have passed.

Guarantee: no model is asked that has not passed the present version of the trial: other messages or questions make it another.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from bots.domain import Fact
from bots.extract import extract
from bots.extract.words import fold, split_words
from bots.storage import model_trials
from bots.storage.model_trials import ModelTrial
from inference.answer_guard import check
from inference.errors import AnswerCut, ContentFiltered, GarbageAnswer, PromptTooLong
from inference.router import Router
from inference.settings import ModelSettings
from inference.types import Answer, Endpoint, Hints, Message, Usage
from workers import proposing
from workers.deps import Deps
from workers.proposing import Ask, Said, Sifted

#: Of what would be remembered, so much must be right.
LEAST_PRECISION = 0.95
#: A value counts with at most so many words more than the label.
_MORE_WORDS = 2

_Fact = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Messages of one person that are asked about at once, and the facts in each."""

    said: Sequence[Said]
    facts: Sequence[Sequence[_Fact]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How many facts there are, how many were found, and how many of those are right."""

    labelled: int = 0
    found: int = 0
    right: int = 0
    #: Labels that were found.
    covered: int = 0

    @property
    def precision(self) -> float:
        """The share of what was found that is right; 1 where nothing was found."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """The share of the labels that were found."""
        return self.covered / self.labelled if self.labelled else 0.0

    def and_(self, labels: Sequence[_Fact], found: Sequence[_Fact]) -> Score:
        """With another message."""
        return Score(
            labelled=self.labelled + len(labels),
            found=self.found + len(found),
            right=self.right + sum(any(_is(label, one) for label in labels) for one in found),
            covered=self.covered + sum(any(_is(label, one) for one in found) for label in labels),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a trial found out."""

    #: The rules alone; the model as it answered; its proposals after the checks; the rules and those together.
    rules: Score = Score()
    proposed: Score = Score()
    checked: Score = Score()
    together: Score = Score()
    #: Talks to which the model gave no answer that can be read.
    unanswered: int = 0

    @property
    def passed(self) -> bool:
        """Whether the model may propose."""
        return not self.why_not

    @property
    def why_not(self) -> str:
        """Why it may not, in one sentence; empty where it may."""
        if self.unanswered:
            return f"It gave no answer that can be read to {self.unanswered} of {len(talks())} talks."
        if self.checked.precision < LEAST_PRECISION:
            return f"Of what would be remembered {self.checked.precision:.0%} is right, and {LEAST_PRECISION:.0%} must be."
        if self.together.recall <= self.rules.recall:
            return "It finds nothing that the rules do not find."
        return ""

    def figures(self) -> dict[str, Any]:
        """The result as it is stored."""
        named = {"rules": self.rules, "proposed": self.proposed, "checked": self.checked, "together": self.together}
        return {name: asdict(score) for name, score in named.items()} | {"unanswered": self.unanswered, "why_not": self.why_not}

    def stored(self, endpoint: Endpoint) -> ModelTrial:
        """The result of this endpoint's model."""
        return ModelTrial(url=endpoint.url, model=endpoint.model, version=version(), passed=self.passed, figures=self.figures())

    def and_(self, talk: Sample, ask: Ask) -> Result:
        """With another talk, about which a model is asked. Raises what ask raises."""
        found = proposing.find(talk.said, ask)
        rules, proposed, checked, together = self.rules, self.proposed, self.checked, self.together
        for n, (said, labels) in enumerate(zip(talk.said, talk.facts, strict=True)):
            by_rules = [_pair(fact) for fact in extract(said.text, today=said.day).facts]
            kept = _of(found, n)
            rules = rules.and_(labels, by_rules)
            proposed = proposed.and_(labels, [(one.kind, one.value) for one in found.proposals or () if one.message == n])
            checked = checked.and_(labels, kept)
            together = together.and_(labels, [*by_rules, *(one for one in kept if one not in by_rules)])
        unanswered = self.unanswered + (found.proposals is None)
        return Result(rules=rules, proposed=proposed, checked=checked, together=together, unanswered=unanswered)


def asker(endpoint: Endpoint, settings: ModelSettings, *, within_s: float | None = None) -> Ask:
    """How this endpoint is asked: as a worker does, but no other one instead. It raises InferenceError where an answer is not the model's to give."""
    router = Router(endpoint, settings)

    def ask(messages: Sequence[Message], schema: Mapping[str, Any]) -> str | None:
        try:
            routed = router.chat(
                "trial",
                messages,
                affinity=None,
                may_leave=True,
                max_tokens=proposing.MOST_TOKENS,
                temperature=proposing.TEMPERATURE,
                hints=Hints(schema=schema),
                until=None if within_s is None else time.monotonic() + within_s,
            )
            return check(routed.answer, messages, thoughts=endpoint.traits.thoughts)
        except AnswerCut as error:
            cut = Answer(text=error.text, usage=Usage(), first_token_ms=0.0, total_ms=0.0, finish_reason="length")
            return _checked(cut, messages, endpoint)
        except (GarbageAnswer, ContentFiltered, PromptTooLong):
            return None

    return ask


def _checked(answer: Answer, messages: Sequence[Message], endpoint: Endpoint) -> str | None:
    try:
        return check(answer, messages, thoughts=endpoint.traits.thoughts)
    except GarbageAnswer:
        return None


def models(router: Router, profile: str) -> list[Endpoint]:
    """The endpoints that a profile may ask, each model at its address once."""
    found = dict[tuple[str, str], Endpoint]()
    for endpoint in router.allowed(profile, may_leave=True):
        found.setdefault((endpoint.url, endpoint.model), endpoint)
    return list(found.values())


def may_propose(deps: Deps, tenant: UUID, profile: str, *, may_leave: bool) -> bool:
    """Whether every model that this profile may ask has passed; the first of them may be away. Raises StorageUnavailable."""
    passed = deps.trials.get(tenant, partial(model_trials.passed, deps.worker, tenant, version()))
    if not passed:
        return False
    asked = [(endpoint.url, endpoint.model) for endpoint in deps.router.allowed(profile, may_leave=may_leave)]
    return bool(asked) and passed.issuperset(asked)


@cache
def talks() -> Sequence[Sample]:
    """The messages of the trial."""
    table = _table()
    day: date = table["day"]
    return tuple(
        Sample(
            said=tuple(Said(text=one["text"], day=day) for one in talk["messages"]),
            facts=tuple(tuple((kind, value) for kind, value in one["facts"]) for one in talk["messages"]),
        )
        for talk in table["talk"]
    )


@cache
def version() -> str:
    """Which messages and questions these are."""
    return sha256((repr(_table()) + proposing.version()).encode()).hexdigest()[:16]


def _table() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def _of(found: Sifted, message: int) -> list[_Fact]:
    return [_pair(fact) for n, fact in found.facts if n == message]


def _pair(fact: Fact) -> _Fact:
    return fact.kind, fact.value


def _is(label: _Fact, found: _Fact) -> bool:
    """Whether what was found is what the label means: of its kind, with all its words and hardly more."""
    wanted, given = _words(label[1]), _words(found[1])
    return label[0] == found[0] and _holds(wanted, given)


def _holds(wanted: Sequence[str], given: Iterable[str]) -> bool:
    left = list(given)
    for word in wanted:
        if word not in left:
            return False
        left.remove(word)
    return len(left) <= _MORE_WORDS


def _words(text: str) -> list[str]:
    return [fold(word.text) for word in split_words(text) if word.is_word]
