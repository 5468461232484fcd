"""The open connections of one process, and the bounds of what strangers can take of it: connections, bytes in memory, bodies on the way, time.

A connection either waits for its peer or is being worked for. Where something runs short, one that waits has to go: it comes from the source that takes most,
and is the one that has waited longest. So a bound never meets whoever sends a request as a platform does, within milliseconds, even from a stranger's own address.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

#: A source may have this many bodies on the way that make no progress; of more the slowest have to go.
BODIES_OF_A_SOURCE = 32
#: Bodies of the largest size that may be in memory at once.
BODIES_AT_ONCE = 4
#: Progress is this many bytes; less is a trickle.
PROGRESS_BYTES = 16 * 1024
#: Without progress for this long, a body or an answer may be given up for others.
_STALLED_S = 1.0
#: An answer reaches the kernel within this time, even if everybody is busy.
_ANSWERED_S = 0.1
#: How long to wait after nobody could be asked to go, before looking again.
_IN_VAIN_S = 0.1


class Stage(Enum):
    """What a connection waits for."""

    #: Its first byte.
    NEW = "new"
    #: The next request.
    IDLE = "idle"
    #: The rest of a request's head.
    HEAD = "head"
    #: The rest of a body.
    BODY = "body"
    #: That the peer reads an answer.
    ANSWER = "answer"
    #: That the peer reads the last of an answer and ends the connection.
    LEAVING = "leaving"
    #: Nothing: we are working.
    WORK = "work"


#: How long a connection may wait, in seconds; for a body or an answer: until its next progress.
LONGEST_S = {
    Stage.NEW: 10.0,
    # Longer than proxies keep a connection that they do not use, so that it is the proxy that closes it.
    Stage.IDLE: 75.0,
    Stage.HEAD: 10.0,
    Stage.BODY: 10.0,
    Stage.ANSWER: 30.0,
    Stage.LEAVING: 3.0,
}


@dataclass(slots=True, kw_only=True, eq=False)
class Slot:
    """One connection, as the bounds see it."""

    source: str
    #: Ends the connection with an HTTP status, where one can still be sent.
    refuse: Callable[[int], None]
    #: The deadline has passed; may set a new one.
    expire: Callable[[], None]
    #: More may be read again.
    resume: Callable[[], None]
    stage: Stage = Stage.NEW
    due: float = 0.0
    #: When it last made progress.
    heard: float = 0.0
    #: Bytes of heads, bodies and answers that it holds in memory.
    held: int = 0
    #: How much it will hold when its request is whole, and whether that much is kept free for it.
    wants: int = 0
    has_room: bool = False
    #: What it had of the event loop so far, and whether it waits for more. See Schedule.
    steps: int = 0
    is_queued: bool = False
    #: Whether its peer has shown who it is, by a valid signature.
    is_known: bool = False


class Connections:
    """The bounds of one process."""

    def __init__(self, *, places: int, held_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.places, self.held_bytes = places, held_bytes
        self._clock = clock
        #: Those that are open, and those that are being opened or closed.
        self.count = 0
        self.held = 0
        self._slots: set[Slot] = set()
        #: By source, the one that has waited longest first.
        self._waiting: dict[str, dict[Slot, None]] = {}
        #: Those that have their answer, and those that wait for room.
        self._leaving: dict[Slot, None] = {}
        self._paused: dict[Slot, None] = {}
        self._is_deciding = False
        self._swept_at = float("-inf")
        #: When nobody could be asked to go.
        self._in_vain = float("-inf")

    @property
    def most_counted(self) -> int:
        """What counts of a body at most: a larger one is taken from memory piece by piece, as it comes."""
        return self.held_bytes // BODIES_AT_ONCE

    def enter(self, slot: Slot) -> None:
        """A connection is open."""
        self._slots.add(slot)
        self._wait(slot, Stage.NEW)

    def leave(self, slot: Slot) -> None:
        """It is closed."""
        self._slots.discard(slot)
        self._stop_waiting(slot)
        self._paused.pop(slot, None)
        self._leaving.pop(slot, None)
        self.hold(slot, 0)
        self.count -= 1

    def move(self, slot: Slot, stage: Stage) -> None:
        """A connection waits for something else now, or for nothing."""
        if stage is slot.stage:
            return
        self._paused.pop(slot, None)
        if stage is Stage.WORK:
            slot.stage = stage
            self._stop_waiting(slot)
        elif stage is Stage.LEAVING:
            self._stop_waiting(slot)
            self._begin(slot, stage)
            self._leaving[slot] = None
        elif stage is Stage.IDLE or slot.stage in {Stage.WORK, Stage.IDLE}:
            self._stop_waiting(slot)
            self._wait(slot, stage)
        else:
            # It keeps its place among those who wait, and a slow head takes no longer for a slow first byte.
            slot.due = slot.due if slot.stage is Stage.NEW and stage is Stage.HEAD else self._clock() + LONGEST_S[stage]
            slot.heard, slot.stage = self._clock(), stage

    def name(self, slot: Slot, source: str) -> None:
        """A connection's source is another one than before: a proxy has named it."""
        if source == slot.source:
            return
        is_waiting = slot in self._waiting.get(slot.source, ())
        self._stop_waiting(slot)
        slot.source = source
        if is_waiting:
            self._waiting.setdefault(source, {})[slot] = None

    def progress(self, slot: Slot) -> None:
        """A connection made progress: its deadline begins anew."""
        slot.heard = self._clock()
        slot.due = slot.heard + LONGEST_S[slot.stage]

    def hold(self, slot: Slot, held: int) -> bool:
        """Note how much a connection holds. Returns whether there is room for it, if need be after others had to go."""
        slot.has_room = slot.has_room and held > 0
        if slot.has_room:
            held = max(held, slot.wants)
        freed, slot.held = slot.held - held, held
        self.held -= freed
        if freed > 0 and self._paused and not self._is_deciding:
            self._resume()
        return slot.has_room or self.held <= self.held_bytes or self._free()

    def pause(self, slot: Slot) -> None:
        """Let a connection wait until there is room for what it sends."""
        self._paused[slot] = None

    def make_place(self) -> bool:
        """Ask one connection that waits to go, so that another can be opened. Returns whether there was one."""
        answered = next(iter(self._leaving), None)
        if answered is not None and self._clock() - answered.heard >= _ANSWERED_S:
            del self._leaving[answered]
            answered.expire()
            return True
        most = max(self._waiting.values(), key=len, default=None)
        if most is None:
            return False
        next(iter(most)).refuse(503)
        return True

    def sweep(self) -> None:
        """Regularly, just after reading what has come: end whatever is overdue, and the slowest bodies of a source that sends too many."""
        now = self._swept_at = self._clock()
        for slots in [*self._waiting.values(), self._leaving]:
            bodies: list[Slot] = []
            for slot in list(slots):
                if now >= slot.due:
                    slot.expire()
                elif slot.stage is Stage.BODY and not slot.is_queued and slot not in self._paused:
                    bodies.append(slot)
            if len(bodies) > BODIES_OF_A_SOURCE:
                bodies.sort(key=lambda slot: slot.heard)
                for slot in filter(self._is_stalled, bodies[:-BODIES_OF_A_SOURCE]):
                    slot.refuse(429)
        if self._paused:
            self._resume()

    def end(self, *, stalled: bool = False) -> None:
        """End those that wait, or only those that make no progress."""
        for slots in list(self._waiting.values()):
            for slot in list(slots):
                if not stalled or slot in self._paused or self._is_stalled(slot):
                    slot.refuse(503)
        for slot in list(self._leaving):
            if not stalled or self._is_stalled(slot):
                slot.expire()

    def _is_stalled(self, slot: Slot) -> bool:
        """Whether it made no progress for a while, as far as we have looked: what came while we were busy counts."""
        return not slot.is_queued and self._swept_at - slot.heard >= _STALLED_S

    def _wait(self, slot: Slot, stage: Stage) -> None:
        self._begin(slot, stage)
        self._waiting.setdefault(slot.source, {})[slot] = None

    def _begin(self, slot: Slot, stage: Stage) -> None:
        slot.stage, slot.heard = stage, self._clock()
        slot.due = slot.heard + LONGEST_S[stage]

    def _stop_waiting(self, slot: Slot) -> None:
        if (slots := self._waiting.get(slot.source)) is not None and slot in slots:
            del slots[slot]
            if not slots:
                del self._waiting[slot.source]

    def _free(self) -> bool:
        """Ask those to go that hold bytes and make no progress, beginning with the source that holds most."""
        now = self._clock()
        if self._is_deciding or now - self._in_vain < _IN_VAIN_S:
            return False
        for slot in self._idle_holders():
            self._dismiss(slot)
            if self.held <= self.held_bytes:
                return True
        # It is not for want of sending that the others wait. They may hold as much as one whole body; of more the oldest go.
        paused = sum(slot.held for slot in self._paused)
        for slot in [slot for slot in self._paused if slot.held and self._is_stalled(slot)]:
            if paused <= self.most_counted:
                break
            paused -= slot.held
            self._dismiss(slot)
        if self.held <= self.held_bytes:
            return True
        self._in_vain = now
        return False

    def _idle_holders(self) -> list[Slot]:
        """Those that hold bytes, could send more and do not: of the source that holds most first, and of these the one that has been idle longest."""
        holding: dict[str, list[Slot]] = {}
        for source, slots in self._waiting.items():
            holding[source] = [slot for slot in slots if slot.held and slot not in self._paused and self._is_stalled(slot)]
        ordered = sorted(holding.values(), key=lambda slots: -sum(slot.held for slot in slots))
        return [slot for slots in ordered for slot in sorted(slots, key=lambda slot: slot.heard)]

    def _resume(self) -> None:
        """Give room to those that wait for it, the smallest first, after whoever holds room without using it had to go."""
        if self.held > self.held_bytes:
            self._free()
        idle = self._idle_holders()
        for slot in sorted(self._paused, key=lambda slot: slot.wants):
            more = max(0, slot.wants - slot.held)
            while self.held + more > self.held_bytes and idle:
                self._dismiss(idle.pop(0))
            if self.held + more > self.held_bytes:
                return
            if self._paused.pop(slot, self) is self:
                continue
            self.progress(slot)
            slot.has_room = True
            slot.held += more
            self.held += more
            with self._deciding():
                slot.resume()

    def _dismiss(self, slot: Slot) -> None:
        with self._deciding():
            slot.refuse(503)

    @contextmanager
    def _deciding(self) -> Generator[None, None, None]:
        """What somebody gives back because of a decision leads to no other decision before that one is carried out."""
        self._is_deciding = True
        try:
            yield
        finally:
            self._is_deciding = False
