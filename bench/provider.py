"""What reading a streamed answer of 300 tokens costs in CPU: the tolerant reader beside the strict one that came before it, in turn on the same bytes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python bench/NAME.py`

from bench import report
from inference.client.reader import Progress

_TOKENS = 300
_ROUNDS = 60
#: Answers one after the other in one measurement, short enough that often nothing else runs meanwhile.
_TIMES = 20
#: The tolerant reader may cost this much of the strict one.
_AIM = 1.1


class _StrictDelta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _StrictChoice(msgspec.Struct):
    index: int = 0
    delta: _StrictDelta | None = None
    message: _StrictDelta | None = None
    finish_reason: str | None = None


class _StrictDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _StrictUsage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _StrictDetails | None = None


class _StrictEvent(msgspec.Struct):
    choices: list[_StrictChoice] = []
    usage: _StrictUsage | None = None
    error: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_StrictEvent).decode


class _Reader(Protocol):
    @property
    def text(self) -> str: ...

    def feed(self, piece: bytes) -> bool: ...


class _Strict:
    """The reader as it was: it knew one form of an event, and failed at any other."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._rest = b""
        self._finish = ""
        self._usage = _StrictUsage()
        self.first_at: float | None = None
        self.done = False

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def feed(self, piece: bytes) -> bool:
        lines = (self._rest + piece).split(b"\n") if self._rest else piece.split(b"\n")
        self._rest = lines.pop()
        events = grown = False
        for line in lines:
            if line.startswith(b"data:"):
                events = True
                grown |= self._event(line[5:].strip())
        return events

    def _event(self, data: bytes) -> bool:
        if data == b"[DONE]":
            self.done = True
            return False
        event = _decode(data)
        if bytes(event.error) not in (b"", b"null"):
            raise ValueError
        if event.usage is not None:
            self._usage = event.usage
        grown = False
        for choice in event.choices:
            if choice.index == 0:
                grown |= self._choice(choice)
        return grown

    def _choice(self, choice: _StrictChoice) -> bool:
        delta = choice.delta or choice.message
        if choice.finish_reason:
            self._finish = choice.finish_reason
        if delta is None:
            return False
        if self.first_at is None and (delta.content or delta.reasoning_content or delta.reasoning):
            self.first_at = time.monotonic()
        if delta.content:
            self._pieces.append(delta.content)
        return bool(delta.content)


def _event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-4f6b1f1d7c",
        "object": "chat.completion.chunk",
        "created": 1795500000,
        "model": "m",
        "choices": [choice],
        **more,
    }


def answers() -> dict[str, list[bytes]]:
    """Streamed answers as servers send them most: each event by itself, many in one read, with null fields, with thoughts before."""
    words = [_event({"content": f" word{n % 7}"}) for n in range(_TOKENS)]
    nulls = [_event({"content": f" word{n % 7}", "reasoning_content": None, "tool_calls": None}, usage=None) for n in range(_TOKENS)]
    thoughts = [_event({"reasoning_content": f" thought{n % 7}"}) for n in range(_TOKENS // 2)]
    counts = {
        "prompt_tokens": 900,
        "completion_tokens": _TOKENS,
        "total_tokens": 900 + _TOKENS,
        "prompt_tokens_details": {"cached_tokens": 800},
    }
    end = [_event({}, "stop"), {"id": "chatcmpl-4f6b1f1d7c", "choices": [], "usage": counts}]
    first = [_event({"role": "assistant", "content": ""})]

    def sent(events: list[dict[str, Any]]) -> list[bytes]:
        return [
            *(b"data: " + json.dumps(one, separators=(",", ":")).encode() + b"\n\n" for one in (*first, *events, *end)),
            b"data: [DONE]\n\n",
        ]

    plain = sent(words)
    return {
        "one event a read": plain,
        "ten events a read": [b"".join(plain[n : n + 10]) for n in range(0, len(plain), 10)],
        "with null fields": sent(nulls),
        "half of it thoughts": sent(thoughts + words[: _TOKENS // 2]),
        "cut by packets": _cut(b"".join(plain), 1448),
    }


def _cut(whole: bytes, size: int) -> list[bytes]:
    return [whole[n : n + size] for n in range(0, len(whole), size)]


def measure(name: str, pieces: list[bytes]) -> dict[str, Any]:
    """Time both in turn, and take each one's fastest round: everything else is what disturbed it."""
    strict, tolerant = _read(_Strict, pieces), _read(Progress, pieces)
    if strict.text != tolerant.text:
        raise SystemExit(f"{name}: the two readers read different texts")
    strict_us = tolerant_us = float("inf")
    for _ in range(_ROUNDS):
        strict_us, tolerant_us = min(strict_us, _timed(_Strict, pieces)), min(tolerant_us, _timed(Progress, pieces))
    return {
        "answer": name,
        "strict_us": round(strict_us, 1),
        "tolerant_us": round(tolerant_us, 1),
        "ratio": round(tolerant_us / strict_us, 3),
    }


def _read(reader: Callable[[], _Reader], pieces: list[bytes]) -> _Reader:
    progress = reader()
    for piece in pieces:
        progress.feed(piece)
    return progress


def _timed(reader: Callable[[], _Reader], pieces: list[bytes]) -> float:
    began = time.process_time()
    for _ in range(_TIMES):
        _read(reader, pieces)
    return (time.process_time() - began) / _TIMES * 1e6


def main() -> None:
    """Measure each answer."""
    given = report.arguments(__doc__ or "").parse_args()
    rows = [measure(name, pieces) for name, pieces in answers().items()]
    report.table(rows, ["answer", "strict_us", "tolerant_us", "ratio"])
    report.keep("provider", {"tokens": _TOKENS, "rows": rows, "aim": _AIM}, given.json)
    groups = {row["answer"]: {"strict": row["strict_us"], "tolerant": row["tolerant_us"]} for row in rows}
    report.bars("provider", f"CPU of reading a streamed answer of {_TOKENS} tokens", "µs", groups)


if __name__ == "__main__":
    main()
