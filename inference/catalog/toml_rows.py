"""Reads TOML into dataclasses: every key must be known, of the right type and in range. An error names its line.

What a table means is not known here: its own rules are in its `__post_init__`, which raises InvalidRow.
"""

from __future__ import annotations

import difflib
import math
import re
import sys
import tomllib
import types
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from inference.catalog.toml_lines import Lines, Path, find_lines

_Row = TypeVar("_Row")

#: Far above every real number of a model: tokens of context, parameters, prices.
_LARGEST = 1e12
_EXPECTED: dict[type, str] = {str: "text", bool: "true or false", int: "a whole number", float: "a number", date: "a date like 2026-11-01"}
_ENDLESS = re.compile(r"[0-9][0-9_]{2000}")
_PLACE = re.compile(r"^(?P<why>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", re.DOTALL)


class InvalidRow(ValueError):
    """A value breaks a rule. `key` is its name inside the table, with dots; `why` continues a sentence that begins with its full name."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(f"{key} {why}")
        self.key = key
        self.why = why


class InvalidToml(ValueError):
    """The text is not TOML, or not of the expected form. `line` is where, counted from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


def read_row(raw: bytes, shape: type[_Row]) -> tuple[_Row, Lines]:
    """Return the dataclass and the lines of its keys. Raises InvalidToml for the first error."""
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InvalidToml(raw.count(b"\n", 0, error.start) + 1, "is not UTF-8 text") from error
    try:
        values = tomllib.loads(text)
        lines = find_lines(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(error, text) from error
    except RecursionError as error:
        raise InvalidToml(1, "nests arrays or tables too deeply") from error
    except ValueError as error:
        # Python reads no longer whole number from text, and its error does not say where the number is.
        found = _ENDLESS.search(text)
        raise InvalidToml(text.count("\n", 0, found.start() if found else 0) + 1, "has a number with thousands of digits") from error
    return _Reader(lines=lines).table(values, shape, ()), lines


def _syntax(error: tomllib.TOMLDecodeError, text: str) -> InvalidToml:
    found = _PLACE.match(str(error))
    why = found["why"] if found else str(error)
    line = int(found["line"]) if found and found["line"] else len(text.rstrip().split("\n"))
    column = f" in column {found['column']}" if found and found["column"] else " at the end of the file"
    return InvalidToml(line, f"is not TOML: {why[:1].lower()}{why[1:]}{column}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    lines: Lines

    def table(self, value: object, shape: type[_Row], at: Path) -> _Row:
        """Build the dataclass of one table."""
        if not isinstance(value, dict):
            raise self._invalid(at, f"must be a table, not {_shown(value)}")
        given = cast("dict[str, object]", value)
        # No type says that `shape` is a dataclass.
        known = {one.name: one for one in fields(cast("Any", shape))}
        for key in given:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                raise self._invalid((*at, key), f"is not a key of {_table(at)}{f'; did you mean {close[0]}?' if close else ''}")
        lacking = [name for name, one in known.items() if name not in given and one.default is MISSING]
        if lacking:
            raise InvalidToml(self.lines.of(at), f"{_table(at)} lacks {' and '.join(lacking)}")
        hints = get_type_hints(shape, localns=vars(sys.modules[shape.__module__]))
        values = {name: self._value(one, hints[name], (*at, name), needed=known[name].default is MISSING) for name, one in given.items()}
        try:
            return shape(**values)
        except InvalidRow as error:
            raise self._invalid((*at, *error.key.split(".")), error.why) from error

    def _value(self, value: object, hint: Any, at: Path, *, needed: bool) -> object:
        if isinstance(hint, types.UnionType):
            # TOML has no null: a key whose value is None is left out.
            hint = next(one for one in get_args(hint) if one is not types.NoneType)
        if get_origin(hint) is tuple:
            return self._members(value, get_args(hint)[0], at)
        if is_dataclass(hint):
            return self.table(value, cast("type[object]", hint), at)
        if issubclass(hint, StrEnum):
            return self._choice(value, hint, at)
        return self._scalar(value, hint, at, needed=needed)

    def _members(self, value: object, hint: Any, at: Path) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise self._invalid(at, f"must be {'tables in double brackets' if is_dataclass(hint) else 'a list'}, not {_shown(value)}")
        members = cast("list[object]", value)
        return tuple(self._value(one, hint, (*at, position), needed=True) for position, one in enumerate(members))

    def _choice(self, value: object, hint: type[StrEnum], at: Path) -> StrEnum:
        if isinstance(value, str) and value in set(hint):
            return hint(value)
        raise self._invalid(at, f"must be one of {', '.join(hint)}, not {_shown(value)}")

    def _scalar(self, value: object, hint: type, at: Path, *, needed: bool) -> object:
        if hint is float and type(value) is int:
            value = float(value) if abs(value) <= _LARGEST else math.inf
        # Exactly that type: Python counts true as a whole number and a time as a date.
        if type(value) is not hint or isinstance(value, datetime):
            raise self._invalid(at, f"must be {_EXPECTED[hint]}, not {_shown(value)}")
        if isinstance(value, str):
            if needed and not value.strip():
                raise self._invalid(at, "is empty")
            if not value.isprintable():
                raise self._invalid(at, "must be text on one line, without control characters")
        elif isinstance(value, (int, float)) and not 0 <= value <= _LARGEST:
            raise self._invalid(at, f"must be a number from 0 to {_LARGEST:.0e}, not {_shown(value)}")
        return value

    def _invalid(self, at: Path, why: str) -> InvalidToml:
        return InvalidToml(self.lines.of(at), f"{_name(at)} {why}")


def _name(path: Path) -> str:
    words = ""
    for part in path:
        words += f" {part + 1}" if isinstance(part, int) else f".{part}" if words else part
    return words


def _table(path: Path) -> str:
    return f"[{_name(path)}]" if path else "the file"


def _shown(value: object) -> str:
    """Name a value briefly, in the words of TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the text "{value if len(value) <= 40 else value[:37] + "..."}"' if value.isprintable() else "text with control characters"
    if isinstance(value, (int, float)):
        return "a larger one" if abs(value) > _LARGEST else str(value)
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return "a time" if not isinstance(value, date) or isinstance(value, datetime) else f"the date {value}"
