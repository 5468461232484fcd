"""All benches, one after the other, each in a process of its own: `python -m bench [--json FILE] [NAME ...]`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

BENCHES = (
    "house",
    "in_flight",
    "batch",
    "added_time",
    "idle",
    "notices",
    "ingress",
    "groups",
    "burst",
    "restart",
    "strangers",
    "parse",
    "provider",
    "remembers",
    "told_facts",
    "first_answer",
    "start",
    "router",
    "engine",
    "engine_slots",
    "prefix_cache",
    "reserve",
    "outages",
    "redis_back",
    "growth",
    "growth_keys",
    "fair",
    "due",
    "turn_sql",
    "turn_python",
    "voice",
)
#: Only where they are named: they need programs of other people, which peers installs from package registries.
NAMED = ("peers", "proxies", "servers")
_HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run the named benches, or all; returns 0 when each of them finished."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}, which are the default, or {', '.join(NAMED)}")
    parser.add_argument("--json", type=Path, help="write all results into this file")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in (*BENCHES, *NAMED)]
    if unknown:
        parser.error(f"there is no bench {', '.join(unknown)}; there are {', '.join((*BENCHES, *NAMED))}")
    results, failed = {}, []
    for name in given.names or BENCHES:
        print(f"== {name}", flush=True)
        began = time.monotonic()
        code = subprocess.run([sys.executable, "-m", f"bench.{name}"], cwd=_HERE.parent, check=False).returncode
        print(f"== {name}: {'done' if code == 0 else f'failed with code {code}'} in {time.monotonic() - began:.0f} s", flush=True)
        if code:
            failed.append(name)
        else:
            results[name] = json.loads((_HERE / "results" / f"{name}.json").read_text(encoding="utf-8"))
    subprocess.run([sys.executable, "-m", "bench.page"], cwd=_HERE.parent, check=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
