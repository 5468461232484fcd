"""The model client against the scripted server, a real process: each way a model can fail has its own error and its own end in time."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.answer_guard import check
from inference.client import Breaker, ModelClient
from inference.errors import (
    AnswerCut,
    GarbageAnswer,
    InferenceError,
    ModelBusy,
    ModelRefused,
    ModelUnavailable,
    PromptTooLong,
)
from inference.tokens import TokenCounter, estimate
from inference.types import Answer, Endpoint, Message, Timeouts
from tests.support.processes import Process, Processes, until
from wire.transport import shared_ssl_context

_HI = (Message(role="system", content="You are Bo."), Message(role="user", content="hi there"))
_SHORT = Timeouts(connect_s=1.0, first_token_s=0.6, silence_s=0.5, total_s=1.5)


class _Server:
    """The scripted model and its controls."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = process.wait_listening()

    def script(self, **behaviour: Any) -> None:
        response = httpx.post(f"{self.url}/_script", json=behaviour, verify=False)
        assert response.status_code == 200, response.text

    def log(self) -> dict[str, Any]:
        log: dict[str, Any] = httpx.get(f"{self.url}/_log", verify=False).json()
        return log

    def endpoint(self, **more: str) -> Endpoint:
        return Endpoint(name="test", url=f"{self.url}/v1", model="scripted", **more)

    def client(self, timeouts: Timeouts = _SHORT, breaker: Breaker | None = None, **more: Any) -> ModelClient:
        return ModelClient(self.endpoint(), timeouts=timeouts, breaker=breaker or Breaker(), **more)


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    running = Processes(tmp_path_factory.mktemp("model"))
    yield running
    running.end_all()


@pytest.fixture(scope="module")
def running(processes: Processes) -> _Server:
    return _Server(processes.start("model", ["inference.scripted", "--port", "0"], {}))


@pytest.fixture
def server(running: _Server) -> _Server:
    httpx.delete(f"{running.url}/_script")
    httpx.delete(f"{running.url}/_log")
    return running


def _chat(client: ModelClient, messages: Sequence[Message] = _HI) -> Answer:
    return client.chat(messages, max_tokens=64)


def test_an_answer_comes_whole_with_its_counts_and_times(server: _Server) -> None:
    client = server.client()
    _chat(client)

    answer = _chat(client)

    assert answer.text == "You said: hi there"
    assert (answer.usage.tokens_in, answer.usage.tokens_cached, answer.usage.tokens_out) == (7, 7, 4)
    assert answer.finish_reason == "stop"
    assert 0 < answer.first_token_ms <= answer.total_ms


def test_the_prompt_arrives_as_it_was_given(server: _Server) -> None:
    server.client().chat(_HI, max_tokens=64, temperature=0.7, top_p=0.5)

    (entry,) = server.log()["requests"]

    assert entry["messages"] == [{"role": m.role, "content": m.content} for m in _HI]
    assert entry["request"] == {
        "model": "scripted",
        "max_tokens": 64,
        "temperature": 0.7,
        "top_p": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert entry["outcome"] == "answered"


def test_the_text_grows_while_the_model_writes(server: _Server) -> None:
    server.script(answer="one two three", word_s=0.1)
    seen: list[str] = []

    answer = server.client().chat(_HI, max_tokens=9, on_text=seen.append)

    assert seen == ["one", "one two", "one two three"]
    assert answer.first_token_ms < 90 < answer.total_ms


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("refuse503", ModelBusy),
        ("busy429", ModelBusy),
        ("down503", ModelUnavailable),
        ("error500", ModelUnavailable),
        ("stream_error", ModelUnavailable),
        ("close", ModelUnavailable),
        ("close_midway", ModelUnavailable),
        ("hang", ModelUnavailable),
        ("hang_midway", ModelUnavailable),
        ("ping", ModelUnavailable),
        ("drip_headers", ModelUnavailable),
        ("error400", ModelRefused),
        ("error401", ModelRefused),
        ("redirect", ModelRefused),
        ("toolong", PromptTooLong),
        ("truncated", ModelUnavailable),
        ("garbage", ModelUnavailable),
        ("huge", GarbageAnswer),
    ],
)
def test_each_failure_has_its_error_in_time(server: _Server, mode: str, error: type[InferenceError]) -> None:
    server.script(mode=mode, drip_s=0.05)
    began = time.monotonic()

    with pytest.raises(InferenceError) as caught:
        _chat(server.client())

    assert type(caught.value) is error
    assert time.monotonic() - began < _SHORT.total_s + 0.5


