"""`make run ENGINE=vllm` on real vLLM: the stack comes up with an engine of its own, a person is answered, and all of it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT, Process, Processes, until


@pytest.fixture
def stack(checkpoints: Path, tmp_path: Path) -> Iterator[Process]:
    """`chinwag run` as make starts it, on a folder with a checkpoint."""
    processes = Processes(tmp_path)
    # Each byte is a token here: a short answer keeps the test short.
    env = {"ENGINE": "vllm", "MODEL": str(checkpoints / "llama4"), "PORT": "0", "CHINWAG_LOCAL_DATA": str(tmp_path / "data")}
    running = processes.start("run", ["chinwag", "run"], env | {"CHINWAG_ANSWER_TOKENS": "12"})
    yield running
    running.stop(30)
    processes.end_all()


def _chinwag(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"CHINWAG_LOCAL_DATA": str(tmp_path / "data")}
    return subprocess.run([sys.executable, "-m", "chinwag", *arguments], env=env, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_person_is_answered_by_vllm_through_the_whole_stack_and_nothing_is_left_afterwards(
    stack: Process, checkpoints: Path, tmp_path: Path
) -> None:
    # Other engines may run on this machine: ours is the one with this folder.
    folder = str(checkpoints / "llama4")
    # The page comes first; the engine's steps follow.
    until(lambda: "served by vLLM" in stack.printed() or not stack.alive(), timeout_s=600, what="the stack is up", every_s=0.5)
    said = stack.printed()
    sent = _chinwag(tmp_path, "webhook", "send", "--account", "demo", "--text", "hello", "--wait", "200")
    port = re.search(r"--port (\d+)", " ".join(_commands("vllm", "serve", folder)))
    code = stack.stop(30)

    assert "Engine        ready" in said
    assert "Chat model    room for" in said
    assert "llama4 answers, served by vLLM on this machine's CPU" in said
    assert (sent.returncode, bool(sent.stdout.strip())) == (0, True), sent.stdout + sent.stderr
    assert port is not None
    assert code == 0
    assert stack.popen.returncode != -signal.SIGKILL
    until(lambda: not any(port[1] in line for line in _commands("vllm", "serve", folder)), what="the engine has ended")


def _commands(*words: str) -> list[str]:
    """The command lines on this machine that contain these words."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if all(word in line for word in words):
            found.append(line)
    return found
