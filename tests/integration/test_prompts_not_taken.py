"""Prompts that are too long, in known words, in unknown ones or without any; answers without room; servers that break off: by whole turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from inference.errors import PromptTooLong
from inference.types import Message
from tests.support.batches import lines, results, submit
from tests.support.cluster import Cluster
from tests.support.one_worker import BATCHES, OneWorker, one_worker
from tests.support.played_model import Played, Prompt, text_of
from workers.batch import batch_one
from workers.other_prompts import OtherPrompts

_TOO_LONG = Played(
    status=400, body={"error": {"message": "This model's maximum context length is 4096 tokens.", "code": "context_length_exceeded"}}
)
_UNKNOWN = Played(status=400, body={"error": {"message": "Bad request of sort 17", "code": 400}})
#: Each turn below has about 1,200 characters.
_STORY = " ".join(f"On day {day} of the works the harbour is closed from {day % 12} o'clock." for day in range(1, 21))


@pytest.fixture
def place(cluster: Cluster) -> Iterator[OneWorker]:
    with one_worker(cluster, CHINWAG_HISTORY_TOKENS="20000") as opened:
        yield opened


def _longer_than(characters: int, played: Played) -> Callable[[Prompt], Played | None]:
    return lambda prompt: played if len(text_of(prompt)) > characters else None


def _talks(place: OneWorker, turns: int) -> None:
    """Let a talk grow."""
    place.first.plays = lambda _prompt: Played(words=["I will keep that in mind."])
    for n in range(turns):
        assert place.ask(f"{_STORY} Part {n}.")["reason"] is None
    place.first.plays = lambda _prompt: None
    place.first.asked.clear()


def _message(size: int) -> list[Message]:
    return [Message(role="user", content="word " * size)]


# Which prompt is asked instead


def test_with_the_servers_numbers_the_first_prompt_that_fits_is_asked_and_no_other() -> None:
    whole, half, quarter, least = (_message(size) for size in (4000, 2000, 1000, 100))
    error = PromptTooLong()
    error.limit, error.size = 2000, 6000
    others = OtherPrompts([half, quarter, least], ())

    # The quarter is counted as 1,500 by the server, and 512 more do not fit.
    assert others.after_too_long(whole, error, answer=512) == least
    assert others.after_too_long(least, error, answer=512) is None


def test_without_numbers_each_shorter_prompt_is_asked_in_its_turn() -> None:
    whole, half, least = (_message(size) for size in (400, 200, 10))
    others = OtherPrompts([whole, half, least], ())

    assert others.after_too_long(whole, PromptTooLong(), answer=512) == half, "not the same again"
    assert others.after_too_long(half, PromptTooLong(), answer=512) == least
    assert others.after_too_long(least, PromptTooLong(), answer=512) is None


def test_when_none_fits_by_the_numbers_the_shortest_is_asked_all_the_same() -> None:
    error = PromptTooLong()
    error.limit, error.size = 600, 6000

    assert OtherPrompts([_message(2000), _message(900)], ()).after_too_long(_message(4000), error, answer=512) == _message(900)


# In whole turns


@pytest.mark.parametrize("played", [_TOO_LONG, _UNKNOWN])
def test_a_long_talk_goes_on_before_a_server_with_a_small_context_whatever_it_says(place: OneWorker, played: Played) -> None:
    _talks(place, 4)
    place.first.plays = _longer_than(3000, played)

    assert place.ask("When?")["answer"] == "You said: When?"
    lengths = [len(text_of(prompt)) for _, prompt in place.first.asked]
    assert lengths == sorted(lengths, reverse=True)
    assert len(lengths) <= 3
    # Nothing of the talk is lost for later.
    place.first.plays = lambda _prompt: None
    place.ask("And where?")
    assert text_of(place.first.asked[-1][1]).count(_STORY) == 4


def test_an_unknown_refusal_of_a_long_prompt_gets_one_try_with_the_shortest_and_the_next_endpoint_comes_first(place: OneWorker) -> None:
    place.profile("first", "second")
    _talks(place, 4)
    place.first.plays = _longer_than(3000, _UNKNOWN)
    assert place.ask("When?")["answer"] == "You said: When?"
    assert (len(place.first.asked), len(place.second.asked)) == (1, 1)

    place.second.plays = lambda _prompt: Played(status=500)
    assert place.ask("Where?")["answer"] == "You said: Where?"
    assert [len(text_of(prompt)) > 3000 for _, prompt in place.first.asked] == [True, True, False]


@pytest.mark.parametrize("asks_too_much", [False, True])
def test_a_context_that_a_server_names_is_kept_to_at_once_and_by_the_next_turn(place: OneWorker, asks_too_much: bool) -> None:
    """What it counts may be far more than we estimate: then its own count decides."""

    def plays(prompt: Prompt) -> Played | None:
        tokens = len(text_of(prompt)) // (1 if asks_too_much else 2)
        words = f"This model's maximum context length is 3000 tokens. However, your messages resulted in {tokens} tokens."
        return Played(status=400, body={"error": {"message": words, "code": "context_length_exceeded"}}) if tokens + 512 > 3000 else None

    _talks(place, 4)
    place.first.plays = plays
    turns = [place.ask(text) for text in ("When?", "Where?")]

    assert [turn["answer"] for turn in turns] == ["You said: When?", "You said: Where?"]
    assert len(place.first.asked) == 3, "the prompt that does not fit, one that does, and the next turn's"
    if not asks_too_much:
        assert _STORY in text_of(place.first.asked[-1][1]), "what fits is told"


def test_a_batch_line_says_that_it_is_too_long(place: OneWorker) -> None:
    place.first.plays = lambda _prompt: _TOO_LONG
    batch = submit(place.storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(1)).batch
    assert batch is not None
    assert batch_one(place.deps, BATCHES)

    assert results(place.storage.web, batch)[0]["error"]["code"] == "too_long"


# Half an answer


@pytest.mark.parametrize(
    "how", [{"finish": "abort"}, {"is_cut": True}, {"finish": "error"}, {"is_cut": True, "under": "reasoning_content"}]
)
def test_a_server_that_breaks_off_is_broken_and_what_it_wrote_is_paid_for(place: OneWorker, how: dict[str, Any]) -> None:
    place.profile("first", "second")
    place.first.plays = lambda _prompt: Played(words=["The ferry ", "leaves "], **how)
    for n in range(6):
        assert place.ask(f"When, {n}?")["answer"] == f"You said: When, {n}?"

    assert (len(place.first.asked), len(place.second.asked)) == (5, 6), "then its breaker is open"
    assert all(tokens > 0 for endpoint, outcome, tokens in place.calls() if (endpoint, outcome) == ("first", "ModelUnavailable"))
    assert len([call for call in place.calls() if call[0] == "first"]) == 5


def test_a_batch_is_held_while_its_server_breaks_off(place: OneWorker) -> None:
    place.first.plays = lambda _prompt: Played(words=["The ferry ", "leaves "], finish="abort")
    submit(place.storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(2))
    assert batch_one(place.deps, BATCHES)

    assert place.storage.rows("select state, tries, tokens_out > 0 from batch_items order by n") == [
        ("waiting", 0, True),
        ("waiting", 0, None),
    ]


@pytest.mark.parametrize(("finish", "reason"), [("length", "length"), ("ran_dry", "cut")])
def test_an_answer_that_is_not_whole_ends_at_a_sentence_and_no_file_says_stop(place: OneWorker, finish: str, reason: str) -> None:
    place.first.plays = lambda _prompt: Played(words=["The ferry leaves at seven. It goes to"], finish=finish)
    turn = place.ask("When?")
    batch = submit(place.storage.web.execution_options(isolation_level="AUTOCOMMIT"), lines(1)).batch
    assert batch is not None
    assert batch_one(place.deps, BATCHES)

    assert (turn["reason"], turn["answer"]) == ("cut", "The ferry leaves at seven.")
    assert results(place.storage.web, batch)[0]["finish_reason"] == reason
