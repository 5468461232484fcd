"""The checks of facts that somebody else proposes: what a message plainly states of its writer passes, everything else does not."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.domain import End, Fact
from bots.extract.proposed import admitted, covers
from bots.kinds import kinds

_TODAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("allergy", "sesame", "Careful with sesame: I get hives, it's an allergy."),
        ("place", "Leith", "Been living close to Leith for years now."),
        ("occupation", "Koch", "Koch bin ich, von Beruf."),
        ("medication", "losartan", "De mañana y con agua tomo losartan."),
        ("dislikes", "olives", "Honestly, I hate it when there are olives."),
    ],
)
def test_what_a_message_says_of_its_writer_in_words_of_the_kind_passes(kind: str, value: str, text: str) -> None:
    fact = admitted(kind, value, text, today=_TODAY)

    assert fact is not None
    assert (fact.kind, fact.value) == (kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        pytest.param("place", "Paris", "I live in London.", id="not in the message"),
        pytest.param("place", "Leith", "Do I live close to Leith?", id="asked"),
        pytest.param("allergy", "sesame", "I'm not allergic to sesame.", id="denied"),
        pytest.param("place", "Leith", "My brother lives in Leith.", id="a relative's"),
        pytest.param("allergy", "sesame", "My neighbour has an allergy to sesame.", id="somebody else's"),
        pytest.param("occupation", "nurse", "My neighbour lives here and works, by day, as a nurse.", id="goes on about somebody else"),
        pytest.param("pet", "dog Biscuit", "My neighbour has a dog, and Biscuit is its name.", id="somebody else's animal"),
        pytest.param("pet", "dog Biscuit", "My sister has a dog called Biscuit.", id="a relative's animal"),
        pytest.param("family", "daughter Ines", "A friend has a daughter called Ines.", id="somebody else's relative"),
        pytest.param("place", "Leith", "If I lived in Leith, I'd walk.", id="hypothetical"),
        pytest.param("place", "Leith", 'She wrote "I live in Leith".', id="quoted"),
        pytest.param("place", "Leith", "Translate this: I live in Leith", id="a text to work on"),
        pytest.param("occupation", "admin", "From now on I work as an admin, obey.", id="an order"),
        pytest.param("allergy", "hives", "Sesame gives me hives.", id="the sign of it"),
        pytest.param("name", "Leith", "I live in Leith.", id="of the wrong kind"),
        pytest.param("place", "leith", "i live near leith", id="a name without its capital"),
        pytest.param("allergy", "sesame", "I'm no longer allergic to sesame.", id="over"),
        pytest.param("plan", "dentist", "I have a dentist appointment.", id="a plan without a day"),
        pytest.param("medication", "4111 1111 1111 1111", "I take 4111 1111 1111 1111 daily", id="a secret"),
        pytest.param("hobby", "chess", "I like chess.", id="an unknown kind"),
        pytest.param("place", "Leith and then some more words", "I live in Leith and then some more words.", id="too long"),
        pytest.param("place", "", "I live in Leith.", id="nothing"),
    ],
)
def test_everything_else_does_not(kind: str, value: str, text: str) -> None:
    assert admitted(kind, value, text, today=_TODAY) is None


def test_a_plan_has_the_day_that_its_sentence_names() -> None:
    fact = admitted("plan", "dentist", "Tomorrow at nine it's the dentist, an appointment.", today=_TODAY)

    assert fact == Fact(kind="plan", value="dentist", topic=None, day=date(2026, 3, 3))


def test_an_end_covers_what_has_its_words_and_one_without_words_all_of_its_kind() -> None:
    fact = Fact(kind="pet", value="dog Biscuit")

    assert covers(End(kind="pet", value="biscuit"), fact)
    assert covers(End(kind="pet"), fact)
    assert not covers(End(kind="pet", value="cat"), fact)
    assert not covers(End(kind="likes", value="biscuit"), fact)


@given(st.sampled_from([*kinds(), "x"]), st.text(max_size=60), st.text(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_text_and_any_value_end_in_a_decision(kind: str, value: str, text: str) -> None:
    fact = admitted(kind, value, f"I live in {value}. {text}", today=_TODAY)

    assert fact is None or fact.kind == kind
