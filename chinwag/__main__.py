"""`python -m chinwag`."""

from __future__ import annotations

import sys

from chinwag.cli import main

if __name__ == "__main__":
    sys.exit(main())
