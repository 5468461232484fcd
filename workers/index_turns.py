"""Makes turns from before turns could be recalled ones that can be, in the background: after people, and those of whoever wrote last first.

Guarantee: each once, and with the words that it has then. It goes on where it was interrupted.
"""

from __future__ import annotations

import structlog

from bots.recall import indexing
from bots.storage import episodes
from bots.storage.episodes import ToIndex, Unindexed
from bots.storage.turns import NewEpisode
from bots.text_language import language_in
from workers import leased_work
from workers.deps import Deps
from workers.leased_work import LeasedWork

log = structlog.get_logger()

#: They are embedded before the next ones are read.
_AT_ONCE = 64


def index_one(deps: Deps) -> bool:
    """Index some turns of one conversation; False when none was left."""
    claimed = episodes.claim_unindexed(deps.crossing, most=_AT_ONCE, lease_s=deps.settings.batch_lease_s)
    return claimed is not None and leased_work.run(deps.in_flight, _Indexed(deps, claimed))


class _Indexed(LeasedWork):
    """Claimed turns, and how they are recalled."""

    def __init__(self, deps: Deps, claimed: Unindexed) -> None:
        self._deps, self._claimed = deps, claimed

    def do(self) -> str:
        # Who writes too little to tell a language by writes as before.
        talk = language_in(" ".join(one.asked for one in self._claimed.turns))
        made = [_episode(one, talk) for one in self._claimed.turns]
        return "done" if episodes.index(self._deps.worker, self._claimed, made) else "fenced"

    def failed(self, error: Exception) -> str:
        # Without a traceback, which would show the text. It is claimed again when its lease ends.
        log.error("indexing_broke", conversation=str(self._claimed.conversation), error=type(error).__name__)
        return "failed"

    def ended(self, state: str, *, took_s: float) -> None:
        log.debug("turns_indexed", state=state, turns=len(self._claimed.turns), took_ms=round(took_s * 1000))


def _episode(one: ToIndex, talk: str) -> NewEpisode:
    return indexing.episode(one.asked, one.answer, language=language_in(one.asked) or talk)
