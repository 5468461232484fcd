"""Reads how many tokens a server counted, wherever and under whatever names it says so. Pure.

Each count grows only: a zero that comes after a real count changes nothing. Tokens of thoughts are part of the answer's tokens: where a server counts
them beside, the total less the prompt tells. Cached tokens are part of the prompt's.
"""

from __future__ import annotations

import functools
from typing import Any

from inference.client.shapes import fields, is_object, items, whole
from inference.types import Usage

#: What a field counts, by its name in small letters without underscores and hyphens.
_NAMES = {
    "in": "prompttokens inputtokens prompttokencount inputtokencount promptevalcount totalprompttokens prefilltokens",
    # Gemini counts thoughts beside them.
    "candidates": "candidatestokencount",
    "out": """completiontokens outputtokens outputtokencount evalcount generatedtokens completiontokencount generatedtokencount predictedn""",
    "total": "totaltokens totaltokencount",
    "cached": """cachedtokens cachedinputtokens cachedprompttokens prompttokenscached cachereadtokens cachedcontenttokencount cachehittokens cachen""",
    "read": "cachereadinputtokens cachereadinputtokencount",
    "written": "cachecreationinputtokens cachewriteinputtokencount",
    "hit": "promptcachehittokens",
    "miss": "promptcachemisstokens",
    # llama.cpp's timings count what was not cached.
    "fresh": "promptn",
    "thought": "reasoningtokens thoughtstokencount thinkingtokens reasoningtokencount",
    "details": """prompttokensdetails inputtokensdetails prompttokendetails inputtokendetails completiontokensdetails outputtokensdetails
        completiontokendetails outputtokendetails""",
}
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
#: Where counts stand in an event, a choice, a delta or a message.
_PLACES = frozenset(
    ("usage", "usagemetadata", "tokenusage", "xgroq", "timings", "amazonbedrockinvocationmetrics", "billedunits", "meta", "tokens")
)
#: How deep such places may lie in one another: x_groq has a usage, Cohere's usage has tokens.
_DEEPEST = 3


class Counts:
    """The counts of one answer, as they come."""

    def __init__(self) -> None:
        self._in = self._cached = self._out = 0
        #: Tokens of thoughts, where they are counted by themselves.
        self.thought = 0
        #: Whether the server tells which tokens came from a cache, even if none did.
        self.tell_cached = False

    @property
    def usage(self) -> Usage:
        """What was counted; zero where nothing was."""
        cached = min(self._cached, self._in) if self._in else self._cached
        return Usage(tokens_in=self._in, tokens_cached=cached, tokens_out=self._out)

    @property
    def are_there(self) -> bool:
        """Whether the server counted prompt and answer."""
        return self._in > 0 and self._out > 0

    @property
    def are_begun(self) -> bool:
        """Whether the server counted anything."""
        return self._in > 0 or self._out > 0

    def read(self, holder: dict[str, Any], depth: int = 0) -> None:
        """Take the counts that stand in an event, a choice or a delta."""
        if depth == 0 and ("prompt_eval_count" in holder or "eval_count" in holder):
            self._take(holder)
        for name, value in holder.items():
            if value and _short(name) in _PLACES:
                for one in items(value):
                    if is_object(one):
                        self._take(one)
                        if depth < _DEEPEST:
                            self.read(one, depth + 1)

    def read_plain(self, *, prompt: int, answer: int, total: int, cached: int | None) -> None:
        """Take the counts of the ordinary form. cached: None where nothing says which came from a cache."""
        found = {"in": prompt, "out": answer, "total": total}
        self._add(found if cached is None else found | {"cached": cached})

    def _take(self, holder: dict[str, Any]) -> None:
        found: dict[str, int] = {}
        _gather(holder, found)
        if ("read" in found or "written" in found) and not _is_whole_prompt(holder):
            # Anthropic's input tokens are those beside the cache.
            found["in"] = found.get("in", 0) + found.get("read", 0) + found.get("written", 0)
        if found:
            self._add(found)

    def _add(self, found: dict[str, int]) -> None:
        cached = max(found.get("cached", 0), found.get("read", 0), found.get("hit", 0))
        read = found.get("in", 0)
        if not read:
            read = found.get("hit", 0) + found.get("miss", 0) or (found["fresh"] + cached if "fresh" in found else 0)
        out, total, thought = found.get("out", 0) or found.get("candidates", 0), found.get("total", 0), found.get("thought", 0)
        self.thought = max(self.thought, thought)
        self.tell_cached |= not found.keys().isdisjoint(("cached", "read", "hit"))
        if thought > out or "candidates" in found:
            # They cannot be among fewer tokens.
            out += thought
        if read and total > read:
            out = max(out, total - read)
        elif out and total > out and not read:
            read = total - out
        self._in, self._cached, self._out = max(self._in, read), max(self._cached, cached), max(self._out, out)


def _gather(holder: dict[str, Any], found: dict[str, int]) -> None:
    for name, value in holder.items():
        kind = None if value is None else _KINDS.get(_short(name))
        if kind == "details":
            for deeper, count in fields(value).items():
                kind = _KINDS.get(_short(deeper))
                if count is not None and kind in ("cached", "read", "thought"):
                    # Not "read": beside the details, the prompt's tokens are whole.
                    kind = "cached" if kind == "read" else kind
                    found[kind] = max(found.get(kind, 0), whole(count))
        elif kind is not None:
            found[kind] = max(found.get(kind, 0), whole(value))


def _is_whole_prompt(holder: dict[str, Any]) -> bool:
    return "prompt_tokens" in holder


@functools.lru_cache(maxsize=1024)
def _short(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
