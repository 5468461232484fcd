"""`chinwag sign-in`: a fresh one-time link to the admin page."""

from __future__ import annotations

import os
import sys

from bots.settings import Settings
from bots.storage import admin
from bots.storage.database import open_engine
from chinwag.local.ground import environment


def command() -> None:
    """Print a one-time link to the admin page, good for a day. Behind a proxy, put your own address before its path."""
    env = environment(os.environ)
    settings = Settings.from_env(env)
    token = admin.new_link(open_engine(settings.web_database_url, pool=1, name="cli"))
    sys.stdout.write(f"http://{settings.web_host}:{settings.web_port}/admin/enter?token={token}\n")
