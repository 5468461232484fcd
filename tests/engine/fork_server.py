"""A Python that has imported vLLM, and forks the processes of engines: otherwise each of them imports it, for 8 s of a core.

Run by the engine environment's Python with the number of a Unix socket. Each message on it is a JSON object, and comes with open files:
`{"code": ...}` with one, to which the answer is written; `{"serve": [argument ...], "env": {...}, "cwd": ...}` with two, the log, and the one
that gets the process's id and later its exit code, a line each.

An engine starts its ranks by multiprocessing's `spawn`: a new Python, which imports everything again and then unpickles what it is to do.
Here a fork takes the place of the new Python, of a process that has imported everything and done nothing else yet; the rest of `spawn`, and
all of vLLM, is as it is.
"""

import contextlib
import ctypes
import fcntl
import gc
import importlib
import io
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing import util
from pathlib import Path
from typing import Any, NoReturn

import torch

_IMPORTED = (
    "vllm.entrypoints.cli.main",
    "vllm.entrypoints.cli.serve",
    "vllm.entrypoints.launchers.api_server.entry",
    "vllm.entrypoints.launchers.cli_args",
    "vllm.v1.engine.core",
    "vllm.v1.executor.multiproc_executor",
    "vllm.v1.worker.cpu_worker",
    "vllm.model_executor.layers.fused_moe.experts.cpu_moe",
)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)
_MESSAGE_BYTES = 1 << 18
_MOST_FILES = 64
#: Above all numbers that a process of vLLM gives to its files.
_HIGH = 2000


def main(listening: socket.socket) -> None:
    """Answer until nobody can ask any more. Each process of an engine leaves it as any Python ends, by SystemExit."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    # The children that watch engines are nobody's to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, files, _, _ = socket.recv_fds(listening, _MESSAGE_BYTES, _MOST_FILES)
        if not message:
            return
        if not os.fork():
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            asked = json.loads(message)
            if "code" in asked:
                with os.fdopen(files[0], "w", encoding="utf-8") as answer:
                    answer.write(json.dumps(_run(asked["code"])))
                os._exit(0)
            _watch(asked, *files)
        for file in files:
            os.close(file)


def _run(code: str) -> tuple[bool, str]:
    """Whether the code ended well, and what it printed, or why not."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(code, {"__name__": "inside"})
    except BaseException:  # noqa: BLE001 - shown by the test
        return False, traceback.format_exc()
    return True, printed.getvalue()


def _watch(asked: Mapping[str, Any], log: int, told: int) -> NoReturn:
    """Fork the engine's first process, and tell its id and its exit code."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    # What the engine leaves behind is waited for as well: not every container's first process does that for orphans.
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if child := os.fork():
        os.close(log)
        os.write(told, f"{child}\n".encode())
        with contextlib.suppress(ChildProcessError):
            while True:
                ended, status = os.wait()
                if ended == child:
                    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.setsid()
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    os.close(told)
    _become(["vllm", "serve", *asked["serve"]], asked["env"], asked["cwd"])
    sys.exit(importlib.import_module("vllm.entrypoints.cli.main").main())


def _become(argv: Sequence[str], env: Mapping[str, str], cwd: str) -> None:
    """Take on what a new process would have been given, and let what it spawns be forked off too."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = list(argv)
    # OpenMP read both when torch was imported.
    if threads := env.get("OMP_NUM_THREADS"):
        torch.set_num_threads(int(threads))
    if cores := env.get("GOMP_CPU_AFFINITY"):
        os.sched_setaffinity(0, {int(core) for core in cores.split()})
    _fork_instead_of_spawn()


def _fork_instead_of_spawn() -> None:
    """Fork a process that stays as this one is now; what multiprocessing spawns from here on is forked off that one.

    It is this process's child all the same: whoever forked it in between has ended, and this process takes its orphans.
    """
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if not os.fork():
        ours.close()
        _serve_spawns(theirs)
    theirs.close()
    spawnv = util.spawnv_passfds

    def spawn(path: str, args: Sequence[str], passfds: Sequence[int]) -> int:
        if args[-1] != "--multiprocessing-fork":
            return spawnv(path, args, passfds)
        message = {"run": args[-2], "env": dict(os.environ), "cwd": str(Path.cwd()), "files": list(passfds)}
        socket.send_fds(ours, [json.dumps(message).encode()], list(passfds))
        return int(ours.recv(64))

    util.spawnv_passfds = spawn


def _serve_spawns(listening: socket.socket) -> NoReturn:
    """Fork a child for each spawn that is asked for, and say its id."""
    while True:
        message, files, _, _ = socket.recv_fds(listening, _MESSAGE_BYTES, _MOST_FILES)
        if not message:
            os._exit(0)
        read, write = os.pipe()
        between = os.fork()
        if not between:
            if child := os.fork():
                os.write(write, str(child).encode())
                os._exit(0)
            for number in (listening.detach(), read, write):
                os.close(number)
            # Whose child it is must be settled first.
            while os.getppid() == between:
                time.sleep(0.001)
            asked = json.loads(message)
            _number(files, asked["files"])
            _become(["-c", "--multiprocessing-fork"], asked["env"], asked["cwd"])
            exec(asked["run"], {"__name__": "__main__"})
        os.waitpid(between, 0)
        listening.send(os.read(read, 64))
        for number in (read, write, *files):
            os.close(number)


def _number(files: Sequence[int], numbers: Sequence[int]) -> None:
    """Give the files the numbers that they have in the process which asked."""
    high = [fcntl.fcntl(file, fcntl.F_DUPFD, _HIGH) for file in files]
    for file in files:
        os.close(file)
    for file, number in zip(high, numbers, strict=True):
        os.dup2(file, number)
        os.close(file)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
