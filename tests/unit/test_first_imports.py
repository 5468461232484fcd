"""A process can begin with each module that starts one: the tests' fork server has imported all of them, which would hide a circle of imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("bots", "chinwag", "inference", "workers")
#: What workers.app, which reads the environment when it is imported, imports once it runs.
_TASKS = "workers.tasks"
#: Imported once for all, since they take most of the time; none of them imports ours.
_OTHERS = ("celery", "fastapi", "httpx", "jinja2", "msgspec", "psycopg", "sqlalchemy", "structlog", "typer", "uvicorn")
_PROGRAM = f"""
import importlib, os, sys
for name in {_OTHERS}:
    importlib.import_module(name)
for name in sys.argv[1:]:
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    try:
        importlib.import_module(name)
    except BaseException as error:
        print(f"{{name}}: {{type(error).__name__}}: {{error}}", flush=True)
    os._exit(0)
"""


def _first_modules() -> list[str]:
    """The modules of commands, each imported when its command runs, and those that run as `__main__`."""
    files = (path for package in _PACKAGES for path in (_ROOT / package).rglob("*.py"))
    starts = [path for path in files if path.parent.name == "cli" or '__name__ == "__main__"' in path.read_text("utf-8")]
    return [".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__") for path in starts]


def test_each_module_that_starts_a_process_can_be_imported_first() -> None:
    names = [*_first_modules(), _TASKS]
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *names], cwd=_ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert len(names) > 40
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
