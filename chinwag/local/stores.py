"""Postgres and Redis of one stack: the embedded ones, or those at DATABASE_URL and REDIS_URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psycopg
from sqlalchemy import make_url

from bots.errors import BotsError
from chinwag.local.ground import Ground, Secrets
from chinwag.local.postgres import Running, await_postgres, launch_postgres, start_postgres
from chinwag.local.processes import CannotStart, Child
from chinwag.local.progress import Report
from chinwag.local.redis import RunningRedis, await_redis, launch_redis, start_redis, try_redis
from chinwag.local.settings import LocalSettings
from chinwag.local.supervisor import Part, Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Both, started; None stands for one that somebody else runs."""

    postgres: Running | None
    redis: RunningRedis | None
    #: Their addresses for every process.
    variables: dict[str, str]

    @classmethod
    def launch(cls, settings: LocalSettings, ground: Ground, secrets: Secrets, supervisor: Supervisor) -> Stores:
        """Start them without waiting, or try the given ones. Raises CannotStart."""
        folders = {name: ground.folder / name for name in ("postgres", "redis")}
        postgres = redis = None
        if settings.database_url:
            _try_postgres(settings.database_url)
        else:
            postgres = launch_postgres(folders["postgres"])
            again = partial(_child, partial(start_postgres, folders["postgres"]))
            supervisor.parts.append(Part(name="Postgres", start=again, is_store=True, child=postgres.child))
        if settings.redis_url:
            try_redis(settings.redis_url)
        else:
            redis = launch_redis(folders["redis"])
            again = partial(_child, partial(start_redis, folders["redis"]))
            supervisor.parts.append(Part(name="Redis", start=again, is_store=True, child=redis.child))
        owner = postgres.owner_url if postgres is not None else settings.database_url
        variables = {"CHINWAG_OWNER_DATABASE_URL": owner, "CHINWAG_REDIS_URL": redis.url if redis is not None else settings.redis_url}
        for role, password in secrets.passwords.items():
            url = make_url(owner).set(username=role, password=password).render_as_string(hide_password=False)
            variables[f"CHINWAG_{role.removeprefix('chinwag_').upper()}_DATABASE_URL"] = url
        return cls(postgres=postgres, redis=redis, variables=variables)

    def wait(self, report: Report) -> None:
        """Wait until both answer, and say so. Raises CannotStart."""
        if self.postgres is None:
            report.done("Postgres", "the one at DATABASE_URL", 0)
        else:
            await_postgres(self.postgres)
            report.done("Postgres", "18 with pgvector", time.monotonic() - self.postgres.child.started)
        if self.redis is None:
            report.done("Redis", "the one at REDIS_URL", 0)
        else:
            await_redis(self.redis)
            report.done("Redis", "Valkey 9", time.monotonic() - self.redis.child.started)


def _child(start: Callable[[], Running | RunningRedis]) -> Child:
    return start().child


def _try_postgres(url: str) -> None:
    try:
        psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False), connect_timeout=5).close()
    except (psycopg.Error, BotsError) as error:
        reason = " ".join(str(error).split())
        raise CannotStart(f"DATABASE_URL= cannot be used ({reason}): check address, role and password") from error
