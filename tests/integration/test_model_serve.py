"""`chinwag model serve` as a real process: its progress in plain lines, an engine that answers, a service that uses it, and an orderly end."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from chinwag.cli.serve_progress import Progress
from chinwag.local import models
from chinwag.local.progress import Report
from chinwag.local.settings import LocalSettings
from inference.engines.base import Reason, Step
from tests.support import build
from tests.support.processes import ROOT, Processes, until
from tests.support.stack import Stack, a_free_port


@pytest.fixture
def on_path(tmp_path: Path) -> str:
    """A PATH on which `vllm` is the one that plays it."""
    program = tmp_path / "bin" / "vllm"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nPYTHONPATH='{ROOT}' exec '{sys.executable}' -m tests.support.fake_vllm \"$@\"\n", encoding="utf-8")
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).touch()
    return folder


def test_a_folder_is_served_and_its_progress_shown(tmp_path: Path, on_path: str, checkpoint: Path) -> None:
    processes, port = Processes(tmp_path), a_free_port()
    arguments = ["chinwag", "model", "serve", "--path", str(checkpoint), "--port", str(port), "--log", str(tmp_path / "engine.log")]
    serving = processes.start("serve", arguments, {"PATH": on_path})
    try:
        until(lambda: "Ready after" in serving.printed() or not serving.alive(), timeout_s=40, what="it is ready")
        models = httpx.get(f"http://127.0.0.1:{port}/v1/models").json()["data"]
        code = serving.stop(20)
    finally:
        processes.end_all()
    said = serving.printed()

    assert [model["id"] for model in models] == ["tiny"]
    assert "room for 46,592 tokens of conversations" in said
    assert f"http://127.0.0.1:{port}/v1, model tiny" in said
    assert code == 0
    assert said.splitlines()[-1] == "Stopping: running requests are finished first"


def test_with_a_worker_it_answers_the_conversations_of_its_profile(stack: Stack, tmp_path: Path, on_path: str, checkpoint: Path) -> None:
    stack.start_web()
    stack.start_dispatcher()
    arguments = ["chinwag", "model", "serve", "--path", str(checkpoint), "--port", str(a_free_port()), "--engine", "e7", "--with-worker"]
    serving = stack.processes.start("serve", [*arguments, "--", "--max-num-seqs", "5"], stack.env | {"PATH": on_path})
    serving.wait_ready(lambda: bool(stack.one("select count(*) from worker_heartbeats where slots = 5")), 60)
    person = build.a_person()
    stack.say(person, "hello")
    stack.wait_settled()
    code = serving.stop(30)

    assert len(stack.platform.texts_to(person.number)) == 1
    assert code == 0


def test_an_engine_that_cannot_start_ends_it_with_its_reason(tmp_path: Path, on_path: str, checkpoint: Path) -> None:
    processes = Processes(tmp_path)
    broken = checkpoint.rename(tmp_path / "weights")
    (tmp_path / "bin" / "vllm").write_text("#!/bin/sh\necho 'vllm: error: unrecognized arguments: --odd' >&2\nexit 2\n", encoding="utf-8")
    serving = processes.start("serve", ["chinwag", "model", "serve", "--path", str(broken), "--", "--odd"], {"PATH": on_path})
    try:
        code = serving.popen.wait(40)
    finally:
        processes.end_all()

    (line,) = serving.printed().splitlines()

    assert code == 2
    assert line.startswith("Cannot serve: after")
    assert "does not know --odd" in line


def test_a_host_after_the_first_is_started_again_when_the_first_one_went(tmp_path: Path, on_path: str) -> None:
    processes, starts = Processes(tmp_path), tmp_path / "starts"
    # As vLLM: the first time it loses its first host; then it stays.
    program = f"#!/bin/sh\necho \"$@\" >> '{starts}'\n[ $(wc -l < '{starts}') -gt 1 ] && exec sleep 600\necho 'ConnectionError: no head' >&2; exit 1\n"
    (tmp_path / "bin" / "vllm").write_text(program, encoding="utf-8")
    arguments = ["--model", "deepseek-v3", "--gpus", "16xH100", "--head", "10.1.1.1", "--node", "1", "--log", str(tmp_path / "engine.log")]
    serving = processes.start("serve", ["chinwag", "model", "serve", *arguments], {"PATH": on_path})
    try:
        until(lambda: starts.exists() and len(starts.read_text("utf-8").splitlines()) == 2, timeout_s=40, what="the second start")
        code = serving.stop(20)
    finally:
        processes.end_all()

    assert "--headless" in starts.read_text("utf-8").splitlines()[1]
    assert "Lost: the engine ended with code 1: ConnectionError: no head; restarting in 1 s" in serving.printed()
    assert code == 0


@pytest.mark.parametrize(
    "gpus", [["--gpus", "8xH200"], ["--gpus", "16xH100", "--head", "10.1.1.1", "--node", "1"]], ids=["one host", "second host"]
)
def test_a_plan_for_gpus_is_not_tried_on_the_vllm_for_cpus(tmp_path: Path, gpus: list[str]) -> None:
    cpus = tmp_path / "venv" / "bin" / "vllm"
    cpus.parent.mkdir(parents=True)
    cpus.write_text(f"#!/bin/sh\necho > '{tmp_path / 'started'}'\n", encoding="utf-8")
    cpus.chmod(0o755)
    processes = Processes(tmp_path)
    arguments = ["chinwag", "model", "serve", "--model", "deepseek-v3", *gpus, "--log", str(tmp_path / "engine.log")]
    serving = processes.start("serve", arguments, {"PATH": str(tmp_path), "CHINWAG_ENGINE_VENV": str(tmp_path / "venv")})
    try:
        code = serving.popen.wait(40)
    finally:
        processes.end_all()

    assert code == 2
    assert "vllm cannot be started (No such file or directory): install vLLM on this host" in serving.printed()
    assert not (tmp_path / "started").exists()


def test_a_model_file_is_served_by_llama_cpp_which_comes_back_when_killed(tmp_path: Path) -> None:
    file = models.find(
        LocalSettings.from_env(dict(os.environ) | {"MODEL": "tiny", "MODEL_URL": "", "MODEL_NAME": ""}), Report(sys.stderr)
    ).path
    processes, port = Processes(tmp_path), a_free_port()
    arguments = ["--path", str(file), "--name", "small", "--port", str(port), "--context", "2048", "--log", str(tmp_path / "engine.log")]
    serving = processes.start("serve", ["chinwag", "model", "serve", *arguments], {})
    body = {"model": "small", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}
    try:
        until(lambda: "Ready after" in serving.printed() or not serving.alive(), timeout_s=60, what="it is ready")
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body, timeout=60).json()["choices"][0]["message"][
            "content"
        ]
        os.kill(_pid_of("inference.engines.llamacpp", str(port)), signal.SIGKILL)
        until(lambda: serving.printed().count("Ready after") == 2 or not serving.alive(), timeout_s=60, what="it is ready again")
        code = serving.stop(30)
    finally:
        processes.end_all()

    assert answer.strip()
    assert "Lost: llama.cpp ended with code -9; restarting in 1 s" in serving.printed()
    assert f"http://127.0.0.1:{port}/v1, model small" in serving.printed()
    assert code == 0


def test_a_file_that_is_no_model_ends_it_with_llama_cpps_reason(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF and then nothing")
    processes = Processes(tmp_path)
    arguments = ["--path", str(tmp_path / "model.gguf"), "--port", str(a_free_port()), "--log", str(tmp_path / "engine.log")]
    serving = processes.start("serve", ["chinwag", "model", "serve", *arguments], {})
    try:
        code = serving.popen.wait(60)
    finally:
        processes.end_all()
    (line,) = serving.printed().splitlines()

    assert code == 2
    assert "model.gguf: llama.cpp cannot serve it" in line


def _pid_of(*words: str) -> int:
    """The process whose own command line holds these words; its guardian's holds them too, behind the guardian's file."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = file.read_bytes().decode(errors="replace").split("\0")
            if set(words) <= set(line) and not any(word.endswith("child.py") for word in line):
                return int(file.parts[2])
    raise AssertionError(f"no process is called {words}")


def test_away_from_a_terminal_each_step_and_each_tenth_is_a_line() -> None:
    out = io.StringIO()
    progress = Progress("http://engine/v1", out=out)
    for fraction in (0.0, 0.01, 0.5, 0.55, 1.0):
        progress.step(Step(message="loading the weights", fraction=fraction))
    progress.step(Step(message="weights loaded in 9 s"))
    progress.ready("http://engine")
    progress.lost(Reason(message="it crashed"), 2.0)

    assert out.getvalue().splitlines() == [
        "loading the weights: 0 %",
        "loading the weights: 50 %",
        "loading the weights: 100 %",
        "weights loaded in 9 s",
        "Ready after 0 s: http://engine/v1",
        "Lost: it crashed; restarting in 2 s",
    ]


def test_on_a_terminal_there_is_a_bar_that_goes_when_it_is_ready() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    progress = Progress("http://engine/v1", out=out)
    with progress:
        progress.step(Step(message="loading the weights", fraction=0.5))
        progress.step(Step(message="compiling"))
        progress.ready("http://engine")

    assert "loading the weights" in out.getvalue()
    assert "Ready after 0 s: http://engine/v1" in out.getvalue()
