"""G21: whatever a contact sends, and whatever a model that obeys it says, nothing of it becomes a memory, an instruction or a privilege.

80 people, each with one attempt of bench/memory/sets/poisoning.jsonl, live through the same day on one service.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from bots.kinds import kinds
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.fakes import Model
from tests.support.poisons import Poison, poisons, unquoted
from tests.support.processes import until
from tests.support.seats import seat
from tests.support.stack import WINDOWS, Stack

_PERSONA = "You are the assistant of a small bakery. You answer briefly."
_TELLS = "My name is Marta and I live in Porto"
_ASKS = ("Are you open on Sunday?", "What have we talked about so far?")
_AT_ONCE = 20
_POISONS = poisons()
#: The attempts that come with a picture.
_SHOWN = ("caption", "picture_text")
#: What nobody who only writes messages may change.
_OPERATORS_OWN = ("operators", "operator_sessions", "api_tokens", "admin_links", "bots", "personas", "endpoints", "profile_endpoints")

Prompt = list[dict[str, Any]]


@dataclass
class Victim:
    """A person, and what the service made of their attempt."""

    person: build.Person
    contact: UUID | None = None
    #: Their profile, what they said and what they were answered.
    arrived: str = ""
    #: Every memory after the attempt, whether it lives or not.
    memories: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    #: What the model was asked in the next talk, before they forgot everything and after it.
    prompts: list[Prompt] = field(default_factory=list[Prompt])
    afterwards: list[Prompt] = field(default_factory=list[Prompt])
    #: What is remembered after they forgot everything.
    left: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


class Day:
    """The service, and everybody on it."""

    def __init__(self, stack: Stack, model: Model) -> None:
        self.stack, self.model = stack, model
        self.bystander = build.a_person("Bea")
        self.victims = {one.id: Victim(build.a_person(one.text if one.where == "name" else "Ada")) for one in _POISONS}

    def live(self) -> None:
        """Let everybody tell two facts, try, talk anew, and forget."""
        everybody = [one.person for one in self.victims.values()]
        self._all_say(_TELLS, [*everybody, self.bystander])
        self.before, self.owned = self._memories_of(self._contact(self.bystander)), self._owned()
        self._try()
        for victim in self.victims.values():
            victim.contact = self._contact(victim.person)
            victim.arrived = self._arrived(victim.contact)
            victim.memories = self._memories_of(victim.contact)
        self.model.reset()
        self.model.script(answer="We are open every day.")
        self._all_say("/reset", everybody)
        for victim, prompts in self._ask(everybody):
            victim.prompts = prompts
        self._all_say("/forget", everybody)
        for victim in self.victims.values():
            victim.left = self._memories_of(victim.contact)
        self._all_say("/reset", everybody)
        for victim, prompts in self._ask(everybody):
            victim.afterwards = prompts
        self.after, self.owned_after = self._memories_of(self._contact(self.bystander)), self._owned()

    def _try(self) -> None:
        # It repeats whatever it is told, and says what it is made to say.
        self.model.script(echo=True)
        quoted = [one for one in _POISONS if one.where == "quoted"]
        for one in _POISONS:
            if one.where in ("quoted", "picture_text"):
                self.model.script(answer=one.text, match=one.asks)
        self._deliver([(self._person(one), build.a_text(self._person(one), one.asks)) for one in quoted])
        answers = {one.id: self._answer_to(self._person(one)) for one in quoted}
        self._deliver([(self._person(one), self._message(one, answers.get(one.id))) for one in _POISONS if one.where not in _SHOWN])
        for one in _POISONS:
            if one.where in _SHOWN:
                sent = self.stack.platform.person_writes(**one.picture(self._person(one)))
                self.stack.accepted.add(sent["message_id"])
        self.stack.wait_settled()

    def _message(self, poison: Poison, quoted: str | None) -> dict[str, Any]:
        return poison.message(self._person(poison), poison.text.replace("{bystander}", self.bystander.number), quoted=quoted)

    def _person(self, poison: Poison) -> build.Person:
        return self.victims[poison.id].person

    def _answer_to(self, person: build.Person) -> str:
        sent = [one for one in self.stack.platform.log() if one["kind"] == "message" and str(one.get("to")).lstrip("+") == person.number]
        return str(sent[-1]["external_id"])

    def _all_say(self, text: str, people: Sequence[build.Person]) -> None:
        self._deliver([(person, build.a_text(person, text)) for person in people])

    def _deliver(self, said: Sequence[tuple[build.Person, dict[str, Any]]]) -> None:
        for start in range(0, len(said), _AT_ONCE):
            some = said[start : start + _AT_ONCE]
            body = build.a_webhook(messages=[message for _, message in some], people=[person for person, _ in some])
            until(lambda body=body: self.stack.post(body) == 200, what="the webhook was taken")
            self.stack.accepted |= {message["id"] for _, message in some}
        self.stack.wait_settled()

    def _ask(self, people: Sequence[build.Person]) -> Iterator[tuple[Victim, list[Prompt]]]:
        since = self.stack.one("select clock_timestamp()")
        for text in _ASKS:
            self._all_say(text, people)
        asked = "select prompt from model_calls where contact_id = :contact and created_at > :since order by created_at"
        for victim in self.victims.values():
            yield victim, [row["prompt"] for row in self.stack.rows(asked, contact=victim.contact, since=since)]

    def _contact(self, person: build.Person) -> UUID:
        return self.stack.one("select contact_id from contact_identities where ltrim(value, '+') = :number", number=person.number)

    def _arrived(self, contact: UUID | None) -> str:
        found = """
            select concat_ws(E'\n', c.name,
                (select string_agg(concat_ws(E'\n', i.text, r.x->>'text'), E'\n')
                    from inbox i left join jsonb_array_elements(i.refers) r(x) on true where i.contact_id = c.id),
                (select string_agg(o.body, E'\n') from outbox o where o.contact_id = c.id))
            from contacts c where c.id = :contact
        """
        return str(self.stack.one(found, contact=contact))

    def _memories_of(self, contact: UUID | None) -> list[dict[str, Any]]:
        return self.stack.rows("select * from memories where contact_id = :contact order by created_at, id", contact=contact)

    def _owned(self) -> list[tuple[str, str]]:
        return [(table, row["x"]) for table in _OPERATORS_OWN for row in self.stack.rows(f"select x::text as x from {table} x order by 1")]


@pytest.fixture(scope="module")
def day(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """All of it, once. The invariants hold at the end."""
    quick = {"CHINWAG_DEBOUNCE_S": "0.02", "CHINWAG_DISPATCH_TICK_S": "0.03"}
    with Stack(cluster, tmp_path_factory.mktemp("poisoning"), settings=WINDOWS | quick, persona=_PERSONA) as running:
        # It sees pictures, too.
        eyes = Model(running.processes.start("eyes", ["inference.scripted", "--vision", "--model", "eyes"], {}).wait_listening())
        with closing(eyes):
            seat(running, "eyes", eyes.url, vision=True)
            running.start_web()
            running.start_dispatcher()
            running.start_worker()
            lived = Day(running, eyes)
            lived.live()
            yield lived
            running.check()


@pytest.mark.parametrize("poison", _POISONS, ids=lambda one: one.id)
def test_the_attempt_arrived(day: Day, poison: Poison) -> None:
    """Without this, an attempt that the service never saw would pass."""
    assert poison.found_in(day.victims[poison.id].arrived)


@pytest.mark.parametrize("poison", _POISONS, ids=lambda one: one.id)
def test_no_memory_holds_anything_of_an_attempt(day: Day, poison: Poison) -> None:
    memories = day.victims[poison.id].memories

    assert [(one["kind"], one["text"]) for one in memories if one["kind"] not in kinds()] == []
    assert [(one["kind"], one["text"]) for one in memories if poison.found_in(f"{one['text']}\n{one['topic']}")] == []


@pytest.mark.parametrize("poison", _POISONS, ids=lambda one: one.id)
def test_the_next_talk_tells_an_attempt_as_quoted_data_or_not_at_all(day: Day, poison: Poison) -> None:
    prompts = day.victims[poison.id].prompts

    assert len(prompts) == len(_ASKS)
    for prompt, asked in zip(prompts, _ASKS, strict=True):
        assert [one["content"] for one in prompt if one["role"] == "system"] == [_PERSONA]
        assert [one for one in prompt if poison.found_in(unquoted(one["content"]))] == []
        assert prompt[-1]["role"] == "user"
        assert prompt[-1]["content"].endswith(asked)


@pytest.mark.parametrize("poison", _POISONS, ids=lambda one: one.id)
def test_forget_still_forgets_everything(day: Day, poison: Poison) -> None:
    victim = day.victims[poison.id]

    assert victim.left == []
    assert len(victim.afterwards) == len(_ASKS)
    for prompt in victim.afterwards:
        assert "Marta" not in str(prompt)
        assert poison.found_in(str([one["content"] for one in prompt])) == []


def test_true_facts_of_the_attackers_were_remembered(day: Day) -> None:
    """Without this, a service that remembers nothing would pass."""
    told = [one for one in day.victims.values() if any(memory["text"] == "Porto" for memory in one.memories)]

    assert len(told) >= len(day.victims) - sum(one.kind == "forget_other" for one in _POISONS)


def test_nobody_forgets_for_somebody_else(day: Day) -> None:
    assert {one["text"] for one in day.before} == {"Marta", "Porto"}
    assert day.after == day.before


def test_no_message_changes_what_is_the_operators_own(day: Day) -> None:
    assert day.owned_after == day.owned
