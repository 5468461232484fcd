"""Reads a server's list of models, in whatever form it comes. Pure: it takes any bytes and raises nothing.

The rules: a row that is not understood spoils no other. A model's name is in `id`, or else under another name. Its context is the smallest number
that the row gives under a name known to mean the longest prompt: what is loaded is never more than what the model could read, and a limit of a
provider never more than the model's. llama.cpp's `n_ctx_train` is what the model was trained with, not what this server reads, so it is not one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, cast

from inference.client.shown import on_one_line

Server = Literal["vllm", "llamacpp", "unknown"]

_MOST_NAMES = 10
_LISTS = ("data", "models", "result", "items", "model_list")
_NAMES = ("id", "name", "model", "model_name", "model_id", "slug")
#: The names of a context, in small letters without lines: vLLM, TabbyAPI; most hosted ones; LM Studio; Mistral; Gemini; LiteLLM; Copilot; llama.cpp.
_CONTEXTS = frozenset(
    [
        "maxmodellen",
        "maxseqlen",
        "maxsequencelength",
        "contextlength",
        "contextwindow",
        "contextsize",
        "contextlen",
        "context",
        "maxcontextlength",
        "maxcontextwindow",
        "maxcontextlen",
        "maxcontext",
        "loadedcontextlength",
        "inputtokenlimit",
        "maxinputtokens",
        "maxinputlength",
        "maxprompttokens",
        "maxcontextwindowtokens",
        "nctx",
        "ctx",
        "numctx",
    ]
)
#: Parts of a row that say more about the model.
_PARTS = frozenset(["meta", "limits", "limit", "topprovider", "capabilities", "metadata", "parameters", "modelinfo", "details", "config"])
_MOST_CONTEXT = 1_000_000_000
_NUMBER = re.compile(r"([0-9][0-9_,]{0,15})(?:\.0*)?\s?([km]?)", re.IGNORECASE)
_THOUSANDS = {"": 1, "k": 1000, "m": 1_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A model in a list."""

    name: str
    #: Longest prompt and answer together, in tokens; 0: not stated.
    context: int = 0
    server: Server = "unknown"
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A server's list of models."""

    models: tuple[Listed, ...] = ()
    #: Whether the server says that this is the first page only.
    has_more: bool = False

    def find(self, name: str) -> Listed | None:
        """Return the model of this name, or else one whose name differs only in letter case, an alias, or a customary addition."""
        wanted = _plainly(name)
        return next(
            (model for model in self.models if model.name == name),
            next((model for model in self.models if wanted in map(_plainly, (model.name, *model.aliases))), None),
        )

    def close_to(self, name: str) -> str:
        """Return the listed name that is most like this one; empty where none is."""
        by_end = {_end(model.name): model.name for model in reversed(self.models)}
        close = get_close_matches(_end(name), by_end, n=1, cutoff=0.6)
        return on_one_line(by_end[close[0]], 100) if close else ""

    def names(self) -> str:
        """Return the names of the first models."""
        more = ", ..." if self.has_more or len(self.models) > _MOST_NAMES else ""
        return ", ".join(on_one_line(model.name, 100) for model in self.models[:_MOST_NAMES]) + more


def models(body: bytes) -> Listing | None:
    """Return the models that the server lists; None if this is not a list of models."""
    try:
        page: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    rows = _rows(page)
    if rows is None:
        return None
    own = [card for row in rows if (card := _card(row)) is not None]
    # An adapter of vLLM has no length of its own, but the name of the model below it.
    contexts = {card.name: card.context for card, _ in own}
    found = tuple(card if card.context else _with_context(card, contexts.get(parent, 0)) for card, parent in own)
    more = cast("dict[str, Any]", page) if isinstance(page, dict) else {}
    return Listing(
        models=found, has_more=any(more.get(key) for key in ("has_more", "nextPageToken", "next_page_token", "next", "next_page"))
    )


def _rows(page: Any) -> list[Any] | None:
    """Return the rows: of a bare list, or the first list in the page that has any."""
    if isinstance(page, list):
        return cast("list[Any]", page)
    if not isinstance(page, dict):
        return None
    lists = [one for key in _LISTS if (one := _as_rows(cast("dict[str, Any]", page).get(key))) is not None]
    return next((one for one in lists if one), lists[0] if lists else None)


def _as_rows(value: Any) -> list[Any] | None:
    if isinstance(value, list):
        return cast("list[Any]", value)
    if not isinstance(value, dict):
        return None
    # Rows by their names, or one level deeper.
    named = cast("dict[str, Any]", value)
    inner = _rows(named)
    return inner if inner is not None else [{"id": name, **one} for name, one in named.items() if isinstance(one, dict)]


def _card(row: Any) -> tuple[Listed, str] | None:
    """Return a row's model, and the name of the model that it was made from; None where it has no name."""
    if isinstance(row, str):
        row = {"id": row}
    if not isinstance(row, dict):
        return None
    fields = cast("dict[str, Any]", row)
    name = next((one for key in _NAMES if isinstance(one := fields.get(key), str) and one), "")
    if not name:
        return None
    aliases = fields.get("aliases")
    other = tuple(one for one in cast("list[Any]", aliases) if isinstance(one, str)) if isinstance(aliases, list) else ()
    owner, parent = fields.get("owned_by"), fields.get("parent")
    server: Server = owner if owner in {"vllm", "llamacpp"} else "unknown"
    card = Listed(name=_bare(name), context=_context(fields), server=server, aliases=other)
    return card, parent if isinstance(parent, str) else ""


def _with_context(card: Listed, context: int) -> Listed:
    return Listed(name=card.name, context=context, server=card.server, aliases=card.aliases)


def _context(fields: Mapping[str, Any]) -> int:
    return min(_contexts(fields, depth=0), default=0)


def _contexts(fields: Mapping[str, Any], *, depth: int) -> Iterable[int]:
    for key, value in fields.items():
        name = key.replace("_", "").replace("-", "").lower()
        if name in _CONTEXTS and (length := _number(value)):
            yield length
        elif depth < 2 and name in _PARTS and isinstance(value, dict):
            yield from _contexts(cast("dict[str, Any]", value), depth=depth + 1)


def _number(value: Any) -> int:
    """Return a length: a whole number, also as a float or a text; 0 for anything else."""
    if isinstance(value, str) and (found := _NUMBER.fullmatch(value.strip())):
        value = int(found[1].replace("_", "").replace(",", "")) * _THOUSANDS[found[2].lower()]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= _MOST_CONTEXT:
        return 0
    return int(value)


def _bare(name: str) -> str:
    """Drop what Gemini writes before each name, and does not ask for in a call."""
    return name.removeprefix("models/")


def _plainly(name: str) -> str:
    return _bare(name).casefold().removesuffix(":latest")


def _end(name: str) -> str:
    """Return a name without its maker, in small letters."""
    return _plainly(name).rpartition("/")[2]
