"""What a server says in an error, wherever it says it: in `error`, `detail`, `message`, a list, a JSON text inside a text, a page's title. Pure.

Guarantee: any bytes are read without an error, and what a server repeats of a request (`input`, `ctx`) is never taken for its words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any, cast

#: Where words stand, in the order in which they are told.
_WORDS = ("title", "error", "errors", "detail", "message", "msg", "error_description", "error_message", "description", "metadata", "raw")
#: What stands for words where there are none; programs read it.
_CODES = ("code", "type", "status", "reason", "error_type", "error_code")
#: Which field of the request is meant: OpenAI's name for it. FastAPI has a path in `loc`.
_FIELDS = ("param", "parameter", "field")
_DEEPEST, _MOST_ITEMS, _MOST_CHARS = 12, 8, 2000
_HTML = re.compile(r"<(title|h1|message)\b[^>]*>(.*?)</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]{0,1000}>")


@dataclass(slots=True, kw_only=True)
class Told:
    """An error in a server's words."""

    #: Its sentences, each once.
    sentences: list[str] = field(default_factory=list[str])
    #: Codes and types, in lower case.
    codes: set[str] = field(default_factory=set[str])
    #: Names of the request's fields that are at fault, in lower case.
    fields: list[str] = field(default_factory=list[str])

    @property
    def words(self) -> str:
        """All sentences, or else the codes."""
        return ": ".join(self.sentences) or ", ".join(sorted(self.codes))


def told(body: bytes) -> Told:
    """Return what an error's body says."""
    found, text = Told(), body.decode("utf-8", "replace").lstrip("\ufeff \r\n\t")
    if text.startswith("<"):
        _say(found, _page(text))
    elif text.startswith(("data:", "event:")):
        # An error that came as an event of a stream.
        for line in text.splitlines()[:_MOST_ITEMS]:
            if line.startswith("data:"):
                _text(found, line.removeprefix("data:"), 0)
    else:
        _text(found, text, 0)
    return found


def on_one_line(text: str, longest: int) -> str:
    """Return text of unknown origin on one line, safe for a terminal."""
    line = " ".join(text[: 8 * longest].split())
    shown = "".join(character if character.isprintable() else "?" for character in line)
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def _walk(found: Told, value: Any, depth: int) -> None:
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        _text(found, value, depth)
    elif isinstance(value, list):
        for item in cast("list[Any]", value)[:_MOST_ITEMS]:
            _walk(found, item, depth + 1)
    elif isinstance(value, dict):
        _object(found, {str(key).lower(): one for key, one in cast("dict[Any, Any]", value).items()}, depth)


def _object(found: Told, value: Mapping[str, Any], depth: int) -> None:
    found.codes |= {one.lower() for key in _CODES if isinstance(one := value.get(key), str) and len(one) < 100}
    found.fields += [one.lower() for key in _FIELDS if isinstance(one := value.get(key), str)]
    if isinstance(details := value.get("details"), list):
        # Google's: their reasons say more than the error's own code.
        parts = [cast("dict[str, Any]", one) for one in cast("list[Any]", details)[:_MOST_ITEMS] if isinstance(one, dict)]
        found.codes |= {str(one["reason"]).lower() for one in parts if "reason" in one}
    if isinstance(path := value.get("loc"), list) and isinstance(value.get("msg"), str):
        names = [str(one) for one in cast("list[Any]", path)[:_MOST_ITEMS] if one != "body"]
        found.fields += [name.lower() for name in names]
        _say(found, f"{'.'.join(names)}: {value['msg']}" if names else value["msg"])
        return
    for key in _WORDS:
        _walk(found, value.get(key), depth + 1)


def _text(found: Told, text: str, depth: int) -> None:
    """Take a text: words, JSON, or words with JSON behind them, as gateways pass on what they were told."""
    start = min((at for mark in "{[" if (at := text.find(mark)) >= 0), default=-1)
    inner = _json(text[start:]) if start >= 0 and depth < _DEEPEST else None
    if inner is None:
        # A text alone may be the whole JSON body.
        whole = _json(text) if depth == 0 and text.startswith('"') else None
        _say(found, whole if isinstance(whole, str) else text)
        return
    before = len(found.sentences)
    _say(found, text[:start].rstrip(" -:"))
    _walk(found, inner, depth + 1)
    if len(found.sentences) == before and not found.codes and depth:
        _say(found, text)


def _json(text: str) -> dict[str, Any] | list[Any] | str | None:
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text.strip())
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list):
        # Words in brackets are no error's list.
        items = cast("list[Any]", value)
        return items if any(isinstance(one, dict) for one in items) else None
    return cast("dict[str, Any] | str", value) if isinstance(value, dict | str) else None


def _page(text: str) -> str:
    found = _HTML.search(text[:4000])
    return unescape(_TAG.sub(" ", found[2] if found else text[:2000]))


def _say(found: Told, text: str) -> None:
    line = " ".join(text[:_MOST_CHARS].split())
    if line and not any(line in said for said in found.sentences) and sum(map(len, found.sentences)) < _MOST_CHARS:
        found.sentences.append(line)
