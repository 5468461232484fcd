"""The Celery app: Redis carries tasks, Postgres decides. Each setting with its reason."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any, cast

from celery import Celery, signals

from bots import telemetry
from bots.settings import Settings
from workers import process
from workers.broker import PAUSES, Amqp

#: Celery ships no types.
_signals: Any = signals


def make(settings: Settings) -> Celery:
    """A Celery app on the Redis of the settings."""
    app = Celery("chinwag", broker=settings.redis_url, include=["workers.tasks"], amqp=Amqp)
    conf: Any = cast("Any", app).conf
    conf.update(
        # A task counts until it has ended, so that a worker takes as many as it has slots and leaves the others to other workers.
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        # Results are rows in Postgres.
        task_ignore_result=True,
        task_serializer="json",
        # No pickle: whoever writes into Redis must not run code here.
        accept_content=["json"],
        broker_transport_options={
            # A frozen Redis must not hang the dispatcher for ever.
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "health_check_interval": 15,
            "retry_on_timeout": False,
            # For the dispatcher's connection.
            **PAUSES,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A turn goes on while Redis is down: its result does not need Redis.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        # The dispatcher tries again at its next tick.
        task_publish_retry=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        task_create_missing_queues=True,
    )
    return app


app = make(Settings.from_env(os.environ))


@_signals.setup_logging.connect
def _own_logging(**_: Any) -> None:
    """Keep Celery from setting up logging: process.start does."""


@_signals.celeryd_after_setup.connect
def _start(sender: str, instance: Any, **_: Any) -> None:
    queues = [str(name) for name in instance.app.amqp.queues.consume_from]
    try:
        # On an engine of its own it has more threads than slots.
        slots = min(int(instance.concurrency or 1), Settings.from_env(os.environ).worker_slots)
        process.start(os.environ, name=sender, queues=queues, slots=slots, messages=partial(_messages, queues))
    except Exception as error:  # noqa: BLE001 - Celery swallows what a signal raises, and the worker would go on running without work
        sys.stderr.write(f"The worker cannot start: {error}\n")
        sys.stderr.flush()
        telemetry.flush()
        os._exit(2)


def _messages(queues: list[str]) -> int:
    """How many tasks wait in these queues. Raises the errors of the Redis client."""
    with cast("Any", app).connection_for_read() as connection:
        return sum(connection.default_channel.queue_declare(queue, durable=True).message_count for queue in queues)


@_signals.worker_shutting_down.connect
def _stop(**_: Any) -> None:
    process.stop()
