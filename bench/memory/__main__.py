"""One measurement of the memory: `python -m bench.memory NAME ...`; `NAME --help` says what it takes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_NAMES = sorted(
    file.stem for file in Path(__file__).parent.glob("*.py") if "def main(" in file.read_text(encoding="utf-8") and file.stem != "__main__"
)


def main() -> int:
    """Run the named measurement."""
    if len(sys.argv) < 2 or sys.argv[1] not in _NAMES:
        sys.stderr.write(f"usage: python -m bench.memory {{{','.join(_NAMES)}}} ...\n")
        return 2
    sys.argv = [f"python -m bench.memory {sys.argv[1]}", *sys.argv[2:]]
    return importlib.import_module(f"bench.memory.{sys.argv[0].rsplit(' ', 1)[1]}").main()


if __name__ == "__main__":
    sys.exit(main())
