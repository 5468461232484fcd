"""How much of a conversation a prompt tells: whole turns, large steps, and notes that are ready before they are needed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bots.storage.claims import PastTurn
from workers.turn.history import Notes, Told, choose, shortened


def _turns(first: int, last: int) -> list[PastTurn]:
    return [PastTurn(number=number, asked="aaaaa", answer="bbbbb") for number in range(first, last + 1)]


def _with_words(*numbers: int) -> list[PastTurn]:
    return [PastTurn(number=number, asked=f"cake {number}", answer="yes") for number in numbers]


def _numbers(told: Told) -> list[int]:
    return [turn.number for turn in told.turns]


def _choose(history: list[PastTurn], notes: Notes | None = None, *, budget: int = 100) -> Told:
    return choose(history, notes or Notes(), budget=budget, count=len)


def test_a_short_talk_is_told_whole_and_nothing_is_summarised() -> None:
    told = _choose(_turns(1, 7))

    assert (_numbers(told), told.notes, told.history_from, told.summarise_to) == (list(range(1, 8)), None, None, None)


def test_the_older_turns_are_summarised_before_there_is_no_room_for_them() -> None:
    told = _choose(_turns(1, 8))

    assert _numbers(told) == list(range(1, 9)), "nothing is dropped yet"
    assert told.summarise_to == 6, "a quarter of the budget stays word for word"


def test_what_is_summarised_already_is_not_summarised_again() -> None:
    told = _choose(_turns(1, 9), Notes(text="they spoke", until=6))

    assert (told.summarise_to, told.notes) == (None, None)


def test_notes_take_the_place_of_their_turns_when_the_room_is_over() -> None:
    told = _choose(_turns(1, 11), Notes(text="they spoke", until=6))

    assert (_numbers(told), told.notes, told.history_from, told.summarise_to) == ([7, 8, 9, 10, 11], "they spoke", 7, None)


def test_without_notes_half_is_dropped_and_summarised_afterwards() -> None:
    told = _choose(_turns(1, 11))

    assert (_numbers(told), told.history_from, told.summarise_to) == ([7, 8, 9, 10, 11], 7, 6)
    assert told.notes == "the person wrote: aaaaa.", "until there are notes, what rules take over"


def test_what_is_left_out_and_not_in_the_notes_yet_is_told_in_the_persons_own_words_and_stays_the_same() -> None:
    turns = _with_words(*range(1, 14))
    cut = _choose(turns)
    assert cut.history_from == 9
    later = choose([*turns, *_with_words(14)], Notes(), budget=100, count=len, begins=9)

    assert cut.notes == "the person wrote: cake 1. cake 2. cake 3. cake 4. cake 5. cake 6. cake 7. cake 8."
    assert (later.notes, _numbers(later)) == (cut.notes, [9, 10, 11, 12, 13, 14])


def test_notes_that_come_later_take_the_place_of_the_own_words() -> None:
    told = choose(_with_words(*range(7, 14)), Notes(text="they spoke", until=6), budget=100, count=len, begins=9)

    assert told.notes == "they spoke\nthe person wrote: cake 7. cake 8."
    assert _choose(_with_words(*range(9, 14)), Notes(text="they spoke", until=8)).notes == "they spoke"


def test_notes_of_far_too_little_do_not_keep_the_prompt_too_long() -> None:
    told = _choose(_turns(1, 20), Notes(text="they spoke", until=2))

    assert _numbers(told) == [16, 17, 18, 19, 20]
    assert told.summarise_to == 15, "what lies between the notes and the new beginning"
    assert told.notes == "they spoke\nthe person wrote: aaaaa."


def test_after_a_cut_the_notes_go_on_standing_for_what_was_dropped() -> None:
    told = _choose(_turns(7, 9), Notes(text="they spoke", until=6))

    assert (_numbers(told), told.notes) == ([7, 8, 9], "they spoke")


def test_where_a_call_has_less_room_the_newest_turns_are_told_and_the_talks_beginning_stays() -> None:
    notes = Notes(text="they spoke", until=4)
    told = shortened(_choose(_turns(1, 8), notes), notes, room=35, count=len)

    assert (_numbers(told), told.notes) == ([6, 7, 8], "they spoke")
    assert told.history_from is None, "the next call may tell all of it again"


@given(
    sizes=st.lists(st.integers(1, 80), min_size=1, max_size=40),
    first=st.integers(1, 5),
    until=st.integers(0, 45),
    budget=st.integers(10, 400),
)
def test_turns_are_told_whole_to_the_last_one_and_nothing_is_lost_between_notes_and_turns(
    sizes: list[int], first: int, until: int, budget: int
) -> None:
    history = [PastTurn(number=first + n, asked="a" * size, answer="b") for n, size in enumerate(sizes)]
    until = min(until, history[-1].number - 1)
    told = choose(history, Notes(text="notes" if until else None, until=until), budget=budget, count=len)

    assert list(told.turns) == history[len(history) - len(told.turns) :]
    assert len(told.turns) == 1 or sum(len(turn.asked) + len(turn.answer) for turn in told.turns) <= budget
    covered = max(until, told.summarise_to or 0)
    assert covered >= told.turns[0].number - 1 or told.turns[0].number == first
    assert told.summarise_to is None or until < told.summarise_to < history[-1].number
