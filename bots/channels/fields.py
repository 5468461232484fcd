"""Reading JSON that may hold anything: each reader returns the field, or None where it is missing or of a wrong type.

Postgres can store every text that is returned: no NUL, no lone surrogate, a bounded length.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

Fields = dict[str, Any]

ID_LIMIT = 256
NAME_LIMIT = 256
TEXT_LIMIT = 65_536
_WORD_LIMIT = 64
#: How many errors of one item are looked at.
_ERRORS = 10
_SET = (1, "1", "true", "True")
_NUMBERS = (int, float)
_MILLISECONDS, _TIME_LIMIT = 10**12, 10**16
_DEPTH_LIMIT = 64
#: Objects and lists in a body. The largest that a platform could send, 5,000 events each in an entry of its own, has about 65,000;
#: each of them costs microseconds wherever it is read.
OPENINGS_LIMIT = 80_000
#: No number or time that we use is written with more characters.
_NUMBER_LIMIT = 64
_INT32 = 2**31
#: Reading long numbers takes quadratic time; none that we use has more digits.
_DIGITS_LIMIT = 40
_EARLIEST, _LATEST = datetime(2009, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp()

_CONTAINERS = (dict, list, tuple)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NUMBER = re.compile(r"\s*[0-9]{1,20}(?:\.[0-9]{1,9})?\s*", re.ASCII)
# A string, closed or not, or a bracket; possessive, so that no input makes it backtrack.
_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.?[^"\\]*+)*+(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)


class NotJson(Exception):
    """The bytes are not JSON."""


class TooMuch(Exception):
    """The body holds more objects and lists than any platform sends."""


def decode(body: bytes) -> object:
    """Read JSON: fast where it follows the standard, tolerant where it does not. Raises NotJson, TooMuch."""
    if len(body) > OPENINGS_LIMIT and _openings(body) > OPENINGS_LIMIT:
        raise TooMuch
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    text = body.decode("utf-8-sig", "replace")
    try:
        return _decode_tolerantly(text)
    except RecursionError:
        pass
    except ValueError as error:
        raise NotJson from error
    try:
        return _decode_tolerantly(_without_depth(text))
    except (RecursionError, ValueError) as error:
        raise NotJson from error


def _openings(body: bytes) -> int:
    """Count the objects and lists; exactly only where there may be too many."""
    found = body.count(b"{") + body.count(b"[")
    if found <= OPENINGS_LIMIT:
        return found
    # Those in strings do not count: people may write them. Escaped quotes go first, so that every second piece is a string.
    outside = b" ".join(body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    return outside.count(b"{") + outside.count(b"[")


def _decode_tolerantly(text: str) -> object:
    # Not strict: control characters inside strings are accepted.
    return json.loads(text, strict=False, parse_int=_as_int, parse_constant=lambda _: None)


def _as_int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _DIGITS_LIMIT else None


def _without_depth(text: str) -> str:
    """Replace what is nested deeper than anything a platform sends by null."""
    kept: list[str] = []
    depth, start = 0, 0
    for found in _BRACKETS.finditer(text):
        sign = found.group()[0]
        if sign in "[{":
            depth += 1
            if depth == _DEPTH_LIMIT:
                kept.append(text[start : found.start()])
        elif sign in "]}":
            if depth == _DEPTH_LIMIT:
                kept.append("null")
                start = found.end()
            depth -= 1
    if depth < _DEPTH_LIMIT:
        kept.append(text[start:])
    return "".join(kept)


def as_fields(value: Any) -> Fields | None:
    """Return a JSON object, or None."""
    found: Fields | None = value
    return found if isinstance(found, dict) else None


def part(fields: Fields, name: str) -> Fields:
    """Return the JSON object under a name; an empty one where there is none."""
    found: Fields | None = fields.get(name)
    return found if isinstance(found, dict) else {}


def items(fields: Fields, name: str) -> list[object]:
    """Return the items under a name; a single value counts as a list of one."""
    value: list[object] | str | None = fields.get(name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def clean(text: str, limit: int) -> str:
    """Return the text as Postgres can store it: unstorable characters replaced, cut to a limit."""
    found = text if len(text) <= limit else text[:limit]
    return found if found.isascii() and "\x00" not in found else _UNSTORABLE.sub("\ufffd", found)


def text_of(fields: Fields, name: str, limit: int = TEXT_LIMIT) -> str | None:
    """Return a text, cleaned and cut; None where it is missing, of another type, or blank."""
    value = fields.get(name)
    if not isinstance(value, str) or not value or value[:limit].isspace():
        return None
    if value.isascii() and len(value) <= limit and "\x00" not in value:
        return value
    return clean(value, limit)


def id_of(fields: Fields, name: str) -> str | None:
    """Return an id as opaque text: a number as its digits, and None for what is too long for an id."""
    value = fields.get(name)
    if isinstance(value, str) and len(value) <= ID_LIMIT and value.isascii() and value.isprintable():
        # Nothing to clean or to cut, as in nearly all ids.
        return value.strip() or None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**_DIGITS_LIMIT else ""
    if not isinstance(value, str) or len(value) > 2 * ID_LIMIT:
        return None
    found = value.strip()
    return clean(found, ID_LIMIT) if 0 < len(found) <= ID_LIMIT else None


def is_plain_id(value: str) -> bool:
    """Whether a text is an id as nearly all are: nothing to clean, to cut or to strip."""
    return 0 < len(value) <= ID_LIMIT and value.isascii() and value.isprintable() and value == value.strip()


def brief(fields: Fields, name: str) -> object:
    """Return a value as it came, for a key; None where it is long. For what the items of an entry share."""
    value = fields.get(name)
    if isinstance(value, str):
        return value if len(value) <= ID_LIMIT else None
    return value if isinstance(value, int | float) and not _is_huge(value) else None


def word_of(fields: Fields, name: str) -> str | None:
    """Return a short name that the platform uses, such as a type; None where there is none."""
    value = fields.get(name)
    if isinstance(value, str) and len(value) <= _WORD_LIMIT and value.isascii() and value.isprintable():
        return value.strip() or None
    found = text_of(fields, name, _WORD_LIMIT)
    return found.strip() if found else None


def flag_of(fields: Fields, name: str) -> bool:
    """Return whether a flag is set: true, or a word or number for it."""
    value = fields.get(name)
    return value is True or (value is not None and value in _SET)


def code_of(fields: Fields) -> int | None:
    """Return the first code among the errors of an item or next to it."""
    for error in items(fields, "errors")[:_ERRORS]:
        found = as_fields(error) or {}
        value = found.get("code")
        if isinstance(value, str) and _is_number(value):
            value = int(float(value))
        if isinstance(value, int) and not isinstance(value, bool) and -_INT32 <= value < _INT32:
            return value
    return None


def time_of(fields: Fields, name: str = "timestamp") -> datetime | None:
    """Return a time given in seconds or, from 10^12 on, in milliseconds; None where it makes no sense."""
    value = fields.get(name)
    if isinstance(value, str):
        # Nearly all are digits and nothing else.
        if len(value) > _WORD_LIMIT:
            value = None
        elif value.isdecimal() and value.isascii():
            value = int(value)
        else:
            value = float(value) if _NUMBER.fullmatch(value) else None
    return moment_of(value) if isinstance(value, _NUMBERS) and value is not True else None


def moment_of(value: float) -> datetime | None:
    """Return a time in seconds or, from 10^12 on, in milliseconds; None where it makes no sense."""
    if _MILLISECONDS <= value < _TIME_LIMIT:
        value /= 1000
    return datetime.fromtimestamp(value, UTC) if _EARLIEST <= value < _LATEST else None


def stamp_of(fields: Fields) -> str:
    """Return a timestamp as it came, for use in a key."""
    value = fields.get("timestamp")
    return clean(str(value), 32) if isinstance(value, str | int | float) and not _is_huge(value) else ""


def _is_huge(value: object) -> bool:
    return isinstance(value, int) and abs(value) >= 10**_DIGITS_LIMIT


def _is_number(text: str) -> bool:
    # The length first: what all items of a body share is asked of each of them.
    return len(text) <= _NUMBER_LIMIT and _NUMBER.fullmatch(text) is not None


def digest(*values: object) -> str:
    """Return a key for something without an id: the same content gives the same key, whatever the order of its fields.

    Takes time for all that it is given: what many items of a body share goes in by `brief`.
    """
    try:
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    except (RecursionError, ValueError):
        # Nested too deep, or with a number too long to be written.
        return _walk(values)


def _walk(values: object) -> str:
    """Hash a JSON value of any depth without recursion. What is no container is written by its container, all at once."""
    told = hashlib.sha256()
    waiting: list[object] = [values]
    while waiting:
        value = waiting.pop()
        inner: list[object]
        sign = "{" if isinstance(value, dict) else "["
        if isinstance(value, dict):
            inner = [side for pair in sorted(cast("Fields", value).items(), key=lambda pair: pair[0]) for side in pair]
        else:
            inner = list(cast("list[object]", value))
        containers = [one for one in inner if type(one) in _CONTAINERS]
        waiting += containers
        plain = [[len(cast("list[object]", one))] if type(one) in _CONTAINERS else one for one in inner] if containers else inner
        told.update(f"{sign}{len(containers)};{_written(plain)}".encode())
    return told.hexdigest()


def _written(plain: list[object]) -> str:
    try:
        return json.dumps(plain)
    except ValueError:
        return json.dumps([hex(one) if isinstance(one, int) else one for one in plain])
