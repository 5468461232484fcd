"""How commands reach the database: the environment's settings, or the running stack of this checkout."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

import typer

from bots.admin.acting import Operator, command_line
from bots.admin.deps import Deps
from bots.crypto import Keyring
from bots.errors import BadSetting, BotsError
from bots.settings import Settings
from bots.storage import tenants
from bots.storage.database import open_engine, unit
from chinwag.local.ground import environment


@contextmanager
def use_cases() -> Generator[tuple[Deps, Operator]]:
    """The dependencies of the use cases of `bots.admin`, and who acts. An error of ours ends the command with one line and exit code 2."""
    try:
        settings = Settings.from_env(environment(os.environ))
        if not (settings.web_database_url and settings.crossing_database_url):
            raise BadSetting("This command needs CHINWAG_WEB_DATABASE_URL and CHINWAG_CROSSING_DATABASE_URL.")
        web = open_engine(settings.web_database_url, pool=2, name="cli")
        crossing = open_engine(settings.crossing_database_url, pool=2, name="cli crossing")
        try:
            with unit(web) as connection:
                tenant = tenants.default(connection)
            deps = Deps(web=web, crossing=crossing, keyring=Keyring.from_settings(settings), settings=settings)
            yield deps, command_line(tenant)
        finally:
            web.dispose()
            crossing.dispose()
    except BotsError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from error
