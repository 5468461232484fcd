"""What becomes of answers while a platform is down or throttles, at a fifth of the size: `python -m bench.outages`.

People write during four fifths of the trouble, and each answer has a time of two waits for reports and a minute to arrive by itself.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from bots.settings import Settings
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.stack import WINDOWS, Stack

_SCALE = 5.0
#: In seconds, before they are scaled.
_SETTINGS = {"CHINWAG_RECONCILE_S": 90, "CHINWAG_SEND_DEADLINE_S": 15, "CHINWAG_PROBE_LONGEST_S": 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    name: str
    fault: dict[str, Any]
    seconds: float
    people: int
    #: Throttles are not shortened: their pauses are the platform's.
    scale: float = _SCALE


_TROUBLES = (
    _Trouble(name="HTTP 503 for 150 s", fault={"fault": "503"}, seconds=150, people=60),
    _Trouble(name="connections closed for 180 s", fault={"fault": "close"}, seconds=180, people=40),
    _Trouble(name="HTTP 500 for 100 s", fault={"fault": "500"}, seconds=100, people=40),
    _Trouble(name="130429 for 40 s", fault={"fault": "130429"}, seconds=40, people=60, scale=1.0),
    _Trouble(name="130429 for 40 s, all at once", fault={"fault": "130429"}, seconds=40, people=60, scale=1.0),
)


def _measure(cluster: Cluster, trouble: _Trouble) -> dict[str, Any]:
    # So that an earlier version can be measured, too.
    known = Settings.__dataclass_fields__
    ours = {name: str(value / trouble.scale) for name, value in _SETTINGS.items() if name.removeprefix("CHINWAG_").lower() in known}
    ours |= {"CHINWAG_WORKER_SLOTS": "64", "CHINWAG_TASK_RUN_S": "20"}
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(cluster, Path(folder), settings=WINDOWS | ours) as stack,
    ):
        stack.start_web()
        stack.start_dispatcher()
        stack.start_worker()
        lasts, people = trouble.seconds / trouble.scale, [build.a_person() for _ in range(trouble.people)]
        stack.platform.script(trouble.fault | {"always": True})
        began = time.monotonic()
        pause = 0.0 if trouble.name.endswith("at once") else 0.8 * lasts / len(people)
        for n, person in enumerate(people):
            _sleep_until(began + n * pause)
            stack.say(person, "hello")
        _sleep_until(began + lasts)
        refused = len([one for one in stack.platform.log() if one["kind"] == "message" and one["outcome"] == "refused"])
        stack.platform.unscript()
        end = time.monotonic() + 2 * float(ours["CHINWAG_RECONCILE_S"]) + 60
        while len(_received(stack)) < len(people) and time.monotonic() < end and _is_open(stack):
            # Each look reads the whole log of the platform, on the cores that are measured.
            time.sleep(0.2)
        took = time.monotonic() - began - lasts
        received = _received(stack)
        return {
            "trouble": trouble.name,
            "people": len(people),
            "never sent": len(people) - len(received),
            "twice": sum(count > 1 for count in received.values()),
            "refused requests": refused,
            "healed to all settled, s": took,
        }


def _received(stack: Stack) -> Counter[str]:
    return Counter(one["to"] for one in stack.platform.log() if one["kind"] == "message" and one["outcome"] == "accepted")


def _is_open(stack: Stack) -> bool:
    return bool(
        stack.one(
            "select (select count(*) from outbox where not_before is not null) + (select count(*) from turns where state = 'open')"
            " + (select count(*) from inbox where kind = 'message' and turn_id is null)"
        )
    )


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def main() -> None:
    """Measure each trouble and write the table."""
    parser = report.arguments(__doc__ or "")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder), as_shipped=False) as cluster:
        for trouble in _TROUBLES:
            rows.append(_measure(cluster, trouble))
            report.table(rows[-1:], list(rows[-1]))
    report.keep("outages", {"scale": _SCALE, "rows": rows}, given.json)


if __name__ == "__main__":
    main()
