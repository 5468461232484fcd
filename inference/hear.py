"""Asks a server with an OpenAI-compatible /v1/audio/transcriptions what is said in a recording: ours (inference.voice.server), vLLM, or a hosted one.

Guarantee: the words are those that the server is sure of. Where it says how likely a piece of them was no voice at all, such a piece is left out.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import structlog

from inference.client.refusal import ERROR_BODY_BYTES, refusal
from inference.client.shown import Asked
from inference.client.transport import DEADLINE_PASSED, WIRE_ERRORS, Wire, key_header, read_at_most
from inference.errors import GarbageAnswer, InferenceError, ModelRefused, ModelUnavailable
from inference.types import Endpoint

log = structlog.get_logger()

_LARGEST_ANSWER = 1024 * 1024
_CONNECT_S = 3.0
#: What people say in ten minutes has fewer characters.
_MOST_CHARS = 20_000
#: Where a server does not say how sure it is of the language, that of a shorter recording is a guess.
_SHORT_S = 5.0
#: A piece that was likely no voice, and of whose words the server is not sure.
_NO_VOICE, _UNSURE = 0.6, -0.6
#: Servers name a language by its code, or in English.
_NAMES = {
    "ar": "arabic", "de": "german", "en": "english", "es": "spanish", "fr": "french", "hi": "hindi", "id": "indonesian", "it": "italian",
    "pt": "portuguese", "tr": "turkish", "th": "thai", "tl": "tagalog", "vi": "vietnamese",
}  # fmt: skip
_CODES = {name: code for code, name in _NAMES.items()}
#: Some servers go by the name of the file. Other kinds end as they are called.
_ENDINGS = {"audio/mp4": "m4a", "audio/mpeg": "mp3", "application/octet-stream": "mp3"}


class NotHeard(InferenceError):
    """The server cannot make words of the file, whatever it is asked again. `code` says why: too_long, too_large, empty, no_sound or unreadable."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self.code = code


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What is said in a recording."""

    #: Empty where no words could be heard.
    text: str
    #: ISO 639-1; empty where it is not known.
    language: str = ""
    #: How certain the language and the words are, from 0 to 1; None where the server does not say.
    language_certainty: float | None = None
    certainty: float | None = None
    #: How long the recording is.
    seconds: float | None = None


class _File(NamedTuple):
    data: bytes
    media_type: str


class _Segment(msgspec.Struct):
    text: str = ""
    avg_logprob: float | None = None
    no_speech_prob: float | None = None


class _Answer(msgspec.Struct):
    text: str = ""
    language: str | None = None
    duration: float | str | None = None
    segments: list[_Segment] | None = None
    #: Ours.
    language_probability: float | None = None
    certainty: float | None = None


class _Error(msgspec.Struct):
    code: str | int | None = None
    message: str = ""


class _Refusal(msgspec.Struct):
    error: _Error | None = None


class Hearer:
    """Asks one endpoint; safe between threads."""

    def __init__(self, endpoint: Endpoint, *, takes_hints: bool) -> None:
        """takes_hints: the server takes `language_hint`, a language that counts where the recording leaves it open. Ours does."""
        self.endpoint = endpoint
        self._takes_hints = takes_hints
        self._wire = Wire(endpoint.url, key_header(endpoint))
        self._lock = threading.Lock()
        #: Some models give words alone.
        self._is_verbose = True

    def hear(self, data: bytes, *, media_type: str, hint: str, until: float) -> Heard:
        """Return what is said; `hint` is the language in which the person writes. Raises NotHeard, ModelUnavailable, ModelBusy, ModelRefused, GarbageAnswer."""
        file = _File(data, media_type)
        if self._takes_hints:
            return self._asked(file, until, language_hint=hint)
        heard = self._asked(file, until)
        is_short = heard.seconds is None or heard.seconds <= _SHORT_S
        if hint and heard.text and is_short and heard.language and heard.language != hint:
            return self._asked(file, until, language=hint)
        return heard

    def _asked(self, file: _File, until: float, **fields: str) -> Heard:
        try:
            return self._posted(file, until, **fields)
        except ModelRefused as error:
            if not self._is_verbose or "response_format" not in error.said:
                raise
            with self._lock:
                self._is_verbose = False
        return self._posted(file, until, **fields)

    def _posted(self, file: _File, until: float, **fields: str) -> Heard:
        kind = "verbose_json" if self._is_verbose else "json"
        told = {
            "model": self.endpoint.model,
            "response_format": kind,
            "temperature": "0",
            **{name: one for name, one in fields.items() if one},
        }
        boundary = secrets.token_hex(16)
        try:
            response, _ = self._wire.post(
                "/audio/transcriptions",
                _form(told, file, boundary),
                connect_s=_CONNECT_S,
                until=until,
                headers={"content-type": f"multipart/form-data; boundary={boundary}"},
            )
            try:
                status = response.status_code
                body = read_at_most(response, _LARGEST_ANSWER if status == 200 else ERROR_BODY_BYTES)
            finally:
                response.close()
        except DEADLINE_PASSED as error:
            raise ModelUnavailable("the hearing server did not answer in time") from error
        except WIRE_ERRORS as error:
            raise ModelUnavailable("the hearing server cannot be reached or broke off") from error
        if status != 200:
            raise _refused(status, response.headers, body or b"", self.endpoint)
        if body is None:
            raise GarbageAnswer("the response is larger than allowed")
        return _heard(body)


def _refused(status: int, headers: object, body: bytes, endpoint: Endpoint) -> InferenceError:
    found = refusal(status, headers, body, Asked(texts=(), key=endpoint.api_key))  # pyright: ignore[reportArgumentType] - headers of any client
    if status == 413:
        return NotHeard("too_large")
    if status in (400, 415, 422) and isinstance(found, ModelRefused) and "response_format" not in found.said:
        return NotHeard(_code(body))
    return found


def _code(body: bytes) -> str:
    try:
        error = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        error = None
    code = error.code if error is not None else None
    return code if isinstance(code, str) and code in _KNOWN else "unreadable"


_KNOWN = frozenset({"too_long", "too_large", "empty", "no_sound", "unreadable"})


def _heard(body: bytes) -> Heard:
    try:
        found = msgspec.json.decode(body, type=_Answer, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GarbageAnswer("the answer is not the JSON of a transcription") from error
    segments = found.segments or []
    text = " ".join(one.text.strip() for one in segments if not _was_no_voice(one)) if segments else found.text
    text = " ".join(text.replace("\0", "").split())
    named = (found.language or "").strip().lower()
    return Heard(
        text=text[:_MOST_CHARS] if any(sign.isalnum() for sign in text) else "",
        language=_CODES.get(named, named if len(named) in (2, 3) else ""),
        language_certainty=_share(found.language_probability),
        certainty=_share(found.certainty) if found.certainty is not None else _mean(segments),
        seconds=_number(found.duration),
    )


def _was_no_voice(segment: _Segment) -> bool:
    return (segment.no_speech_prob or 0.0) > _NO_VOICE and (segment.avg_logprob if segment.avg_logprob is not None else 0.0) < _UNSURE


def _mean(segments: Sequence[_Segment]) -> float | None:
    sure = [one.avg_logprob for one in segments if one.avg_logprob is not None]
    return _share(math.exp(min(0.0, sum(sure) / len(sure)))) if sure else None


def _share(value: float | None) -> float | None:
    return min(1.0, max(0.0, value)) if value is not None and math.isfinite(value) else None


def _number(value: float | str | None) -> float | None:
    try:
        found = float(value) if value is not None else None
    except ValueError:
        return None
    return found if found is not None and math.isfinite(found) and found >= 0 else None


def _form(fields: dict[str, str], file: _File, boundary: str) -> bytes:
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    ending = _ENDINGS.get(file.media_type) or file.media_type.removeprefix("audio/")
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="note.{ending}"\r\nContent-Type: {file.media_type}\r\n\r\n'
    )
    return b"".join([*parts, head.encode(), file.data, f"\r\n--{boundary}--\r\n".encode()])
