"""Celery's way to Redis: a task there is a hint that something is due in a queue, which Postgres knows and the dispatcher says again.

So what a worker took is written down nowhere else: kombu keeps it in Redis until it is acknowledged, to hand it out again after a worker's death,
which costs two transactions a task and most of the CPU of receiving one.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, cast

from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis, virtual

#: kombu ships few types.
_redis: Any = redis
_virtual: Any = virtual

#: While Redis is away it is tried once a second: kombu's own pauses grow by two seconds each time, to thirty.
PAUSES = {"interval_start": 0.2, "interval_step": 0.2, "interval_max": 1.0}


class _Taken(_redis.QoS):
    """Counts what was taken and has not ended, for the limit of tasks at once."""

    restore_at_shutdown = False

    def append(self, message: Any, delivery_tag: str) -> None:
        """Count a task that was taken."""
        _virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Count it no more."""
        _virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, **_: Any) -> None:
        """Count it no more: what is still due the dispatcher makes a task of again."""
        _virtual.QoS.ack(self, delivery_tag)

    def restore_visible(self, *given: Any, **more: Any) -> None:
        """Hand out nothing again: nothing is kept."""


class _Channel(_redis.Channel):
    """A channel with one client for its commands: kombu makes one for each."""

    QoS = _Taken

    @cached_property
    def _commands(self) -> Any:
        return self.Client(connection_pool=self.pool)

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Generator[Any]:
        """The client for a command: the given one, or the channel's."""
        yield client or self._commands


class _Transport(_redis.Transport):
    Channel = _Channel


class BrokerConnection(Connection):
    """A connection that is tried again after these pauses also where a worker waits for it, which asks for no others."""

    def get_transport_cls(self) -> Any:
        """The transport above for what kombu's own one of Redis is for; any other one as it is."""
        found: Any = cast("Any", super()).get_transport_cls()
        return _Transport if found is _redis.Transport else found

    def ensure_connection(self, *given: Any, **more: Any) -> Any:
        """Wait until Redis answers."""
        return cast("Any", super()).ensure_connection(*given, **PAUSES | more)


class Amqp(AMQP):
    """Celery's way to its broker, by that connection: no setting has these."""

    Connection = BrokerConnection
