"""People who write one thing in several messages get one answer to all of it, through real workers; a lone message is answered at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import build
from tests.support.cluster import Cluster
from tests.support.people import PEOPLE, play
from tests.support.stack import WINDOWS, Stack

pytestmark = pytest.mark.slow


@pytest.fixture
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service with the waits that it ships with, and a model that takes a second."""
    shipped = {"CHINWAG_DEBOUNCE_S": "1.5", "CHINWAG_DEBOUNCE_CAP_S": "20"}
    with Stack(cluster, tmp_path_factory.mktemp("pieces"), settings=WINDOWS | shipped) as running:
        running.model.script(latency_s=1.0, answer="Here you are.")
        running.start_web()
        running.start_dispatcher()
        running.start_worker()
        # A worker that has beaten may not consume yet.
        running.say(build.a_person(), "Are you there?")
        running.wait_settled()
        yield running


def test_whoever_writes_in_pieces_gets_one_answer_to_all_of_it(stack: Stack) -> None:
    numbers = play(stack, PEOPLE)
    stack.wait_settled()

    answers = {about: len(stack.platform.texts_to(number)) for about, number in numbers.items()}
    assert answers == dict.fromkeys(answers, 1), stack.describe()
    stack.check()
