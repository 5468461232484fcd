"""What is remembered: which facts may be, what a turn is told of them, and what operators see and change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection

from bots.domain import End
from bots.errors import Conflict, NotFound
from bots.kinds import always_told, kinds
from bots.storage import memories, personas
from bots.storage.database import unit
from bots.storage.turns import Recalled, RecalledTurn
from tests.support.changes import ADA, BOB, an_edit
from tests.support.remembering import fact, forgets, living, memory, minutes, next_claim, said
from tests.support.storage_fixture import StorageFixture

# Which may be remembered


def test_the_schema_knows_the_sensitive_kinds(storage: StorageFixture) -> None:
    assert set(storage.value("select sensitive_kinds()")) == {name for name, kind in kinds().items() if kind.sensitive}


_SWITCHES: list[tuple[str, set[str]]] = [
    ("update bots set memory_on = false", set()),
    ("update bots set kinds_off = '{pet,diet}'", {"allergy"}),
    ("update bots set sensitive_on = false", {"pet"}),
    ("update contacts set memory_off_at = now()", set()),
    ("update contacts set sensitive_off_at = now()", {"pet"}),
    ("update contacts set stopped_at = now()", set()),
]


@pytest.mark.parametrize("by_edit", [False, True])
@pytest.mark.parametrize(("switch", "kept"), _SWITCHES)
def test_what_is_switched_off_is_not_remembered(storage: StorageFixture, switch: str, kept: set[str], *, by_edit: bool) -> None:
    facts = [fact("allergy", "nuts"), fact("diet", "halal"), fact("pet", "dog Rex")]
    said(storage, "hello", key="w1")
    with storage.web.begin() as connection:
        if "bots" in switch:
            connection.exec_driver_sql(switch)
    if "contacts" in switch:
        storage.do(switch)

    if by_edit:
        storage.let_in(an_edit("w1", "I am many things", facts=facts))
    else:
        said(storage, "I am many things", facts=facts)

    assert {kind for kind, _ in living(storage)} == kept


def test_an_end_holds_even_where_nothing_new_is_remembered(storage: StorageFixture) -> None:
    said(storage, "I eat halal", facts=[fact("diet", "halal")])

    said(storage, "no longer", ends=[End(kind="diet")], memory_off=True)

    assert living(storage) == set()


@pytest.mark.parametrize("name", ["memory_off", "sensitive_off", "sensitive_told"])
def test_a_switch_of_the_contact_is_stored_told_and_undone(storage: StorageFixture, name: str) -> None:
    before = said(storage, "hello")
    said(storage, "do not", **{name: True})
    since = storage.value(f"select {name}_at from contacts")
    on = said(storage, "do not", **{name: True})
    same = storage.value(f"select {name}_at from contacts") == since
    said(storage, "do", **{name: False})

    assert [getattr(claim, name) for claim in (before, on, next_claim(storage))] == [False, True, False]
    assert same


def test_what_is_switched_off_in_a_turn_holds_for_that_turn(storage: StorageFixture) -> None:
    said(storage, "remember nothing. I am Ann", facts=[fact("name", "Ann")], memory_off=True)

    assert living(storage) == set()


# What a turn is told


def _told(storage: StorageFixture, **more: Any) -> list[tuple[str, bool]]:
    return sorted((known.text, known.is_new) for known in next_claim(storage, **more).memories)


def test_of_what_is_always_told_nothing_is_pushed_out(storage: StorageFixture) -> None:
    said(storage, "I am Ann", facts=[fact("name", "Ann"), *(fact("allergy", f"allergy {n}") for n in range(50))])
    for start in range(0, 60, 20):
        said(storage, f"I like {start}", facts=[fact("likes", f"like {start + n}") for n in range(20)])

    told = next_claim(storage, session_s=0).memories

    assert {one.text for one in told if one.kind in always_told()} == {"Ann", *(f"allergy {n}" for n in range(50))}
    assert {one.text for one in told if one.kind == "likes"} == {f"like {n}" for n in range(20, 60)}


@pytest.mark.parametrize(("switch", "told"), [_SWITCHES[1], _SWITCHES[2], _SWITCHES[4]])
def test_what_is_switched_off_later_is_not_told_either(storage: StorageFixture, switch: str, told: set[str]) -> None:
    said(storage, "I am many things", facts=[fact("allergy", "nuts"), fact("diet", "halal"), fact("pet", "dog Rex")])
    with storage.web.begin() as connection:
        if "bots" in switch:
            connection.exec_driver_sql(switch)
    if "contacts" in switch:
        storage.do(switch)

    assert {one.kind for one in next_claim(storage).memories} == told


def test_a_fact_is_usable_in_the_very_next_turn(storage: StorageFixture) -> None:
    said(storage, "I am Ann", facts=[fact("name", "Ann")])

    assert _told(storage) == [("Ann", True)]


def test_the_beginning_of_a_prompt_stays_within_a_session(storage: StorageFixture) -> None:
    said(storage, "I live in Leeds, eat meat and like tea", facts=[fact("place", "Leeds"), fact("likes", "meat"), fact("likes", "tea")])
    said(storage, "I moved to York", facts=[fact("place", "York")], ends=[End(kind="likes", value="meat")], session_s=0)
    same = _told(storage)

    assert same == [("Leeds", False), ("York", True), ("meat", False), ("tea", False)]


def test_the_next_session_begins_with_what_is_true_then(storage: StorageFixture) -> None:
    said(storage, "I live in Leeds and eat meat", facts=[fact("place", "Leeds"), fact("likes", "meat")])
    said(storage, "I moved to York", facts=[fact("place", "York")], ends=[End(kind="likes", value="meat")], session_s=0)

    assert _told(storage, session_s=0) == [("York", False)]


def test_what_was_forgotten_or_ended_by_an_operator_is_told_no_more(storage: StorageFixture) -> None:
    said(storage, "I like tea and ham and rye", facts=[fact("likes", one) for one in ("tea", "ham", "rye")])
    said(storage, "hello", session_s=0)
    forgets(storage, "tea")
    with unit(storage.crossing) as connection:
        memories.end(connection, contact=_contact(storage), memory=memory(storage, "ham"), by="ana")

    assert _told(storage) == [("rye", False)]


def test_what_is_learned_too_late_to_be_true_is_not_told(storage: StorageFixture) -> None:
    said(storage, "I live in York", facts=[fact("place", "York")], at=minutes(1))
    said(storage, "I live in Leeds", facts=[fact("place", "Leeds")], at=minutes(0))

    assert _told(storage) == [("York", True)]


def test_plans_are_told_until_their_last_day_and_old_ones_without_a_day_for_a_while(storage: StorageFixture) -> None:
    today = storage.value("select (now() at time zone 'UTC')::date")
    days = {
        "past": {"day": today - timedelta(days=3)},
        "under way": {"day": today - timedelta(days=3), "last_day": today + timedelta(days=1)},
        "today": {"day": today},
        "coming": {"day": today + timedelta(days=400)},
        "some day": {},
        "long ago": {},
    }
    said(storage, "my plans", facts=[fact("plan", text, **more) for text, more in days.items()])
    storage.do("update memories set said_at = now() - interval '61 days' where text in ('long ago', 'coming')")

    told = {one.text: (one.day, one.last_day) for one in next_claim(storage).memories}
    assert told == {text: (days[text].get("day"), days[text].get("last_day")) for text in ("under way", "today", "coming", "some day")}


def test_a_memory_says_when_it_was_said(storage: StorageFixture) -> None:
    said(storage, "I am Ann", facts=[fact("name", "Ann")], at=minutes(7))

    assert [one.said_at for one in next_claim(storage).memories] == [minutes(7)]


def test_earlier_turns_are_counted_where_the_history_does_not_tell_them(storage: StorageFixture) -> None:
    first = said(storage, "one")
    said(storage, "two", history_from=2, drop_summary=True)
    cut = said(storage, "three", close=True)
    anew = said(storage, "four")
    said(storage, "mine", by=BOB)

    assert [claim.earlier for claim in (first, cut, anew)] == [0, 1, 3]
    assert next_claim(storage, by=BOB).earlier == 0


def test_the_turns_of_another_bot_are_not_counted(storage: StorageFixture) -> None:
    said(storage, "one", close=True)
    with storage.web.begin() as connection:
        other = personas.put(connection, tenant=storage.account.tenant_id, name="other", persona="Another.")
        storage.another_account("two")
        connection.exec_driver_sql("update accounts set bot_id = %s where name = 'two'", (other.id,))
    storage.do("update conversations set account_id = (select id from accounts where name = 'two')")

    assert next_claim(storage).earlier == 0


# What a turn records


def test_what_shaped_an_answer_is_shown_with_its_sources(storage: StorageFixture) -> None:
    first = said(storage, "I am Ann", facts=[fact("name", "Ann")], at=minutes(0), answer="Hello.")
    with unit(storage.crossing) as connection:
        added = memories.add(connection, contact=_contact(storage), kind="likes", value="tea", by="ana")
    last = said(
        storage,
        "who am I?",
        recalls=[Recalled(memory=memory(storage, "Ann"), reason="always"), Recalled(memory=added, reason="about it")],
        recalled=[RecalledTurn(turn=first.turn, signals=["words", "date"])],
    )

    with unit(storage.worker, contact=last.contact) as connection:
        shaped = memories.shaped_last(connection, last.conversation)
        repeated = memories.repeated_last(connection, last.conversation)
    assert [(one.memory.text, one.reason, one.source_text) for one in shaped] == [("Ann", "always", "I am Ann"), ("tea", "about it", None)]
    assert [(one.turn, one.asked, one.answer, one.signals) for one in repeated] == [(first.turn, "I am Ann", "Hello.", ("words", "date"))]


def test_a_turn_cannot_say_that_it_recalled_somebody_elses(storage: StorageFixture) -> None:
    theirs = said(storage, "secret", by=BOB).turn

    said(storage, "hello", recalled=[RecalledTurn(turn=theirs, signals=["words"])])

    assert storage.value("select count(*) from recalled_turns") == 0


# What operators do


def _contact(storage: StorageFixture) -> UUID:
    return storage.value("select contact_id from contact_identities where value = %s", ADA.value)


def _all(storage: StorageFixture) -> list[memories.Stored]:
    with unit(storage.web, contact=_contact(storage)) as connection:
        return memories.all_of(connection, _contact(storage))


def test_a_memory_shows_where_it_came_from_and_what_ended_it(storage: StorageFixture) -> None:
    said(storage, "I live in Leeds", facts=[fact("place", "Leeds")], at=minutes(0))
    claim = said(storage, "I moved to York and have a dog", facts=[fact("place", "York"), fact("pet", "dog Rex")], at=minutes(1))
    said(storage, "Rex died", ends=[End(kind="pet", value="Rex")], at=minutes(2))

    by_text = {one.text: one for one in _all(storage)}

    york, leeds, rex = by_text["York"], by_text["Leeds"], by_text["dog Rex"]
    assert (york.source, york.source_text, york.source_conversation, york.created_by, york.valid_to) == (
        claim.messages[0].id, "I moved to York and have a dog", claim.conversation, "rules-3", None,
    )  # fmt: skip
    assert (leeds.valid_to, leeds.superseded_by, leeds.superseded_by_text, leeds.ended_by_text) == (minutes(1), york.id, "York", None)
    assert (rex.valid_to, rex.superseded_by, rex.ended_by_text, rex.ended_by) == (minutes(2), None, "Rex died", None)


def test_an_operator_adds_corrects_and_ends_and_it_shows(storage: StorageFixture) -> None:
    said(storage, "I live in Leed and like green te", facts=[fact("place", "Leed"), fact("likes", "green te")])
    contact = _contact(storage)
    with unit(storage.crossing) as connection:
        memories.correct(connection, contact=contact, memory=memory(storage, "Leed"), value="Leeds", by="ana")
        memories.correct(connection, contact=contact, memory=memory(storage, "green te"), value="green tea", by="ana")
        memories.add(connection, contact=contact, kind="allergy", value="nuts", by="ben")
    with unit(storage.crossing) as connection:
        memories.end(connection, contact=contact, memory=memory(storage, "nuts"), by="ana")

    found = {one.text: (one.created_by, one.source, one.superseded_by_text, one.ended_by, one.valid_to is None) for one in _all(storage)}
    message = storage.value("select id from inbox limit 1")
    assert found == {
        "Leeds": ("operator ana", None, None, None, True),
        "green tea": ("operator ana", None, None, None, True),
        "Leed": ("rules-3", message, "Leeds", None, False),
        "green te": ("rules-3", message, "green tea", None, False),
        "nuts": ("operator ben", None, None, "ana", False),
    }


def test_what_an_operator_corrected_stays_so_until_the_person_says_otherwise(storage: StorageFixture) -> None:
    said(storage, "I live in Leed and like green te", key="w1", facts=[fact("place", "Leed"), fact("likes", "green te")], at=minutes(0))
    with unit(storage.crossing) as connection:
        for text, value in (("Leed", "Leeds"), ("green te", "green tea")):
            memories.correct(connection, contact=_contact(storage), memory=memory(storage, text), value=value, by="ana")
    said(storage, "I like tea", facts=[fact("likes", "tea")])
    corrected = living(storage)
    said(storage, "I live in York", facts=[fact("place", "York")])

    assert corrected == {("place", "Leeds"), ("likes", "green tea"), ("likes", "tea")}
    assert living(storage) == {("place", "York"), ("likes", "green tea"), ("likes", "tea")}


def test_a_new_value_of_a_single_kind_replaces_that_of_the_person(storage: StorageFixture) -> None:
    said(storage, "I am Ann", facts=[fact("name", "Ann")])
    with unit(storage.crossing) as connection:
        memories.add(connection, contact=_contact(storage), kind="name", value="Anna", by="ana")

    assert living(storage) == {("name", "Anna")}


@pytest.mark.parametrize(("column", "kind", "refused"), [
    ("memory_off_at", "likes", True), ("sensitive_off_at", "diet", True), ("sensitive_off_at", "likes", False),
])  # fmt: skip
def test_an_operator_cannot_add_what_the_person_does_not_want(storage: StorageFixture, column: str, kind: str, *, refused: bool) -> None:
    said(storage, "hello")
    storage.do(f"update contacts set {column} = now()")

    def add(connection: Connection) -> None:
        memories.add(connection, contact=_contact(storage), kind=kind, value="tofu", by="ana")

    with unit(storage.crossing) as connection:
        if refused:
            with pytest.raises(Conflict):
                add(connection)
        else:
            add(connection)
    assert len(living(storage)) == (0 if refused else 1)


def test_what_is_not_there_cannot_be_changed(storage: StorageFixture) -> None:
    said(storage, "I like tea", facts=[fact("likes", "tea")], by=BOB)
    said(storage, "hello")
    theirs, contact = memory(storage, "tea"), _contact(storage)

    with unit(storage.crossing) as connection:
        for one in (theirs, uuid4()):
            with pytest.raises(NotFound):
                memories.correct(connection, contact=contact, memory=one, value="x", by="ana")
            with pytest.raises(NotFound):
                memories.end(connection, contact=contact, memory=one, by="ana")
            memories.erase(connection, contact=contact, memories=[one])
        with pytest.raises(NotFound):
            memories.switches(connection, uuid4())

    assert living(storage) == {("likes", "tea")}


def test_what_is_known_is_not_added_twice(storage: StorageFixture) -> None:
    said(storage, "I like tea", facts=[fact("likes", "tea"), fact("likes", "ham")])

    with unit(storage.crossing) as connection:
        with pytest.raises(Conflict):
            memories.add(connection, contact=_contact(storage), kind="likes", value="TEA", by="ana")
        with pytest.raises(Conflict):
            memories.correct(connection, contact=_contact(storage), memory=memory(storage, "ham"), value="Tea", by="ana")


def test_an_operator_switches_for_a_contact(storage: StorageFixture) -> None:
    said(storage, "hello")
    with unit(storage.crossing) as connection:
        memories.switch(connection, _contact(storage), memory_off=True)
        memories.switch(connection, _contact(storage), sensitive_off=True)
        both = memories.switches(connection, _contact(storage))
        memories.switch(connection, _contact(storage), memory_off=False)
        one = memories.switches(connection, _contact(storage))

    assert (both.memory_off_at is None, both.sensitive_off_at is None) == (False, False)
    assert (one.memory_off_at, one.sensitive_off_at, one.sensitive_told_at) == (None, both.sensitive_off_at, None)


def test_an_export_has_all_of_it_in_plain_values(storage: StorageFixture) -> None:
    said(storage, "I live in Leeds", facts=[fact("place", "Leeds")])
    said(storage, "I live in York", facts=[fact("place", "York")])

    with unit(storage.web, contact=_contact(storage)) as connection:
        found = memories.export(connection, _contact(storage))

    assert [(one["text"], one["source_text"], one["valid_to"] is None) for one in found] == [
        ("York", "I live in York", True), ("Leeds", "I live in Leeds", False),
    ]  # fmt: skip


def test_of_a_kind_that_is_always_told_no_more_is_claimed_than_a_prompt_can_have(storage: StorageFixture) -> None:
    said(storage, "I am Marta", facts=[fact("name", "Marta")])
    storage.do(
        "insert into memories (tenant_id, contact_id, kind, text, created_by) select tenant_id, id, 'allergy', 'thing ' || n, 'rules-3'"
        " from contacts, generate_series(1, 1000) n"
    )

    told = [one.kind for one in next_claim(storage).memories]

    assert (told.count("name"), told.count("allergy")) == (1, 200)
