"""Model servers as they really behave, played over HTTP through the client: what each answer means, and that nothing costs the person time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from inference.client import Breaker, ModelClient
from inference.errors import AnswerCut, InferenceError, ModelBusy, ModelRefused, OutOfQuota
from inference.types import Answer, Endpoint, Message, Timeouts, Traits
from tests.support.model_player import Server, cases, playing

_KINDS = ("ends", "broken", "finishes", "shapes", "usage")
_CASES = {kind: cases(kind) for kind in _KINDS}
_SHORT = Timeouts(connect_s=2.0, first_token_s=0.6, silence_s=1.5, total_s=4.0)
_HI = (Message(role="user", content="When does the ferry leave?"),)


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, Server]]:
    played = {kind: playing(found) for kind, found in _CASES.items()}
    yield {kind: one.__enter__() for kind, one in played.items()}
    for one in played.values():
        one.__exit__(None, None, None)


def _client(server: Server, name: str, breaker: Breaker | None = None, traits: Traits | None = None, **more: Any) -> ModelClient:
    endpoint = Endpoint(name="test", url=server.url(name), model="ferry", traits=traits or Traits())
    return ModelClient(endpoint, timeouts=_SHORT, breaker=breaker or Breaker(), **more)


def _told(found: Answer | InferenceError, wanted: dict[str, Any]) -> dict[str, Any]:
    """What came, in the fields that the case names."""
    if isinstance(found, Answer):
        usage = found.usage
        counts = [usage.tokens_in, usage.tokens_cached, usage.tokens_out]
        return {"text": found.text, "finish": found.finish_reason, "usage": counts}
    told: dict[str, Any] = {"error": type(found).__name__}
    for name in wanted.keys() - {"error", "usage", "message"}:
        told[name] = getattr(found, name)
    if "message" in wanted:
        told["message"] = wanted["message"] if wanted["message"] in str(found) else str(found)
    if "usage" in wanted:
        told["usage"] = found.usage and [found.usage.tokens_in, found.usage.tokens_cached, found.usage.tokens_out]
    return told


@pytest.mark.parametrize(("kind", "case"), [pytest.param(k, c, id=f"{k}-{c['name']}") for k in _KINDS for c in _CASES[k]])
@pytest.mark.parametrize("comes_in_pieces", [False, True], ids=["by its thread", "by the listener"])
def test_each_server_is_read_rightly_in_time_and_judged_by_the_breaker(
    servers: dict[str, Server], kind: str, case: dict[str, Any], *, comes_in_pieces: bool
) -> None:
    breaker = Breaker(failures=1)
    began = time.monotonic()
    found: Answer | InferenceError
    try:
        found = _client(servers[kind], case["name"], breaker, comes_in_pieces=comes_in_pieces).chat(_HI, max_tokens=64)
    except InferenceError as error:
        # Without its frames, which would keep the client's connection in a cycle.
        found = error.with_traceback(None)

    assert _told(found, case["want"]) == case["want"]
    harmless = isinstance(found, (Answer, ModelBusy, OutOfQuota, AnswerCut, ModelRefused))
    assert breaker.is_open is not harmless
    assert time.monotonic() - began < 1.0 + 10 * case.get("pause", 0)


@pytest.mark.parametrize("name", ["open-after-done", "silent-after-finish", "silent-after-finish-without-counts"])
def test_a_server_that_always_holds_open_costs_a_wait_once(servers: dict[str, Server], name: str) -> None:
    client = _client(servers["ends"], name)
    took: list[float] = []
    for _ in range(4):
        began = time.monotonic()
        client.chat(_HI, max_tokens=64)
        took.append(time.monotonic() - began)

    assert took[0] < 0.8
    # One more wait for a busy machine.
    assert sorted(took[1:])[1] < 0.04


def test_a_server_that_ends_its_responses_keeps_its_connection(servers: dict[str, Server]) -> None:
    server = servers["usage"]
    client = _client(server, "floats")
    before = len(server.asked)
    for _ in range(3):
        client.chat(_HI, max_tokens=64)

    assert len({address for _, address in server.asked[before:]}) == 1


def test_a_connection_dropped_after_the_end_does_not_disturb_the_next_answer(servers: dict[str, Server]) -> None:
    server = servers["ends"]
    client = _client(server, "open-after-done")
    texts = [client.chat(_HI, max_tokens=64).text for _ in range(3)]

    assert set(texts) == {"The ferry leaves at seven."}
    assert len({address for name, address in server.asked[-3:]}) == 3