@pytest.mark.parametrize("mode", ["empty", "no_choices", "nul", "loop", "control", "role"])
def test_what_the_model_says_badly_is_stopped_by_the_guard(server: _Server, mode: str) -> None:
    server.script(mode=mode)
    answer = _chat(server.client())

    with pytest.raises(GarbageAnswer):
        check(answer, _HI)


def test_a_dripping_model_does_not_defeat_the_total_deadline(server: _Server) -> None:
    server.script(mode="drip", drip_s=0.01)
    began = time.monotonic()

    with pytest.raises(ModelUnavailable):
        _chat(server.client(Timeouts(first_token_s=30, silence_s=30, total_s=1.0)))

    assert 0.9 < time.monotonic() - began < 1.4


def test_a_model_that_writes_on_and_on_is_cut_with_its_text_kept(server: _Server) -> None:
    server.script(answer="word " * 100, word_s=0.1)
    breaker = Breaker(failures=1)

    with pytest.raises(AnswerCut) as caught:
        _chat(server.client(breaker=breaker))

    assert caught.value.text.startswith("word word")
    assert not breaker.is_open


def test_a_dropped_stream_frees_the_servers_slot(server: _Server) -> None:
    server.script(mode="hang")
    with pytest.raises(ModelUnavailable):
        _chat(server.client())

    until(lambda: server.log()["requests"][0]["outcome"] == "dropped", timeout_s=2, what="the request's end")


def test_a_server_that_is_not_there_is_unavailable() -> None:
    endpoint = Endpoint(name="x", url="http://127.0.0.1:9/v1", model="m")

    with pytest.raises(ModelUnavailable):
        _chat(ModelClient(endpoint, timeouts=_SHORT, breaker=Breaker()))


def test_five_failures_open_the_breaker_and_busy_ones_do_not(server: _Server) -> None:
    client = server.client(breaker=Breaker(probe_s=0.3))
    server.script(mode="refuse503")
    for _ in range(8):
        with pytest.raises(ModelBusy):
            _chat(client)
    server.script(mode="error500")
    for _ in range(20):
        with pytest.raises(ModelUnavailable):
            _chat(client)

    assert len(server.log()["requests"]) == 8 + 5

    server.script(answer="back again")

    def back() -> bool:
        try:
            return _chat(client).text == "back again"
        except ModelUnavailable:
            return False

    until(back, timeout_s=3, what="the probe's success")
    assert _chat(client).text == "back again"


def test_a_broken_kept_connection_is_replaced_unseen(server: _Server) -> None:
    client = server.client()
    _chat(client)
    server.script(mode="close", times=1)

    assert _chat(client).text == "You said: hi there"


@pytest.mark.parametrize("bad", [{"max_tokens": 0}, {"temperature": -1}, {"temperature": 3}, {"top_p": 0}])
def test_a_call_that_servers_take_and_should_not_is_refused_here(server: _Server, bad: dict[str, Any]) -> None:
    with pytest.raises(ModelRefused):
        server.client().chat(_HI, **({"max_tokens": 9} | bad))

    assert server.log()["requests"] == []


def test_no_messages_and_half_characters_are_refused_here(server: _Server) -> None:
    for messages in ((), (Message(role="user", content="\ud800"),)):
        with pytest.raises(ModelRefused):
            _chat(server.client(), messages)


