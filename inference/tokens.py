"""Counts a text's tokens with the endpoint's own tokenizer, or estimates them on the high side; never fails, never waits long.

One form of request to /tokenize serves both llama.cpp (which reads `content`) and vLLM (which reads `prompt`). Other servers have no
/tokenize, so the estimate is used.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b

import msgspec
import structlog

from inference.client.transport import WIRE_ERRORS, Wire, key_header, read_at_most
from inference.estimate import estimate
from inference.types import Endpoint

log = structlog.get_logger()

_DEADLINE_S = 2.0
#: A server whose tokenizer did not answer is not asked again for this long; one that has none (4xx), for longer.
_RETRY_AFTER_S, _HAS_NONE_FOR_S = 60.0, 600.0
_RESPONSE_BYTES = 1024 * 1024
_LONGEST_TEXT = 64_000


class _Counted(msgspec.Struct):
    """Both servers send `tokens`, and vLLM `count` too."""

    tokens: list[int] = []
    count: int | None = None


class TokenCounter:
    """Counts for one endpoint; safe between threads. It remembers digests, not texts."""

    def __init__(self, endpoint: Endpoint, *, cache_size: int = 8192) -> None:
        self._endpoint = endpoint
        self._cache_size = cache_size
        self._lock = threading.Lock()
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._ask_again = 0.0
        # The path of the tokenizer is /tokenize, not /v1/tokenize.
        self._wire = Wire(endpoint.url.rstrip("/").removesuffix("/v1"), key_header(endpoint))

    def count(self, text: str, *, within_s: float = _DEADLINE_S) -> int:
        """Return the number of tokens of the text. The server has `within_s` to tell it."""
        if not text:
            return 0
        key = _digest(text)
        with self._lock:
            known = self._counts.get(key)
            if known is not None:
                self._counts.move_to_end(key)
                return known
        counted = self._asked(text, within_s)
        if counted is None:
            return estimate(text)
        self._keep(key, counted)
        return counted

    def remember(self, text: str, tokens: int) -> None:
        """Keep a count that the server gave elsewhere, as the usage of the answer whose text this is."""
        if text and tokens > 0:
            self._keep(_digest(text), tokens)

    def fits(self, texts: Iterable[str], budget: int) -> bool:
        """Whether the texts have at most `budget` tokens together. The server is asked only where the estimate is not enough to tell."""
        listed = list(texts)
        return sum(map(estimate, listed)) <= budget or sum(map(self.count, listed)) <= budget

    def _keep(self, key: bytes, tokens: int) -> None:
        with self._lock:
            self._counts[key] = tokens
            self._counts.move_to_end(key)
            while len(self._counts) > self._cache_size:
                self._counts.popitem(last=False)

    def _asked(self, text: str, within_s: float) -> int | None:
        """Return what the server counts, or None where it does not count."""
        now = time.monotonic()
        if now < self._ask_again or len(text) > _LONGEST_TEXT:
            return None
        question = {"content": text, "prompt": text, "model": self._endpoint.model, "add_special": False, "add_special_tokens": False}
        try:
            body = msgspec.json.encode(question)
        except UnicodeEncodeError:
            return None
        try:
            response, _ = self._wire.post("/tokenize", body, connect_s=within_s, until=now + within_s)
            try:
                status, raw = response.status_code, read_at_most(response, _RESPONSE_BYTES)
            finally:
                response.close()
        except WIRE_ERRORS:
            status, raw = 0, None
        counted = _read(raw) if status == 200 and raw is not None else 0
        if counted <= 0:
            for_s = _HAS_NONE_FOR_S if 400 <= status < 500 else _RETRY_AFTER_S
            self._ask_again = now + for_s
            log.info("tokenizer_not_used", endpoint=self._endpoint.name, status=status, for_s=for_s)
            return None
        return counted


def _read(raw: bytes) -> int:
    try:
        counted = msgspec.json.decode(raw, type=_Counted)
    except msgspec.DecodeError:
        return 0
    return len(counted.tokens) if counted.count is None else counted.count


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
