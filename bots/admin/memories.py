"""What operators do with what is remembered of a contact: read, search, add, correct, end, erase, export, switch off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from bots.admin import audit, meaning
from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.domain import Fact
from bots.errors import NotFound
from bots.extract.gate import MAX_VALUE_CHARACTERS, admit
from bots.extract.words import fold
from bots.kinds import kinds
from bots.storage import conversations, memories, people
from bots.storage.database import hot, unit
from bots.storage.memories import Stored, Switches
from bots.storage.people import Found, Person

#: What an operator has typed can hold no more than this.
LONGEST_VALUE = MAX_VALUE_CHARACTERS
#: So many memories are read unless more are asked for, what lives first; and so many people of one name.
MOST_READ, MOST_ASKED = 1000, 100_000
_MOST_NAMED = 200
#: What the kinds are called on pages and in commands.
KIND_WORDS: Mapping[str, str] = {
    "name": "name",
    "addressing": "how to address them",
    "language": "language",
    "place": "place",
    "allergy": "allergy",
    "medication": "medication",
    "condition": "condition",
    "diet": "diet",
    "family": "people",
    "pet": "pet",
    "occupation": "work",
    "schedule": "hours",
    "contact_pref": "how to reach them",
    "plan": "plan",
    "likes": "likes",
    "dislikes": "dislikes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A contact, and everything that is or was remembered of them."""

    person: Person
    memories: list[Stored]
    #: How many there are; what was read may be fewer.
    total: int
    switches: Switches


def read(deps: Deps, operator: Operator, contact: UUID, *, limit: int = MOST_READ) -> Known:
    """Read what is and was remembered of a contact: what lives first, then the newest. Raises NotFound."""
    person = _person(deps, operator, contact)
    with unit(deps.web, contact=contact) as connection:
        return Known(
            person=person,
            memories=memories.all_of(connection, contact, limit=limit),
            total=memories.count(connection, contact),
            switches=memories.switches(connection, contact),
        )


def kind_of(deps: Deps, operator: Operator, contact: UUID, memory: UUID) -> str:
    """The kind of a contact's memory, whether it lives or not. Raises NotFound."""
    _person(deps, operator, contact)
    with unit(deps.web, contact=contact) as connection:
        return memories.kind_of(connection, contact, memory)


def find_person(deps: Deps, operator: Operator, typed: str) -> UUID:
    """The contact of an id, of a conversation's id, of a number or of a name that only one has. Raises NotFound with what to type instead."""
    typed = _storable(typed)
    wanted = _identity(typed)
    if wanted is not None:
        with hot(deps.crossing) as connection:
            try:
                return conversations.get(connection, tenant=operator.tenant_id, conversation=wanted).contact_id
            except NotFound:
                return people.get(connection, tenant=operator.tenant_id, contact=wanted).id
    with hot(deps.crossing) as connection:
        found = dict(people.named(connection, tenant=operator.tenant_id, search=typed, limit=_MOST_NAMED)) if typed.strip() else {}
    # A whole name means its bearer, even where it is a part of another's.
    whole = [contact for contact, name in found.items() if fold(name) == fold(typed.strip())]
    if len(found) == 1 or len(whole) == 1:
        return whole[0] if whole else next(iter(found))
    if not found:
        raise NotFound(f"Nobody is found by “{typed}”. Type a name, a number, or an id from `chinwag conversation list`.")
    raise NotFound(
        "Several people are found: "
        + "; ".join(f"{name} ({contact})" for contact, name in list(found.items())[:10])
        + ". Type one of these ids."
    )


def search(deps: Deps, operator: Operator, contact: UUID, typed: str, *, limit: int = 50) -> list[Found]:
    """Search all of a contact's talk: by words without regard to accents and case, by numbers in any spelling, and by meaning. Raises NotFound.

    What has the words comes first, the newest first; then what only means something like them.
    """
    person, typed = _person(deps, operator, contact), _storable(typed)
    with unit(deps.web, contact=contact) as connection:
        found = people.find(connection, tenant=operator.tenant_id, contact=contact, search=typed, limit=limit)
    return [*found, *meaning.find(deps, person, typed, besides=found)][:limit]


