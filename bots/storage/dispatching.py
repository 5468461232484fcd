"""What the dispatcher asks Postgres: one statement a tick, on the connection by which it leads."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from bots.storage.claims import Waiting
from bots.storage.placement import QueueLoad


class Tick(msgspec.Struct, frozen=True):
    """What is to be done at a moment, and when there will be more."""

    waiting: list[Waiting]
    #: How full the queues of engines are; empty where no engine has its own.
    spots: list[QueueLoad]
    #: How many conversations are being worked on, counted to 16.
    running: int
    #: In how many seconds the next conversation becomes due; None: none will by itself.
    next_s: float | None


def tick(connection: Connection, *, reserve: int) -> Tick:
    """Ask. The slots for batches are those beyond the reserve that each process keeps for conversations. Raises DBAPIError."""
    return msgspec.convert(connection.exec_driver_sql("select dispatch_tick(%s)", (reserve,)).scalar_one(), Tick)


def plan_anew(connection: Connection) -> None:
    """Discard the plans of this connection, so that a tick is planned for the tables as they are now.

    A plan made for empty tables reads twenty times as much from full ones, and Postgres replaces it only after it has counted the rows, up to a minute later.
    """
    connection.exec_driver_sql("discard plans")
