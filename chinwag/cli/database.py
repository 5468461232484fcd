"""How commands reach the database: the environment's settings, or the running stack of this checkout."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import typer
from sqlalchemy import Connection

from bots.crypto import Keyring
from bots.errors import BotsError
from bots.settings import Settings
from bots.storage import tenants
from bots.storage.database import open_engine, unit
from chinwag.local import stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One transaction of a command, with what goes with it."""

    settings: Settings
    connection: Connection
    keyring: Keyring
    tenant: UUID


@contextmanager
def desk() -> Generator[Desk]:
    """One transaction as the web's role. A refusal of ours ends the command with one line and exit code 2."""
    try:
        settings = Settings.from_env(stack.environment(os.environ))
        engine = open_engine(settings.web_database_url, pool=1, name="cli")
        with unit(engine) as connection:
            yield Desk(
                settings=settings,
                connection=connection,
                keyring=Keyring.from_settings(settings),
                tenant=tenants.default(connection),
            )
    except BotsError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from error
