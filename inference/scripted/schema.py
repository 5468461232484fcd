"""Returns the smallest value that a JSON schema allows, in place of what a model with guided decoding would write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

_DEEPEST = 32


def answer_to(response_format: Mapping[str, Any]) -> str | None:
    """Return the JSON that the request's `response_format` asks for; None if it asks for none."""
    asked = response_format.get("json_schema")
    if response_format.get("type") != "json_schema" or not isinstance(asked, dict):
        return None
    return msgspec.json.encode(_value(cast("dict[str, Any]", asked).get("schema"))).decode()


def _value(schema: Any, depth: int = 0) -> Any:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None
    said = cast("dict[str, Any]", schema)
    if "const" in said:
        return said["const"]
    if said.get("enum"):
        return said["enum"][0]
    kind = said.get("type")
    if kind == "object":
        fields: dict[str, Any] = said.get("properties") or {}
        return {name: _value(fields.get(name), depth + 1) for name in said.get("required") or fields}
    empty: dict[Any, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}
    return said.get("minimum", empty.get(kind))
