"""Live updates: passes notices from the workers on to the chat pages that show the contact.

One Postgres connection per process listens. Nothing is queued for a page that falls behind: it is asked to read again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from bots.storage import chat


@dataclass(slots=True, kw_only=True, eq=False)
class Watcher:
    """One open page, and what has not been sent to it yet."""

    slug: str
    contact: UUID | None = None
    conversation: UUID | None = None
    is_behind: bool = True
    #: The newest partial text: its turn and the whole text so far.
    partial: tuple[str, str] | None = None
    is_typing: bool = False
    is_over: bool = False
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self) -> None:
        """Wake the page's stream."""
        self.woken.set()


class Live:
    """The pages that are open in this process."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()

    @contextmanager
    def watching(self, slug: str) -> Generator[Watcher, None, None]:
        """Notify a page while the block runs."""
        watcher = Watcher(slug=slug)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    @property
    def conversations(self) -> list[UUID]:
        """The conversations that are open on some page."""
        return sorted({w.conversation for w in self._watchers if w.conversation is not None})

    @property
    def count(self) -> int:
        """How many pages are open."""
        return len(self._watchers)

    def read_again(self, slug: str | None = None) -> None:
        """Let the pages of this contact, or all of them, read again."""
        for watcher in self._watchers:
            if slug is None or watcher.slug == slug:
                watcher.is_behind = True
                watcher.tell()

    def close(self) -> None:
        """End every stream; the pages reconnect to the next process."""
        for watcher in self._watchers:
            watcher.is_over = True
            watcher.tell()

    def notice(self, payload: str) -> None:
        """Pass one notice on to the pages it concerns."""
        if payload == chat.LOST:
            self.read_again()
            return
        try:
            notice = cast("dict[str, Any]", json.loads(payload))
            contact, kind = UUID(str(notice["contact"])), str(notice["kind"])
        except (ValueError, KeyError, TypeError):
            return
        for watcher in self._watchers:
            if watcher.contact == contact:
                _apply(watcher, kind, notice)
            elif watcher.contact is None and kind == "changed":
                # A page of a contact that has not written yet: this may be the first message.
                watcher.is_behind = True
                watcher.tell()


def _apply(watcher: Watcher, kind: str, notice: dict[str, Any]) -> None:
    if kind == "partial":
        watcher.partial = (str(notice.get("turn")), str(notice.get("text", "")))
    elif kind == "typing":
        # The claim changes the conversation, too: the contact's messages count as read now.
        watcher.is_typing = watcher.is_behind = True
    else:
        watcher.is_behind = True
    watcher.tell()
