"""Ours beside others who answer on WhatsApp with a model: replies a second, CPU a turn, memory, added time, and what is left after kill -9.

    python -m bench.peers
    python -m bench.peers --only ours twenty-lines --add

Each peer is installed by script, with pinned versions, in a temporary folder (--folder keeps it for the next time). All get the same people, who
write at once, the same model, which takes 1.0 s, and the same practice Graph API; these run apart. One that cannot be set up is a line of the
result. `--add` keeps the rows of peers that are not measured now.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from bench import report
from bench.peers import measure
from bench.peers.figures import aims, draw, notes, rows_of, show
from bench.peers.langbot import LangBot
from bench.peers.lines import Lines
from bench.peers.n8n import N8n
from bench.peers.nanobot import Nanobot
from bench.peers.ours import Ours
from bench.peers.outside import MODEL_S, Outside, outside
from bench.peers.peer import CannotSetUp, Peer, Running
from bench.peers.tree import become_subreaper
from bench.processes import wait_quiet
from tests.support.people import LONE

PARTS = ("start", "bursts", "memory", "lone", "kill")


def _peers() -> dict[str, Peer]:
    everybody: tuple[Peer, ...] = (
        Lines(),
        Ours(),
        Ours("ours-not-joining", CHINWAG_DEBOUNCE_S="0", CHINWAG_DEBOUNCE_CAP_S="0"),
        N8n(),
        Nanobot(),
        LangBot(),
    )
    return {peer.name: peer for peer in everybody}


def main() -> int:
    """Set up, measure, print, draw and keep; returns 1 when nobody could be measured."""
    peers = _peers()
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--only", nargs="+", choices=peers, default=list(peers), metavar="NAME", help=f"of {', '.join(peers)}")
    parser.add_argument("--sizes", nargs="+", type=int, default=[16, 64, 256], help="people who write at once")
    parser.add_argument("--rounds", type=int, default=3, help="of each size, after one to warm up")
    parser.add_argument("--lone", type=int, default=20, help="turns one after the other")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS), help="what to measure; nothing: only set up")
    parser.add_argument("--folder", type=Path, help="where the peers are installed, and stay")
    parser.add_argument("--add", action="store_true", help="add to the result that is there")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds without an answer after a kill until the rest is lost")
    given = parser.parse_args()
    become_subreaper()
    # Whoever ends the bench ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    found = _before() if given.add else {}
    try:
        with tempfile.TemporaryDirectory(prefix="chinwag-peers-") as temporary:
            top = (given.folder or Path(temporary)).resolve()
            top.mkdir(parents=True, exist_ok=True)
            for name in given.only:
                _one(peers[name], top / name, given, found.setdefault(name, {}))
    finally:
        # Also of a bench that is ended half way.
        if given.parts:
            result = {"model_s": MODEL_S, "rows": rows_of(found), "aims": aims(found), "notes": notes(found), "peers": found}
            show(result)
            report.keep("peers", result, given.json)
            draw(found)
    return 0 if not given.parts or any(not one.get("problem") for one in found.values()) else 1


def _one(peer: Peer, folder: Path, given: Any, kept: dict[str, Any]) -> None:
    """Set one up and measure it; that it cannot be is its result."""
    _say(f"{peer.name}: setting up in {folder}")
    try:
        peer.set_up(folder)
        if given.parts:
            with tempfile.TemporaryDirectory(prefix="chinwag-peers-run-") as run, outside(Path(run)) as servers:
                _measure(peer, folder, servers, given, kept)
        kept.pop("problem", None)
    except (CannotSetUp, httpx.HTTPError) as error:
        kept["problem"] = str(error)
        _say(f"{peer.name}: {error}")


def _measure(peer: Peer, folder: Path, servers: Outside, given: Any, kept: dict[str, Any]) -> None:
    kept |= {"version": peer.version, "channel": peer.channel, "settings": peer.settings}
    shutil.rmtree(folder / "state", ignore_errors=True)
    began = time.monotonic()
    running = peer.start(folder, servers)
    try:
        _say(f"{peer.name}: started in {time.monotonic() - began:.1f} s")
        if "start" in given.parts:
            # Ours reads its languages for some seconds after it takes messages.
            wait_quiet(running.tree.cpu_s)
            kept["pss_at_start_mb"] = running.tree.pss_by_part()
            _say(f"  at the start {sum(kept['pss_at_start_mb'].values()):.0f} MB")
        if "lone" in given.parts:
            # The first ones open connections and fill caches.
            measure.lone(running, servers, measure.QUESTIONS[:3])
            kept["lone"] = measure.lone(running, servers, _cycle(measure.QUESTIONS, given.lone))
            _say(f"  a lone question {kept['lone']}")
            if peer.joins:
                kept["lone_of_all_kinds"] = measure.lone(running, servers, _cycle(LONE, given.lone))
                _say(f"  a lone message of any kind {kept['lone_of_all_kinds']}")
        if "bursts" in given.parts:
            old = {one["at_once"]: one for one in kept.get("bursts", [])}
            new = [measure.bursts(running, servers, size, given.rounds, _say) for size in given.sizes]
            kept["bursts"] = [one for _, one in sorted((old | {one["at_once"]: one for one in new}).items())]
        if "memory" in given.parts:
            kept["pss_under_load_mb"] = measure.memory(running, servers, max(given.sizes))
            _say(f"  under load {sum(kept['pss_under_load_mb'].values()):.0f} MB")
        if "kill" in given.parts:
            running, kept["killed"] = measure.killed(peer, running, servers, folder, count=20, patience_s=given.patience)
            _say(f"  after kill -9: {kept['killed']}")
    finally:
        _stop(running)


def _stop(running: Running) -> None:
    with suppress(RuntimeError):
        running.tree.stop()


def _cycle(texts: Sequence[str], count: int) -> list[str]:
    return [texts[n % len(texts)] for n in range(count)]


def _before() -> dict[str, Any]:
    place = report.RESULTS / "peers.json"
    return json.loads(place.read_text(encoding="utf-8"))["peers"] if place.exists() else {}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
