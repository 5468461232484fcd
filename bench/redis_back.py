"""How soon after Redis is back somebody who wrote meanwhile is answered, for outages of several lengths; the model takes no time.

Beside it stands by how much kombu's own pauses (2 s, 4 s, and so on to 30 s) would have slept past the return alone, by arithmetic.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from chinwag.local.redis import start_redis
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import WINDOWS, Stack

_OUTAGES_S = (2.0, 7.0, 15.0, 33.0)
_WRITES_AFTER_S = 1.0
_AIM_S = 2.0
_ANSWERED = "select count(*) from turns where state = 'answered'"


def _measure(cluster: Cluster, outage_s: float) -> float:
    """Seconds from the start of the new Redis to the stored answer."""
    with tempfile.TemporaryDirectory() as folder, Stack(cluster, Path(folder), settings=WINDOWS) as stack:
        stack.start_web()
        stack.start_dispatcher()
        stack.start_worker()
        stack.say(build.a_person(), "Are you there?")
        stack.wait_settled()
        stack.redis.child.process.kill()
        stack.redis.child.process.wait(10)
        # A task that still runs would answer what is written now, and needs no Redis for that.
        time.sleep(_WRITES_AFTER_S)
        stack.say(build.a_person(), "And now?")
        time.sleep(outage_s - _WRITES_AFTER_S)
        assert stack.one(_ANSWERED) == 1, "answered without Redis"
        began = time.monotonic()
        back = start_redis(stack.folder / "redis")
        try:
            until(lambda: stack.one(_ANSWERED) == 2, timeout_s=60, what="whoever wrote meanwhile is answered", every_s=0.02)
            return time.monotonic() - began
        finally:
            back.stop()


def _slept_by_kombu(outage_s: float) -> float:
    """How long after the return the first try would come with pauses of 2 s, 4 s and so on, at most 30 s."""
    tries = itertools.accumulate(min(2.0 * n, 30.0) for n in itertools.count(1))
    return next(at for at in tries if at >= outage_s) - outage_s


def main() -> int:
    """Measure each outage, print and keep; 1 if one is over the aim."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder), as_shipped=False) as cluster:
        for outage_s in _OUTAGES_S:
            # Not always at the same place of the pauses.
            took = [_measure(cluster, outage_s + 0.37 * n) for n in range(given.rounds)]
            rows.append(
                {
                    "outage s": outage_s,
                    "back to answer, s": statistics.median(took),
                    "longest, s": max(took),
                    "kombu's pauses alone, s": _slept_by_kombu(outage_s),
                }
            )
            report.table(rows[-1:], list(rows[-1]))
    report.keep("redis_back", {"rows": rows, "aim_s": _AIM_S, "rounds": given.rounds}, given.json)
    return int(any(row["longest, s"] > _AIM_S for row in rows))


if __name__ == "__main__":
    sys.exit(main())
