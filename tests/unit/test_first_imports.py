"""Every module can be the first of ours that a process imports: a command imports one, and the tests' fork server, which has imported all, would hide a circle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("bots", "chinwag", "inference", "wire", "workers")
#: Reads the environment when it is imported.
_ACTS = "workers.app"
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


def _modules() -> list[str]:
    files = (path.relative_to(_ROOT) for package in _PACKAGES for path in (_ROOT / package).rglob("*.py"))
    return sorted(".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files)


def test_every_module_can_be_imported_first() -> None:
    names = [name for name in _modules() if name != _ACTS]
    command = [sys.executable, "-c", _PROGRAM, *names]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert len(names) > 200
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
