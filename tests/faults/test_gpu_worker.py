"""The GPU worker as a real process on an engine of its own: it consumes only while the engine serves, and a lost engine costs no turn."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support import build
from tests.support.batches import lines, submit
from tests.support.fakes import Model
from tests.support.processes import Process, until
from tests.support.stack import Stack, a_free_port

pytestmark = pytest.mark.slow

_BEATING = "select count(*) from worker_heartbeats where slots > 0"


class Gpu:
    """One GPU worker with its engine, played by tests.support.fake_vllm."""

    def __init__(self, stack: Stack, name: str, *, model: str = "tiny", slots: int = 6, token_s: int = 3, **extra: str) -> None:
        self.stack, self.name = stack, name
        self.port = a_free_port()
        self.go = stack.folder / f"{name}.go"
        command = [sys.executable, "-m", "tests.support.fake_vllm", "serve", model, "--port", str(self.port), "--max-num-seqs", str(slots)]
        arguments = [
            "workers.gpu",
            "--profile",
            "default",
            "--engine",
            name,
            "--probe",
            "1",
            "--token",
            str(token_s),
            "--log",
            str(stack.folder / f"{name}.engine.log"),
        ]
        self.process: Process = stack.processes.start(
            f"gpu-{name}", [*arguments, "--", *command], stack.env | {"FAKE_VLLM_GO": str(self.go)} | extra
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> Gpu:
        """Wait until it consumes."""
        named = "select count(*) from worker_heartbeats where name like :name"
        self.process.wait_ready(lambda: bool(self.stack.one(named, name=f"default.{self.name}@%")), 40)
        return self

    def kill_engine(self) -> None:
        """Kill the engine's server, as a segmentation fault would."""
        os.kill(self._engine(), signal.SIGKILL)

    def freeze_engine(self) -> None:
        os.kill(self._engine(), signal.SIGSTOP)

    def _engine(self) -> int:
        """The process id of the server."""
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = line.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"inference.scripted" in words and str(self.port).encode() in words:
                return int(line.parts[2])
        raise AssertionError("there is no engine")


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def gpu(stack: Stack) -> Iterator[Callable[..., Gpu]]:
    """GPU workers that end in order at the end: their engines with them."""
    started: list[Gpu] = []

    def start(name: str = "e1", **options: object) -> Gpu:
        started.append(Gpu(stack, name, **options))  # type: ignore[arg-type]  # a table of options
        return started[-1]

    yield start
    for one in started:
        one.process.stop(20)
        until(lambda one=one: not _answers(one.url), what="the engine has ended with its worker")


def _say(stack: Stack, words: str) -> build.Person:
    person = build.a_person()
    stack.say(person, words)
    return person


def test_it_consumes_only_while_its_engine_serves(stack: Stack, gpu: Callable[..., Gpu]) -> None:
    stack.start_web()
    stack.start_dispatcher()
    one = gpu(model="slow")
    until(lambda: '"engine_loading"' in one.process.printed(), what="the engine loads")
    person = _say(stack, "early")
    until(lambda: stack.one("select count(*) from conversations where ready_at <= now()"), what="the talk is due")
    before = stack.one(_BEATING)
    one.go.touch()
    one.wait()
    stack.wait_settled()

    assert before == 0
    assert len(stack.platform.texts_to(person.number)) == 1
    assert stack.one("select queues from worker_heartbeats where slots > 0") == ["reply.default.@e1", "batch.default"]
    assert stack.one("select slots from worker_heartbeats where slots > 0") == 6


def test_an_engine_killed_in_mid_turn_gives_its_turns_back_and_answers_them_after_its_restart(
    stack: Stack, gpu: Callable[..., Gpu]
) -> None:
    stack.start_web()
    stack.start_dispatcher()
    one = gpu(CHINWAG_LEASE_S="60").wait()
    with closing(Model(one.url)) as model:
        model.script(mode="hold", match="question")
        people = [_say(stack, f"question {n}") for n in range(3)]
        until(lambda: model.held() == 3, what="three turns are with the model")
    one.kill_engine()
    until(lambda: '"engine_lost"' in one.process.printed(), what="the loss is noticed")
    until(lambda: stack.one("select count(*) from conversations where leased_until > now()") == 0, what="the turns are given back")
    one.wait()
    stack.wait_settled()

    assert [len(stack.platform.texts_to(person.number)) for person in people] == [1, 1, 1]


def test_what_one_lost_engine_had_is_answered_by_another_meanwhile(stack: Stack, gpu: Callable[..., Gpu]) -> None:
    stack.start_web()
    stack.start_dispatcher()
    # The first does not come back: its next start waits for a file that never comes.
    once = stack.folder / "first.go"
    first = gpu("first", model="slow", CHINWAG_LEASE_S="60")
    once.touch()
    first.wait()
    person = _say(stack, "hello")
    until(lambda: stack.platform.texts_to(person.number), what="the first answer")
    gpu("second").wait()
    once.unlink()
    with closing(Model(first.url)) as model:
        model.script(mode="hold", match="again")
        stack.say(person, "again")
        until(lambda: model.held() == 1, what="the turn is with the first engine")
    first.kill_engine()
    until(lambda: len(stack.platform.texts_to(person.number)) == 2, what="the second engine's answer", timeout_s=30)

    assert not stack.one("select count(*) from worker_heartbeats where name like 'default.first@%'")


