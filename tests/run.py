"""Run the suites one after the other: `python -m tests.run [SUITE ...]`. The last line is `N passed, N failed, N skipped`.

Each suite is a pytest process of its own, so that a crash of one cannot hide the others. Without names they are those of `make test`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.support.seed import the_seed

ROOT = Path(__file__).resolve().parent.parent
#: On two cores two processes of pytest. A module stays in one of them, so that what its tests share is started once; those with slow tests come first.
_BY_MODULE = ("--dist", "loadscope", "--no-loadscope-reorder")
#: The suites by name: where each one's tests are, and how pytest runs them. An engine's start is a minute on one core; what shares an engine stays
#: in one process.
SUITES = {
    "unit": ("unit", "-n", "2", *_BY_MODULE),
    "integration": ("integration", "-n", "2", *_BY_MODULE),
    # They wait for leases and for what was killed more than they work.
    "faults": ("faults", "-m", "not long", "-n", "3", *_BY_MODULE),
    "browser": ("browser", "-n", "2", *_BY_MODULE),
    "engine": ("engine", "-n", "2", "--dist", "loadgroup"),
    "faults-long": ("faults", "-m", "long", "-n", "3", *_BY_MODULE),
}
_OF_MAKE_TEST = ("unit", "integration", "faults", "browser")
#: So many tests of a suite are named at its end.
_SLOWEST = 10
#: The engine installer's exit code for "it cannot be had here": its line has said why, and the suite's tests are skipped.
_CANNOT_BE_HAD = 2
#: pytest's exit code for "no tests were collected".
_NONE_COLLECTED = 5


@dataclass(frozen=True)
class Count:
    """How a suite ended."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    @property
    def ran(self) -> int:
        """How many tests ran to an end."""
        return self.passed + self.failed


def read_junit(path: Path) -> Count:
    """Count the tests of a junit file; an error at set-up or collection is a failure."""
    total = Count()
    for case in ET.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            total += Count(failed=1)
        elif case.find("skipped") is not None:
            total += Count(skipped=1)
        else:
            total += Count(passed=1)
    return total


def slowest(path: Path) -> list[str]:
    """The slowest tests of a junit file, with their fixtures' time."""
    took = [(float(case.get("time", "0")), f"{case.get('classname')}::{case.get('name')}") for case in ET.parse(path).iter("testcase")]
    return [f"{seconds:6.1f} s {name.removeprefix('tests.')}" for seconds, name in sorted(took, reverse=True)[:_SLOWEST]]


def install_engine() -> subprocess.Popen[bytes]:
    """Begin to install the engine, behind whatever else runs: minutes of downloads and unpacking."""
    command = ["nice", "-n", "10", sys.executable, "-I", str(ROOT / "chinwag" / "local" / "install_engine.py")]
    return subprocess.Popen(command, cwd=ROOT)


def run_suite(suite: str, seed: int, report: Path, extra: Sequence[str] = ()) -> Count:
    """Run one suite, show its progress and its summary, and return its count."""
    began = time.monotonic()
    print(f"{suite}: started", flush=True)
    folder, *how = SUITES[suite]
    command = [sys.executable, "-m", "pytest", str(ROOT / "tests" / folder), "--junit-xml", str(report), "-q", "--tb=short", *how, *extra]
    # Hundreds of processes start: none of them compiles what another one has compiled.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {"CHINWAG_TEST_SEED": str(seed)}
    code = subprocess.run(command, cwd=ROOT, env=env, check=False).returncode
    try:
        count, slow = read_junit(report), slowest(report)
    except (OSError, ET.ParseError):
        count, slow = Count(), []
    # A process that died without saying so in its report has failed.
    if code not in (0, _NONE_COLLECTED) and not count.failed:
        count += Count(failed=1)
    print("\n".join([f"{suite}: the slowest", *slow]) if slow else f"{suite}: no test", flush=True)
    print(f"{suite}: {count} in {time.monotonic() - began:.1f} s", flush=True)
    return count


def exit_code(total: Count, *, may_be_empty: bool) -> int:
    """0 only when tests ran and none failed; without tests only where there may be none."""
    return 0 if (total.ran or may_be_empty) and not total.failed else 1


def main(arguments: Sequence[str]) -> int:
    """Run the named suites, or those of `make test`. Returns the exit code."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    wanted, extra = tuple(arguments[:split]) or _OF_MAKE_TEST, arguments[split + 1 :]
    unknown = [suite for suite in wanted if suite not in SUITES]
    if unknown:
        print(f"There is no suite {', '.join(unknown)}; there are {', '.join(SUITES)}.", file=sys.stderr)
        return 2
    seed = the_seed(os.environ)
    print(f"seed: {seed} (repeat with SEED={seed})", flush=True)
    total, empty = Count(), ""
    installing = install_engine() if "engine" in wanted else None
    with tempfile.TemporaryDirectory(prefix="chinwag-tests-") as folder:
        for suite in wanted:
            installed = installing.wait() if suite == "engine" and installing else 0
            if installed not in {0, _CANNOT_BE_HAD}:
                print("engine: vLLM could not be installed, and its installer does not say that this machine cannot have it", flush=True)
                total += Count(failed=1)
            total += run_suite(suite, seed, Path(folder) / f"{suite}.xml", extra)
            if wanted == ("engine",) and installed == _CANNOT_BE_HAD:
                empty = "Without vLLM on this machine no test of this suite can run."
    if wanted == ("faults-long",):
        empty = "No fault test is too long for `make test`."
    if not total.ran:
        print(empty or "No test ran.", file=sys.stderr, flush=True)
    print(total, flush=True)
    return exit_code(total, may_be_empty=bool(empty))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
