"""`chinwag --help` loads no command, and says what the commands themselves say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chinwag.cli import build, outline

_ROOT = Path(__file__).parents[2]
_LOADED = "import sys\nfrom chinwag.cli import main\ntry: main()\nexcept SystemExit: pass\nprint(*sorted(sys.modules), file=sys.stderr)"
#: Each takes longer to import than the help may take to print.
_LARGE = {"sqlalchemy", "psycopg", "httpx", "celery", "fastapi", "redis", "rich", "bots.storage", "inference"}


@pytest.mark.parametrize("arguments", [["--help"], [], ["nothing-of-that-name"]], ids=["help", "none", "unknown"])
def test_a_list_of_commands_loads_none_of_them(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", _LOADED, *arguments], cwd=_ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stderr.splitlines()[-1].split())

    assert "chinwag.cli" in loaded
    assert not loaded & _LARGE
    assert not {name for name in loaded if name.startswith("chinwag.cli.")}


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_list_says_of_each_command_what_the_command_says(width: int) -> None:
    listed, loaded = (
        CliRunner().invoke(app, ["--help"], env={"COLUMNS": str(width)}, terminal_width=width).output for app in (outline(), build())
    )

    assert "fake-platform" in listed
    assert listed == loaded


def test_a_command_behind_the_list_is_loaded_when_it_is_named() -> None:
    said = [CliRunner().invoke(app, ["profile", "set", "--help"]).output for app in (outline(), build("profile"))]

    assert "ENDPOINT" in said[0].upper()
    assert said[0] == said[1]
