"""Learns from a refusal which field of a call a server does not accept, so that the call can be made without it. Pure.

The rule: a field is learned only where the server names it (in `param`, `loc` or its words) and says that it does not take it. A value that is out
of range is no such case. Every change leaves something out or says it in another way, so a call is asked again a few times at most.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from inference.client.told import Told, told
from inference.types import Traits

#: Not about the request: a key, an account, a full server, a gateway.
_OTHER_STATUSES = frozenset({401, 402, 408, 409, 425, 429, 502, 503, 504, 529})
#: What is asked for with optional fields, the words that name each, and what to do without it.
_OPTIONAL: tuple[tuple[str, re.Pattern[str], bool], ...] = (
    ("stream_options", re.compile(r"(?<!\w)(?:stream_?options|include_?usage)(?!\w)"), False),
    ("completion_tokens", re.compile(r"(?<!\w)max_?tokens(?!\w)"), True),
    ("sampling", re.compile(r"(?<!\w)(?:temperature|top_?p)(?!\w)"), False),
    ("priority", re.compile(r"(?<!\w)priority(?!\w)"), False),
    ("json_schema", re.compile(r"(?<!\w)(?:response_?format|json_?schema)(?!\w)"), False),
    ("cache_salt", re.compile(r"(?<!\w)cache_?salt(?!\w)"), False),
    ("stream_interval", re.compile(r"(?<!\w)stream_?interval(?!\w)"), False),
)
_NOT = r"(?:not|n't|cannot|no longer)\s+(?:\w+\s+){0,2}"
_TAKES = (
    r"(?:support|permit|allow|accept|recogni[sz]e|enable|available|valid|known|implement|compatible|be (?:used|set|specified|given|sent))"
)
#: It does not take the field, whatever its value.
_REFUSES = re.compile(
    rf"unsupported|{_NOT}{_TAKES}|\bun(?:known|recogni[sz]ed|expected)\b|\bextra\b|forbidden|additional propert|deprecated|\bno such\b|"
    r"invalid (?:field|param|arg|key|option|propert)|\binstead\b|both (?:be )?specified"
)
#: It takes one value of it alone, which is the same as not taking it.
_ONE_VALUE = re.compile(r"\bonly\b|must be (?:exactly |set to |equal to )?(?:1(?:\.0+)?\b(?!\.?\d)|the default)")
_RANGE = re.compile(r"at (?:most|least)|between|\brange\b|(?:less|greater|smaller|larger|lower|higher) than|[<>≤≥]|too (?:large|small|high|low|long|big)|exceed|positive|maximum|minimum")  # fmt: skip
#: Lists of what it does take name no field that it refuses.
_LIST = re.compile(r"(?<!not )\b(?:allowed|supported|valid|permitted|accepted|expected|known|available)\s+(?:request\s+)?(?:field|param|propert|arg|key|option|input)\w*(?:\s+are|\s+is)?\s*:.*")  # fmt: skip
_SYSTEM = re.compile(
    r"(?:system|developer) (?:role|message|prompt|instruction)s?\b[^.]{0,60}(?:\bnot\b|n't|unsupported)|"
    r"(?:\bnot\b|n't|unsupported|unexpected|unknown|invalid)[^.]{0,40}\b(?:system['\"]? (?:role|message|prompt)|role['\"]?:? ?['\"]?system)|"
    r"role[^.]{0,40}(?:\bnot\b|n't)[^.]{0,20}\bsystem\b"
)
_TURNS = re.compile(r"\balternat")


def unaccepted(status: int, body: bytes, traits: Traits) -> Traits | None:
    """Return the traits with which a refused call may be made again; None where its refusal names nothing that can be left out."""
    if status < 400 or status in _OTHER_STATUSES:
        return None
    change = _change(told(body), traits)
    return replace(traits, **change) if change else None


def _change(error: Told, traits: Traits) -> dict[str, Any]:
    words = _LIST.sub("", error.words.lower())
    named = [trait for name in error.fields for trait, pattern, _ in _OPTIONAL if pattern.search(name)]
    if not named:
        placed = sorted((found.start(), trait) for trait, pattern, _ in _OPTIONAL if (found := pattern.search(words)))
        named = [trait for _, trait in placed]
    for trait, _, instead in _OPTIONAL:
        if trait in named[:1] and getattr(traits, trait) is not instead and _is_refused(trait, words, error):
            return {trait: instead}
    if traits.system_role and _SYSTEM.search(words):
        return {"system_role": False}
    if not traits.roles_alternate and _TURNS.search(words):
        return {"roles_alternate": True}
    return {}


def _is_refused(trait: str, words: str, error: Told) -> bool:
    if "unsupported_parameter" in error.codes or "unsupported_value" in error.codes or "extra_forbidden" in error.codes:
        return True
    if _RANGE.search(words):
        return False
    return bool(_REFUSES.search(words)) or (trait == "sampling" and bool(_ONE_VALUE.search(words)))
