"""What takes the place of what: pairs of messages as data, in the order of their reading and out of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import permutations

import pytest

from bots.domain import End, Fact
from tests.support.changes import an_edit, an_unsend, says
from tests.support.remembering import fact, living, minutes, new_fact, said
from tests.support.storage_fixture import StorageFixture


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What two messages state, and what lives afterwards."""

    name: str
    first: tuple[Fact, ...]
    facts: tuple[Fact, ...] = ()
    ends: tuple[End, ...] = ()
    lives: set[str]


def _end(kind: str, value: str | None = None, *but: str, every: bool = False) -> End:
    return End(kind=kind, value=value, but=but, every=every)


_PAIRS = [
    Pair(name="a new town", first=(fact("place", "Leeds"),), facts=(fact("place", "York"),), lives={"York"}),
    Pair(name="a new name", first=(fact("name", "María"),), facts=(fact("name", "Marta"),), ends=(_end("name", "Maria"),), lives={"Marta"}),
    Pair(name="a new job", first=(fact("occupation", "nurse"),), facts=(fact("occupation", "midwife"),), lives={"midwife"}),
    Pair(name="retired", first=(fact("occupation", "teacher at the Elm School"),), ends=(_end("occupation"),), lives=set()),
    Pair(
        name="a death in the family",
        first=(fact("family", "mother Eva"), fact("family", "mother-in-law Ana")),
        ends=(_end("family", "mother", "mother-in-law", "grandmother"),),
        lives={"mother-in-law Ana"},
    ),
    Pair(
        name="une mère", first=(fact("family", "mère Lucie"), fact("family", "grand-mère Odette")), ends=(_end("family", "mère", "grand-mere"),), lives={"grand-mère Odette"}
    ),
    Pair(
        name="a mother-in-law",
        first=(fact("family", "mother Eva"), fact("family", "mother-in-law Ana")),
        ends=(_end("family", "Mother-in-law"),),
        lives={"mother Eva"},
    ),
    Pair(
        name="a mother in law without hyphens",
        first=(fact("family", "ibu Ani"), fact("family", "ibu mertua Siti")),
        ends=(_end("family", "ibu", "ibu mertua", "ibu tiri"),),
        lives={"ibu mertua Siti"},
    ),
    Pair(name="one of two dogs", first=(fact("pet", "dog Rex"), fact("pet", "dog Max")), ends=(_end("pet", "dog"),), lives={"dog Rex", "dog Max"}),
    Pair(name="the one dog, told twice", first=(fact("pet", "dog Rex"), fact("pet", "dog")), ends=(_end("pet", "dog"),), lives=set()),
    Pair(
        name="dogs named together", first=(fact("pet", "dogs Rex and Max", topic="dogs"),), ends=(_end("pet", "Rex"), _end("pet", "dog")),
        lives={"dogs Rex and Max"},
    ),
    Pair(
        name="all dogs", first=(fact("pet", "dogs Rex and Max", topic="dogs"), fact("pet", "two dogs", topic="dogs"), fact("pet", "cat Ida")),
        ends=(_end("pet", "dogs", every=True),), lives={"cat Ida"},
    ),
    Pair(
        name="a plan moved", first=(fact("plan", "dentist appointment", day=date(2999, 5, 3)),),
        facts=(fact("plan", "dentist", day=date(2999, 5, 4)),), ends=(_end("plan", "dentist"),), lives={"dentist"},
    ),
    Pair(
        name="one of two plans", first=(fact("plan", "dentist", day=date(2999, 5, 3)), fact("plan", "dentist in York", day=date(2999, 6, 3))),
        ends=(_end("plan", "dentist"),), lives={"dentist", "dentist in York"},
    ),
    Pair(
        name="the plan that is to come", first=(fact("plan", "dentist", day=date(2001, 5, 3)), fact("plan", "dentist at noon", day=date(2999, 6, 3))),
        ends=(_end("plan", "dentist"),), lives={"dentist"},
    ),
    Pair(name="a language", first=(fact("language", "English"),), facts=(fact("language", "Deutsch"),), lives={"Deutsch"}),
    Pair(name="hours", first=(fact("schedule", "early shift 6 to 2"),), facts=(fact("schedule", "nights"),), lives={"nights"}),
    Pair(
        name="three sons", first=(fact("family", "two sons", topic="sons"),), facts=(fact("family", "three sons", topic="sons"),), lives={"three sons"}
    ),
    Pair(
        name="sons and daughters",
        first=(fact("family", "two sons", topic="sons"),),
        facts=(fact("family", "two daughters", topic="daughters"),),
        lives={"two sons", "two daughters"},
    ),
    Pair(name="a second dog", first=(fact("pet", "dog Rex"),), facts=(fact("pet", "dog Biscuit"),), lives={"dog Rex", "dog Biscuit"}),
    Pair(name="a dog died", first=(fact("pet", "dog Rex"), fact("pet", "cat Mr Pickles")), ends=(_end("pet", "rex"),), lives={"cat Mr Pickles"}),
    Pair(name="a name that begins another", first=(fact("pet", "dog Rex"), fact("pet", "dog Rexona")), ends=(_end("pet", "Rex"),), lives={"dog Rexona"}),
    Pair(name="the same again", first=(fact("likes", "green tea"),), facts=(fact("likes", "Green  Tea"),), lives={"green tea"}),
    Pair(name="liked, then disliked", first=(fact("likes", "tea"),), facts=(fact("dislikes", "Tea"),), lives={"Tea"}),
    Pair(name="disliked, then liked", first=(fact("dislikes", "el café"),), facts=(fact("likes", "el cafe"),), lives={"el cafe"}),
    Pair(name="other things liked", first=(fact("likes", "tea"),), facts=(fact("dislikes", "iced tea"),), lives={"tea", "iced tea"}),
    Pair(
        name="no meat", first=(fact("likes", "meat"), fact("likes", "tea")), facts=(fact("diet", "no meat"),), ends=(_end("likes", "meat"),),
        lives={"no meat", "tea"},
    ),
    Pair(name="meat again", first=(fact("diet", "no meat"),), ends=(_end("diet", "no meat"),), lives=set()),
    Pair(name="case and accents", first=(fact("allergy", "Éclairs"),), ends=(_end("allergy", "eclairs"),), lives=set()),
    Pair(name="Turkish letters", first=(fact("place", "Iğdır"),), ends=(_end("place", "igdir"),), lives=set()),
    Pair(name="Turkish suffix", first=(fact("place", "İzmir"),), ends=(_end("place", "izmir'de"),), lives={"İzmir"}),
    Pair(name="Arabic letters", first=(fact("pet", "قطة أسمها لؤلؤة"),), ends=(_end("pet", "لولوه"),), lives=set()),
    Pair(name="Arabic vowel signs", first=(fact("place", "الرِّيَاض"),), ends=(_end("place", "الرياض"),), lives=set()),
    Pair(name="Hindi nukta", first=(fact("likes", "प्याज़"),), ends=(_end("likes", "प्याज"),), lives=set()),
    Pair(name="Hindi word that begins another", first=(fact("likes", "मछली"),), ends=(_end("likes", "मछल"),), lives={"मछली"}),
    Pair(name="German sharp s", first=(fact("place", "Gießen"),), ends=(_end("place", "Giessen"),), lives=set()),
    Pair(name="an end of another kind", first=(fact("likes", "Leeds"),), ends=(_end("place", "Leeds"),), lives={"Leeds"}),
    Pair(name="an end of nothing", first=(fact("medication", "ibuprofen"),), ends=(_end("medication", "aspirin"),), lives={"ibuprofen"}),
    Pair(name="a medicine by its name", first=(fact("medication", "ibuprofen 400 mg"),), ends=(_end("medication", "Ibuprofen"),), lives=set()),
    Pair(name="all of a kind", first=(fact("allergy", "nuts"), fact("allergy", "milk"), fact("diet", "halal")), ends=(_end("allergy"),), lives={"halal"}),
    Pair(name="an end without words", first=(fact("likes", "tea"),), ends=(_end("likes", "..."),), lives={"tea"}),
    Pair(
        name="two plans of one name", first=(fact("plan", "dentist", day=date(2999, 5, 3)),), facts=(fact("plan", "dentist", day=date(2999, 6, 1)),),
        lives={"dentist"},
    ),
    Pair(name="two sons in one message", first=(fact("name", "Bo"),), facts=(fact("name", "Cy"), fact("name", "Di")), lives={"Cy", "Di"}),
]  # fmt: skip


