"""Turns texts into vectors on any OpenAI-compatible /v1/embeddings: vLLM's pooling runner, the embedded server, a hosted one.

Guarantee: each vector has the expected number of dimensions, is finite and of length one, and belongs to the text at its position.
The cache holds digests, not texts.
"""

from __future__ import annotations

import math
import re
import threading
import time
from array import array
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Literal

import msgspec
import structlog

from inference.client.refusal import ERROR_BODY_BYTES, refusal
from inference.client.shown import Asked
from inference.client.transport import DEADLINE_PASSED, WIRE_ERRORS, Wire, key_header, read_at_most
from inference.errors import GarbageAnswer, ModelUnavailable, WrongDimensions
from inference.tokens import TokenCounter, estimate
from inference.types import Endpoint, Timeouts

log = structlog.get_logger()

#: E5's two kinds of text: what is searched for, and what is searched.
Kind = Literal["query", "passage"]
#: none: the model has no prefixes. e5: they are added here. server: the (embedded) server adds them by `input_type`.
Prefixes = Literal["none", "e5", "server"]


def prefixes_of(text: str) -> Prefixes:
    """Return a setting's value as the kind of prefixes that it names; an unknown one means none."""
    return "e5" if text == "e5" else "server" if text == "server" else "none"


#: NUL ends a text in C, and no encoder accepts a lone surrogate.
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
#: Sent in place of an empty text, which some servers refuse.
_EMPTY = "..."
#: What a tokenizer adds at the start and the end.
_MARGIN_TOKENS = 2
#: Half of what the embedded server accepts.
_BATCH_BYTES = 512 * 1024
#: Postgres stores no longer ones (halfvec).
_MOST_NUMBERS = 16_000
#: A number takes about 22 characters of JSON.
_BYTES_A_NUMBER = 32


class _Request(msgspec.Struct, omit_defaults=True):
    """vLLM, the embedded server and hosted ones share these fields, but `input_type`, which is for the embedded one."""

    model: str
    input: Sequence[str]
    encoding_format: str
    input_type: str = ""


class _Row(msgspec.Struct):
    embedding: list[float]
    index: int | None = None


class _Response(msgspec.Struct):
    data: list[_Row]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Response).decode


