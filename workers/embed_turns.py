"""Gives finished turns their vectors, in the background: after people, and never in the way of an answer.

Guarantee: a turn that could not be embedded stays due, and can be recalled by its words meanwhile. An embedder that is away keeps no other work
waiting, and a text that it does not take keeps no other text waiting.
"""

from __future__ import annotations

import structlog

from bots.recall.indexing import passage
from bots.storage import episodes
from bots.storage.episodes import Unembedded
from inference.errors import InferenceError
from workers import leased_work, metrics
from workers.deps import Deps
from workers.leased_work import LeasedWork

log = structlog.get_logger()

#: Few enough that whoever writes meanwhile does not wait for the embedder for long.
_AT_ONCE = 16
_AGAIN_S = 30.0


def embed_one(deps: Deps, queue: str) -> bool:
    """Embed some turns of one contact of a batch queue's profile; False when none was due, or the embedder is away."""
    if deps.embedding.rests:
        return False
    claimed = episodes.claim(deps.crossing, queue, model=deps.embedding.model, most=_AT_ONCE, lease_s=deps.settings.batch_lease_s)
    return claimed is not None and leased_work.run(deps.in_flight, _Embedded(deps, claimed))


class _Embedded(LeasedWork):
    """Claimed turns, and their vectors."""

    def __init__(self, deps: Deps, claimed: Unembedded) -> None:
        self._deps, self._claimed = deps, claimed

    def do(self) -> str:
        deps, claimed = self._deps, self._claimed
        model = deps.embedding.model if claimed.may_leave or not deps.embedding.leaves_house else None
        try:
            vectors = deps.embedding.passages([passage(one.asked, one.answer) for one in claimed.turns]) if model and claimed.turns else []
        except InferenceError as error:
            log.warning("turns_not_embedded", error=type(error).__name__)
            episodes.put_off(deps.worker, claimed, after_s=_AGAIN_S)
            return "waits"
        return "done" if episodes.settle(deps.worker, claimed, model=model, vectors=vectors) else "fenced"

    def failed(self, error: Exception) -> str:
        # Without a traceback, which would show the text.
        log.error("embedding_broke", error=type(error).__name__)
        episodes.put_off(self._deps.worker, self._claimed, after_s=_AGAIN_S)
        return "failed"

    def ended(self, state: str, *, took_s: float) -> None:
        metrics.EMBEDDED.labels(state).inc(max(1, len(self._claimed.turns)))
        log.debug("turns_embedded", state=state, turns=len(self._claimed.turns), took_ms=round(took_s * 1000))
