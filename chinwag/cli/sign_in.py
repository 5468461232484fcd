"""`chinwag sign-in`: a new one-time link to the admin pages."""

from __future__ import annotations

import sys

from bots.admin import sign_in
from bots.settings import Settings
from chinwag.cli.database import use_cases


def command() -> None:
    """Print a one-time link to the admin pages, good for a day. Behind a proxy, put your own address in front of its path."""
    with use_cases() as (deps, _):
        address = enter_address(deps.settings, sign_in.new_link(deps))
    sys.stdout.write(address)


def enter_address(settings: Settings, token: str) -> str:
    """A line with the address of a one-time link."""
    return f"http://{settings.web_host}:{settings.web_port}/admin/enter?token={token}\n"
