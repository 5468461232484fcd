"""The vLLM engine and its keeper on a real child process that says and does what vLLM does: start, progress, death, back-off, drain."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from inference.engines import child
from inference.engines.attached import Attached
from inference.engines.base import Reason, Step
from inference.engines.keeper import Keeper, Pauses, Watch
from inference.engines.vllm import Vllm
from inference.errors import EngineCannotStart
from tests.support.fakes import Model
from tests.support.processes import ROOT, Processes, until

_QUICK = Watch(every_s=0.05, while_loading_s=0.05, probe_s=0.2, drain_s=5, grace_s=5)
_PAUSES = {"first_s": 0.05, "longest_s": 0.2}


def _command(model: str = "tiny", *more: str) -> list[str]:
    return [sys.executable, "-m", "tests.support.fake_vllm", "serve", model, *more]


@pytest.fixture
def env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def started(tmp_path: Path, env: dict[str, str]) -> Iterator[list[Vllm]]:
    """Engines that end with the test."""
    engines: list[Vllm] = []
    yield engines
    for engine in engines:
        engine.stop(0)


def _engine(started: list[Vllm], tmp_path: Path, env: dict[str, str], model: str = "tiny", *more: str, token_s: float = 5) -> Vllm:
    engine = Vllm(_command(model, *more), log=tmp_path / "logs" / "engine.log", env=env, cwd=ROOT, token_s=token_s)
    started.append(engine)
    return engine


@dataclass
class Told:
    """A tenant that keeps what it is told."""

    steps: list[Step] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    losses: list[tuple[Reason, float]] = field(default_factory=list)
    ticks: int = 0
    left: int = 0

    def step(self, step: Step) -> None:
        self.steps.append(step)

    def ready(self, url: str) -> None:
        self.urls.append(url)

    def tick(self) -> None:
        self.ticks += 1

    def lost(self, reason: Reason, again_in_s: float) -> None:
        self.losses.append((reason, again_in_s))

    def leave(self) -> None:
        self.left += 1


def _kept(engine: Vllm | Attached, told: Told, steer: object) -> Keeper:
    """Keep the engine in this thread, as its owner does, while another thread steers."""
    keeper = Keeper(engine, told, pauses=Pauses(**_PAUSES), watch=_QUICK)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            steer(keeper)  # type: ignore[operator]  # a callable of the test
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            failed.append(error)
        finally:
            keeper.stopping.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        keeper.run()
    finally:
        keeper.stopping.set()
        thread.join()
    if failed:
        raise failed[0]
    return keeper


def _pid(url: str) -> int:
    """The process that listens at an address of this machine."""
    port = f"{httpx.URL(url).port or 0:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    inode = next(row[9] for row in rows if row[1].endswith(f":{port}") and row[3] == "0A")
    for found in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(found.readlink()) == f"socket:[{inode}]":
                return int(found.parts[2])
        except OSError:
            continue
    raise AssertionError(f"nobody listens at {url}")


def test_it_is_ready_once_a_token_came_and_tells_its_progress_until_then(started: list[Vllm], tmp_path: Path, env: dict[str, str]) -> None:
    go = tmp_path / "go"
    engine, told = _engine(started, tmp_path, {**env, "FAKE_VLLM_GO": str(go)}, "slow", "--max-num-seqs", "3"), Told()

    def steer(_: Keeper) -> None:
        until(lambda: any(step.fraction == 0 for step in told.steps), what="the first step")
        assert told.urls == []
        go.touch()
        until(lambda: told.ticks, what="the engine serves")

    _kept(engine, told, steer)
    words = [step.message for step in told.steps]

    assert told.urls == [engine.url]
    assert words[0] == "loading the weights"
    assert words[-1] == "asking for a first token"
    assert "room for 46,592 tokens of conversations" in words
    assert (engine.slots, engine.model) == (3, "slow")
    assert told.left == 1
    assert not engine.alive()


def test_a_health_page_alone_makes_no_engine_ready(started: list[Vllm], tmp_path: Path, env: dict[str, str]) -> None:
    engine, told = _engine(started, tmp_path, env), Told()
    engine.start()
    until(engine.ready, what="a token")
    with closing(Model(engine.url)) as model:
        model.script(mode="error500")

        assert httpx.get(f"{engine.url}/health").status_code == 200
        assert not engine.ready()
    assert told.urls == []


def test_one_that_dies_is_started_again_after_growing_pauses(started: list[Vllm], tmp_path: Path, env: dict[str, str]) -> None:
    engine, told = _engine(started, tmp_path, env), Told()

    def steer(_: Keeper) -> None:
        for n in range(3):
            until(lambda n=n: len(told.urls) > n, what=f"start {n}")
            os.kill(_pid(engine.url), signal.SIGKILL)
            until(lambda n=n: len(told.losses) > n, what=f"death {n}")
        until(lambda: len(told.urls) > 3, what="the last start")

    _kept(engine, told, steer)

    assert [pause for _, pause in told.losses] == [0.05, 0.1, 0.2]
    assert "killed" in told.losses[0][0].message


def test_a_crash_before_the_first_token_is_tried_again(started: list[Vllm], tmp_path: Path, env: dict[str, str]) -> None:
    once = tmp_path / "crash"
    once.touch()
    engine, told = _engine(started, tmp_path, {**env, "FAKE_VLLM_ONCE": str(once)}), Told()
    _kept(engine, told, lambda _: until(lambda: told.urls, what="the second start"))

    assert [reason.message for reason, _ in told.losses] == ["the engine crashed (signal 11)"]


def test_one_that_hangs_is_found_by_a_token_and_started_again(started: list[Vllm], tmp_path: Path, env: dict[str, str]) -> None:
    engine, told = _engine(started, tmp_path, env, token_s=0.3), Told()

    def steer(_: Keeper) -> None:
        until(lambda: told.ticks > 2, what="the engine serves")
        os.kill(_pid(engine.url), signal.SIGSTOP)
        until(lambda: len(told.urls) > 1, what="another start", timeout_s=30)

    _kept(engine, told, steer)

    assert told.losses[0][0].message == "the engine runs but answers nothing"


def test_a_busy_one_is_not_asked_for_tokens(started: list[Vllm], tmp_path: Path, env: dict[str, str]) -> None:
    engine, told = _engine(started, tmp_path, env), Told()

    def steer(_: Keeper) -> None:
        until(lambda: told.ticks, what="the engine serves")
        with closing(Model(engine.url)) as model:
            body = {"model": "tiny", "messages": [{"role": "user", "content": "count"}], "max_tokens": 5}
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                httpx.post(f"{engine.url}/v1/chat/completions", json=body).raise_for_status()
            asked = [entry["messages"][-1]["content"] for entry in model.log()]
            # A probe may come before the first of them; four would have fitted in between.
            assert asked[asked.index("count") :].count("Hi") <= 1
            idle = len(asked)
            until(lambda: len(model.log()) > idle + 1, what="tokens are asked for again")

    _kept(engine, told, steer)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("broken", "a .safetensors file of broken is damaged or incomplete"),
        ("gone", "gone has a config but no weights"),
        ("gpuless", "no GPU was found"),
    ],
)
def test_what_a_restart_cannot_mend_ends_it_at_once(
    started: list[Vllm], tmp_path: Path, env: dict[str, str], model: str, words: str
) -> None:
    engine, told = _engine(started, tmp_path, env, model), Told()

    with pytest.raises(EngineCannotStart, match=words):
        _kept(engine, told, lambda keeper: keeper.stopping.wait(10))
    assert (told.urls, told.losses, told.left) == ([], [], 1)


@pytest.mark.parametrize(
    ("model", "more", "words"),
    [
        ("tiny", ["--api-key", "k"], r"asks for a key .*CHINWAG_MODEL_KEY_FILE.*--api-key, VLLM_API_KEY"),
        ("base", [], r"does not chat as base \(status 400, its models: base\).*--chat-template"),
    ],
)
def test_one_that_runs_and_refuses_every_request_of_ours_ends_it_with_its_reason(
    started: list[Vllm], tmp_path: Path, env: dict[str, str], *, model: str, more: list[str], words: str
) -> None:
    engine, told = _engine(started, tmp_path, env, model, *more), Told()

    with pytest.raises(EngineCannotStart, match=words):
        _kept(engine, told, lambda keeper: keeper.stopping.wait(20))
    assert (told.urls, told.losses, told.left) == ([], [], 1)
    assert not engine.alive()


def test_one_with_a_key_serves_whoever_asks_with_it(started: list[Vllm], tmp_path: Path, env: dict[str, str]) -> None:
    engine = Vllm(_command("tiny", "--api-key", "k"), log=tmp_path / "engine.log", env=env, cwd=ROOT, api_key="k")
    started.append(engine)
    told = Told()
    _kept(engine, told, lambda _: until(lambda: told.ticks, what="the engine serves"))

    assert told.urls == [engine.url]


def test_a_command_that_is_not_there_says_so(started: list[Vllm], tmp_path: Path, env: dict[str, str]) -> None:
    engine = Vllm(["no-such-vllm", "serve", "m"], log=tmp_path / "engine.log", env=env)
    started.append(engine)

    with pytest.raises(EngineCannotStart, match=r"no-such-vllm cannot be started.*install vLLM"):
        _kept(engine, Told(), lambda keeper: keeper.stopping.wait(10))


def test_told_to_stop_it_waits_for_what_runs(started: list[Vllm], tmp_path: Path, env: dict[str, str]) -> None:
    engine, told = _engine(started, tmp_path, env), Told()
    answers: list[int] = []

    def ask() -> None:
        body = {"model": "tiny", "messages": [{"role": "user", "content": "wait"}], "max_tokens": 5}
        answers.append(httpx.post(f"{engine.url}/v1/chat/completions", json=body, timeout=20).status_code)

    def steer(keeper: Keeper) -> None:
        until(lambda: told.ticks, what="the engine serves")
        with closing(Model(engine.url)) as model:
            model.script(mode="hold", match="wait")
            asking = threading.Thread(target=ask)
            asking.start()
            until(lambda: model.held() == 1, what="the request is held")
            keeper.stopping.set()
            until(lambda: told.left, what="the tenant has left")
            assert engine.alive()
            model.release()
            asking.join()

    _kept(engine, told, steer)

    assert answers == [200]
    assert not engine.alive()


def test_its_log_is_told_to_hold_no_requests_and_its_door_stays_on_loopback(tmp_path: Path) -> None:
    engine = Vllm(["vllm", "serve", "m", "--enable-log-requests", "--max_num_seqs=7"], log=tmp_path / "engine.log", env={})

    assert "--enable-log-requests" not in engine.command
    assert {"--no-enable-log-requests", "--disable-uvicorn-access-log", "--shutdown-timeout"} <= set(engine.command)
    assert engine.url.startswith("http://127.0.0.1:")
    assert engine.slots == 7


def test_an_engine_of_somebody_else_is_waited_for_and_watched(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    told = Told()
    server = processes.start("model", ["inference.scripted", "--port", "0", "--flavour", "vllm", "--model", "tiny"], {})
    engine = Attached(server.wait_listening(), model="tiny", token_s=1)

    def steer(_: Keeper) -> None:
        until(lambda: told.ticks, what="it serves")
        server.kill()
        until(lambda: told.losses, what="its loss is noticed")

    try:
        _kept(engine, told, steer)
    finally:
        processes.end_all()

    assert told.steps[0].message.startswith("waiting for http://127.0.0.1")
    assert len(told.urls) == 1
    assert "cannot be reached" in told.losses[0][0].message


def test_a_key_that_is_missing_and_a_model_that_is_not_there_are_said_at_once(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    try:
        url = processes.start("model", ["inference.scripted", "--port", "0", "--model", "tiny", "--key", "k"], {}).wait_listening()
        with pytest.raises(EngineCannotStart, match="asks for a key"):
            _kept(Attached(url, model="tiny"), Told(), lambda keeper: keeper.stopping.wait(10))
    finally:
        processes.end_all()


def test_nothing_of_a_group_outlives_its_parent(tmp_path: Path, env: dict[str, str]) -> None:
    # Like an engine: a first process, and one below it that would stay.
    family = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"
    parent = (
        "import os, sys, time; from pathlib import Path; from inference.engines import child;"
        f"c = child.start([sys.executable, '-c', {family!r}], log=Path({str(tmp_path / 'log')!r}), env=dict(os.environ));"
        "print(c.process.pid, flush=True); time.sleep(600)"
    )
    processes = Processes(tmp_path)
    running = processes.start_command("parent", [sys.executable, "-c", parent], {})
    try:
        group = int(until(lambda: running.printed().strip(), what="the group's number"))
        until(lambda: len(_group(group)) == 3, what="guardian, first and second are there")
        running.kill()
        until(lambda: not _group(group), what="all have ended", timeout_s=15)
    finally:
        processes.end_all()


def _group(group: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text("ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(after_name[2]) == group and after_name[0] != "Z":
            found.append(int(stat.parts[2]))
    return found


def test_the_log_of_the_start_before_is_kept(tmp_path: Path, env: dict[str, str]) -> None:
    log = tmp_path / "engine.log"
    for word in ("first", "second"):
        running = child.start([sys.executable, "-c", f"print('{word}')"], log=log, env=env)
        running.process.wait(20)

    assert (log.read_text("utf-8"), log.with_suffix(".before.log").read_text("utf-8")) == ("second\n", "first\n")
    assert log.stat().st_mode & 0o777 == 0o600
