"""The dispatcher: the only publisher. It polls Postgres for what is due and makes that many tasks; several may run, one acts."""

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
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from bots import metrics, telemetry
from bots.errors import StorageUnavailable
from bots.settings import Settings
from bots.storage import batch_items, claims, outbox, usage
from bots.storage.claims import Waiting
from bots.storage.database import open_engine, plan_anew
from bots.storage.leader import Leader
from bots.storage.queues import is_batch
from workers import placement
from workers.metrics import PUBLISHED

log = structlog.get_logger()

_TASK = "workers.work"
_HOUSEKEEPING_S = 60.0


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
        self._boot = uuid4()
        self._connection: Any = None
        self._housekeeping_at = 0.0
        self._beat_at = 0.0
        #: Whether there is usage to add up.
        self._has_usage = False
        self.stopping = False

    def run(self) -> None:
        """Tick until asked to stop. Waits for Postgres and Redis while they are down."""
        while not self.stopping:
            started = time.monotonic()
            try:
                if self._leader.leads():
                    self._tick()
            except (StorageUnavailable, DBAPIError) as error:
                self._leader.step_down()
                log.warning("storage_unavailable", error=type(error).__name__)
                time.sleep(0.5)
            except (BrokerError, RedisError, OSError) as error:
                self._connection = None
                log.warning("redis_unavailable", error=type(error).__name__)
                time.sleep(0.5)
            time.sleep(max(0.005, self._settings.dispatch_tick_s - (time.monotonic() - started)))

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._beat_at >= self._settings.heartbeat_s:
            self._beat_at = now
            claims.heartbeat(self._crossing, "dispatcher", boot=self._boot, queues=[], slots=0, busy=0)
            claims.end_leases(self._crossing)
            batch_items.keep_house(self._crossing)
            plan_anew(self._crossing)
            self._has_usage = True
        if now - self._housekeeping_at >= _HOUSEKEEPING_S:
            self._housekeeping_at = now
            claims.keep_house(self._crossing, envelope_days=self._settings.envelope_days)
            outbox.fail_oldest(self._crossing, younger_s=self._settings.answer_if_younger_s)
        placement.place(self._crossing)
        for queue in claims.waiting(self._crossing, reserve=self._settings.batch_reserve):
            self._publish(queue)
        if self._has_usage:
            self._add_usage()

    def _add_usage(self) -> None:
        """Add up one hour of usage a tick, after the work that people wait for; after a long stop there are many."""
        self._has_usage = usage.roll(self._crossing)
        if not self._has_usage:
            usage.hold_spent(self._crossing)

    def _publish(self, queue: Waiting) -> None:
        if self._connection is None:
            self._connection = self._app.connection_for_write()
        declared = self._connection.default_channel.queue_declare(queue.queue, durable=True)
        count = to_publish(queue, declared.message_count)
        for _ in range(count):
            self._app.send_task(_TASK, args=[queue.queue], queue=queue.queue, connection=self._connection)
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
        dispatcher.stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log.info("dispatcher_started")
    dispatcher.run()
    log.info("dispatcher_stopped")


if __name__ == "__main__":
    main()
