"""What a server says about an error: its own words, fit to be shown and kept. Nothing of the prompt and no key is in them. Pure.

Servers repeat prompts in their errors, whole or in part. So where four words or more in a row stand in the prompt as well, or a whole message or a quoted piece
of two words or more, an ellipsis stands instead. In scripts without spaces a word is a character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from inference.client.shapes import fields, is_empty, is_list, is_object, items, value_of

_LONGEST = 300
#: How much of an error's words is looked at.
_MOST_WORDS = 4000
#: This many words in a row that stand in the prompt are the prompt's.
_RUN = 4
_DEEPEST = 6
_MOST_ITEMS = 20
#: More words than these are a sentence, not a code.
_CODE_WORDS = 3
# Names are compared in small letters, without underscores and hyphens. What is under other names is not read: there requests are repeated.
_NAMED_WORDS = """message msg detail details error errors errormsg errormessage errmsg errormessages errordescription description statusmsg
    statusmessage title reason reasons raw cause hint innererror metadata baseresp fault faultstring violations exception errorinfo"""
_NAMED_CODES = """code type status errortype errorcode errcode statuscode httpstatus httpcode subtype param quotaid quotametric reason
    finishreason blockreason domain kind"""
_NAMED_FIGURES = """nctx nprompttokens retryafter retryafters retryafterseconds retryafterms retrydelay contextlength maxcontextlength prompttokens
    inputtokens"""
_WORDS, _CODES, _FIGURES = (frozenset(names.split()) for names in (_NAMED_WORDS, _NAMED_CODES, _NAMED_FIGURES))
_PLAIN = _CODES | _FIGURES
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
_TOKEN = re.compile(r"[^\W_]+(?:_[^\W_]+)*|_")
#: Scripts that are written without spaces: Thai to Khmer, kana, Chinese.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|[nrtbf])")
_KEYS = re.compile(r"\b(?:sk|pk|rk|gsk|xai|key|hf|nvapi|AIza|ya29|eyJ)[-_.]?[\w*.-]{12,}|(?i:\bbearer\s+)\S+")
_TITLE = re.compile(r"<(title|h1)[^>]*>(.*?)</\1", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was sent to the server, which its words must not show."""

    texts: Sequence[str] = field(default=(), repr=False)
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What an error says."""

    #: Its words for a reader: one line, without anything of the prompt.
    said: str = ""
    #: Words and codes, in small letters, by which its kind is known.
    words: str = ""
    #: The words alone, without the codes.
    message: str = ""
    #: The status that it names, or that its type stands for; 0 for none.
    status: int = 0
    #: Figures that stand in fields of their own, by name.
    figures: Mapping[str, str] = field(default_factory=dict[str, str])
    #: Whether it is a page for browsers, which a proxy sends.
    is_page: bool = False


def told_by(body: bytes, asked: Asked) -> Complaint:
    """Return what the body of an error says."""
    text = body.decode("utf-8", "replace").strip().removeprefix("\ufeff")
    if text.startswith(("{", "[", '"')):
        try:
            return told_in(value_of(text.encode()), asked)
        except ValueError:
            pass
    if text.startswith("<"):
        title = _TITLE.search(text[:_MOST_WORDS])
        return Complaint(said=_clean(re.sub(r"<[^>]*>", " ", title[2]) if title else "", asked), is_page=True)
    for line in text.splitlines():
        # The first JSON among other lines, as in a stream.
        bare = line.strip().removeprefix("data:").strip()
        if bare.startswith("{"):
            return told_by(bare.encode(), asked) if bare != text else _told_plainly(text, asked)
    return _told_plainly(text, asked)


def _told_plainly(text: str, asked: Asked) -> Complaint:
    words = _plain(text, asked)
    return Complaint(said=_clean(text, asked), words=words, message=words)


def told_in(value: object, asked: Asked) -> Complaint:
    """Return what an error says that is already read."""
    words: list[str] = [value] if isinstance(value, str) else []
    codes: list[str] = []
    figures: dict[str, str] = {}
    for name, one in _leaves(value):
        if name in _FIGURES:
            figures.setdefault(name, str(one))
        if name in _CODES and not isinstance(one, bool) and len(str(one).split()) <= _CODE_WORDS:
            codes.append(str(one))
        elif name in _WORDS and isinstance(one, str) and one not in words:
            words.append(one)
    said = " / ".join(words) or " ".join(codes)
    status = next((number for code in codes if (number := _status(code))), 0)
    message = _plain("\n".join(words), asked)
    return Complaint(said=_clean(said, asked), words=" ".join((*codes, message)).lower(), message=message, status=status, figures=figures)


def _status(code: str) -> int:
    code = code.strip().lower().replace("_", "").replace("-", "")
    if code.isdecimal() and len(code) == 3:
        return int(code) if 400 <= int(code) < 600 else 0
    return _STATUSES.get(code, 0)


def _leaves(value: object, name: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """Yield the fields that say something about the error, outermost first."""
    if isinstance(value, str) and name in _WORDS:
        value = _unquoted(value)
    if is_object(value):
        # Plain fields come before what lies deeper.
        for key, one in sorted(fields(value).items(), key=lambda pair: is_object(pair[1]) or is_list(pair[1])):
            short = key.lower().replace("_", "").replace("-", "")
            if depth < _DEEPEST and (short in _WORDS or (short in _PLAIN and not is_object(one) and not is_list(one))):
                yield from _leaves(one, short, depth + 1)
    elif is_list(value):
        for one in items(value)[:_MOST_ITEMS]:
            yield from _leaves(one, name, depth + 1)
    elif name and not is_empty(value):
        yield name, value


def _unquoted(text: str) -> object:
    """Return what a gateway repeats of the server behind it, where that is JSON; else the text."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        inner = value_of(text.encode("utf-8", "replace"))
    except ValueError:
        return text
    return inner if fields(inner) else text


