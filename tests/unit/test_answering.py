"""The chat page's line about the model that answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bots.web.chat.answering import line
from chinwag.local.answering import Answering
from chinwag.local.ground import Ground

_MORE = "A better one is being fetched (43 %)."


@pytest.fixture
def answering(tmp_path: Path) -> Answering:
    made = Answering(Ground(tmp_path))
    made.file.parent.mkdir()
    made.tell(model="small", about={"small": "it makes mistakes"}, more=_MORE)
    return made


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ("", f"small answers: it makes mistakes. {_MORE}"),
        ("small", f"small answers: it makes mistakes. {_MORE}"),
        # What is on its way is better than the stack's own model, and takes over from no other.
        ("an operator's own", "an operator's own answers."),
    ],
)
def test_the_line_names_who_answers_and_what_takes_over_from_it(answering: Answering, first: str, said: str) -> None:
    assert line(str(answering.file), first) == said


@pytest.mark.parametrize("text", ["", "{", "[]", '{"model": 7}'])
def test_a_file_that_cannot_be_read_says_nothing(answering: Answering, text: str) -> None:
    answering.file.write_text(text, encoding="utf-8")

    assert (line(str(answering.file), ""), line(str(answering.file) + ".no", ""), line("", "big")) == ("", "", "big answers.")


def test_a_line_that_cannot_be_written_is_written_later_and_ends_nothing(answering: Answering) -> None:
    before, folder = line(str(answering.file), ""), answering.file.parent
    folder.rename(folder.with_name("away"))
    answering.tell(model="better")
    folder.with_name("away").rename(folder)
    answering.tell(model="better")

    assert (before, line(str(answering.file), "")) == (f"small answers: it makes mistakes. {_MORE}", "better answers.")


def test_the_line_says_what_is_still_on_its_way_until_all_is_there(answering: Answering) -> None:
    answering.tell(model="small")
    answering.waits_for("Chat model", "Worker")
    both = line(str(answering.file), "")
    answering.waits_for("Chat model")
    one = line(str(answering.file), "an operator's own")
    answering.waits_for()

    assert both == "small answers. Still starting: Chat model, Worker."
    assert one == "an operator's own answers. Still starting: Chat model."
    assert line(str(answering.file), "") == "small answers."
