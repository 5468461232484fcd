"""The embedder of this installation: vectors of questions, for which an answer waits a moment at most, and of turns, in the background.

Guarantee: without an embedder, or while it is away or gives something else than vectors of the right length, everything else goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from bots.settings import Settings
from inference.client.breaker import Breaker
from inference.embed import Embedder, prefixes_of
from inference.errors import CircuitOpen, GarbageAnswer, InferenceError, ModelRefused
from inference.types import Endpoint, Timeouts
from workers import metrics

log = structlog.get_logger()

#: For the vectors of one batch of turns.
_BACKGROUND_S = 60.0
#: After so many failures in a row a question does not ask again for a while; in the background one is enough: other work waits meanwhile.
_FAILURES, _PROBE_S = 3, 10.0
_REST_S = 30.0
#: What the embedder takes if it takes anything.
_HARMLESS = "hello"


class Embedding:
    """What a worker asks the embedder for; safe between threads."""

    def __init__(self, settings: Settings) -> None:
        """Without an address there is no embedder: then nothing has a vector."""
        self._asked = self._made = None
        #: The model's name, which each vector is stored with.
        self.model: str | None = None
        #: Whether what is embedded leaves the operator's own network.
        self.leaves_house = settings.embed_leaves_house
        self._breaker = Breaker(failures=_FAILURES, probe_s=_PROBE_S)
        self._rest = Breaker(failures=1, probe_s=_REST_S)
        if settings.embed_url:
            self.model = settings.embed_model
            self._asked = _embedder(settings, settings.embed_deadline_s)
            # Each turn is embedded once; and what is asked to find out whether it answers must be asked.
            self._made = _embedder(settings, _BACKGROUND_S, cache_size=0)

    def question(self, text: str, *, may_leave: bool) -> list[float] | None:
        """The vector of a question; None where there is none in time."""
        if self._asked is None or (self.leaves_house and not may_leave):
            return None
        try:
            self._breaker.enter()
        except CircuitOpen:
            return None
        try:
            vector = self._asked.query(text)
        except InferenceError as error:
            self._breaker.failed()
            metrics.QUESTIONS_WITHOUT_VECTOR.inc()
            log.info("question_not_embedded", error=type(error).__name__)
            return None
        self._breaker.succeeded()
        return vector

    @property
    def rests(self) -> bool:
        """Whether turns are not worth claiming now: the embedder did not answer a moment ago."""
        return not self._rest.is_ready

    def passages(self, texts: Sequence[str]) -> list[list[float] | None]:
        """The vectors of turns; None for one that the embedder does not take, whatever it is asked with. Raises InferenceError."""
        assert self._made is not None, "there is an embedder"
        try:
            self._rest.enter()
            vectors = _each(self._made, texts)
        except InferenceError:
            self._rest.failed()
            raise
        self._rest.succeeded()
        return vectors


def _each(embedder: Embedder, texts: Sequence[str]) -> list[list[float] | None]:
    try:
        return list(embedder.passages(texts))
    except (ModelRefused, GarbageAnswer):
        # Is it one of the texts, or everything?
        embedder.passages([_HARMLESS])
        return [_alone(embedder, text) for text in texts]


def _alone(embedder: Embedder, text: str) -> list[float] | None:
    try:
        return embedder.passages([text])[0]
    except (ModelRefused, GarbageAnswer):
        return None


def _embedder(settings: Settings, total_s: float, *, cache_size: int = 256) -> Embedder:
    return Embedder(
        Endpoint(name="embedder", url=settings.embed_url, model=settings.embed_model),
        dimensions=settings.embed_dimensions or None,
        prefixes=prefixes_of(settings.embed_prefixes),
        timeouts=Timeouts(connect_s=min(total_s, 3.0), total_s=total_s),
        cache_size=cache_size,
    )
