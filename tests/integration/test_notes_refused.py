"""Notes of older turns before a server that will not take some words: one turn goes without notes, and the others get theirs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster
from tests.support.one_worker import BATCHES, OneWorker, one_worker
from tests.support.played_model import Played, Prompt, text_of
from workers.summarise import summarise_one

_TASK = "Write the notes."
_FILTERED = Played(status=400, body={"error": {"message": "filtered", "code": "content_filter"}})
_UNKNOWN = Played(status=403, body={"message": "not with us"})


@pytest.fixture(params=["400", "4000"], ids=["short portions", "long portions"])
def place(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[OneWorker]:
    with one_worker(cluster, CHINWAG_HISTORY_TOKENS=request.param) as opened:
        yield opened


def _to_summarise(place: OneWorker) -> int:
    """Talk until notes are due; returns the number of the last turn that they are about."""
    often = place.deps.settings.history_tokens // 400
    for n in range(1, 30):
        place.ask("please tell me more about the cake with figs that you bake there. " * often + f"It has number {n}.")
        if (until := place.storage.value("select summarise_to from conversations")) is not None:
            return int(until)
    raise AssertionError("no notes are due")


@pytest.mark.parametrize("played", [_FILTERED, _UNKNOWN])
def test_the_turn_that_a_server_will_not_take_gets_no_notes_and_all_others_do(place: OneWorker, played: Played) -> None:
    until = _to_summarise(place)
    taken: list[str] = []

    def plays(prompt: Prompt) -> Played | None:
        text = text_of(prompt)
        if _TASK not in text:
            return None
        if "number 2." in text:
            return played
        taken.append(text)
        return Played(words=[f"The person wants cakes, said {len(taken)} times. And then"], finish="length")

    place.first.plays = plays
    while summarise_one(place.deps, BATCHES):
        pass

    assert until > 2
    ((summary, *state),) = place.storage.rows("select summary, summary_until, summarise_at, summarise_tries from conversations")
    assert state == [until, None, 0]
    assert [line.partition(": ")[2] for line in summary.splitlines()] == [
        f"The person wants cakes, said {n} times." for n in range(1, len(taken) + 1)
    ]
    assert all(any(f"number {n}." in text for text in taken) for n in range(1, until + 1) if n != 2)


def test_notes_that_broke_off_before_their_first_sentence_ended_are_no_notes(place: OneWorker) -> None:
    _to_summarise(place)
    place.first.plays = lambda prompt: Played(words=["The person wants a"], finish="length") if _TASK in text_of(prompt) else None
    assert summarise_one(place.deps, BATCHES)

    assert place.storage.rows("select summary, summarise_tries from conversations") == [(None, 1)]
