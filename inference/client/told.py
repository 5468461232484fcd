"""What a server says in an error, wherever it says it: under `error`, `detail` or `message`, in a list, in JSON within a text, in a page's title. Pure.

Guarantee: any bytes are read without an error. Only fields that are named here are read: under other names servers repeat the request.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html import unescape
from itertools import islice
from typing import Any

from inference.client.shapes import is_empty, is_list, is_object

# Names are compared in small letters, without underscores and hyphens.
_NAMED_WORDS = """message msg detail details error errors errormsg errormessage errmsg errormessages errordescription description statusmsg
    statusmessage title reason reasons raw cause hint innererror metadata baseresp fault faultstring violations exception errorinfo"""
#: What stands for words where there are none; programs read it.
_NAMED_CODES = """code type status errortype errorcode errcode statuscode httpstatus httpcode subtype quotaid quotametric reason
    finishreason blockreason domain kind"""
_NAMED_FIGURES = """nctx nprompttokens retryafter retryafters retryafterseconds retryafterms retrydelay contextlength maxcontextlength prompttokens
    inputtokens"""
_WORDS, _CODES, _FIGURES = (frozenset(names.split()) for names in (_NAMED_WORDS, _NAMED_CODES, _NAMED_FIGURES))
#: Which field of the request is meant: OpenAI's name for it. FastAPI has a path in `loc`.
_FIELDS = frozenset({"param", "parameter", "field"})
_STATUSES = {
    "invalidrequest": 400,
    "invalidrequesterror": 400,
    "invalidargument": 400,
    "badrequesterror": 400,
    "badrequest": 400,
    "authenticationerror": 401,
    "unauthenticated": 401,
    "invalidapikey": 401,
    "permissionerror": 403,
    "permissiondenied": 403,
    "notfounderror": 404,
    "modelnotfound": 404,
    "ratelimiterror": 429,
    "ratelimitexceeded": 429,
    "resourceexhausted": 429,
    "overloadederror": 529,
    "unavailable": 503,
    "serviceunavailableerror": 503,
}
_DEEPEST, _MOST_ITEMS, _MOST_CHARS = 12, 20, 4000
#: More words than these are a sentence, not a code.
_CODE_WORDS = 3
#: How often JSON is looked for within a text.
_MOST_TRIES = 8
_OPENING = re.compile(r"[{\[]")
_HTML = re.compile(r"<(title|h1|message)\b[^>]*>(.*?)</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]{0,1000}>")
_JSON = json.JSONDecoder(strict=False)


@dataclass(slots=True, kw_only=True)
class Told:
    """An error in a server's words."""

    #: Its sentences, each once.
    sentences: list[str] = field(default_factory=list[str])
    #: Codes and types, in lower case.
    codes: list[str] = field(default_factory=list[str])
    #: Those that stand in JSON within a text: passed on from another server, or a piece of the request that is repeated.
    quoted: list[str] = field(default_factory=list[str])
    #: Names of the request's fields that are at fault, in lower case.
    fields: list[str] = field(default_factory=list[str])
    #: Figures that stand in fields of their own, by name.
    figures: dict[str, str] = field(default_factory=dict[str, str])
    #: Whether it is a page for browsers, which a proxy sends.
    is_page: bool = False

    @property
    def words(self) -> str:
        """All sentences, or else the codes that are no HTTP status."""
        said = ": ".join(self.sentences) or ", ".join(code for code in dict.fromkeys(self.codes) if not _is_number(code))
        return " ".join(said.split())

    @property
    def status(self) -> int:
        """The HTTP status that it names, or that its type stands for; 0 for none."""
        return next((status for status in map(_status, self.codes) if status), 0)


def told(body: bytes) -> Told:
    """Return what an error's body says."""
    found, text = Told(), body.decode("utf-8", "replace").strip("\ufeff \r\n\t")
    found.is_page = text.startswith("<")
    # An error may come as an event of a stream.
    lines = [line for line in text.splitlines() if line.startswith(("data:", "event:"))]
    for one in [line[5:] for line in lines if line.startswith("data:")][:_MOST_ITEMS] if lines else [text]:
        _text(found, one, 0)
    return found