def test_an_engine_that_hangs_is_started_again_and_its_turn_answered(stack: Stack, gpu: Callable[..., Gpu]) -> None:
    stack.start_web()
    stack.start_dispatcher()
    one = gpu(token_s=1, CHINWAG_LEASE_S="60", CHINWAG_MODEL_FIRST_TOKEN_S="60").wait()
    one.freeze_engine()
    person = _say(stack, "hello")
    until(lambda: '"engine_lost"' in one.process.printed(), what="the silence is noticed", timeout_s=90)
    stack.wait_settled(40)

    assert len(stack.platform.texts_to(person.number)) == 1


def test_a_batch_holds_the_engine_less_the_reserve(stack: Stack, gpu: Callable[..., Gpu]) -> None:
    stack.env["CHINWAG_BATCH_RESERVE"] = "4"
    stack.start_web()
    stack.start_dispatcher()
    one = gpu(slots=6).wait()
    with closing(Model(one.url)) as model:
        model.script(mode="hold", match="question")
        submit(stack.engine("web"), lines(30), bot="tester")
        until(lambda: model.held() == 2, what="the batch has its share")
        person = _say(stack, "hello")
        until(lambda: stack.platform.texts_to(person.number), what="a person is answered beside it")
        held = model.held()
        model.reset()
        model.release()
    until(lambda: stack.one("select state from batches") == "done", what="the batch is done", timeout_s=40)

    assert held == 2


def test_while_an_answer_is_being_sent_its_engine_answers_the_next_person(stack: Stack, gpu: Callable[..., Gpu]) -> None:
    stack.env |= {"CHINWAG_SEND_DEADLINE_S": "30", "CHINWAG_JOURNAL_TO_BYTES_S": "30"}
    stack.start_web()
    stack.start_dispatcher()
    one = gpu(slots=1).wait()
    stack.platform.script("read_body_then_hold")
    with closing(Model(one.url)) as model:
        _say(stack, "hello")
        until(lambda: [entry for entry in stack.platform.log() if entry["outcome"] == "held"], what="the answer is on its way")
        _say(stack, "good morning")
        # The worker itself asks an idle engine for a token now and then.
        until(
            lambda: [entry for entry in model.log() if "good morning" in str(entry["messages"])],
            what="the engine is asked for the next one",
        )
    stack.platform.release()
    stack.wait_settled()

    assert stack.one("select max(slots) from worker_heartbeats") == 1


def test_a_consumer_that_ends_by_itself_is_started_again(stack: Stack, gpu: Callable[..., Gpu]) -> None:
    stack.start_web()
    stack.start_dispatcher()
    one = gpu().wait()
    boot = stack.one("select boot_id from worker_heartbeats where slots > 0")
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        words = line.read_bytes().split(b"\0")
        if b"celery" in words and any(word.startswith(b"default.e1@") for word in words) and b"-I" not in words:
            os.kill(int(line.parts[2]), signal.SIGKILL)
    until(lambda: stack.one("select boot_id from worker_heartbeats where slots > 0") not in {None, boot}, what="another one", timeout_s=30)
    person = _say(stack, "hello")
    stack.wait_settled()

    assert len(stack.platform.texts_to(person.number)) == 1
    assert '"engine_lost"' not in one.process.printed()


def test_told_to_stop_it_finishes_its_turns_and_then_ends_its_engine(stack: Stack, gpu: Callable[..., Gpu]) -> None:
    stack.start_web()
    stack.start_dispatcher()
    one = gpu().wait()
    with closing(Model(one.url)) as model:
        model.script(latency_s=1.0)
        person = _say(stack, "hello")
        until(lambda: any(entry["outcome"] == "pending" for entry in model.log()), what="the turn is with the model")
    code = one.process.stop(20)
    stack.wait_settled()

    assert code == 0
    assert len(stack.platform.texts_to(person.number)) == 1
    assert stack.one(_BEATING) == 0


def test_an_engine_of_somebody_else_is_attached_to(stack: Stack) -> None:
    stack.start_web()
    stack.start_dispatcher()
    arguments = [
        "workers.gpu",
        "--profile",
        "default",
        "--engine",
        "theirs",
        "--attach",
        stack.model.url,
        "--name",
        "scripted",
        "--slots",
        "4",
    ]
    worker = stack.processes.start("gpu-theirs", arguments, stack.env)
    worker.wait_ready(lambda: bool(stack.one(_BEATING)), 40)
    person = _say(stack, "hello")
    stack.wait_settled()
    code = worker.stop(20)

    assert len(stack.platform.texts_to(person.number)) == 1
    assert code == 0
    assert _answers(stack.model.url)
