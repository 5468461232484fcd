"""Cuts the bytes of a response into JSON texts, whatever they are wrapped in: server-sent events, one JSON text a line, or one JSON text in all.

The grammar. It looks at the bytes alone, never at the content type:

* A line ends with LF, CR LF or CR, also where these are cut in two. A byte order mark at the start is dropped.
* `data: X`, with or without the space, holds X. `event: N` names the block up to the next empty line. `:` begins a comment. `error: X` is `data: X`
  in a block with the name "error". Other fields of server-sent events hold nothing.
* A line that is no field holds itself: bare JSON.
* What is JSON by itself is taken at once, so that no empty line is needed between events. What only begins like JSON waits for the next lines,
  and is taken as soon as they are JSON together; if they never are, each line is taken by itself.
* Everything else is passed over, and kept (up to a limit) for the case that nothing else comes: it may say why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

#: What `take` says of a text: it was read, it only begins like JSON, or it is something else.
Reading = Literal["read", "begun", "other"]

_BOM = b"\xef\xbb\xbf"
#: How often lines that wait are tried together before only their end counts: each try reads all of them.
_MOST_TRIES = 64
#: How much is kept of what is passed over.
_MOST_KEPT = 16 * 1024
_FIELDS = frozenset({b"data", b"event", b"error", b"id", b"retry"})


class Frames:
    """The lines of one response. `take` gets each text and the name of its block."""

    def __init__(self, take: Callable[[bytes, str], Reading], ordinary: Callable[[bytes], bool]) -> None:
        self._take = take
        #: Takes the ordinary text, which most are, and returns whether it was one.
        self._ordinary = ordinary
        #: The beginning of a line whose end has not come.
        self._rest: list[bytes] = []
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

    def feed(self, piece: bytes) -> None:  # noqa: C901 - the ordinary ways are written out: calls cost as much as the reading
        """Take bytes as they come."""
        ordinary = self._ordinary
        if self._rest:
            if b"\n" not in piece and b"\r" not in piece:
                # Joined at a line's end only: a long line that comes byte by byte would be copied for each of them.
                self._rest.append(piece)
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
                if self._in_block:
                    self._empty_line()
            elif self._in_block or not line.startswith(b"data: {") or not ordinary(line[6:]):
                self._line(line)
                self._in_block = bool(self._waiting or self._name or self._unread)

    def end(self) -> None:
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
            if self._waiting and self._in_fields:
                self._settle()
            self._held(line.strip(), in_fields=False)
            return
        self.streams = True
        if field == b"data":
            if self._waiting and not self._in_fields:
                self._settle()
            self._held(value.strip(), in_fields=True)
        elif field == b"event":
            self._named(value.strip().decode("utf-8", "replace").lower())
        elif field == b"error":
            self._name = "error"
            self._held(value.strip(), in_fields=True)

    def _named(self, name: str) -> None:
        """Note the block's name. It may stand below what it names."""
        self._name = name
        if self._unread and self._take(self._unread, name) == "read":
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
        taken = self._take(text, self._name)
        if taken == "begun":
            self._waiting, self._tries, self._in_fields = [text], 0, in_fields
        elif taken == "other":
            self._keep(text)
            self._unread = text

    def _try_together(self) -> bool:
        self._tries += 1
        if self._take(b"\n".join(self._waiting), self._name) != "read":
            return False
        self._waiting = []
        return True

    def _empty_line(self) -> None:
        if self._waiting and not self._in_fields:
            # JSON over several lines may contain empty ones.
            return
        self._end_block()

    def _end_block(self) -> None:
        self._settle()
        if self._name and not self._has_text:
            self._take(b"", self._name)
        self._name, self._has_text, self._unread, self._in_block = "", False, b"", False

    def _settle(self) -> None:
        """Take the lines that wait: together, or else each by itself."""
        if not self._waiting or self._try_together():
            return
        waiting, self._waiting = self._waiting, []
        for line in waiting:
            if self._take(line, self._name) != "read":
                self._keep(line)

    def _keep(self, text: bytes) -> None:
        if self._kept_bytes < _MOST_KEPT:
            text = text[: _MOST_KEPT - self._kept_bytes]
            self._kept.append(text)
            self._kept_bytes += len(text)
