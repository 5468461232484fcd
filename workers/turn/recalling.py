"""The earlier turns that the messages of a turn are about.

Guarantee: an answer never fails or waits for them: without an embedder they are found by their words, and where the database is slow they are left
out. They cost nothing where the prompt has the whole talk anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from bots.errors import StorageUnavailable
from bots.recall import question
from bots.storage import episodes
from bots.storage.episodes import Recalled
from bots.text_language import language_in
from workers import metrics
from workers.turn.claimed import ClaimedTurn

log = structlog.get_logger()

#: So many turns at most, and of the best ones the turn that follows, too.
_MOST, _WITH_NEIGHBOUR = 6, 2
#: What is recalled has words of the question, or means nearly the same, or is of a past day that it names; and it fits at least half as well as the best.
_NEAR, _SHARE = 0.82, 0.5


def recalled(turn: ClaimedTurn, texts: Sequence[str]) -> Sequence[Recalled]:
    """Return them, the best first, each neighbour after its turn; none where there are no earlier ones, or nothing fits."""
    deps, claim, bot = turn.deps, turn.claim, turn.account.bot
    # What is being forgotten is still there.
    has_earlier = claim.earlier or (turn.begins_anew and claim.number > 1)
    if not has_earlier or not bot.memory_on or claim.memory_off or turn.effect.erasure is not None:
        return ()
    text = "\n".join(texts)
    now = turn.now
    asked = question.read(
        text, language=language_in(text) or turn.language, today=now.date(), zone=str(now.tzinfo or "UTC"), also=turn.language
    )
    if asked is None:
        return ()
    vector = deps.embedding.question(asked.text, may_leave=bot.data_may_leave)
    try:
        found = episodes.recall(
            deps.worker,
            contact=claim.contact,
            bot=bot.id,
            question=asked,
            vector=vector,
            model=deps.embedding.model,
            conversation=claim.conversation,
            # After a command that begins anew, the prompt repeats nothing of this conversation.
            history_from=claim.number if turn.begins_anew else claim.history_from,
            limit=_MOST,
            neighbours=_WITH_NEIGHBOUR,
        )
    except StorageUnavailable:
        log.warning("not_recalled", turn=str(claim.turn))
        return ()
    kept = fitting(found, may_be_ahead=asked.may_be_ahead)
    metrics.RECALLED.labels("some" if kept else "none").inc()
    return kept


def fitting(found: Sequence[Recalled], *, may_be_ahead: bool = False) -> Sequence[Recalled]:
    """Those that are about the question. may_be_ahead: the day that it names says nothing by itself."""
    signs = {"words"} if may_be_ahead else {"words", "date"}
    kept, least = list[Recalled](), _SHARE * max((one.score for one in found), default=0.0)
    for one in found:
        is_near = one.meaning is not None and one.meaning >= _NEAR
        if "neighbour" in one.signals:
            # It follows its own turn.
            kept.extend([one] if kept and kept[-1].turn == one.beside else [])
        elif one.score >= least and (is_near or not signs.isdisjoint(one.signals)):
            kept.append(one)
    return kept
