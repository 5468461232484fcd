"""Turns that can be recalled: the recall itself, and the turns that are to be embedded, with their vectors.

Guarantee: within one contact, and of what the contact had forgotten nothing. A turn is embedded once for each model.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import Engine

from bots.sought import Sought
from bots.storage.database import call, to_json
from bots.storage.turns import NewEpisode

_SIDES = {"contact": 0, "answers": 1}

Vector: TypeAlias = Sequence[float]


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier turn that is about the question, and how it was found."""

    turn: UUID
    conversation: UUID
    said_at: datetime
    asked: str
    answer: str
    #: words, meaning, date, time, speaker; neighbour: it follows one that was found
    signals: list[str]
    score: float = 0.0
    #: BM25 of the question's words in it and around it, and the cosine of its vector, if it has one.
    words: float = 0.0
    meaning: float | None = None
    #: What each signal gave to the score; "small" is what is known of the turn alone.
    parts: dict[str, float] = {}
    #: Of a neighbour: the turn that it follows.
    beside: UUID | None = None


class ToEmbed(msgspec.Struct, frozen=True):
    """A turn without a vector, and what shows whether its words have changed since they were read."""

    turn: UUID
    asked: str
    answer: str
    seen: str


class Unembedded(msgspec.Struct, frozen=True):
    """Turns of one contact that are to be embedded; of a conversation that was claimed for it, with the token of the claim."""

    contact: UUID
    turns: list[ToEmbed]
    #: Whether they may leave the operator's own network.
    may_leave: bool = False
    conversation: UUID | None = None
    token: str | None = None


class ToIndex(msgspec.Struct, frozen=True):
    """A turn from before turns could be recalled, and what shows whether its words have changed since they were read."""

    turn: UUID
    asked: str
    answer: str
    seen: str


class Unindexed(msgspec.Struct, frozen=True):
    """Such turns of a conversation that was claimed for them, with the token of the claim; those up to index_to remain."""

    contact: UUID
    conversation: UUID
    token: str
    index_to: int
    turns: list[ToIndex]


def recall(
    engine: Engine,
    *,
    contact: UUID,
    bot: UUID,
    question: Sought,
    vector: Sequence[float] | None,
    model: str | None,
    conversation: UUID,
    history_from: int,
    limit: int,
    neighbours: int = 0,
) -> list[Recalled]:
    """The turns that are most about a question, best first, without those of the conversation from history_from on.

    vector: the question's, of this model; None: recall goes by words alone. Raises StorageUnavailable.
    """
    values = (contact, conversation, history_from, bot, to_json(as_asked(question, vector, model)), limit, neighbours)
    # Not repeated: an answer goes without.
    found: Any = call(engine, "select recall_turns(%s, %s, %s, %s, %s::jsonb, %s, %s)", values, repeat=False)
    return msgspec.convert(found, list[Recalled])


def as_asked(question: Sought, vector: Sequence[float] | None, model: str | None) -> dict[str, Any]:
    """A question as recall_turns takes it."""
    return {
        "words": question.words,
        "configs": question.configs,
        "vector": None if vector is None else _halves(vector),
        "model": None if vector is None else model,
        "side": None if question.side is None else _SIDES[question.side],
        "when": question.when,
        "months": question.months,
        "year": question.year,
        "day": question.day,
        "since": question.since,
        "zone": question.zone,
        "until": None if question.until is None else _after(question.until),
    }


def claim(engine: Engine, queue: str, *, model: str | None, most: int, lease_s: float) -> Unembedded | None:
    """Claim turns of a batch queue's profile that have no vector of this model (None: turns to move alone); None when nothing is due."""
    # Not repeated: a claim whose answer was lost becomes due again when its lease ends.
    found: Any = call(engine, "select claim_episodes(%s, %s, %s, %s)", (queue, model, most, lease_s), repeat=False)
    return None if found is None else msgspec.convert(found, Unembedded)


def settle(engine: Engine, claimed: Unembedded, *, model: str | None, vectors: Sequence[Vector | None]) -> bool:
    """Write the vectors of the claimed turns, of those whose words are still the same (None: it has none); False when it was too late."""
    values = (claimed.contact, claimed.conversation, claimed.token, model, *_made(claimed, vectors))
    return bool(call(engine, "select settle_episodes(%s, %s, %s::timestamptz, %s, %s::uuid[], %s::text[], %s::text[])", values))


def put_off(engine: Engine, claimed: Unembedded, *, after_s: float) -> None:
    """Let the claimed turns be due again after so many seconds."""
    call(engine, "select put_off_episodes(%s, %s, %s::timestamptz, %s)", (claimed.contact, claimed.conversation, claimed.token, after_s))


def claim_unindexed(engine: Engine, *, most: int, lease_s: float) -> Unindexed | None:
    """Claim turns from before turns could be recalled; None when all are indexed."""
    # Not repeated: a claim whose answer was lost is made again when its lease ends.
    found: Any = call(engine, "select claim_unindexed(%s, %s)", (most, lease_s), repeat=False)
    return None if found is None else msgspec.convert(found, Unindexed)


def index(engine: Engine, claimed: Unindexed, made: Sequence[NewEpisode]) -> bool:
    """Store how the claimed turns are recalled; False when it was too late, or their words have changed: then they are claimed again."""
    new = [{"turn": one.turn, "seen": one.seen, "episode": episode} for one, episode in zip(claimed.turns, made, strict=True)]
    values = (claimed.contact, claimed.conversation, claimed.token, claimed.index_to, to_json(new))
    return bool(call(engine, "select index_turns(%s, %s, %s::timestamptz, %s, %s::jsonb)", values))


def stale(engine: Engine, *, after: UUID, model: str, most: int) -> Unembedded | None:
    """Turns without a vector of this model, of the next contact after this one that has any; without turns: none so far, go on after this contact.

    None at the end.
    """
    found: Any = call(engine, "select stale_episodes(%s, %s, %s)", (after, model, most))
    return None if found is None else msgspec.convert(found, Unembedded)


def embed_again(engine: Engine, found: Unembedded, *, model: str, vectors: Sequence[Vector | None]) -> None:
    """Write the vectors of turns that `stale` gave, as `settle` does."""
    values = (found.contact, model, *_made(found, vectors))
    call(engine, "select embed_again(%s, %s, %s::uuid[], %s::text[], %s::text[])", values)


def _made(found: Unembedded, vectors: Sequence[Vector | None]) -> tuple[list[UUID], list[str], list[str | None]]:
    """The turns, what their words were, and the vectors of these."""
    turns = found.turns[: len(vectors)]
    return [one.turn for one in turns], [one.seen for one in turns], [None if one is None else _halves(one) for one in vectors]


def _halves(vector: Sequence[float]) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(f'{value:.5f}' for value in vector)}]"


def _after(day: date) -> date:
    return day + timedelta(days=1)
