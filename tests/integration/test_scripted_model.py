"""The scripted model under load, as an engine: slots, a queue in turn or by priority, admission, prefill that a warm prefix saves."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from inference.client import Breaker, ModelClient
from inference.errors import ModelBusy, ModelUnavailable
from inference.types import Hints, Message, Timeouts, Traits
from tests.support.model_servers import Scripted, scripted
from tests.support.processes import until

_TRAITS = Traits(priority=True, cache_salt=True, ranks=2)
_Start = Callable[..., Scripted]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[_Start]:
    with ExitStack() as running:
        yield lambda *options: running.enter_context(scripted(tmp_path, "--flavour", "vllm", *options))


def _order(server: Scripted) -> list[str]:
    """The user's messages in the order in which they were answered."""
    return [entry["messages"][-1]["content"] for entry in sorted(server.log(), key=lambda entry: entry["finished"])]


def _client(server: Scripted, traits: Traits = _TRAITS, timeouts: Timeouts | None = None) -> ModelClient:
    return ModelClient(server.endpoint(traits=traits), timeouts=timeouts or Timeouts(), breaker=Breaker(failures=1))


def _figure(server: Scripted, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^vllm:{name}\{{[^}}]*\}} (\S+)$", server.page("/metrics"), re.MULTILINE))


@contextmanager
def _asking(server: Scripted, text: str, done: list[str], *, priority: int = 0) -> Iterator[None]:
    """Ask in a thread; whoever is answered writes the text down."""

    def ask() -> None:
        _client(server).chat((Message(role="user", content=text),), max_tokens=9, hints=Hints(priority=priority, affinity=0))
        done.append(text)

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    thread.join(10)


@pytest.mark.parametrize(("policy", "order"), [("fcfs", ["first", "batch", "talk"]), ("priority", ["first", "talk", "batch"])])
def test_who_waits_is_taken_in_turn_or_by_priority(start: _Start, policy: str, order: list[str]) -> None:
    server = start("--slots", "1", "--policy", policy)
    server.script(mode="hold", match="first", times=1)
    done: list[str] = []
    with ExitStack() as asked:
        asked.enter_context(_asking(server, "first", done))
        until(lambda: server.held() == 1, what="the first one's slot")
        for text, priority in (("batch", 10), ("talk", 0)):
            before = _figure(server, "num_requests_waiting")
            asked.enter_context(_asking(server, text, done, priority=priority))
            until(lambda before=before: _figure(server, "num_requests_waiting") == before + 1, what="the next one in the queue")
        server.release()

    assert _order(server) == order


def test_a_running_request_is_not_put_aside_for_a_dearer_one(start: _Start) -> None:
    server = start("--slots", "1", "--policy", "priority")
    server.script(mode="hold", match="batch", times=1)
    done: list[str] = []
    with _asking(server, "batch", done, priority=10):
        until(lambda: server.held() == 1, what="the batch's slot")
        with _asking(server, "talk", done):
            until(lambda: _figure(server, "num_requests_waiting") == 1, what="the talk in the queue")
            server.release()

    assert _order(server) == ["batch", "talk"]


def test_above_admission_the_server_is_busy_and_not_broken(start: _Start) -> None:
    server = start("--slots", "1", "--admit", "2")
    server.script(mode="hold", match="held")
    done: list[str] = []
    with _asking(server, "held 1", done), _asking(server, "held 2", done):
        until(lambda: _figure(server, "num_requests_running") + _figure(server, "num_requests_waiting") == 2, what="a full server")
        client = _client(server)
        with pytest.raises(ModelBusy):
            client.chat((Message(role="user", content="one more"),), max_tokens=9)
        assert _figure(server, "admission_rejections_total") == 1
        until(lambda: (server.release(), len(done) == 2)[1], what="the end of both")

    assert client.chat((Message(role="user", content="now"),), max_tokens=9).text == "You said: now"


def test_who_leaves_the_queue_or_its_slot_makes_room(start: _Start) -> None:
    server = start("--slots", "1")
    server.script(mode="hang", match="gone")
    hasty = _client(server, timeouts=Timeouts(first_token_s=0.5, total_s=0.5))
    threads = [threading.Thread(target=lambda: _raises(hasty, "gone")) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    until(lambda: _figure(server, "num_requests_running") == _figure(server, "num_requests_waiting") == 0, what="an empty server")

    assert _client(server).chat((Message(role="user", content="hi"),), max_tokens=9).text == "You said: hi"


def _raises(client: ModelClient, text: str) -> None:
    with pytest.raises(ModelUnavailable):
        client.chat((Message(role="user", content=text),), max_tokens=9)


def test_without_a_named_rank_the_one_with_least_to_do_is_taken(start: _Start) -> None:
    server = start("--ranks", "2")
    server.script(mode="hold", match="first", times=1)
    done: list[str] = []
    with _asking(server, "first", done):
        until(lambda: server.held() == 1, what="the first one's slot")
        _client(server, Traits()).chat((Message(role="user", content="second"),), max_tokens=9)
        server.release()

    assert [entry["rank"] for entry in server.log()] == [0, 1]


def test_a_warm_prefix_saves_its_share_of_the_first_tokens_time(start: _Start) -> None:
    server = start("--cache-blocks", "1000")
    server.script(prefill_s=0.5)
    prompt = (Message(role="user", content="word " * 1000),)
    cold, warm = (_client(server, Traits()).chat(prompt, max_tokens=9) for _ in range(2))

    assert (cold.usage.tokens_cached, warm.usage.tokens_cached) == (0, 992)
    assert cold.first_token_ms >= 500
    assert warm.first_token_ms < 250
    assert (_figure(server, "prefix_cache_queries_total"), _figure(server, "prefix_cache_hits_total")) == (2002, 992)
