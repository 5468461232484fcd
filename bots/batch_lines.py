"""Reads a batch file piece by piece and checks each line: a good line is ready to be sent to a model, a bad one comes with the reason.

Guarantee: at most one line is in memory, and nothing of a line that is too long.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn, cast

#: OpenAI's own limit is 64 characters; the database's index takes 2,700 bytes.
_LONGEST_ID = 512
_NUL = "the character NUL (\\u0000), which cannot be stored"
_URL = "/v1/chat/completions"
_MOST_TOKENS = 131_072
_MOST_MESSAGES = 1000
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
#: The first bytes of files that are not text.
_MAGIC = (
    (b"PK\x03\x04", "a zip file (or a spreadsheet, which is one)"),
    (b"PK\x05\x06", "an empty zip file"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"%PDF", "a PDF"),
)
_WIDE = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
_BOM = b"\xef\xbb\xbf"
#: The length of the longest of these.
_HEAD = 6
#: Fields of a request that have no effect: the operator's own model answers, and an answer is never stored elsewhere.
_NO_MATTER = frozenset(
    {"model", "user", "metadata", "store", "seed", "service_tier", "safety_identifier", "prompt_cache_key", "stream_options"}
)
#: Fields that are accepted with their default value only.
_AS_IS: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "stream": (False,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "logit_bias": ({},),
    "stop": ([],),
    "tools": ([],),
    "response_format": ({"type": "text"},),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One good line."""

    #: Its number in the file, from 1.
    n: int
    custom_id: str
    #: What to ask, as JSON: {"text"} or {"messages", "max_tokens", "temperature", "top_p"}.
    request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line that cannot be used, and why; number 0 stands for the whole file."""

    n: int
    reason: str


class _Bad(ValueError):
    """Why a line is bad."""


class LineReader:
    """Takes a file's bytes as they arrive and yields its lines."""

    def __init__(self, *, line_bytes: int) -> None:
        self._most = line_bytes
        self._held = bytearray()
        #: Whether the rest of a line that is too long is being dropped.
        self._dropping = False
        self._hash = hashlib.sha256()
        self._n = 0
        self._began = False
        self._any = False
        #: Where the line that is being read begins.
        self._place = 0
        self.bytes = 0

    @property
    def sha256(self) -> bytes:
        """The digest of all bytes so far."""
        return self._hash.digest()

    def hash_only(self, piece: bytes) -> None:
        """Take a piece for the digest alone."""
        self._hash.update(piece)
        self.bytes += len(piece)

    def feed(self, piece: bytes) -> Iterator[Line | BadLine]:
        """Take a piece and yield the lines that end in it. A bad line with number 0 ends the file."""
        self.hash_only(piece)
        start = 0
        if not self._began:
            self._held += piece
            if len(self._held) < _HEAD:
                return
            piece = bytes(self._held)
            self._held.clear()
            start = yield from self._begin(piece)
        yield from self._split(piece, start)

    def end(self) -> Iterator[Line | BadLine]:
        """Yield the last line, or a bad line when the file is empty."""
        if not self._began:
            piece = bytes(self._held)
            self._held.clear()
            start = yield from self._begin(piece)
            yield from self._split(piece, start)
        if self._held or self._dropping:
            yield from self._line(b"", 0, 0)
        if not self._any:
            yield BadLine(n=0, reason="the file is empty")

    def _split(self, piece: bytes, start: int) -> Iterator[Line | BadLine]:
        while (end := piece.find(b"\n", start)) >= 0:
            yield from self._line(piece, start, end)
            start = end + 1
        self._keep(piece, start)

    def _begin(self, piece: bytes) -> Generator[BadLine, None, int]:
        self._began = True
        for magic, what in _MAGIC:
            if piece.startswith(magic):
                self._any = True
                yield BadLine(n=0, reason=f"the file is {what}: unpack or export it to plain lines of JSON (JSONL)")
        for magic, what in _WIDE:
            if piece.startswith(magic):
                self._any = True
                yield BadLine(n=0, reason=f"the file is encoded as {what}: save it as UTF-8")
        start = len(_BOM) if piece.startswith(_BOM) else 0
        self._place = start
        if piece[start:].lstrip()[:1] == b"[":
            self._any = True
            yield BadLine(n=0, reason="the file is one JSON list: put each of its objects on its own line, without commas between them")
        return start

    def _keep(self, piece: bytes, start: int) -> None:
        length = len(self._held) + len(piece) - start
        if self._dropping or length > self._most:
            self._dropping = True
            self._place += length
            self._held.clear()
        else:
            self._held += piece[start:]

    def _line(self, piece: bytes, start: int, end: int) -> Iterator[Line | BadLine]:
        self._n += 1
        length = len(self._held) + end - start
        place, self._place = self._place, self._place + length + 1
        if self._dropping or length > self._most:
            self._dropping = False
            self._held.clear()
            self._any = True
            yield BadLine(n=self._n, reason=f"the line is longer than {self._most} bytes")
            return
        raw = bytes(self._held) + piece[start:end] if self._held else piece[start:end]
        self._held.clear()
        if not raw.strip():
            return
        self._any = True
        try:
            custom_id, request = check(raw, place=place)
        except _Bad as bad:
            yield BadLine(n=self._n, reason=str(bad))
        else:
            yield Line(n=self._n, custom_id=custom_id, request=request)


