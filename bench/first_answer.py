"""From `git clone` to the model's first answer, split into install, start and answer. The model's download is not counted."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import clone, report
from chinwag.local.ports import free_port
from tests.support.processes import until

_AIM_S = 60.0
_READY = re.compile(r"^Chat page: (http://\S+)", re.MULTILINE)
_SECONDS = re.compile(r"(\d+(?:\.\d+)?) s\b")


def _download_s(printed: str) -> float:
    """The seconds that `make run` says it took to fetch the model; 0 when the model was there."""
    for line in printed.splitlines():
        if "model" in line.lower() and "download" in line.lower() and (found := _SECONDS.search(line)):
            return float(found[1])
    return 0.0


def measure(folder: Path, model: str | None) -> dict[str, Any]:
    """Clone, install, start, ask once, stop."""
    place, log = folder / "chinwag", folder / "run.log"
    began = time.monotonic()
    clone.make(place)
    cloned = time.monotonic()
    clone.install(place)
    installed = time.monotonic()
    with clone.running(place, log, f"PORT={free_port()}", *([f"MODEL={model}"] if model else [])) as run:
        until(lambda: _READY.search(log.read_text(errors="replace")) or run.poll() is not None, timeout_s=600, what="make run is ready")
        if run.poll() is not None:
            raise clone.not_ready(log)
        started = time.monotonic()
        asked = ["--account", "demo", "--text", "What is the capital of France?", "--wait", "60"]
        send = [str(place / ".venv/bin/chinwag"), "webhook", "send", *asked]
        answer = subprocess.run(send, cwd=place, env=clone.env(), check=True, capture_output=True, text=True).stdout.strip()
        ended = time.monotonic()
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
