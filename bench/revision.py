"""Another revision of this repository beside this one: a worktree of its own with an environment of its own, kept for the next time."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Where the trees of other revisions are kept; git does not see it.
_KEPT = ROOT / ".chinwag" / "revisions"


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A checked-out revision, and the Python of its environment."""

    name: str
    folder: Path
    python: Path

    def run(self, script: Path, arguments: list[str]) -> str:
        """Run a script of this revision on that one's code, and return what it printed. Raises CalledProcessError."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("CHINWAG_")} | {"PYTHONPATH": str(self.folder)}
        done = subprocess.run([self.python, script, *arguments], cwd=self.folder, env=env, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout


def here() -> Tree:
    """Give this revision as it is, with changes that are not committed."""
    return Tree(name="here", folder=ROOT, python=Path(sys.executable))


def tree(revision: str) -> Tree:
    """A revision by any name that git knows. Made at the first time, which takes a minute. Raises CalledProcessError."""
    commit = _git("rev-parse", "--short=12", f"{revision}^{{commit}}")
    folder = _KEPT / commit
    if not folder.exists():
        _git("worktree", "prune")
        _git("worktree", "add", "--detach", str(folder), commit)
    install = [sys.executable, "-I", str(folder / "chinwag" / "local" / "install.py"), "--test"]
    subprocess.run(install, cwd=folder, check=True, stdout=sys.stderr)
    return Tree(name=revision, folder=folder, python=folder / ".venv" / "bin" / "python")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
