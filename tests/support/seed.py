"""The one seed of a run: it drives kill schedules, shuffles and the order of the tests."""

from __future__ import annotations

import os
from collections.abc import Mapping


def the_seed(env: Mapping[str, str]) -> int:
    """The seed of this run: SEED or CHINWAG_TEST_SEED, else a fresh one."""
    given = env.get("CHINWAG_TEST_SEED") or env.get("SEED")
    return int(given) if given else int.from_bytes(os.urandom(4), "big")
