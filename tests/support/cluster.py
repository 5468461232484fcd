"""The embedded Postgres of a test session: migrated once, copied for each test."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from cryptography.fernet import Fernet
from sqlalchemy import Engine, create_engine, pool

from bots.settings import Settings
from chinwag.cli.migrate import migrate
from chinwag.local.postgres import OWNER, start_postgres

ROLES = ("web", "worker", "crossing")
_TEMPLATE = "chinwag_template"
_numbers = itertools.count(1)
#: What survives a crash of the machine is not asked here: no test ends Postgres and starts it again on the same data.
_FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "128MB",
    # Tests open thousands of connections, and each proves that it knows the password.
    "scram_iterations": "1",
}


class Cluster:
    """One Postgres with a migrated template; `database` gives a fresh copy."""

    def __init__(self, folder: Path, *, as_shipped: bool = True) -> None:
        """`as_shipped` is for measurements; tests go without what costs time and which they do not ask about."""
        self.folder, self.as_shipped = folder, as_shipped
        self.key = Fernet.generate_key().decode()
        self.passwords = {role: f"canary-password-{role}" for role in ROLES}

    def __enter__(self) -> Self:
        self.postgres = start_postgres(self.folder / "postgres", options={} if self.as_shipped else _FAST)
        # Its password was made before the settings held.
        self._owner("postgres", f"alter role {OWNER} password '{self.postgres.owner_password}'")
        self._owner("postgres", f"create database {_TEMPLATE}")
        migrate(Settings.from_env(self.addresses(_TEMPLATE)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.postgres.stop()

    @property
    def socket(self) -> str:
        """The path of its socket, for a proxy."""
        return str(self.postgres.sockets / ".s.PGSQL.5432")

    def database(self) -> str:
        """Copy the template and return the copy's name."""
        name = f"test_{next(_numbers)}"
        self._owner("postgres", f"create database {name} template {_TEMPLATE} strategy file_copy")
        return name

    def drop(self, database: str) -> None:
        """Remove a copy, with whoever is still connected to it."""
        self._owner("postgres", f"drop database if exists {database} with (force)")

    def addresses(self, database: str, *, proxy_port: int | None = None) -> dict[str, str]:
        """The CHINWAG_*_DATABASE_URL variables, directly or through a proxy."""
        found = {f"CHINWAG_{role.upper()}_DATABASE_URL": self._url(role, database, proxy_port) for role in ROLES}
        return found | {"CHINWAG_OWNER_DATABASE_URL": self.owner_url(database), "CHINWAG_KEYS": self.key}

    def owner_url(self, database: str) -> str:
        """The owner's address of a database."""
        return self.postgres.url(OWNER, self.postgres.owner_password, database=database)

    def engine(self, database: str, role: str = "owner") -> Engine:
        """A plain engine without a pool, for looking at what happened."""
        url = self.owner_url(database) if role == "owner" else self._url(role, database, None)
        return create_engine(url, poolclass=pool.NullPool)

    def _url(self, role: str, database: str, proxy_port: int | None) -> str:
        login, password = f"chinwag_{role}", self.passwords[role]
        if proxy_port is None:
            return self.postgres.url(login, password, database=database)
        there = f"127.0.0.1:{proxy_port}/{database}"
        return f"postgresql+psycopg://{login}:{quote(password, safe='')}@{there}?sslmode=disable&gssencmode=disable"

    def _owner(self, database: str, statement: str) -> None:
        engine = self.engine(database)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


class Database:
    """One migrated database of a test."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        #: The CHINWAG_ variables of a process on it.
        self.env = cluster.addresses(name)

    def engine(self, role: str = "owner") -> Engine:
        """A plain engine of the owner or of a login role (web, worker, crossing)."""
        return self.cluster.engine(self.name, role)

    def hot(self, role: str) -> Engine:
        """The same with each statement its own transaction, as storage's functions expect it."""
        return self.engine(role).execution_options(isolation_level="AUTOCOMMIT")