def told_in(value: object) -> Told:
    """Return what an error says that is already read."""
    found = Told()
    _take(found, "message", value, 0)
    return found


def _take(found: Told, name: str, value: object, depth: int) -> None:
    """Take what stands under a name."""
    if is_empty(value) or isinstance(value, bool) or depth > _DEEPEST:
        return
    if is_object(value):
        _object(found, value, depth)
    elif is_list(value):
        for one in value[:_MOST_ITEMS]:
            _take(found, name, one, depth + 1)
    else:
        _plain(found, name, str(value), depth)


def _plain(found: Told, name: str, value: str, depth: int) -> None:
    if name in _FIGURES:
        found.figures.setdefault(name, value)
    elif name in _FIELDS:
        found.fields.append(value.lower())
    elif name in _CODES and len(value.split()) <= _CODE_WORDS:
        found.codes.append(value.strip().lower()[:100])
    elif name in _WORDS:
        _text(found, value, depth)


def _object(found: Told, value: dict[str, Any], depth: int) -> None:
    named = {name.lower().replace("_", "").replace("-", ""): one for name, one in value.items()}
    path, words = named.get("loc"), named.get("msg")
    if is_list(path) and isinstance(words, str):
        names = [str(one) for one in path[:_MOST_ITEMS] if one != "body"]
        found.fields += [name.lower() for name in names]
        named["msg"] = ": ".join((".".join(names), words)) if names else words
    # Plain fields come before what lies deeper.
    for name, one in sorted(named.items(), key=lambda pair: is_object(pair[1]) or is_list(pair[1])):
        if name in _WORDS or not (is_object(one) or is_list(one)):
            _take(found, name, one, depth + 1)


def _text(found: Told, text: str, depth: int) -> None:
    """Take a text: words, a page, JSON, or words with JSON in them, as gateways pass on what they were told."""
    text = text.strip()
    if text.startswith("<"):
        return _say(found, _page(text), len(found.sentences))
    at = len(found.sentences)
    if depth == 0 and text.startswith('"'):
        # A text alone may be the whole JSON body.
        whole, _ = _json(text, 0)
        return _text(found, whole, 1) if isinstance(whole, str) else _say(found, text, at)
    for opening in islice(_OPENING.finditer(text), _MOST_TRIES if depth < _DEEPEST else 0):
        value, end = _json(text, opening.start())
        # Words in brackets are no error's list.
        if is_object(value) or (is_list(value) and any(map(is_object, value))):
            known, before = len(found.codes), text[: opening.start()].rstrip(" -:")
            _take(found, "message", value, depth + 1)
            found.quoted += found.codes[known:] if depth or before else []
            is_all = len(found.sentences) > at or not (before or text[end:])
            return _say(found, before if is_all else f"{before} … {text[end:]}", at)
    return _say(found, text, at)


def _json(text: str, start: int) -> tuple[object, int]:
    """Return the JSON value that begins here, and where it ends; None where there is none."""
    try:
        return _JSON.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, start


def _page(text: str) -> str:
    found = _HTML.search(text[:_MOST_CHARS])
    return unescape(" ".join(_TAG.sub(" ", found[2] if found else text[:_MOST_CHARS]).split()))


def _say(found: Told, text: str, at: int) -> None:
    """Add a sentence at this place, within what is kept in all."""
    sentence = text.strip()[: _MOST_CHARS - sum(map(len, found.sentences))]
    if sentence and not any(sentence in one for one in found.sentences):
        found.sentences.insert(at, sentence)


def _status(code: str) -> int:
    code = code.replace("_", "").replace("-", "")
    return int(code) if _is_number(code) and 400 <= int(code) < 600 else _STATUSES.get(code, 0)


def _is_number(code: str) -> bool:
    """Whether a code may be an HTTP status."""
    return len(code) == 3 and code.isdecimal()
