"""Reads how many tokens a server counted, wherever and under whatever names it says so. Pure.

Each count grows only: a zero that comes after a real count changes nothing. Tokens of thoughts are part of the answer's tokens: where a server counts
them beside, the total less the prompt tells. Cached tokens are part of the prompt's.
"""

from __future__ import annotations

from typing import Any

from inference.client.shapes import fields, is_object, items, whole
from inference.types import Usage

# Names are compared in small letters, without underscores and hyphens.
_IN = ("prompttokens", "inputtokens", "prompttokencount", "inputtokencount", "promptevalcount", "totalprompttokens", "prefilltokens")
_OUT = (
    "completiontokens",
    "outputtokens",
    "candidatestokencount",
    "outputtokencount",
    "evalcount",
    "generatedtokens",
    "completiontokencount",
    "generatedtokencount",
    "predictedn",
)
_TOTAL = ("totaltokens", "totaltokencount")
_CACHED = (
    "cachedtokens",
    "cachedinputtokens",
    "cachedprompttokens",
    "prompttokenscached",
    "promptcachehittokens",
    "cachereadinputtokens",
    "cachereadtokens",
    "cachedcontenttokencount",
    "cachereadinputtokencount",
    "cachehittokens",
    "cachen",
)
_REASONING = ("reasoningtokens", "thoughtstokencount", "thinkingtokens", "reasoningtokencount")
_DETAILS_IN = ("prompttokensdetails", "inputtokensdetails", "prompttokendetails", "inputtokendetails")
_DETAILS_OUT = ("completiontokensdetails", "outputtokensdetails", "completiontokendetails", "outputtokendetails")
#: Where counts stand in an event, a choice, a delta or a message.
_PLACES = ("usage", "usagemetadata", "tokenusage", "xgroq", "timings", "amazonbedrockinvocationmetrics", "billedunits", "meta", "tokens")
#: How deep such places may lie in one another: x_groq has a usage, Cohere's usage has tokens.
_DEEPEST = 3


class Counts:
    """The counts of one answer, as they come."""

    def __init__(self) -> None:
        self._in = self._cached = self._out = 0

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
            self._take(_named(holder))
        for name, value in holder.items():
            if _short(name) in _PLACES:
                for one in items(value):
                    if is_object(one):
                        self._take(_named(one))
                        if depth < _DEEPEST:
                            self.read(one, depth + 1)

    def _take(self, named: dict[str, Any]) -> None:
        read = _first(named, _IN)
        cached = max(_most(named, _CACHED), *(_most(_named(fields(named.get(name))), _CACHED) for name in _DETAILS_IN))
        if "promptn" in named:
            # llama.cpp's timings count what was not cached.
            read = read or whole(named["promptn"]) + cached
        if "prompttokens" not in named and ("cachereadinputtokens" in named or "cachecreationinputtokens" in named):
            # Anthropic's input tokens are those beside the cache.
            read += whole(named.get("cachereadinputtokens")) + whole(named.get("cachecreationinputtokens"))
        if not read:
            read = whole(named.get("promptcachehittokens")) + whole(named.get("promptcachemisstokens"))
        out, total = _first(named, _OUT), _first(named, _TOTAL)
        thought = max(_most(named, _REASONING), *(_most(_named(fields(named.get(name))), _REASONING) for name in _DETAILS_OUT))
        if thought > out or "candidatestokencount" in named:
            # They cannot be among fewer tokens, and Gemini counts them beside.
            out += thought
        if read and total > read:
            out = max(out, total - read)
        elif out and total > out and not read:
            read = total - out
        self._in, self._cached, self._out = max(self._in, read), max(self._cached, cached), max(self._out, out)


def _named(holder: dict[str, Any]) -> dict[str, Any]:
    return {_short(name): value for name, value in holder.items()}


def _short(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _first(named: dict[str, Any], names: tuple[str, ...]) -> int:
    return next((count for name in names if (count := whole(named.get(name)))), 0)


def _most(named: dict[str, Any], names: tuple[str, ...]) -> int:
    return max(whole(named.get(name)) for name in names)