def check(kind: str, value: str, *, day: date | None = None, last_day: date | None = None) -> str | None:
    """Say what is wrong with a memory that was typed; None when it can be remembered."""
    if kind not in kinds():
        return f"There is no kind “{kind}”. There are {', '.join(kinds())}."
    if not value.strip():
        return "Type what is to be remembered."
    if len(value) > LONGEST_VALUE:
        return f"At most {LONGEST_VALUE} characters."
    if (day is None and last_day is not None) or (day is not None and last_day is not None and last_day < day):
        return "A last day needs a first day, and comes after it."
    if admit(Fact(kind=kind, value=value)) is None:
        return "This cannot be remembered: links, secrets, and words that would tell the model what to do are kept out."
    return None


def add(
    deps: Deps, operator: Operator, contact: UUID, *, kind: str, value: str, day: date | None = None, last_day: date | None = None
) -> UUID:
    """Add a memory, marked with the operator's name. Raises NotFound, Conflict."""
    _person(deps, operator, contact)
    with unit(deps.crossing) as connection:
        made = memories.add(
            connection, contact=contact, kind=kind, value=" ".join(value.split()), by=operator.name, day=day, last_day=last_day
        )
        audit.record(connection, operator, "memory.add", f"contact:{contact}", {"memory": str(made), "kind": kind})
    return made


def correct(deps: Deps, operator: Operator, contact: UUID, memory: UUID, *, value: str) -> UUID:
    """Put another value in a memory's place; the old one stays as ended. Raises NotFound, Conflict."""
    _person(deps, operator, contact)
    with unit(deps.crossing) as connection:
        made = memories.correct(connection, contact=contact, memory=memory, value=" ".join(value.split()), by=operator.name)
        audit.record(connection, operator, "memory.correct", f"contact:{contact}", {"memory": str(memory), "now": str(made)})
    return made


def end(deps: Deps, operator: Operator, contact: UUID, memory: UUID) -> None:
    """Say that a memory is true no longer. It stays in the record. Raises NotFound."""
    _person(deps, operator, contact)
    with unit(deps.crossing) as connection:
        memories.end(connection, contact=contact, memory=memory, by=operator.name)
        audit.record(connection, operator, "memory.end", f"contact:{contact}", {"memory": str(memory)})


def erase(deps: Deps, operator: Operator, contact: UUID, memory: UUID | None) -> None:
    """Erase a memory, or all (None), with every copy of their words. Raises NotFound."""
    _person(deps, operator, contact)
    if memory is not None:
        kind_of(deps, operator, contact, memory)
    with unit(deps.crossing) as connection:
        memories.erase(connection, contact=contact, memories=[] if memory is None else [memory], everything=memory is None)
        audit.record(connection, operator, "memory.erase", f"contact:{contact}", {"memory": "all" if memory is None else str(memory)})


def switch(deps: Deps, operator: Operator, contact: UUID, *, memory_on: bool | None = None, sensitive_on: bool | None = None) -> Switches:
    """Switch on or off that anything, or anything sensitive, is remembered of a contact. Raises NotFound."""
    _person(deps, operator, contact)
    off = {"memory_off": None if memory_on is None else not memory_on, "sensitive_off": None if sensitive_on is None else not sensitive_on}
    with unit(deps.crossing) as connection:
        memories.switch(connection, contact, **off)
        audit.record(
            connection, operator, "memory.switch", f"contact:{contact}", {name: value for name, value in off.items() if value is not None}
        )
        return memories.switches(connection, contact)


def export(deps: Deps, operator: Operator, contact: UUID) -> dict[str, Any]:
    """Everything that is and was remembered of a contact, as plain values to hand to them. Raises NotFound."""
    person = _person(deps, operator, contact)
    with unit(deps.web, contact=contact) as connection:
        rows = memories.export(connection, contact)
    with unit(deps.web) as connection:
        audit.record(connection, operator, "memory.export", f"contact:{contact}", {"count": len(rows)})
    return {"contact": person.id, "name": person.name, "identities": dict(person.identities), "memories": rows}


def _person(deps: Deps, operator: Operator, contact: UUID) -> Person:
    with hot(deps.crossing) as connection:
        return people.get(connection, tenant=operator.tenant_id, contact=contact)


def _storable(typed: str) -> str:
    """What was typed without what no database takes: NUL, and the bytes of a command line that are no letters."""
    return typed.replace("\0", "").encode(errors="ignore").decode()


def _identity(typed: str) -> UUID | None:
    try:
        return UUID(typed.strip())
    except ValueError:
        return None
