"""The dispatcher: the only publisher. It asks Postgres what is due and makes that many tasks; several may run, one acts.

It asks when somebody tells it that work was accepted, when the next conversation becomes due, and every tick, so that nothing depends on a notice. Where
nothing has happened for a while its ticks are ten times as long.
"""

from __future__ import annotations

import os
import signal
import time
from types import FrameType
from typing import Any
from uuid import uuid4

import structlog
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from bots import metrics, telemetry
from bots.errors import StorageUnavailable
from bots.settings import Settings
from bots.storage import batch_items, claims, dispatching, figures, outbox, usage
from bots.storage.claims import Waiting
from bots.storage.database import open_engine
from bots.storage.dispatching import Tick
from bots.storage.leader import Leader
from bots.storage.queues import is_batch
from bots.storage.work_notices import Listener
from workers import placement
from workers.metrics import PUBLISHED

log = structlog.get_logger()

_TASK = "workers.work"
_HOUSEKEEPING_S = 60.0
#: After work was seen ticks grow slowly, to this share of the time since then: what a worker ends makes more work, such as the next part of an answer,
#: and tells nobody. In an idle house a tick is so many times as long.
_GROWTH, _IDLE_TICKS = 0.25, 10
#: Notices and due times shorten no tick below this.
_LEAST_TICK_S = 0.02
#: Where so many conversations are being worked on they shorten none: some task ends soon, and goes on to what is due by itself.
_MANY = 16
#: Between two tries while Postgres or Redis is away.
_AWAY_S = 0.5


def to_publish(queue: Waiting, unclaimed: int) -> int:
    """How many tasks a queue lacks: never more than are due, and at most an eighth above the free slots.

    For a batch none above them: its slots exclude the reserve that stays free for people.
    """
    above = 0 if is_batch(queue.queue) else max(1, queue.slots // 8)
    room = queue.slots + above - queue.running - unclaimed
    return max(0, min(queue.due - unclaimed, room)) if queue.slots else 0


class Dispatcher:
    """One process that may act while it holds the lock."""

    def __init__(self, settings: Settings, app: Any, crossing: Engine) -> None:
        self._settings = settings
        #: The Celery app, which has no types.
        self._app = app
        self._crossing = crossing
        self._leader = Leader(crossing, key=814_011)
        self._listener = Listener()
        self._boot = uuid4()
        self._broker: Any = None
        self._housekeeping_at = 0.0
        self._beat_at = 0.0
        #: When work was seen last.
        self._seen_at = 0.0
        #: Whether there may be usage to add up.
        self._has_usage = False
        self._stopping = False

    def stop(self) -> None:
        """End `run` soon; a handler of a signal may call it."""
        self._stopping = True
        self._listener.wake()

    def run(self) -> None:
        """Tick until asked to stop. Waits for Postgres and Redis while they are down."""
        while not self._stopping:
            started = time.monotonic()
            try:
                least_s, most_s = self._once()
                self._listener.wait(started + least_s - time.monotonic(), None)
                if not self._stopping and self._listener.wait(started + most_s - time.monotonic(), self._leader.connection):
                    self._seen_at = time.monotonic()
            except (StorageUnavailable, DBAPIError) as error:
                self._leader.step_down()
                log.warning("storage_unavailable", error=type(error).__name__)
                self._listener.wait(_AWAY_S, None)
            except (BrokerError, RedisError, OSError) as error:
                self._broker = None
                log.warning("redis_unavailable", error=type(error).__name__)
                self._listener.wait(_AWAY_S, None)

    def _once(self) -> tuple[float, float]:
        """Do what is to be done now, and return in how many seconds to look again at the earliest, and at the latest."""
        tick_s = self._settings.dispatch_tick_s
        fresh = self._leader.connection is None
        if not self._leader.leads():
            return 0.0, tick_s * _IDLE_TICKS
        connection = self._leader.connection
        assert connection is not None
        if fresh:
            self._listener.listen(connection)
        found = self._tick(connection)
        now = time.monotonic()
        if found.waiting or found.running:
            self._seen_at = now
        most_s = min(max(tick_s, (now - self._seen_at) * _GROWTH), tick_s * _IDLE_TICKS)
        if found.running >= _MANY:
            return tick_s, tick_s
        return _LEAST_TICK_S, most_s if found.next_s is None else min(most_s, found.next_s)

    def _tick(self, connection: Connection) -> Tick:
        now = time.monotonic()
        if now - self._beat_at >= self._settings.heartbeat_s:
            self._beat_at = now
            claims.heartbeat(self._crossing, "dispatcher", boot=self._boot, queues=[], slots=0, busy=0)
            claims.end_leases(self._crossing)
            batch_items.keep_house(self._crossing)
            self._has_usage = True
            dispatching.plan_anew(connection)
        if now - self._housekeeping_at >= _HOUSEKEEPING_S:
            # Before it is tried: where it fails, work goes on until the next time.
            self._housekeeping_at = now
            if claims.keep_house(self._crossing, envelope_days=self._settings.envelope_days):
                # More at the next tick: small steps keep up with whatever comes in.
                self._housekeeping_at -= _HOUSEKEEPING_S
            outbox.fail_oldest(self._crossing, younger_s=self._settings.answer_if_younger_s)
        found = dispatching.tick(connection, reserve=self._settings.batch_reserve)
        if found.spots and placement.place(self._crossing, found.spots):
            found = dispatching.tick(connection, reserve=self._settings.batch_reserve)
        for queue in found.waiting:
            self._publish(queue)
        if self._has_usage:
            self._add_usage()
        return found

    def _add_usage(self) -> None:
        """Add up one hour of usage a tick, and count a part of the figures, after the work that people wait for; after a long stop there are many."""
        is_behind = usage.roll(self._crossing)
        if not is_behind:
            usage.hold_spent(self._crossing)
        self._has_usage = figures.count(self._crossing) or is_behind

    def _publish(self, queue: Waiting) -> None:
        if self._broker is None:
            self._broker = self._app.connection_for_write()
        declared = self._broker.default_channel.queue_declare(queue.queue, durable=True)
        count = to_publish(queue, declared.message_count)
        for _ in range(count):
            self._app.send_task(_TASK, args=[queue.queue], queue=queue.queue, connection=self._broker)
        if count:
            PUBLISHED.labels(queue.queue).inc(count)


def main() -> None:
    """Run the dispatcher of the environment's settings until SIGTERM."""
    from workers.app import app  # noqa: PLC0415 - builds the app from the environment, which only a process's entry may do

    settings = Settings.from_env(os.environ)
    telemetry.configure(settings.log_level)
    metrics.listen(settings)
    dispatcher = Dispatcher(settings, app, open_engine(settings.crossing_database_url, pool=2, name="dispatcher"))

    def stop(_signal: int, _frame: FrameType | None) -> None:
        dispatcher.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("dispatcher_started")
    dispatcher.run()
    log.info("dispatcher_stopped")


if __name__ == "__main__":
    main()
