"""Over random talks, before a model that answers nothing, or breaks off, no turn is ever in nothing: it is repeated, in the notes, or in own words."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster
from tests.support.one_worker import BATCHES, OneWorker, one_worker
from tests.support.played_model import Played, Prompt, text_of
from tests.support.seed import the_seed
from workers.summarise import summarise_one

_TASK = "Write the notes."
#: The person's own words have 700 characters.
_FULL = 600
_WELL = Played(words=["The person wants cakes with figs. It was agreed that they cost 30."])
_NOTHING = (
    Played(words=[""]),
    Played(words=["The person wan"], finish="length"),
    Played(words=["The person", " The person" * 200], finish="length"),
)
#: Its whole sentence is taken for notes.
_BROKEN = Played(words=["The person wants cakes. And th"], finish="length")


@pytest.fixture
def place(cluster: Cluster) -> Iterator[OneWorker]:
    with one_worker(cluster, CHINWAG_HISTORY_TOKENS="200") as opened:
        yield opened


def _says(n: int) -> str:
    return f"please tell me more about the cake with figs, number {n}."


def _in_nothing(place: OneWorker) -> list[int]:
    """The turns that the last prompt neither repeats nor has in its notes or own words; none where own words have no more room."""
    asked = [prompt for _, prompt in place.first.asked if _TASK not in text_of(prompt)][-1]
    if len(text_of(asked).partition("the person wrote: ")[2].partition('")')[0]) > _FULL:
        return []
    (until, last) = place.storage.rows("select summary_until, (select max(number) from turns) from conversations")[0]
    return [n for n in range(int(until) + 1, int(last)) if f"number {n}." not in text_of(asked)]


def _due(place: OneWorker) -> None:
    """Let time pass for notes that are to be tried again."""
    place.storage.do("update conversations set summarise_at = now() where summarise_at is not null")


@pytest.mark.parametrize("well", [0.0, 0.4, 1.0], ids=["never well", "at times", "always well"])
def test_every_turn_is_repeated_or_in_the_notes_or_in_the_persons_own_words(place: OneWorker, well: float) -> None:
    chance = random.Random(the_seed(os.environ))

    def plays(prompt: Prompt) -> Played | None:
        if _TASK not in text_of(prompt):
            return None
        return _WELL if chance.random() < well else chance.choice((*_NOTHING, _BROKEN) if well else _NOTHING)

    place.first.plays = plays
    for n in range(1, 61):
        place.ask(_says(n))
        assert _in_nothing(place) == [], n
        while chance.random() < 0.5:
            _due(place)
            summarise_one(place.deps, BATCHES)
    for _ in range(200):
        _due(place)
        if not summarise_one(place.deps, BATCHES):
            break

    ((summary, until, begins, due),) = place.storage.rows("select summary, summary_until, history_from, summarise_at from conversations")
    assert due is None, "all notes are made, by rules where the model did not manage"
    assert until >= begins - 1 > 30
    assert 0 < len(summary) <= 2000
    assert "the person wrote: " in summary or well > 0
    assert "the person wrote: " not in summary or well < 1


def test_a_portion_that_the_model_did_not_manage_is_tried_again_smaller(place: OneWorker) -> None:
    sizes: list[int] = []

    def plays(prompt: Prompt) -> Played | None:
        if _TASK not in text_of(prompt):
            return None
        sizes.append(text_of(prompt).count("Person: "))
        return Played(words=["The person"], finish="length") if sizes[-1] > 2 else _WELL

    place.first.plays = plays
    for n in range(1, 20):
        place.ask(_says(n))
    for _ in range(12):
        _due(place)
        summarise_one(place.deps, BATCHES)
    summary = place.storage.value("select summary from conversations")

    assert sizes[0] >= 4
    assert sizes[1] < sizes[0]
    assert min(sizes) <= 2
    assert "wants cakes with figs" in str(summary)
