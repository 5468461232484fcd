"""What the chat page says about the models that answer: a file which the stack writes and the web reads (CHINWAG_ANSWERING_FILE)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from chinwag.local.ground import Ground, write_private


class Answering:
    """The file of one stack."""

    def __init__(self, ground: Ground) -> None:
        self._folder = ground.folder
        self._told = ""
        self._said: dict[str, object] = {}
        self._waiting: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """Where it is."""
        return self._folder / "run" / "answering.json"

    def tell(self, *, model: str, about: Mapping[str, str] | None = None, more: str = "") -> None:
        """Say which model answers where no profile names another, what the answers of known ones are like, and what else is going on."""
        self._said = {"model": model, "about": {name: words for name, words in (about or {}).items() if words}, "more": more}
        self._write()

    def waits_for(self, *parts: str) -> None:
        """Say which parts of the stack are still on their way; none: all are there."""
        self._waiting = parts
        self._write()

    def _write(self) -> None:
        text = json.dumps({**self._said, "starting": self._waiting})
        if text != self._told:
            # A full disk must not end the stack for a line on a page: it is written as soon as there is room.
            with suppress(OSError):
                write_private(self.file, text)
                self._told = text
