"""Which thread reads an answer: one for all where nobody is shown its words, the caller's own where somebody is, or where they are packed."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from inference.client.answer_body import AnswerBody
from inference.client.patience import Patience
from inference.client.reader import Progress
from inference.types import Timeouts
from tests.support.model_player import stream_of
from wire.deadline import Deadline
from wire.response import Response

_EVENTS = stream_of(["@words", "@stop", "@usage", "@done"])


class _Played:
    """A body of given pieces, which notes those that were taken by listening."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._left, self.heard = list(pieces), list[bytes]()

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            yield self._left.pop(0)

    def listen(self, take: Callable[[bytes], bool]) -> None:
        while self._left:
            self.heard.append(self._left.pop(0))
            if not take(self.heard[-1]):
                return

    def close(self) -> None:
        pass


def _read(pieces: Sequence[bytes], *, is_watched: bool = False, headers: Sequence[tuple[bytes, bytes]] = ()) -> tuple[str, _Played]:
    played, progress, deadline = _Played(pieces), Progress(), Deadline()
    end = time.monotonic() + 10
    deadline.start(until=end, connect_s=1)
    answer = AnswerBody(progress, deadline, timeouts=Timeouts(), patience=Patience(), cap=1_000_000, first=end, end=end)
    answer.read(Response(200, headers, played), is_watched=is_watched)
    return progress.answer(started=0, ended=1).text, played


@pytest.mark.parametrize(
    "before", [[], [b": ping\n\n"], [b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n']]
)
def test_the_words_of_an_answer_that_nobody_watches_are_heard_from_the_second_piece_on(before: list[bytes]) -> None:
    text, played = _read([*before, *_EVENTS])

    assert text == "The ferry leaves at seven."
    assert len(played.heard) >= len(_EVENTS) - 3


def test_the_words_of_an_answer_that_is_watched_are_read_by_its_own_thread() -> None:
    text, played = _read(_EVENTS, is_watched=True)

    assert text == "The ferry leaves at seven."
    assert not played.heard


def _heard(pieces: Sequence[bytes], *, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> tuple[str, int]:
    """An answer whose pieces are given to what hears it from its head on, and how many of them that wanted."""
    played, progress, deadline = _Played(pieces), Progress(), Deadline()
    end = time.monotonic() + 10
    deadline.start(until=end, connect_s=1)
    answer = AnswerBody(progress, deadline, timeouts=Timeouts(), patience=Patience(), cap=1_000_000, first=end, end=end)
    response = Response(status, headers, played)
    take = answer.hear(response)
    if take is not None:
        played.listen(take)
    wanted = len(played.heard)
    answer.read(response, is_watched=False)
    return progress.answer(started=0, ended=1).text, wanted


@pytest.mark.parametrize(
    "before", [[], [b": ping\n\n"], [b'data: {"choices":[{"index":0,"delta":', b'{"role":"assistant","content":""}}]}\n\n']]
)
def test_a_stream_is_heard_from_its_first_piece_on(before: list[bytes]) -> None:
    text, wanted = _heard([*before, *_EVENTS])

    assert text == "The ferry leaves at seven."
    assert wanted >= len(before) + 2


@pytest.mark.parametrize("named", [b"gzip", b"identity", b""])
def test_of_what_is_packed_nothing_is_taken_before_it_is_unpacked(named: bytes) -> None:
    packed = gzip.compress(b"".join(_EVENTS))
    text, wanted = _heard([packed[:1], packed[1:40], packed[40:]], headers=[(b"Content-Encoding", named)])

    assert text == "The ferry leaves at seven."
    assert wanted <= 1


@pytest.mark.parametrize(("status", "kind"), [(503, b"text/event-stream"), (200, b"application/json")])
def test_refusals_and_whole_answers_are_left_to_their_caller(status: int, kind: bytes) -> None:
    _, wanted = _heard(_EVENTS, status=status, headers=[(b"Content-Type", kind)])

    assert not wanted


@pytest.mark.parametrize("named", [b"gzip", b"identity", b""])
def test_what_is_packed_is_unpacked_by_its_own_thread(named: bytes) -> None:
    packed = gzip.compress(b"".join(_EVENTS))
    text, played = _read([packed[:40], packed[40:]], headers=[(b"Content-Encoding", named)])

    assert text == "The ferry leaves at seven."
    assert not played.heard