def test_held_requests_go_on_when_released(server: _Server) -> None:
    server.script(mode="hold", match="wait", times=1)
    client = server.client(Timeouts())
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(_chat(client, (Message(role="user", content="please wait"),)).text))
    thread.start()
    until(lambda: server.log()["held"] == 1, what="the held request")

    assert _chat(client).text == "You said: hi there"
    assert answers == []

    httpx.post(f"{server.url}/_release", verify=False)
    thread.join(5)

    assert answers == ["You said: please wait"]


def test_many_threads_share_one_ssl_context_and_none_waits_for_another(server: _Server) -> None:
    server.script(latency_s=0.5)
    client = server.client(Timeouts())
    began = time.monotonic()
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda n: _chat(client, (Message(role="user", content=f"n{n}"),)).text, range(64)))

    assert answers == [f"You said: n{n}" for n in range(64)]
    assert time.monotonic() - began < 3
    assert shared_ssl_context() is shared_ssl_context()
    assert isinstance(shared_ssl_context(), ssl.SSLContext)


async def _ask_at_once(port: int, requests: int, release: str) -> list[bytes]:
    body = b'{"messages":[{"role":"user","content":"hold on"}],"max_tokens":9}'
    request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        return head.split(b"\r\n")[0]

    async def let_go() -> None:
        async with httpx.AsyncClient() as client:
            while (await client.get(f"{release}/_log?after=1000000")).json()["held"] < requests:  # noqa: ASYNC110 - the state of another process
                await asyncio.sleep(0.05)
            await client.post(f"{release}/_release")

    answers, _ = await asyncio.wait_for(asyncio.gather(asyncio.gather(*(ask() for _ in range(requests))), let_go()), 30)
    return answers


def test_the_scripted_model_holds_a_thousand_requests_at_once(server: _Server) -> None:
    server.script(mode="hold", match="hold on")

    answers = asyncio.run(_ask_at_once(int(server.url.rsplit(":")[-1]), 1000, server.url))

    assert answers == [b"HTTP/1.1 200 OK"] * 1000


def test_a_proxy_variable_does_not_divert_the_call(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")

    assert _chat(server.client()).text == "You said: hi there"


@pytest.mark.parametrize("flavour", ["llamacpp", "vllm"])
def test_tokens_are_counted_as_the_server_counts_them(processes: Processes, flavour: str) -> None:
    server = _Server(processes.start(flavour, ["inference.scripted", "--flavour", flavour], {}))
    counter = TokenCounter(server.endpoint())

    assert counter.count("one two three") == 3

    server.process.kill()

    assert counter.count("one two three") == 3
    assert counter.count("never asked before") == estimate("never asked before")


def test_a_server_without_a_tokenizer_is_not_asked_for_every_text(processes: Processes, tmp_path: Path) -> None:
    server = _Server(processes.start("hosted", ["inference.scripted", "--flavour", "hosted"], {}))
    counter = TokenCounter(server.endpoint())
    began = time.monotonic()
    for n in range(500):
        assert counter.count(f"text {n}") == estimate(f"text {n}")

    assert time.monotonic() - began < 1


def test_a_frozen_tokenizer_costs_two_seconds_once(processes: Processes) -> None:
    server = _Server(processes.start("frozen", ["inference.scripted"], {}))
    counter = TokenCounter(server.endpoint())
    server.process.freeze()
    began = time.monotonic()

    assert [counter.count(text) for text in ("a", "b", "c")] == [1, 1, 1]
    assert time.monotonic() - began < 3


def test_a_count_after_an_answer_waits_no_longer_than_it_may(processes: Processes) -> None:
    server = _Server(processes.start("frozen", ["inference.scripted"], {}))
    counter = TokenCounter(server.endpoint())
    server.process.freeze()
    began = time.monotonic()

    assert [counter.count(text, within_s=0.2) for text in ("a", "b", "c")] == [1, 1, 1]
    assert time.monotonic() - began < 1
