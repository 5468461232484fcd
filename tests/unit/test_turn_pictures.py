"""A turn's pictures in words: a mark for each, the same for ever; and which of the history's are shown."""

from __future__ import annotations

from uuid import uuid4

import pytest

from bots.storage.claims import ClaimedMessage
from workers.turn.pictures import Pictures, dropped

_SHOWN, _LOST = "(picture)", "(a picture that could not be loaded)"


def a_message(text: str | None = None) -> ClaimedMessage:
    return ClaimedMessage(id=uuid4(), event_key="k", content_type="image", supported=True, age_s=0.0, text=text)


@pytest.mark.parametrize(
    ("marks", "text", "words"),
    [
        ((), "hello", "hello"),
        ((), None, "(sent without words)"),
        ((_SHOWN,), "look", "(picture)\nlook"),
        ((_SHOWN,), None, "(picture, sent without words)"),
        ((_SHOWN,), "  ", "(picture, sent without words)"),
        ((_SHOWN, _SHOWN), None, "(picture)\n(picture)"),
        ((_LOST,), None, _LOST),
        ((_LOST, _SHOWN), "which?", f"{_LOST}\n(picture)\nwhich?"),
    ],
)
def test_a_message_has_a_mark_for_each_picture_before_its_words(marks: tuple[str, ...], text: str | None, words: str) -> None:
    message = a_message(text)

    assert Pictures(marks={message.id: marks} if marks else {}).words(message) == words


def test_only_where_nothing_but_lost_pictures_came_there_is_nothing_to_ask_a_model() -> None:
    lost, told, seen, plain = a_message(), a_message("what is it?"), a_message(), a_message("hello")
    pictures = Pictures(marks={lost.id: (_LOST,), told.id: (_LOST,), seen.id: (_SHOWN,)})

    assert pictures.are_lost([lost])
    assert not pictures.are_lost([told])
    assert not pictures.are_lost([lost, plain])
    assert not pictures.are_lost([lost, seen])
    assert not pictures.are_lost([plain])


@pytest.mark.parametrize(
    ("past", "new", "most", "gone"),
    [(0, 3, 5, 0), (4, 1, 5, 0), (5, 1, 5, 2), (6, 1, 5, 2), (7, 1, 5, 4), (2, 5, 5, 2), (3, 5, 5, 3), (9, 0, 0, 9), (1, 1, 1, 1)],
)
def test_of_too_many_the_oldest_of_the_history_go_by_steps(past: int, new: int, most: int, gone: int) -> None:
    assert dropped(past, new, most) == gone


def test_a_step_lasts_for_several_pictures_so_that_the_prompts_beginning_stays() -> None:
    starts = [dropped(past, 1, 6) for past in range(6, 18)]

    assert starts == [3, 3, 3, 6, 6, 6, 9, 9, 9, 12, 12, 12]
