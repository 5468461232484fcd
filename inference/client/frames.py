"""Cuts the bytes of a response into JSON texts, whatever they are wrapped in: server-sent events, one JSON text a line, or one JSON text in all.

The grammar. It looks at the bytes alone, never at the content type:

* A line ends with LF, CR LF or CR, also where these are cut in two. A byte order mark at the start is dropped.
* `data: X`, with or without the space, holds X. `event: N` names the block up to the next empty line. `:` begins a comment. `error: X` is `data: X`
  in a block with the name "error". Other fields of server-sent events hold nothing.
* A line that is no field holds itself: bare JSON.
* What is JSON by itself is taken at once, before its line's end has come, and no empty line is needed between events. What only begins like JSON waits for the next lines,
  and is taken as soon as they are JSON together; if they never are, each line is taken by itself.
* `data: data: X` is `data: X`, and commas between items of a list whose brackets are missing are no part of them.
* Everything else is passed over, and kept (up to a limit) for the case that nothing else comes: it may say why.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Literal

#: What `take` says of a text: it was read, it only begins like JSON, or it is something else.
Reading = Literal["read", "begun", "other"]

_BOM = b"\xef\xbb\xbf"
#: How often lines that wait are tried together before only their end counts: each try reads all of them.
_MOST_TRIES = 64
#: How much is kept of what is passed over.
_MOST_KEPT = 16 * 1024
_ANSWER = re.compile(rb'\\?"(?:choices|delta|content|text)\\?"\s*:')
_FIELDS = frozenset({b"data", b"event", b"error", b"id", b"retry"})


class Frames(ABC):
    """The lines of one response; what is in them is taken by the class that is built on it."""

    def __init__(self) -> None:
        #: The beginning of a line whose end has not come.
        self._rest: list[bytes] = []
        self._rest_tries = 0
        self._after_cr = False
        self._is_first = True
        #: Lines that begin like JSON and wait for more, and how often they were tried.
        self._waiting: list[bytes] = []
        self._tries = 0
        #: Whether they stand in `data:` fields, so that an empty line ends them.
        self._in_fields = False
        self._name = ""
        #: Whether the block held anything so far, and what of it was not read.
        self._has_text = False
        self._unread = b""
        #: Whether the next line, or an empty one, concerns what came before.
        self._in_block = False
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        #: Whether anything showed that this is a stream: a field or a comment.
        self.streams = False

    @property
    def passed_over(self) -> bytes:
        """What was not understood, up to a limit."""
        return b"\n".join(self._kept)

    @abstractmethod
    def take(self, data: bytes, name: str) -> Reading:
        """Take one text, in a block of that name."""

    @abstractmethod
    def take_ordinary(self, data: bytes) -> bool:
        """Take a text if it is one of those that most are; return whether it was. Called first, in blocks without a name."""

    @abstractmethod
    def lost(self) -> None:
        """Note that a piece of the answer could not be read."""

    def split(self, piece: bytes) -> None:  # noqa: C901 - the ordinary ways are written out: calls cost as much as the reading
        """Take bytes as they come."""
        ordinary = self.take_ordinary
        if self._rest:
            if b"\n" not in piece and b"\r" not in piece:
                # Joined at a line's end only: a long line that comes byte by byte would be copied for each of them.
                self._rest.append(piece)
                self._try_rest(piece)
                return
            self._rest.append(piece)
            piece = b"".join(self._rest)
            self._rest.clear()
        elif self._after_cr and piece:
            # The two halves of a CR LF are one line's end.
            self._after_cr = False
            piece = piece.removeprefix(b"\n")
        elif (
            piece.startswith(b"data: {")
            and piece.count(b"\n") == 2
            and piece.endswith(b"\n\n")
            and not self._in_block
            and ordinary(piece[6:])
        ):
            # One event a read, as servers send them.
            return
        lines = piece.splitlines()
        if not piece.endswith(b"\n"):
            if piece.endswith(b"\r"):
                self._after_cr = True
            elif lines:
                self._rest.append(lines.pop())
        for line in lines:
            if not line:
                if self._in_block or self._has_text:
                    self._empty_line()
            elif self._in_block or not line.startswith(b"data: {") or not ordinary(line[6:]):
                self._line(line)
                self._in_block = bool(self._waiting or self._name or self._unread)
        if self._rest:
            self._rest_tries = 0
            self._try_rest(piece)

    def _try_rest(self, piece: bytes) -> None:
        """Take a line whose end has not come if it is JSON already: the end may never come."""
        if self._rest_tries >= _MOST_TRIES or self._tries >= _MOST_TRIES or not piece.endswith((b"}", b"]")):
            return
        self._rest_tries += 1
        # Each try reads the lines that wait, too.
        self._tries += bool(self._waiting)
        line = b"".join(self._rest)
        is_field = line.startswith(b"data:")
        self.streams |= is_field
        text = (line[5:] if is_field else line.removeprefix(_BOM)).strip()
        if self.take(b"\n".join((*self._waiting, text)), self._name) == "read":
            self._rest.clear()
            self._waiting, self._tries, self._has_text = [], 0, True

    def split_rest(self) -> None:
        """Take what is left when no more bytes come."""
        rest, self._rest = b"".join(self._rest), []
        if rest:
            self._line(rest)
        self._end_block()

    def _line(self, line: bytes) -> None:
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(_BOM)
        if line.startswith(b":"):
            self.streams = True
            return
        field, colon, value = line.partition(b":")
        field = field.strip().lower()
        if not colon or field not in _FIELDS:
            if self._waiting and self._in_fields and line.startswith((b"{", b"[")):
                self._settle()
            # What is no JSON may go on with a field's: some servers write a line break inside of a string as it is.
            self._held(line.strip() if not self._waiting else line, in_fields=self._in_fields and bool(self._waiting))
            return
        self.streams = True
        if field == b"data":
            if self._waiting and not self._in_fields:
                self._settle()
            value = value.strip()
            while value.startswith(b"data:"):
                # A proxy that frames what is framed already.
                value = value[5:].lstrip()
            self._held(value, in_fields=True)
        elif field == b"event":
            self._named(value.strip().decode("utf-8", "replace").lower())
        elif field == b"error":
            self._name = "error"
            self._held(value.strip(), in_fields=True)

    def _named(self, name: str) -> None:
        """Note the block's name. It may stand below what it names."""
        self._name = name
        if self._unread and self.take(self._unread, name) == "read":
            self._unread = b""

    def _held(self, text: bytes, *, in_fields: bool) -> None:
        """Take what a line holds, alone or with the lines that wait."""
        self.streams |= in_fields
        if self._waiting:
            self._waiting.append(text)
            if self._tries < _MOST_TRIES and text.endswith((b"}", b"]")):
                self._try_together()
            return
        if not text:
            return
        self._has_text = True
        taken = self.take(text, self._name)
        if taken == "begun":
            self._waiting, self._tries, self._in_fields = [text], 0, in_fields
        elif taken == "other":
            self._keep(text)
            self._unread = text

    def _try_together(self) -> bool:
        self._tries += 1
        if self.take(b"\n".join(self._waiting), self._name) != "read":
            return False
        self._waiting, self._tries = [], 0
        return True

    def _empty_line(self) -> None:
        if self._waiting and not self._in_fields:
            # JSON over several lines may contain empty ones.
            return
        self._end_block()

    def _end_block(self) -> None:
        self._settle()
        if self._name and not self._has_text:
            self.take(b"", self._name)
        self._name, self._has_text, self._unread, self._in_block = "", False, b"", False

    def _settle(self) -> None:
        """Take the lines that wait: together, or else each by itself."""
        if not self._waiting or self._try_together():
            return
        waiting, self._waiting, self._tries = self._waiting, [], 0
        for line in waiting:
            # Commas part the items of a list whose brackets are missing.
            item = line.strip(b" \t,")
            # Only what also ends like JSON: a body of a million brackets is not tried a million times.
            if not item.endswith((b"}", b"]")) or self.take(item, self._name) != "read":
                self._keep(line)

    def _keep(self, text: bytes) -> None:
        if _ANSWER.search(text):
            # It says nothing about why the answer broke off.
            self.lost()
        elif self._kept_bytes < _MOST_KEPT:
            text = text[: _MOST_KEPT - self._kept_bytes]
            self._kept.append(text)
            self._kept_bytes += len(text)
