"""Our vLLM engine on real vLLM: progress, the first token, a restart, a drain; and why it does not start, by vLLM's own log.

More such logs, recorded once, are in tests/corpus/vllm: a start of the real one takes half a minute.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from chinwag.local.engine import cpu_env
from inference.engines.asking import in_flight, work_done
from inference.engines.base import Reason, Step
from inference.engines.keeper import Keeper, Pauses, Watch
from inference.engines.vllm import Vllm
from inference.errors import EngineCannotStart
from tests.engine.serving import ONE_RANK, VENV
from tests.support.processes import until

_START_S = 400.0
_WORDS = "canary words of a person"
_ARGUMENTS = ("--enforce-eager", "--block-size", "32", "--max-num-seqs", "4", "--dtype", "float32", "--enable-prompt-tokens-details")
#: Tokens of an answer that takes some seconds, so that it is still running when somebody looks.
_LONG = 1_200


@dataclass
class Told:
    """A tenant that remembers what it is told."""

    steps: list[Step] = field(default_factory=list)
    ready_at: list[float] = field(default_factory=list)
    losses: list[Reason] = field(default_factory=list)
    left: list[float] = field(default_factory=list)

    def step(self, step: Step) -> None:
        self.steps.append(step)

    def ready(self, url: str) -> None:
        # A request is answered from here on.
        httpx.post(f"{url}/v1/chat/completions", json=_question(1), timeout=60).raise_for_status()
        self.ready_at.append(time.monotonic())

    def tick(self) -> None:
        pass

    def lost(self, reason: Reason, again_in_s: float) -> None:
        self.losses.append(reason)

    def leave(self) -> None:
        self.left.append(time.monotonic())


def _question(tokens: int) -> dict[str, object]:
    return {"model": "tiny", "messages": [{"role": "user", "content": _WORDS}], "max_tokens": tokens, "ignore_eos": True}


def _engine(model: Path, folder: Path, *more: str, **env: str) -> Vllm:
    command = [
        str(VENV / "bin" / "vllm"),
        "serve",
        str(model),
        "--served-model-name",
        "tiny",
        "--max-model-len",
        "2048",
        *_ARGUMENTS,
        *more,
    ]
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("CHINWAG_", "VLLM_", "PYTEST", "PYTHONDONTWRITEBYTECODE", "COV"))
    }
    return Vllm(command, log=folder / "engine.log", env=kept | cpu_env() | ONE_RANK | env, cwd=folder)


def _keep(engine: Vllm, told: Told, steer: Callable[[Keeper], None]) -> None:
    """Keep the engine up in this thread, as its owner does, while another thread steers."""
    keeper = Keeper(engine, told, pauses=Pauses(first_s=0.1), watch=Watch(drain_s=60, grace_s=60))
    failed: list[BaseException] = []

    def run() -> None:
        try:
            steer(keeper)
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


def _processes(engine: Vllm) -> list[int]:
    """Every process of its group."""
    found = []
    child = engine._child  # noqa: SLF001 - a test that nothing is left behind must know whose
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if child is not None and int(fields[2]) == child.process.pid and fields[0] != "Z":
            found.append(int(stat.parts[2]))
    return found


def test_it_tells_its_progress_is_ready_with_a_token_comes_back_when_killed_and_ends_after_what_runs(
    checkpoints: Path, tmp_path: Path
) -> None:
    engine, told = _engine(checkpoints / "llama4", tmp_path), Told()
    answers: list[int] = []
    figures: list[float] = []

    def ask() -> None:
        answer = httpx.post(f"{engine.url}/v1/chat/completions", json=_question(_LONG), timeout=120)
        answers.append(answer.json()["usage"]["completion_tokens"])

    def steer(keeper: Keeper) -> None:
        until(lambda: told.ready_at, timeout_s=_START_S, what="it is ready", every_s=0.2)
        # The engine core, not the API server, which then ends by itself, as it would after a segmentation fault in a kernel.
        core = next(pid for pid in _processes(engine) if b"EngineCore" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(core, signal.SIGKILL)
        until(lambda: len(told.ready_at) == 2, timeout_s=_START_S, what="it is ready again", every_s=0.2)
        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: in_flight(engine.metrics()) == 1, timeout_s=60, what="a request runs")
        keeper.stopping.set()
        asking.join()
        figures.append(work_done(engine.metrics()))

    _keep(engine, told, steer)
    words = [step.message for step in told.steps]

    assert "loading the weights" in words
    assert any(step.fraction == 1.0 for step in told.steps)
    assert any("tokens of conversations" in word for word in words)
    assert len(told.losses) == 1
    assert answers == [_LONG]
    assert figures[0] > _LONG
    assert _processes(engine) == []
    # Nothing that a person wrote is in the log, and no line for a request.
    assert _WORDS not in engine.log.read_text("utf-8")
    assert "/v1/chat/completions HTTP" not in engine.log.read_text("utf-8")


@pytest.fixture
def spoilt(checkpoints: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a checkpoint, damaged where the test says so."""

    def spoil(how: str) -> Path:
        folder = tmp_path / how
        shutil.copytree(checkpoints / "llama4", folder)
        if how == "cut":
            with (folder / "model.safetensors").open("r+b") as file:
                file.truncate(100_000)
        return folder

    return spoil


@pytest.mark.parametrize(
    ("how", "more", "env", "words"),
    [
        ("whole", ["--no-such-flag"], {}, "this vLLM does not know --no-such-flag"),
        ("missing", [], {}, "is neither an existing folder nor a name on the model hub"),
        ("cut", [], {}, r"a \.safetensors file of .* is damaged or incomplete"),
        ("whole", [], {"VLLM_CPU_KVCACHE_SPACE": "4000"}, "of this host's memory are free"),
    ],
    ids=["flag", "missing", "cut", "memory"],
)
def test_why_it_does_not_start_is_said_in_one_line(
    spoilt: Callable[[str], Path], tmp_path: Path, *, how: str, more: list[str], env: dict[str, str], words: str
) -> None:
    folder = tmp_path / "missing" if how == "missing" else spoilt(how)
    engine = _engine(folder, tmp_path, *more, **env)

    with pytest.raises(EngineCannotStart, match=words) as raised:
        _keep(engine, Told(), lambda keeper: bool(keeper.stopping.wait(_START_S)) and None)
    assert "\n" not in str(raised.value)
    assert _processes(engine) == []


def test_a_port_that_is_taken_is_said(checkpoints: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        engine = _engine(checkpoints / "llama4", tmp_path, "--port", str(port))

        with pytest.raises(EngineCannotStart, match=f"port {port} is taken"):
            _keep(engine, Told(), lambda keeper: bool(keeper.stopping.wait(_START_S)) and None)
