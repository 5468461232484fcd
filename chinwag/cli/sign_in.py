"""`chinwag sign-in`: a new one-time link to the admin pages, for whoever runs the server, also before there is any operator."""

from __future__ import annotations

import os
import sys

from bots.settings import Settings
from bots.storage import sign_in_links
from bots.storage.database import open_engine
from chinwag.local.ground import environment


def command() -> None:
    """Print a one-time link to the admin pages; it expires after a day. Behind a proxy, replace the host in it with your own."""
    settings = Settings.from_env(environment(os.environ))
    token = sign_in_links.new_link(open_engine(settings.web_database_url, pool=1, name="cli"))
    sys.stdout.write(enter_address(settings, token))


def enter_address(settings: Settings, token: str) -> str:
    """A line with the address of a one-time link."""
    return f"http://{settings.web_host}:{settings.web_port}/admin/enter?token={token}\n"