@pytest.mark.parametrize("pair", _PAIRS, ids=lambda pair: pair.name.replace(" ", "_"))
def test_a_newer_message_takes_the_older_ones_place(storage: StorageFixture, pair: Pair) -> None:
    said(storage, "first", facts=pair.first, at=minutes(0))
    said(storage, "second", facts=pair.facts, ends=pair.ends, at=minutes(1))

    assert {text for _, text in living(storage)} == pair.lives


@pytest.mark.parametrize("pair", [pair for pair in _PAIRS if not pair.ends], ids=lambda pair: pair.name.replace(" ", "_"))
def test_an_old_message_that_is_read_late_ends_nothing_newer(storage: StorageFixture, pair: Pair) -> None:
    said(storage, "second", facts=pair.facts, at=minutes(1))
    said(storage, "first", facts=pair.first, at=minutes(0))

    alike = {"the_same_again": {"Green  Tea"}}
    assert {text for _, text in living(storage)} == alike.get(pair.name.replace(" ", "_"), pair.lives)


def test_an_end_does_not_reach_what_was_said_after_it(storage: StorageFixture) -> None:
    said(storage, "I eat meat again", facts=[fact("likes", "meat")], at=minutes(1))
    said(storage, "I no longer eat meat", ends=[_end("likes", "meat")], at=minutes(0))

    assert living(storage) == {("likes", "meat")}


