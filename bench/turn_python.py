"""CPU microseconds of each piece of a turn in a worker's Python, in one thread: where the time of a turn goes.

Real Postgres, platform and model server; their CPU is not counted, and neither is waiting. Each piece counts without the pieces inside of it,
so that the rows add up to the turn. "own" is what the functions themselves take that have a row; "rest" is what no row has. The clock's own time
is measured and taken off.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from time import thread_time_ns
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from bench.in_flight import AS_SHIPPED
from bots import extract, telemetry
from bots.domain import EventKind, Identity, IdentityKind, InboundEvent
from bots.phrases.book import book
from bots.storage import inbox
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.stack import Stack
from workers import deps as parts
from workers import process
from workers.deps import Deps
from workers.turn.reply import reply_one

_QUEUE = "reply.default"
#: Half of them state something of their writer; three are in other languages than English.
_MESSAGES = (
    "My name is Ada and I live in Porto. What can you tell me about the river there, and what should I see first?",
    "Is the library open on Sunday?",
    "Ich wohne in Berlin und habe zwei Katzen. Wann schließt der Zoo heute?",
    "Could you tell me how the opening hours of the town library changed after the renovation, and whether the reading room needs a booking?",
    "Hola, soy alérgica a los frutos secos. ¿Qué puedo cenar esta noche?",
    "ok thanks, that helps a lot",
    "I prefer tea to coffee. Which of your two blends has less caffeine?",
    "Je cherche un cadeau pour mon frère, il aime la photo.",
)
#: A plain answer, as most are, and one with markup.
_ANSWERS = (
    "The Douro runs through the old town; begin at the Ribeira and cross the lower deck of the bridge.",
    "Two things to know:\n\n1. **Monday to Friday** it is open until 20:00.\n2. On *Sunday* only the reading room is.\n\nShall I book a seat?",
)

#: Each piece by the place where it is looked up, as module:name. What is not named here counts for the row around it.
_PIECES = {
    "claim: storage call": "bots.storage.claims:claim_turns",
    "finish: storage call": "bots.storage.turns:finish_several",
    "outcome of the send: storage call": "bots.storage.outbox:end_several",
    "recall: storage call": "bots.storage.episodes:recall",
    "account (cached 2 s)": "workers.deps:Deps.open_account",
    "wishes: own": "workers.turn.wishes:obey",
    "wishes: commands in plain words": "workers.turn.wishes:parse_command",
    "wishes: objections": "workers.turn.wishes:objection",
    "wishes: what is kept out": "workers.turn.wishes:keeps_out",
    "rules: facts in a message": "workers.turn.stated:stated",
    "language of the turn": "workers.turn.claimed:language_of",
    "time zone": "workers.turn.claimed:zone_of",
    "pictures": "workers.turn.pictures:load",
    "prompt: layout, own": "workers.turn.answer:Layout",
    "prompt: build": "workers.turn.prompt:build",
    "prompt: what is told": "workers.turn.telling:choose",
    "prompt: recall question": "workers.turn.layout:recalled",
    "typing indicator": "workers.typing:TypingKeeper._start",
    "partial texts": "workers.turn.answer:Partials",
    "model: own": "workers.turn.answer:call_model",
    "model: router": "inference.router:Router.chat",
    "model: client, own": "inference.client.client:ModelClient.chat",
    "model: JSON of the request": "inference.client.client:body_of",
    "model: request and head of the answer": "wire.transport:DeadlineTransport._exchange",
    "model: answer read": "inference.client.answer_body:AnswerBody.read",
    "model: guard": "workers.model_call:check",
    "model: tokens": "workers.model_routes:ModelRoutes.took",
    "model: record of the call": "workers.model_call:_call",
    "answer: markup": "bots.channels.whatsapp:WhatsApp.render",
    "result: own": "workers.turn.claimed:ClaimedTurn.result",
    "episode's words": "workers.turn.claimed:indexing.episode",
    "send: own": "workers.turn.reply:send",
    "send: platform call": "bots.channels.graph:GraphClient.call",
    "metrics: turn": "workers.metrics:count_turn",
    "metrics: send": "workers.metrics:count_send",
    "log lines": "structlog:_native.BoundLoggerFilteringAtInfo.info",
}


class _Clock:
    """CPU time of one thread by piece, each without those inside of it."""

    def __init__(self) -> None:
        self.own_ns, self.calls = Counter[str](), Counter[str]()
        self._inside: list[list[int]] = []
        self._thread = threading.get_ident()
        #: What a piece's own clock adds to it, and to the piece around it.
        self._within = self._around = 0.0
        self._calibrate()

    def piece(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time counted under a name."""

        @wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:
                return function(*args, **kwargs)
            # Time of the pieces inside, and how many they are.
            mine = [0, 0]
            self._inside.append(mine)
            began = thread_time_ns()
            try:
                return function(*args, **kwargs)
            finally:
                took = thread_time_ns() - began
                self._inside.pop()
                self.own_ns[name] += took - mine[0]
                self.calls[name] += 1
                self.own_ns[name] -= round(self._within + mine[1] * self._around)
                if self._inside:
                    self._inside[-1][0] += took
                    self._inside[-1][1] += 1

        return counted

    def _calibrate(self, times: int = 20_000) -> None:
        nothing = self.piece("nothing", lambda: None)

        def loop(function: Callable[[], None]) -> None:
            for _ in range(times):
                function()

        loop(nothing)
        self.own_ns.clear()
        loop(nothing)
        within = self.own_ns["nothing"] / times
        self.own_ns.clear()
        self.piece("loop", loop)(nothing)
        around = self.own_ns["loop"] / times
        self.own_ns.clear()
        self.piece("loop", loop)(lambda: None)
        self._within, self._around = within, around - self.own_ns["loop"] / times
        self.own_ns.clear()
        self.calls.clear()


