"""What use cases work with, assembled once by the web and by each command."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Engine

from bots.crypto import Keyring
from bots.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """Two login roles of the database, the keyring and the settings."""

    web: Engine
    #: For what spans several contacts: conversations, attention, usage.
    crossing: Engine
    keyring: Keyring = field(repr=False)
    settings: Settings
