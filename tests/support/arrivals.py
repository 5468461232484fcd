"""Webhooks stored together without an event loop."""

from __future__ import annotations

import select
from collections.abc import Sequence

from bots.storage import arrivals
from bots.storage.arrivals import Arrival
from bots.storage.line import Line, Refused


def accept_many(line: Line, group: Sequence[Arrival], *, debounce_s: float, debounce_cap_s: float) -> set[int]:
    """Store plain webhooks in one transaction, wait for it, and return the places of those that each need one of their own."""
    if not line.is_open:
        line.open()
    values = arrivals.values(group, debounce_s=debounce_s, debounce_cap_s=debounce_cap_s)
    is_sent = line.send(arrivals.STATEMENT, values, binary=arrivals.BINARY)
    poll = select.poll()
    poll.register(line.fileno(), select.POLLIN)
    while not is_sent:
        is_sent = line.flush()
    while not line.read():
        poll.poll()
    try:
        return arrivals.left_out(line.answer())
    except Refused:
        return set(range(len(group)))
