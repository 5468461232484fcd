"""Search of a contact's talk by meaning: the recall that answers use, for an operator."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import structlog

from bots.admin.deps import Deps
from bots.recall import question
from bots.storage import episodes
from bots.storage.people import Found, Person
from bots.text_language import language_in
from inference.embed import Embedder, prefixes_of
from inference.errors import InferenceError
from inference.types import Endpoint, Timeouts

log = structlog.get_logger()

#: An operator waits longer than an answer may.
_WITHIN_S = 3.0
#: Of each bot that the contact has talked with.
_MOST = 10
#: What is less near in meaning, and has no word of the search, is left out.
_NEAR = 0.8
_NOWHERE = UUID(int=0)


def find(deps: Deps, person: Person, typed: str, *, besides: Sequence[Found]) -> list[Found]:
    """Turns that are about what was typed, best first, without those in `besides`. By words alone where there is no embedder."""
    language = language_in(typed) or "en"
    asked = question.read(typed, language=language, today=datetime.now(UTC).date(), also=language)
    if asked is None:
        return []
    vector = _vector(deps, asked.text)
    known = {one.text for one in besides}
    found: list[Found] = []
    talks = {talk.bot_id: talk.id for talk in reversed(person.talks)}
    for bot in talks:
        for one in episodes.recall(
            deps.web,
            contact=person.id,
            bot=bot,
            question=asked,
            vector=vector,
            model=deps.settings.embed_model,
            conversation=_NOWHERE,
            history_from=0,
            limit=_MOST,
        ):
            is_near = one.meaning is not None and one.meaning >= _NEAR
            if (is_near or one.words > 0) and one.asked not in known:
                known.add(one.asked)
                found.append(
                    Found(side="in", id=one.turn, conversation=one.conversation, at=one.said_at, text=one.asked, signals=tuple(one.signals))
                )
    return found


def _vector(deps: Deps, text: str) -> list[float] | None:
    settings = deps.settings
    # What an operator types may name a person: it does not go to an embedder outside of the network.
    if not settings.embed_url or settings.embed_leaves_house:
        return None
    embedder = Embedder(
        Endpoint(name="embedder", url=settings.embed_url, model=settings.embed_model),
        dimensions=settings.embed_dimensions or None,
        prefixes=prefixes_of(settings.embed_prefixes),
        timeouts=Timeouts(connect_s=_WITHIN_S, total_s=_WITHIN_S),
        cache_size=0,
    )
    try:
        return embedder.query(text)
    except InferenceError as error:
        log.info("search_without_meaning", error=type(error).__name__)
        return None
