"""Reads JSON that may have any shape: each value is looked at by itself, and a value of the wrong kind is as if it were missing. Pure."""

from __future__ import annotations

import json
from typing import Any, TypeGuard

import msgspec

_decode = msgspec.json.Decoder().decode
#: Nothing that a model server sends is nested deeper.
_DEEPEST = 12


def value_of(data: bytes) -> object:
    """Return the value of a JSON text, also of one that only lenient readers accept: NaN, half a character, a raw line break in a string.

    Raises ValueError.
    """
    try:
        return _decode(data)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    except ValueError:
        pass
    try:
        return json.loads(data.decode("utf-8", "replace"), strict=False)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a value is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a list."""
    return isinstance(value, list)


def fields(value: object) -> dict[str, Any]:
    """Return an object's fields; of a list those of its first object; of anything else none."""
    found: list[dict[str, Any]] = [one for one in items(value) if is_object(one)]
    return found[0] if found else {}


def items(value: object) -> list[Any]:
    """Return a list's items; anything else is a list of one, and null of none."""
    if value is None:
        return []
    return value if is_list(value) else [value]


def is_empty(value: object, depth: int = 0) -> bool:
    """Whether a value says nothing: null, false, 0, "", or a list or object of such values."""
    if not value:
        return True
    if depth < _DEEPEST and is_object(value):
        return all(is_empty(one, depth + 1) for one in value.values())
    return depth < _DEEPEST and is_list(value) and all(is_empty(one, depth + 1) for one in value)


def whole(value: object) -> int:
    """Return a count that may be written as a float or in a string; 0 where it is none, below 0 or beyond all reason."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, str):
        try:
            value = float(value.replace(",", "").strip())
        except ValueError:
            return 0
    if isinstance(value, (int, float)) and 0 < value < 2_000_000_000:
        return int(value)
    return 0