def test_an_end_and_a_fact_of_one_message_leave_each_other_alone(storage: StorageFixture) -> None:
    said(storage, "I no longer like tea but I like tea cakes", facts=[fact("likes", "tea cakes")], ends=[_end("likes", "tea")])

    assert living(storage) == {("likes", "tea cakes")}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_in_whatever_order_they_are_read_each_is_replaced_by_the_next(storage: StorageFixture, order: tuple[int, ...]) -> None:
    towns = ["Leeds", "York", "Hull"]
    for n in order:
        said(storage, f"I live in {towns[n]}", facts=[fact("place", towns[n])], at=minutes(n))

    found = storage.rows(
        "select m.text, s.text, m.valid_to from memories m left join memories s on s.id = m.superseded_by order by m.said_at"
    )
    assert [tuple(row) for row in found] == [("Leeds", "York", minutes(1)), ("York", "Hull", minutes(2)), ("Hull", None, None)]


def test_what_was_said_back_and_forth_in_one_turn_ends_with_the_last_word(storage: StorageFixture) -> None:
    towns = ["Leeds", "York", "Leeds"]
    storage.let_in(*(says(f"{n}: {town}", f"w{n}", occurred_at=minutes(0)) for n, town in enumerate(towns)))
    claim = storage.claimed()
    storage.finish(claim, facts=[new_fact(fact("place", town), claim.messages[n].id) for n, town in enumerate(towns)])

    assert storage.rows("select text, valid_to is null from memories order by said_at, created_at, valid_to nulls last")[-1] == (
        "Leeds",
        True,
    )
    assert living(storage) == {("place", "Leeds")}


def test_both_times_are_kept(storage: StorageFixture) -> None:
    said(storage, "I live in Leeds", facts=[fact("place", "Leeds")], at=minutes(0))
    said(storage, "I moved to York on 2 May 2020", facts=[fact("place", "York", since=date(2020, 5, 2))], at=minutes(1))
    said(storage, "I left York yesterday", ends=[End(kind="place", value="York", on=date(2026, 3, 4))], at=minutes(2))

    rows = storage.rows(
        "select text, said_at, valid_from, valid_to, superseded_by is not null, ended_by_inbox_id is not null,"
        " created_at <= ended_at and ended_at <= now() from memories order by said_at"
    )
    since, until = datetime(2020, 5, 2, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)
    assert [tuple(row) for row in rows] == [
        ("Leeds", minutes(0), None, since, True, False, True),
        ("York", minutes(1), since, until, False, True, True),
    ]


def test_a_time_from_the_future_does_not_hold_for_ever(storage: StorageFixture) -> None:
    said(storage, "I live in Leeds", facts=[fact("place", "Leeds")], at=minutes(5000))
    said(storage, "I live in York", facts=[fact("place", "York")])

    assert living(storage) == {("place", "York")}


# Edits and unsends


def test_an_end_that_is_edited_away_or_taken_back_gives_the_fact_back(storage: StorageFixture) -> None:
    said(storage, "I like tea and ham", facts=[fact("likes", "tea"), fact("likes", "ham")], at=minutes(0))
    said(storage, "no more tea", key="w1", ends=[_end("likes", "tea")], at=minutes(1))
    said(storage, "no more ham", key="w2", ends=[_end("likes", "ham")], at=minutes(2))
    before = living(storage)

    storage.let_in(an_edit("w1", "no more talking"))
    edited = living(storage)
    storage.let_in(an_unsend("w2"))

    assert (before, edited, living(storage)) == (set(), {("likes", "tea")}, {("likes", "tea"), ("likes", "ham")})
    assert storage.value("select count(*) from memories where ended_at is not null or ended_by_inbox_id is not null") == 0


def test_an_edit_may_end_what_its_first_words_did_not(storage: StorageFixture) -> None:
    said(storage, "I like tea", facts=[fact("likes", "tea")], at=minutes(0))
    said(storage, "no more te", key="w1", at=minutes(1))

    storage.let_in(an_edit("w1", "no more tea", ends=(_end("likes", "tea"),)))

    assert living(storage) == set()


def test_an_edit_of_a_topic_is_told_in_place_and_the_rest_of_the_chain_stays(storage: StorageFixture) -> None:
    said(storage, "one son", facts=[fact("family", "one son", topic="sons")], at=minutes(0))
    said(storage, "two sons", key="w1", facts=[fact("family", "two sons", topic="sons"), fact("pet", "dog Rex")], at=minutes(1))

    storage.let_in(an_edit("w1", "three sons", facts=[fact("family", "three sons", topic="sons")]))
    edited = living(storage)
    storage.let_in(an_unsend("w1"))

    assert (edited, living(storage)) == ({("family", "three sons")}, {("family", "one son")})


def test_the_same_message_again_changes_nothing(storage: StorageFixture) -> None:
    said(storage, "I live in Leeds", key="w1", facts=[fact("place", "Leeds")], at=minutes(0))
    said(storage, "I live in York", facts=[fact("place", "York")], at=minutes(1))
    before = storage.rows("select * from memories order by id")

    storage.let_in(an_edit("w1", "I live in Leeds!", facts=[fact("place", "Leeds")]))

    assert storage.rows("select * from memories order by id") == before
