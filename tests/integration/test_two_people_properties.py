"""People who change numbers, get those of others and write them in two ways: nothing of one is ever with another."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bots.domain import EventKind, Identity, InboundEvent
from bots.errors import Fenced
from bots.storage.claims import Handle
from bots.storage.turns import NewFact
from tests.support.storage_fixture import StorageFixture, a_bsuid, a_message, a_phone

_worlds = itertools.count(1)
_STEPS = ["both"] * 4 + ["id", "number", "react", "work", "work", "change", "notice"] + ["drop", "take"] * 2
_STEP = st.tuples(st.sampled_from(_STEPS), st.integers(0, 3), st.integers(0, 11))


@dataclass
class Person:
    """Somebody with an id, and perhaps a number."""

    name: str
    id: str
    number: int | None = None
    #: Whether a message has shown id and number together: only then may the number go to somebody else without a notice.
    is_shown: bool = False


@dataclass(frozen=True)
class Change:
    """A person's change of number, and how the platform names it."""

    who: str
    at: datetime
    old: int | None
    new: int
    identities: tuple[Identity, ...]
    previous: tuple[Identity, ...]


@dataclass
class World:
    """What is true, what the platform has shown of it, and the service that is told."""

    storage: StorageFixture
    prefix: int
    now: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(days=6))
    people: list[Person] = field(default_factory=list[Person])
    #: Who has a number, as the service was told, and when that was so.
    seen: dict[int, tuple[str, datetime]] = field(default_factory=dict[int, tuple[str, datetime]])
    late: list[Change] = field(default_factory=list["Change"])
    ids: itertools.count[int] = field(default_factory=itertools.count)

    def phone(self, number: int, spelling: int) -> Identity:
        """A Brazilian mobile number, in one of its two spellings."""
        return a_phone(f"5511{'9' if spelling % 2 else ''}8{self.prefix:04d}{number:03d}")

    def spellings(self, number: int) -> set[str]:
        return {self.phone(number, n).value for n in (0, 1)}

    def is_theirs(self, number: int, name: str) -> bool:
        """Whether the service was told of nobody else who has this number."""
        return self.seen.get(number, (name, self.now))[0] == name

    def new_id(self) -> str:
        return f"BR.{self.prefix}x{next(self.ids)}"

    def tell(self, event: InboundEvent) -> None:
        self.storage.let_in(event)

    def says(self, person: Person, by: tuple[Identity, ...]) -> None:
        key = f"{self.prefix}:{next(self.ids)}"
        self.tell(a_message(f"{person.name}@{key}", by=by, key=key, occurred_at=self.now))

    def step(self, what: str, who: int, chance: int) -> None:
        self.now += timedelta(hours=3)
        person = self.people[who]
        id_, number = a_bsuid(person.id), person.number
        match what:
            case "both" if number is not None:
                person.is_shown, self.seen[number] = True, (person.name, self.now)
                self.says(person, (id_, self.phone(number, chance)))
            case "id":
                self.says(person, (id_,))
            case "number" if number is not None and self.is_theirs(number, person.name):
                self.seen[number] = person.name, self.now
                self.says(person, (self.phone(number, chance),))
            case "react":
                key = f"{self.prefix}:{next(self.ids)}"
                self.tell(InboundEvent(kind=EventKind.REACTION, event_key=key, identities=(id_,), text="👍", occurred_at=self.now))
            case "work":
                self.work()
            case "change" if person.is_shown or number is None or (chance < 8 and chance % 4 in {0, 3}):
                # A number that was never shown with an id is only given up by a notice that names it: else nobody can tell its owners apart.
                self.changes_number(person, chance)
            case "drop" if number is not None and person.is_shown:
                # Without a notice: the next owner may be anybody.
                person.number, person.is_shown = None, False
            case "take" if number is None:
                # Nor does the platform say who has it now: their first message does.
                person.number, person.id = self.free(chance), self.new_id() if chance % 2 else person.id
            case "notice" if self.late:
                self.announce(self.late.pop(chance % len(self.late)))
            case _:
                pass

    def free(self, chance: int) -> int:
        """A number that nobody has now."""
        taken = {other.number for other in self.people}
        left = [number for number in range(5) if number not in taken]
        return left[chance % len(left)]

    def changes_number(self, person: Person, chance: int) -> None:
        """Take a free number, with a new id and a notice that comes at once, later, or twice."""
        new, old, old_id = self.free(chance), person.number, person.id
        person.number, person.id, person.is_shown = new, self.new_id(), False
        # A notice of numbers alone is believed: it is only made of a number that nobody else was shown with.
        form = 0 if old is not None and not self.is_theirs(old, person.name) else chance % 4
        ids, before = (a_bsuid(person.id),), (a_bsuid(old_id),)
        numbers = (self.phone(new, chance),)
        left = (self.phone(old, chance + 1),) if old is not None else ()
        identities, previous = [(ids + numbers, before + left), (ids, before), (ids + numbers, before), (numbers, left or before)][form]
        change = Change(who=person.name, at=self.now, old=old, new=new, identities=identities, previous=previous)
        if chance < 8:
            self.announce(change)
        if chance >= 6:
            self.late.append(change)

    def announce(self, change: Change) -> None:
        """Let the platform say what changed, now or later."""
        self.tell(
            InboundEvent(
                kind=EventKind.SYSTEM,
                event_key=f"{self.prefix}:{next(self.ids)}",
                identities=change.identities,
                previous=change.previous,
                occurred_at=change.at,
                supported=False,
            )
        )
        named = {one.value for one in change.identities + change.previous}
        if (
            change.old is not None
            and named & self.spellings(change.old)
            and (self.is_theirs(change.old, change.who) and self.seen.get(change.old, ("", change.at))[1] <= change.at)
        ):
            self.seen.pop(change.old, None)
        if named & self.spellings(change.new) and self.seen.get(change.new, ("", change.at))[1] <= change.at:
            self.seen[change.new] = (change.who, change.at)

    def work(self) -> None:
        """Answer one message, remember something, and send what is due."""
        claim = self.storage.claim()
        if claim is None:
            return
        (name,) = {(message.text or "").split("@")[0] for message in claim.messages}
        self.goes_to(name, claim.identities)
        told = [past.asked for past in claim.history] + [fact.text for fact in claim.memories]
        assert {text.split("@")[0] for text in told} <= {name}
        fact = NewFact(kind="likes", text=f"{name}@{claim.number}", source=claim.messages[-1].id)
        try:
            sending = self.storage.finish(
                claim, asked=claim.messages[-1].text, answer=f"{name}@a", parts=[f"{name}@a", f"{name}@b"], facts=[fact]
            )
        except Fenced:
            return
        if sending is not None:
            self.storage.end(sending, next_part_s=0.0)

    def goes_to(self, name: str, handles: list[Handle]) -> None:
        """An answer goes to no number that the service was told is somebody else's."""
        for number in self.seen:
            if self.spellings(number) & {handle.value for handle in handles}:
                assert self.is_theirs(number, name)

    def check(self) -> None:
        like = f"%@{self.prefix}:%"
        rows = self.storage.rows(
            "with mine as (select distinct contact_id from inbox where text like %s)"
            " select contact_id, split_part(text, '@', 1) from inbox where text like %s"
            " union select contact_id, split_part(text, '@', 1) from memories where contact_id in (select contact_id from mine)"
            " union select contact_id, split_part(answer, '@', 1) from turns where answer is not null and contact_id in (select contact_id from mine)"
            " union select contact_id, split_part(body, '@', 1) from outbox where contact_id in (select contact_id from mine)",
            like,
            like,
        )
        assert len({contact for contact, _ in rows}) == len(rows), "one contact has words of two people"
        while (sending := self.storage.next_send()) is not None:
            self.goes_to(sending.text.split("@")[0], sending.identities)
            self.storage.end(sending, next_part_s=0.0)
        spread = self.storage.value(
            "select count(*) from (select from contact_identities where value like %s and retired_at is null group by contact_id, kind having count(*) > 2) x",
            f"%{self.prefix}%",
        )
        assert spread == 0


#: Shrinking an example takes minutes, and reading one does not: the steps are printed.
@settings(
    max_examples=50,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
@given(steps=st.lists(_STEP, min_size=20, max_size=50))
def test_nothing_of_one_person_is_ever_with_another(storage: StorageFixture, steps: list[tuple[str, int, int]]) -> None:
    world = World(storage=storage, prefix=next(_worlds))
    for number, name in enumerate(("ann", "bob", "cy", "dan")):
        world.people.append(Person(name=f"{name}{world.prefix}", id=world.new_id(), number=number if number < 3 else None))
    for what, who, chance in steps:
        world.step(what, who, chance)
    world.check()
    # The next example begins with nothing due.
    storage.do("update conversations set ready_at = null")
    storage.do("update outbox set not_before = null")
