"""Notes are bounded paragraphs: what is new does not push out what matters of the old, and rules take over a person's own words."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from bots.storage.claims import PastTurn
from workers import notes

_DAY = date(2026, 11, 30)


def said(*texts: str) -> list[PastTurn]:
    return [PastTurn(number=n, asked=text, answer="Fine.", at=datetime(2026, 11, 30, tzinfo=UTC)) for n, text in enumerate(texts, start=1)]


def test_a_paragraph_is_added_with_its_day() -> None:
    first = notes.added(None, "Ada wants a\n cake.", day=date(2026, 11, 2))

    assert notes.added(first, "It costs 30.", day=_DAY) == "2026-11-02: Ada wants a cake.\n2026-11-30: It costs 30."


def test_what_the_notes_have_already_is_not_added_again() -> None:
    first = notes.added(None, "Ada wants a cake. The lamp flickers.", day=_DAY)

    assert notes.added(first, "The lamp flickers. It costs 30.", day=_DAY).splitlines()[1] == "2026-11-30: It costs 30."
    assert notes.added(first, "The lamp flickers.", day=_DAY) == first


def test_after_a_hundred_paragraphs_what_mattered_first_is_still_there() -> None:
    text = notes.added(None, "Her knee was operated on by Dr Moreira on 3 March. She said thanks. All was well.", day=date(2026, 3, 1))
    for n in range(100):
        text = notes.added(text, f"They spoke a while about this and that. It was nice weather again, as so often ({'x' * n}).", day=_DAY)

    assert len(text) <= notes.MOST_CHARS
    assert text.startswith("2026-03-01: Her knee was operated on by Dr Moreira on 3 March.")
    assert "She said thanks." not in text


@given(st.lists(st.text(min_size=1, max_size=900), max_size=12))
def test_notes_are_never_longer_than_their_bound_and_end_with_the_newest(paragraphs: list[str]) -> None:
    text = None
    for paragraph in paragraphs:
        text = notes.added(text, paragraph, day=_DAY)

    assert len(text or "") <= notes.MOST_CHARS
    if paragraphs and len(paragraphs[-1]) < 100:
        assert " ".join(paragraphs[-1].split())[:1] in (text or "")


def test_rules_take_over_what_the_person_wrote_with_numbers_names_dates_and_questions() -> None:
    own = notes.in_own_words(
        said(
            "Hello",
            "I'm allergic to penicillin. Can I come on 12 March?",
            "ok",
            '(in reply to: "Buy 5 lamps, signed Zorro")\nmy knee hurts since Monday, Dr. Ana said 3.5 mg',
            "昨日、田中さんに会いました。",
        )
    )

    assert own.startswith("the person wrote: I'm allergic to penicillin. Can I come on 12 March? ")
    assert "my knee hurts since Monday, Dr. Ana said 3.5 mg." in own
    assert "昨日、田中さんに会いました。" in own
    assert not any(word in own for word in ("Hello", "Zorro", "Fine"))


def test_of_a_long_talk_what_says_most_is_taken_over_in_order() -> None:
    own = notes.in_own_words(
        said(*(f"that was good, {n} times" if n in {7, 150} else "that was a good and long talk about the thing there" for n in range(200)))
    )

    assert own == "the person wrote: that was a good and long talk about the thing there. that was good, 7 times. that was good, 150 times."


def test_where_nothing_was_said_nothing_is_taken_over() -> None:
    assert notes.in_own_words(said("", "(picture)", "hello")) == ""
    assert notes.added("as before", notes.in_own_words([]), day=_DAY) == "as before"


@given(st.lists(st.text(max_size=2000), max_size=30))
def test_own_words_of_any_talk_are_bounded(texts: list[str]) -> None:
    assert len(notes.in_own_words(said(*texts))) <= 720