def _clean(text: str, asked: Asked) -> str:
    """One line of printable words for a reader."""
    text = _KEYS.sub("…", _without_key(text[:_MOST_WORDS], asked.key))
    text = without_prompt(text, asked.texts, strictly=True)
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"


def _plain(text: str, asked: Asked) -> str:
    return without_prompt(text[:_MOST_WORDS], asked.texts).lower()


def _without_key(text: str, key: str) -> str:
    """Replace the key and every word that holds eight characters of it in a row."""
    if len(key) < 8:
        return text.replace(key, "…") if key else text
    parts = {key[start : start + 8] for start in range(len(key) - 7)}
    return re.sub(r"\S+", lambda found: "…" if any(part in found[0] for part in parts) else found[0], text)


def without_prompt(text: str, texts: Sequence[str], *, strictly: bool = False) -> str:
    """Replace what also stands in the texts by an ellipsis: long runs of words and, strictly, short messages and quoted pieces."""
    text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else " ", text)
    places = list(_tokens(text))
    said = [word for _, _, word in places]
    hidden = [False] * len(said)
    prompts = [[word for _, _, word in _tokens(one)] for one in texts]
    runs = {tuple(prompt[n : n + _RUN]) for prompt in prompts for n in range(len(prompt) - _RUN + 1)}
    short = {tuple(prompt) for prompt in prompts if 0 < len(prompt) < _RUN} if strictly else set[tuple[str, ...]]()
    for n in range(len(said)):
        for length, known in ((_RUN, runs), (1, short), (2, short), (3, short)):
            if tuple(said[n : n + length]) in known:
                hidden[n : n + length] = [True] * len(said[n : n + length])
    if strictly:
        _hide_quoted(text, places, hidden, prompts)
    return _shown(text, places, hidden)


def _hide_quoted(text: str, places: Sequence[tuple[int, int, str]], hidden: list[bool], prompts: Sequence[Sequence[str]]) -> None:
    whole = [" " + " ".join(prompt) + " " for prompt in prompts]
    for quoted in re.finditer(r"""(["'`“‘«])(.{3,}?)["'`”’»]""", text):
        inside = [n for n, (start, end, _) in enumerate(places) if start >= quoted.start(2) and end <= quoted.end(2)]
        piece = " " + " ".join(places[n][2] for n in inside) + " "
        if len(inside) > 1 and any(piece in one for one in whole):
            for n in inside:
                hidden[n] = True


def _shown(text: str, places: Sequence[tuple[int, int, str]], hidden: Sequence[bool]) -> str:
    shown: list[str] = []
    at = 0
    for n, (start, end, _) in enumerate(places):
        if not hidden[n]:
            continue
        if n == 0 or not hidden[n - 1]:
            shown += [text[at:start], "…"]
        at = end
    return "".join((*shown, text[at:]))


def _tokens(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and small letters of each word."""
    for found in _TOKEN.finditer(text):
        word, start = found[0].lower(), found.start()
        if not _UNSPACED.search(word):
            yield start, found.end(), word
            continue
        for n, character in enumerate(found[0]):
            yield start + n, start + n + 1, character.lower()
