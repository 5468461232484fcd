"""Short ways to have turns that can be recalled, and to recall them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec

from bots.recall import indexing
from bots.sought import Sought
from bots.storage import episodes
from bots.storage.database import to_json
from bots.storage.episodes import Recalled
from tests.support.storage_fixture import QUEUE, StorageFixture

MODEL = "three"
#: The queue whose worker embeds turns of QUEUE.
BATCH = QUEUE.replace("reply", "batch")


def a_contact(storage: StorageFixture) -> tuple[UUID, UUID]:
    """A contact and their conversation."""
    contact, conversation, tenant = uuid4(), uuid4(), storage.account.tenant_id
    storage.do("insert into contacts (tenant_id, id) values (%s, %s)", tenant, contact)
    storage.do(
        "insert into conversations (tenant_id, id, account_id, contact_id, queue) values (%s, %s, %s, %s, %s)",
        tenant,
        conversation,
        storage.account.id,
        contact,
        QUEUE,
    )
    return contact, conversation


def say(
    storage: StorageFixture, conversation: UUID, asked: str, answer: str = "", *, number: int, at: datetime, language: str = "en"
) -> UUID:
    """Have a finished turn that can be recalled."""
    turn = uuid4()
    storage.do(
        "insert into turns (tenant_id, id, conversation_id, contact_id, number, state, opened_at, finished_at, asked, answer)"
        " select tenant_id, %s, id, contact_id, %s, 'answered', %s, %s, %s, %s from conversations where id = %s",
        turn,
        number,
        at,
        at,
        asked,
        answer,
        conversation,
    )
    new = to_json(msgspec.to_builtins(indexing.episode(asked, answer, language=language)))
    storage.do("select remember_episode(%s, %s::jsonb)", turn, new)
    return turn


def settle(storage: StorageFixture, vectors: Mapping[str, Sequence[float]] | None = None, *, model: str = MODEL) -> None:
    """Embed and move what is to be, as the background does; the vectors are by what the contact said."""
    storage.do("update conversations set settle_at = now() where settle_at is not null")
    made_by = model if vectors is not None else None
    while (claimed := episodes.claim(storage.crossing, BATCH, model=made_by, most=16, lease_s=60)) is not None:
        made = [vectors.get(one.asked, (1.0, 0.0, 0.0)) for one in claimed.turns] if vectors is not None else []
        assert episodes.settle(storage.worker, claimed, model=made_by, vectors=made)


def recall(storage: StorageFixture, contact: UUID, question: Sought, **more: Any) -> list[Recalled]:
    """Recall as a worker does, outside of any conversation."""
    values: dict[str, Any] = {
        "vector": None,
        "model": MODEL,
        "conversation": uuid4(),
        "history_from": 1,
        "limit": 10,
        "bot": storage.account.bot_id,
    } | more
    return episodes.recall(storage.worker, contact=contact, question=question, **values)
