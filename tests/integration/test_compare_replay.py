"""Turns asked of servers that are full, away for a moment, or gone: what is the servers' moment costs no turn, what is gone no time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chinwag.compare.replay import Asking, Reply, replay
from chinwag.compare.talks import Turn
from inference.client import Breaker, ModelClient
from inference.types import Message, Timeouts
from tests.support.model_servers import Scripted, scripted

_ASKING = Asking(max_tokens=50, temperature=0.3, top_p=0.9, patience_s=30.0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Scripted]:
    with scripted(tmp_path) as running:
        yield running


def _turns(count: int) -> list[Turn]:
    return [Turn(talk=f"t{n}", number=1, messages=(Message(role="user", content=f"question {n}"),), recorded=None) for n in range(count)]


def _asked(server: Scripted, count: int, asking: Asking = _ASKING) -> list[Reply]:
    told: list[Reply] = []
    client = ModelClient(
        server.endpoint(), timeouts=Timeouts(first_token_s=2, silence_s=2, total_s=2), breaker=Breaker(failures=2, probe_s=0.2)
    )
    rows = replay(_turns(count), [client], asking, parallel=2, told=told.append)
    assert sorted(reply.turn.talk for reply in told) == sorted(turn.talk for turn in _turns(count))
    return [reply for row in rows for reply in row]


@pytest.mark.parametrize("mode", ["busy429", "down503"])
def test_a_server_that_is_full_or_away_for_a_moment_costs_no_turn(server: Scripted, mode: str) -> None:
    server.script(times=2)
    server.script(mode=mode, times=4)
    replies = _asked(server, 12)

    assert [reply.fault for reply in replies] == [None] * 12
    assert [reply.text for reply in replies] == [f"You said: question {n}" for n in range(12)]


def test_a_server_that_is_gone_is_waited_for_once(server: Scripted) -> None:
    server.script(mode="down503")
    replies = _asked(server, 12, replace(_ASKING, patience_s=1.0))

    assert [reply.text for reply in replies] == [None] * 12
    assert all(reply.fault for reply in replies)
    # Two at once wait, and then none does.
    assert len(server.log()) <= 2 * 2 + 10


def test_a_reply_that_is_cut_has_its_time_and_no_count(server: Scripted) -> None:
    server.script(mode="hang_midway")
    (reply,) = _asked(server, 1, replace(_ASKING, patience_s=0.0))

    assert (reply.usage, reply.cost) == (None, None)
    assert reply.text is not None
    assert reply.total_ms is not None
    assert reply.total_ms >= 2000
