"""Finds the line of each key of a TOML text, which the standard library's parser does not tell.

The text must be one that `tomllib` has accepted: nothing is checked here.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field

#: Keys, and positions in arrays: ("offers", 1, "date") is the key `date` of the second [[offers]].
Path = tuple[str | int, ...]

_TOKEN = re.compile(
    r"""(?P<skip>[^\S\n]+|\#[^\n]*)
      | (?P<newline>\n)
      | (?P<text>\"{3}(?:\\.|[^\\])*?\"{3,5} | '{3}.*?'{3,5} | \"(?:\\.|[^"\\])*\" | '[^']*')
      | (?P<mark>[\[\]{}=,.])
      | (?P<bare>[^\s\[\]{}=,.\#"']+)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The line of every key and array member, counted from 1."""

    known: dict[Path, int]

    def of(self, path: Path) -> int:
        """Return the line of the path, or that of the nearest table or array around it; 1 for the whole file."""
        while path and path not in self.known:
            path = path[:-1]
        return self.known.get(path, 1)


def find_lines(text: str) -> Lines:
    """Find the lines of a valid TOML text."""
    scan = _Scan(tokens=_tokens(text))
    scan.file()
    return Lines(known=scan.known)


def _tokens(text: str) -> list[tuple[str, str, int]]:
    """Split into (kind, text, line), without spaces and comments; ends with a newline token."""
    tokens: list[tuple[str, str, int]] = []
    line = 1
    for found in _TOKEN.finditer(text + "\n"):
        if found.lastgroup != "skip":
            tokens.append((found.lastgroup or "", found[0], line))
        line += found[0].count("\n")
    return tokens


@dataclass(slots=True, kw_only=True)
class _Scan:
    tokens: list[tuple[str, str, int]]
    at: int = 0
    known: dict[Path, int] = field(default_factory=dict[Path, int])
    #: Position of the newest member of each array of tables.
    newest: dict[Path, int] = field(default_factory=dict[Path, int])

    def file(self) -> None:
        table: Path = ()
        while self.at < len(self.tokens):
            if self._take("newline"):
                continue
            table = self._header() if self._mark() == "[" else self._pair(table)

    def _mark(self) -> str:
        kind, text, _ = self.tokens[self.at]
        return text if kind == "mark" else ""

    def _take(self, kind: str) -> bool:
        if self.tokens[self.at][0] != kind:
            return False
        self.at += 1
        return True

    def _note(self, path: Path, line: int) -> None:
        self.known.setdefault(path, line)

    def _header(self) -> Path:
        line = self.tokens[self.at][2]
        self.at += 1
        many = self._mark() == "["
        self.at += many
        parts = self._key()
        self.at += 2 if many else 1
        path: Path = (*self._resolve((), parts[:-1], line), parts[-1])
        if many:
            self._note(path, line)
            self.newest[path] = self.newest.get(path, -1) + 1
            path = (*path, self.newest[path])
        # A table that a table inside it has named before gets its own line now.
        self.known[path] = line
        return path

    def _resolve(self, base: Path, parts: tuple[str, ...], line: int) -> Path:
        for part in parts:
            base = (*base, part)
            self._note(base, line)
            if base in self.newest:
                base = (*base, self.newest[base])
        return base

    def _key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while True:
            kind, text, _ = self.tokens[self.at]
            # The parser removes the quotes.
            parts += [text] if kind == "bare" else tomllib.loads(f"{text} = 0")
            self.at += 1
            if self._mark() != ".":
                return tuple(parts)
            self.at += 1

    def _pair(self, table: Path) -> Path:
        line = self.tokens[self.at][2]
        path = self._resolve(table, self._key(), line)
        self.at += 1
        self._value(path)
        return table

    def _value(self, path: Path) -> None:
        opening = self._mark()
        if opening == "[":
            self._members(path)
        elif opening == "{":
            self._inline(path)
        else:
            while self.tokens[self.at][0] != "newline" and self._mark() not in {",", "]", "}"}:
                self.at += 1

    def _members(self, path: Path) -> None:
        self.at += 1
        position = 0
        while self._mark() != "]":
            if self._take("newline"):
                continue
            if self._mark() == ",":
                self.at += 1
                continue
            self._note((*path, position), self.tokens[self.at][2])
            self._value((*path, position))
            position += 1
        self.at += 1

    def _inline(self, path: Path) -> None:
        self.at += 1
        while self._mark() != "}":
            if self._mark() == "," or self.tokens[self.at][0] == "newline":
                self.at += 1
            else:
                self._pair(path)
        self.at += 1
