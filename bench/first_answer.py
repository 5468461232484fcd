"""From `git clone` to the model's first answer, split into install, start and answer. The model's download is not counted."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report

ROOT = Path(__file__).resolve().parent.parent
_AIM_S = 60.0
_READY = re.compile(r"^Chat page: (http://\S+)", re.MULTILINE)
_SECONDS = re.compile(r"(\d+(?:\.\d+)?) s\b")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _wait_ready(run: subprocess.Popen[bytes], log: Path, deadline_s: float) -> None:
    end = time.monotonic() + deadline_s
    while not _READY.search(log.read_text(errors="replace")):
        if run.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"make run did not get ready:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)


def _download_s(printed: str) -> float:
    """The seconds that `make run` says it took to fetch the model; 0 when the model was there."""
    for line in printed.splitlines():
        if "model" in line.lower() and "download" in line.lower() and (found := _SECONDS.search(line)):
            return float(found[1])
    return 0.0


def measure(folder: Path, model: str | None) -> dict[str, Any]:
    """Clone, install, start, ask once, stop."""
    clone, log = folder / "chinwag", folder / "run.log"
    env = {k: v for k, v in os.environ.items() if not k.startswith(("CHINWAG_", "VIRTUAL_ENV", "MAKE", "MFLAGS"))}
    # Without the better model, which would be fetched meanwhile.
    env["CHINWAG_LOCAL_FETCH"] = "no"
    began = time.monotonic()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    cloned = time.monotonic()
    subprocess.run(["make", "install"], cwd=clone, env=env, check=True, stdout=subprocess.DEVNULL)
    installed = time.monotonic()
    command = ["make", "run", f"PORT={_free_port()}", *([f"MODEL={model}"] if model else [])]
    with log.open("wb") as output:
        run = subprocess.Popen(command, cwd=clone, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        _wait_ready(run, log, 600)
        started = time.monotonic()
        send = [
            str(clone / ".venv/bin/chinwag"),
            "webhook",
            "send",
            "--account",
            "demo",
            "--text",
            "What is the capital of France?",
            "--wait",
            "60",
        ]
        answer = subprocess.run(send, cwd=clone, env=env, check=True, capture_output=True, text=True).stdout.strip()
        ended = time.monotonic()
    finally:
        with contextlib.suppress(ProcessLookupError):
            run.send_signal(signal.SIGTERM)
        try:
            run.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
    download = _download_s(log.read_text(errors="replace"))
    split = {
        "clone_s": cloned - began,
        "install_s": installed - cloned,
        "download_s": download,
        "start_s": started - installed - download,
        "answer_s": ended - started,
        "total_s": ended - began - download,
    }
    return {name: round(value, 1) for name, value in split.items()} | {"answer": answer[-200:]}


def main() -> None:
    """Measure once and write the result."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--model", help="as MODEL= of make run; default: the default of make run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder:
        result = measure(Path(folder), given.model)
    report.table([result], ["clone_s", "install_s", "download_s", "start_s", "answer_s", "total_s"])
    print(f"answer: {result['answer']}")
    report.keep("first_answer", {**result, "aim_s": _AIM_S}, given.json)
    shown = {name[:-2]: {"s": result[name]} for name in ("install_s", "start_s", "answer_s", "total_s")}
    report.bars("first_answer", "From git clone to the first answer", "s", shown, aims={"aim": _AIM_S})


if __name__ == "__main__":
    main()