def check(raw: bytes, *, place: int = 0) -> tuple[str, str]:
    """Return a line's custom_id and its request, as JSON. Raises a ValueError that says what is wrong with it.

    place is where the line begins in its file.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        byte, at = raw[error.start], error.start + 1
        reason = f"not UTF-8: byte 0x{byte:02x} at position {at} of the line (byte {place + at} of the file); save the file as UTF-8"
        raise _Bad(reason) from error
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _Bad(f"not JSON: {error.msg} at character {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise _Bad("not readable JSON: nested too deep, or a number out of range") from error
    if not isinstance(value, dict):
        raise _Bad('not a JSON object like {"custom_id": "a1", "text": "..."}')
    line = cast("dict[str, Any]", value)
    custom_id = _custom_id(line)
    is_request = any(name in line for name in ("body", "url", "method"))
    asked = _request(line) if is_request else _plain(line)
    try:
        found = json.dumps(asked, ensure_ascii=False, separators=(",", ":"))
        found.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _Bad("a text contains half a character (a lone surrogate like \\ud800)") from error
    return custom_id, found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _custom_id(line: dict[str, Any]) -> str:
    found = line.get("custom_id")
    if not isinstance(found, str) or not found.strip():
        raise _Bad("custom_id is missing: each line needs its own" if found is None else "custom_id must be a string")
    if len(found) > _LONGEST_ID:
        raise _Bad(f"custom_id is longer than {_LONGEST_ID} characters")
    if "\0" in found or any("\ud800" <= character <= "\udfff" for character in found):
        raise _Bad("custom_id contains a character that cannot be stored")
    return found


def _plain(line: dict[str, Any]) -> dict[str, Any]:
    text = line.get("text")
    if text is None:
        raise _Bad('"text" is missing: a line is {"custom_id", "text"} or a request with "method", "url" and "body"')
    if not isinstance(text, str) or not text.strip():
        raise _Bad('"text" is empty' if isinstance(text, str) else '"text" must be a string')
    if "\0" in text:
        raise _Bad(f'"text" contains {_NUL}')
    for name in line:
        if name not in {"custom_id", "text"}:
            raise _Bad(f'"{name[:60]}" is not a field of a line with "text"')
    return {"text": text}


def _request(line: dict[str, Any]) -> dict[str, Any]:
    if line.get("method") != "POST":
        raise _Bad('"method" must be "POST"')
    if line.get("url") != _URL:
        raise _Bad(f'"url" must be "{_URL}": nothing else is supported')
    for name in line:
        if name not in {"custom_id", "method", "url", "body"}:
            raise _Bad(f'"{name[:60]}" is not a field of a request')
    body = line.get("body")
    if not isinstance(body, dict):
        raise _Bad('"body" must be an object')
    return _body(cast("dict[str, Any]", body))


def _body(body: dict[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = {"messages": _messages(body.get("messages"))}
    for name, value in body.items():
        if value is None or name == "messages" or name in _NO_MATTER:
            continue
        if name in {"max_tokens", "max_completion_tokens"}:
            asked["max_tokens"] = _number(name, value, least=1, most=_MOST_TOKENS, whole=True)
        elif name == "temperature":
            asked[name] = _number(name, value, least=0, most=2)
        elif name == "top_p":
            asked[name] = _number(name, value, least=0.000_001, most=1)
        elif name == "stream" and value is True:
            raise _Bad("body.stream: an answer in a file cannot be streamed; leave it out")
        elif name == "n" and value != 1:
            raise _Bad("body.n: each line gets one answer; leave it out")
        elif not any(value == usual and isinstance(value, bool) == isinstance(usual, bool) for usual in _AS_IS.get(name, ())):
            raise _Bad(f"body.{name[:60]} is not supported")
    return asked


def _messages(value: Any) -> list[dict[str, str]]:
    if not isinstance(value, list) or not value:
        raise _Bad("body.messages must be a list of messages")
    messages = cast("list[Any]", value)
    if len(messages) > _MOST_MESSAGES:
        raise _Bad(f"body.messages contains more than {_MOST_MESSAGES} messages")
    return [_message(message, number) for number, message in enumerate(messages, 1)]


def _message(value: Any, number: int) -> dict[str, str]:
    where = f"message {number} of body.messages"
    if not isinstance(value, dict):
        raise _Bad(f"{where} must be an object")
    message = cast("dict[str, Any]", value)
    role = _ROLES.get(message["role"]) if isinstance(message.get("role"), str) else None
    if role is None:
        raise _Bad(f"{where}: the role must be system, developer, user or assistant")
    for name, more in message.items():
        if name not in {"role", "content", "name"} and more:
            raise _Bad(f'{where}: "{name[:60]}" is not supported')
    return {"role": role, "content": _content(message.get("content"), where)}


def _content(value: Any, where: str) -> str:
    found = _text_of(value, where)
    if "\0" in found:
        raise _Bad(f"{where} contains {_NUL}")
    return found


def _text_of(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise _Bad(f"{where}: the content must be text")
    texts: list[str] = []
    for part in cast("list[Any]", value):
        text = cast("dict[str, Any]", part).get("text") if isinstance(part, dict) else None
        if not isinstance(text, str) or cast("dict[str, Any]", part).get("type") != "text":
            raise _Bad(f"{where}: only parts of type text are supported")
        texts.append(text)
    return "\n".join(texts)


def _number(name: str, value: Any, *, least: float, most: float, whole: bool = False) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not least <= value <= most or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise _Bad(f"body.{name} must be {kind} from {least:g} to {most:g}")
    return int(value) if whole else float(value)
