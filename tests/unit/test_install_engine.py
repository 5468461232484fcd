"""The lock of the CPU engine, and what its installer says where it cannot install."""

from __future__ import annotations

import re
import subprocess
import sys

from chinwag.local import install, install_engine

_LOCK = (install.ROOT / "requirements-engine-cpu.lock").read_text(encoding="utf-8")


def _failed(said: str) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess(["pip"], 1, stdout="", stderr=said)


def test_every_package_of_the_lock_has_its_sums() -> None:
    packages = re.split(r"\n(?=[A-Za-z])", re.sub(r"^#.*\n", "", _LOCK, flags=re.MULTILINE).strip())

    assert len(packages) > 140
    assert [package for package in packages if not re.search(r"^\S+==\S+.*\\\n    --hash=sha256:[0-9a-f]{64}", package)] == []


def test_the_lock_names_no_host_and_no_place_on_a_machine() -> None:
    assert re.findall(r"https?://\S+|file:\S+|^-\S+|\s/\S+", _LOCK, re.MULTILINE) == []


def test_the_lock_has_neither_of_the_companions_that_break_the_import() -> None:
    assert re.findall(r"^(torchaudio|torchcodec|nvidia\S*)==", _LOCK, re.MULTILINE) == []


def test_without_torchs_cpu_build_it_says_where_pip_may_be_told_to_look() -> None:
    said = "ERROR: Could not find a version that satisfies the requirement torch==2.13.0+cpu (from versions: 2.12.0, 2.13.0)\n"
    reason = install_engine.pip_reason(_failed(said + "ERROR: No matching distribution found for torch==2.13.0+cpu\n"))

    assert reason.startswith(f"pip finds no torch 2.13.0+cpu for Python {sys.version_info[0]}.{sys.version_info[1]}: ")
    assert "PIP_EXTRA_INDEX_URL" in reason


def test_a_full_disk_is_named_with_what_is_needed() -> None:
    assert "the disk is full; free 5 GB" in install_engine.pip_reason(_failed("OSError: [Errno 28] No space left on device"))