@contextmanager
def _counted(clock: _Clock) -> Generator[None]:
    """Count the pieces inside the block."""
    kept: list[tuple[Any, str, Any]] = []
    for name, place in _PIECES.items():
        module, _, path = place.partition(":")
        *owners, attribute = path.split(".")
        owner: Any = importlib.import_module(module)
        for one in owners:
            owner = getattr(owner, one)
        kept.append((owner, attribute, getattr(owner, attribute)))
        setattr(owner, attribute, clock.piece(name, getattr(owner, attribute)))
    try:
        yield
    finally:
        for owner, attribute, function in kept:
            setattr(owner, attribute, function)


def _say(stack: Stack, people: list[build.Person], texts: Iterator[str]) -> None:
    """Let each person write one message that is due at once."""
    with stack.engine("crossing").connect() as connection:
        for person in people:
            event = InboundEvent(
                kind=EventKind.MESSAGE,
                event_key=build.a_wamid(),
                identities=(Identity(kind=IdentityKind.PHONE, value=person.number),),
                contact_name=person.name,
                text=next(texts),
                occurred_at=datetime.now(UTC),
            )
            inbox.accept(connection, stack.account, [event], queue=_QUEUE, body=None, debounce_s=0, debounce_cap_s=0)
        connection.commit()


def _work(deps: Deps) -> tuple[int, int]:
    """Work all that is due; the number of turns and their CPU nanoseconds."""
    began, turns = thread_time_ns(), 0
    while reply_one(deps, _QUEUE):
        turns += 1
    return turns, thread_time_ns() - began


def measure(stack: Stack, deps: Deps, *, contacts: int, earlier: int) -> dict[str, Any]:
    """The pieces of the turns of so many contacts, each of whom has so many earlier turns."""
    texts = itertools.cycle(_MESSAGES)
    found: dict[str, Any] = {}
    for way in ("plain", "counted"):
        people = [build.a_person() for _ in range(contacts)]
        for _ in range(earlier):
            _say(stack, people, texts)
            _work(deps)
        _say(stack, people, texts)
        if way == "plain":
            turns, took = _work(deps)
            found |= {"turns": turns, "whole_us": took / turns / 1000}
            continue
        clock = _Clock()
        with _counted(clock):
            whole = clock.piece("rest", lambda: _work(deps))
            turns, _ = whole()
        found["pieces"] = [
            {"piece": name, "us": ns / turns / 1000, "calls": round(clock.calls[name] / turns, 2)}
            for name, ns in clock.own_ns.most_common()
        ]
    return found


def main() -> None:
    """Measure turns of new contacts and of those who have written before, and print both as tables."""
    parser: argparse.ArgumentParser = report.arguments(__doc__ or "")
    parser.add_argument("--contacts", type=int, default=400, help="turns that are measured, each of another contact")
    parser.add_argument("--earlier", type=int, nargs="*", default=[0, 4], help="how many earlier turns each contact has")
    parser.add_argument(
        "--words", type=float, default=0.0, help="seconds between two words of the model's stream; 0: the answer comes in one piece"
    )
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder,
        Cluster(Path(folder)) as cluster,
        Stack(cluster, Path(folder), settings=AS_SHIPPED) as stack,
    ):
        stack.start_web()
        stack.register_number(batch_ms=500.0)
        stack.model.script(answer=_ANSWERS[0], word_s=given.words)
        for text in _MESSAGES[::4]:
            stack.model.script(answer=_ANSWERS[1], word_s=given.words, match=text[:20])
        deps = parts.build(stack.env, queues=[_QUEUE])
        _quietly(deps)
        rows = {earlier: measure(stack, deps, contacts=given.contacts, earlier=earlier) for earlier in given.earlier}
    for earlier, found in rows.items():
        print(f"\n{found['turns']} turns of contacts with {earlier} earlier turns: {found['whole_us']:.0f} µs of CPU each")
        report.table(found["pieces"], ["us", "calls", "piece"])
    whole = [{"earlier turns": earlier, "turns": found["turns"], "whole_us": round(found["whole_us"])} for earlier, found in rows.items()]
    pieces = {f"us_by_piece_after_{earlier}": found["pieces"] for earlier, found in rows.items()}
    report.keep("turn_python", {"word_s": given.words, "rows": whole, **pieces}, given.json)


def _quietly(deps: Deps) -> None:
    """What a worker does at its start, its log lines going nowhere."""
    shown, sys.stderr = sys.stderr, Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - the logger keeps it
    telemetry.configure(deps.settings.log_level)
    sys.stderr = shown
    extract.load()
    book()
    process.spare_collector()


if __name__ == "__main__":
    main()
