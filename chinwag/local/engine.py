"""vLLM on this machine's CPU: its environment, the model in a form that vLLM serves, and how it is started."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chinwag.local import choices, models
from chinwag.local.processes import CannotStart, start
from chinwag.local.progress import Report
from chinwag.local.settings import ROOT, LocalSettings, checkout_of_this_python

#: Requests at once: two cores write no faster for more.
SLOTS = 16
#: GiB for conversations; 46,000 tokens of the tiny model, 87,000 of the small one.
_KV_GIB = 1
_CONTEXT = 8192
#: Settings of the service for it, unless the person chose others: a CPU is slow, and people go before batches.
SETTINGS = {
    "CHINWAG_BATCH_RESERVE": "4",
    "CHINWAG_MODEL_FIRST_TOKEN_S": "60",
    "CHINWAG_MODEL_SILENCE_S": "30",
    "CHINWAG_MODEL_TOTAL_S": "150",
}
_NAME = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model in the form that vLLM serves: a folder with config.json and safetensors."""

    name: str
    folder: Path


def venv() -> Path:
    """The environment that vLLM is installed in."""
    given = os.environ.get("CHINWAG_ENGINE_VENV", "")  # the installer's own variable
    return Path(given) if given else checkout_of_this_python() / ".venv-engine"


def check(settings: LocalSettings) -> None:
    """Raise CannotStart at once for a MODEL= that vLLM can never serve."""
    folder = _folder(settings)
    if folder is None:
        models.check(settings)
    elif not any((folder / name).is_file() for name in ("config.json", "params.json")):
        raise CannotStart(f"MODEL={folder} has no config.json: give the folder of a whole checkpoint, a .gguf file, or tiny")
    elif not any(folder.glob("*.safetensors")):
        raise CannotStart(f"MODEL={folder} has no .safetensors file: fetch its weights, or give another folder")


def install(report: Report, logs: Path) -> None:
    """Install vLLM if it is missing; the size is printed first. Raises CannotStart."""
    script = ROOT / "chinwag" / "local" / "install_engine.py"
    _run([sys.executable, "-I", str(script)], "Engine install", logs, report)


def prepare(settings: LocalSettings, report: Report, logs: Path) -> Checkpoint:
    """The model in a form that vLLM serves: a folder unchanged, a GGUF file converted once into the cache. Raises CannotStart."""
    folder = _folder(settings)
    if folder is not None:
        return Checkpoint(name=_NAME.sub("-", folder.name.lower()).strip("-.") or "model", folder=folder)
    began = time.monotonic()
    model = models.find(settings, report)
    if model.fetched:
        report.done("Download", f"{model.path.name}, stored in {model.path.parent}", time.monotonic() - began)
    facts = model.path.stat()
    # A file of the person's own may be replaced by another of the same name and even size; the known ones never change.
    changed = "" if _is_known(settings) else f"-{facts.st_mtime_ns:x}"
    folder = settings.cache / "engine" / f"{model.path.stem}-{facts.st_size:x}{changed}"
    if not (folder / "config.json").is_file():
        report.line(f"{'Convert':<14}{model.path.name} for vLLM, once; about a minute")
        command = [str(venv() / "bin" / "python"), str(ROOT / "chinwag" / "local" / "convert.py"), str(model.path), str(folder)]
        _run(command, "Convert", logs, None)
        report.done("Convert", f"stored in {folder}", time.monotonic() - began)
    return Checkpoint(name=model.name, folder=folder)


def command(checkpoint: Checkpoint, *, port: int) -> list[str]:
    """The command that serves a checkpoint on this machine's CPU."""
    return [
        str(venv() / "bin" / "vllm"),
        "serve",
        str(checkpoint.folder),
        *("--served-model-name", checkpoint.name, "--host", "127.0.0.1", "--port", str(port)),
        *("--max-num-seqs", str(SLOTS), "--max-model-len", str(_context(checkpoint.folder))),
        # Blocks of 128, the CPU's default, find no prefix shorter than that.
        *("--block-size", "32"),
        # Compiling takes a minute more at each start, and makes two cores little faster.
        "--enforce-eager",
        *("--enable-prompt-tokens-details", "--scheduling-policy", "priority"),
    ]


def program(argv: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """A command with the installed vLLM: the one on the path, else the one in the CPU's own environment, with the variables that it needs."""
    own = venv() / "bin" / "vllm"
    if argv[0] != "vllm" or shutil.which("vllm") or not own.exists():
        return list(argv), {}
    return [str(own), *argv[1:]], cpu_env()


def cpu_env() -> dict[str, str]:
    """The variables that vLLM needs on a CPU: it uses all cores that this process may use, and no network."""
    cores = sorted(os.sched_getaffinity(0))
    return {
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": str(_KV_GIB),
        # By default it leaves a core to its HTTP server, which idles with a small model.
        "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, cores)),
        "OMP_NUM_THREADS": str(len(cores)),
    }


def _is_known(settings: LocalSettings) -> bool:
    return not settings.model or settings.model in choices.choices()


def _folder(settings: LocalSettings) -> Path | None:
    """The folder that MODEL= names, if it names one."""
    if _is_known(settings) or settings.model.startswith("hf:"):
        return None
    path = Path(settings.model).expanduser().resolve()
    return path if path.is_dir() else None


def _context(folder: Path) -> int:
    """As much as the model supports, and no more than conversations here need."""
    try:
        found = re.search(r'"max_position_embeddings":\s*(\d+)', (folder / "config.json").read_text("utf-8"))
    except OSError:
        found = None
    return min(_CONTEXT, int(found[1])) if found else _CONTEXT


def _run(command: Sequence[str], name: str, logs: Path, report: Report | None) -> None:
    """Run a step to its end; its lines go to the log, and to the report if one is given. Raises CannotStart with its last line."""
    log = logs / f"{name.lower().replace(' ', '-')}.log"
    log.unlink(missing_ok=True)
    child = start(command, name=name, log=log)
    told = 0
    while True:
        alive = child.is_alive()
        lines = log.read_text("utf-8", errors="replace").splitlines(keepends=True)
        whole = [line.rstrip("\n") for line in lines if line.endswith("\n") or not alive]
        if report is not None and (alive or child.process.returncode == 0):
            for line in whole[told:]:
                report.line(line)
        told = len(whole)
        if not alive:
            break
        time.sleep(0.1)
    if child.process.returncode != 0:
        raise CannotStart(
            child.last_words().removeprefix("Cannot install: ").removeprefix("Cannot convert: ") or f"{name} failed (log: {log})"
        )