class Embedder:
    """Embeds texts on one endpoint; safe between threads."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        dimensions: int | None = None,
        prefixes: Prefixes,
        timeouts: Timeouts | None = None,
        batch: int = 32,
        max_chars: int = 8192,
        max_tokens: int = 512,
        cache_size: int = 4096,
    ) -> None:
        """`dimensions` is the length that each vector must have; None accepts any."""
        self.endpoint = endpoint
        self.dimensions = dimensions
        self._prefixes: Prefixes = prefixes
        self._timeouts = timeouts or Timeouts()
        self._batch, self._max_chars, self._max_tokens = batch, max_chars, max_tokens
        self._cache_size = cache_size
        self._lock = threading.Lock()
        #: In single precision, as servers compute them and Postgres stores them.
        self._vectors: OrderedDict[bytes, array[float]] = OrderedDict()
        self._wire = Wire(endpoint.url, key_header(endpoint))
        self._counter = TokenCounter(endpoint)

    def query(self, text: str) -> list[float]:
        """Return the vector of a text to search for. Raises the same as `passages`."""
        return self._embed([text], "query")[0]

    def passages(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the vectors of texts to be searched, in their order.

        Raises ModelUnavailable, ModelBusy, ModelRefused, PromptTooLong, or GarbageAnswer.
        """
        return self._embed(texts, "passage")

    def check_dimensions(self, *stored: int) -> int:
        """Ask for one vector and return its length. Raises WrongDimensions where the database has another, else the same as `passages`."""
        (row,) = self._asked([self._ready("dimensions", "passage")], "passage", time.monotonic() + self._timeouts.total_s)
        for expected in stored:
            if len(row) != expected:
                raise WrongDimensions(
                    f"the embedding model {self.endpoint.model} gives vectors of {len(row)} numbers, but the database has {expected}: "
                    "use another model, or migrate the database and embed everything again"
                )
        return len(row)

    def _embed(self, texts: Sequence[str], kind: Kind) -> list[list[float]]:
        until = time.monotonic() + self._timeouts.total_s
        ready = [self._ready(text, kind) for text in texts]
        keys = [_digest(kind, text) for text in ready]
        found = self._known(keys)
        missing = {key: text for key, text in zip(keys, ready, strict=True) if key not in found}
        for some in _batches(missing, self._batch):
            rows = self._asked([missing[key] for key in some], kind, until)
            fresh = {key: self._checked(row) for key, row in zip(some, rows, strict=True)}
            self._keep(fresh)
            found |= fresh
        return [found[key].tolist() for key in keys]

    def _ready(self, text: str, kind: Kind) -> str:
        """Return the text as it is sent: cleaned, with one prefix or none, and cut to the allowed length."""
        prefix = f"{kind}: "
        if self._prefixes != "none":
            # A text that already has the prefix must not get it twice.
            text = text.removeprefix(prefix)
        text = _UNUSABLE.sub("\ufffd", text[: self._max_chars])
        if self._prefixes == "none":
            return self._capped(text) if text.strip() else _EMPTY
        if self._prefixes == "e5":
            return self._capped(prefix + text)
        # The embedded server counts with the model's own tokenizer, and cuts the text itself.
        return text

    def _capped(self, text: str) -> str:
        most = max(1, self._max_tokens - _MARGIN_TOKENS)
        # The estimate is rarely below the true count, so for most texts the server need not be asked.
        while len(text) > 1 and estimate(text) > most and (tokens := self._counter.count(text)) > most:
            # Tokens are spread evenly enough over the text that a few rounds suffice. Each round makes it shorter.
            text = text[: max(1, min(len(text) - 1, len(text) * most // tokens))]
        return text

    def _asked(self, texts: Sequence[str], kind: Kind, until: float) -> list[list[float]]:
        """Return the rows of one request in the texts' order, unchecked."""
        request = _Request(self.endpoint.model, texts, "float", kind if self._prefixes == "server" else "")
        limit = 64 * 1024 + len(texts) * max(self.dimensions or 0, 4096) * _BYTES_A_NUMBER
        try:
            response, _ = self._wire.post("/embeddings", _encode(request), connect_s=self._timeouts.connect_s, until=until)
            try:
                status = response.status_code
                body = read_at_most(response, limit if status == 200 else ERROR_BODY_BYTES)
            finally:
                response.close()
        except DEADLINE_PASSED as error:
            raise ModelUnavailable("the embedding server did not answer in time") from error
        except WIRE_ERRORS as error:
            raise ModelUnavailable("the embedding server cannot be reached or broke off") from error
        if status != 200:
            log.info("embedding_server_refused", endpoint=self.endpoint.name, status=status, texts=len(texts))
            raise refusal(status, response.headers, body or b"", Asked(texts=texts, key=self.endpoint.api_key))
        if body is None:
            raise GarbageAnswer("the response is larger than allowed")
        return _rows(body, len(texts))

    def _checked(self, row: Sequence[float]) -> array[float]:
        """Return the vector with length one. Raises GarbageAnswer."""
        if self.dimensions not in {None, len(row)}:
            raise GarbageAnswer(f"a vector has {len(row)} numbers, {self.dimensions} were expected of {self.endpoint.model}")
        if len(row) > _MOST_NUMBERS:
            raise GarbageAnswer(f"a vector has more than {_MOST_NUMBERS} numbers")
        length = math.hypot(*row)
        if not math.isfinite(length) or length == 0:
            raise GarbageAnswer("a vector is zero or not finite")
        return array("f", (value / length for value in row))

    def _known(self, keys: Iterable[bytes]) -> dict[bytes, array[float]]:
        found: dict[bytes, array[float]] = {}
        with self._lock:
            for key in keys:
                vector = self._vectors.get(key)
                if vector is not None:
                    self._vectors.move_to_end(key)
                    found[key] = vector
        return found

    def _keep(self, fresh: dict[bytes, array[float]]) -> None:
        with self._lock:
            self._vectors.update(fresh)
            while len(self._vectors) > self._cache_size:
                self._vectors.popitem(last=False)


def _rows(body: bytes, wanted: int) -> list[list[float]]:
    """Return the vectors in the order that their rows name, or as they came where no row names one. Raises GarbageAnswer."""
    try:
        rows = _decode(body).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GarbageAnswer("the answer is not the JSON of vectors") from error
    if all(row.index is None for row in rows):
        placed = {n: row.embedding for n, row in enumerate(rows)}
    else:
        placed = {row.index: row.embedding for row in rows}
    if len(rows) != wanted or placed.keys() != set(range(wanted)):
        raise GarbageAnswer(f"the answer does not have one vector for each of {wanted} texts")
    return [placed[n] for n in range(wanted)]


def _batches(missing: dict[bytes, str], most: int) -> Iterator[list[bytes]]:
    """Split the keys into requests, each of few enough texts and bytes."""
    batch: list[bytes] = []
    size = 0
    for key, text in missing.items():
        own = len(_encode(text))
        if batch and (len(batch) >= most or size + own > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(key)
        size += own
    if batch:
        yield batch


def _digest(kind: Kind, text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16, person=kind.encode()).digest()
