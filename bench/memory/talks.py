"""Talks from a file, in the product's own tables: a contact for each talk, and one turn that can be recalled for each turn of the file.

The first speaker's words are the contact's, the other's are answers. Everything goes through the functions that a worker calls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
from sqlalchemy import Connection

from bots.recall import indexing
from bots.sought import Side
from bots.storage import episodes
from bots.storage.database import to_json
from inference.embed_server import MODEL, Embedder
from tests.support.storage_fixture import QUEUE, StorageFixture

_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A talk of the file, and where it is in the database."""

    name: str
    contact: UUID
    conversation: UUID
    #: The file's id of each turn.
    turns: Mapping[UUID, str]
    questions: Sequence[Mapping[str, Any]]
    names: Mapping[str, Side]
    today: date
    language: str


class Vectors:
    """The embedder, with what it embedded before kept in a file."""

    def __init__(self, file: Path | None) -> None:
        self._file, self._embedder = file, None
        self._known: dict[str, list[float]] = json.loads(file.read_text("utf-8")) if file and file.exists() else {}

    def of(self, texts: Sequence[str], *, as_query: bool = False) -> list[list[float]]:
        """The vectors of these texts."""
        keys = [f"{'q' if as_query else 'p'}:{text}" for text in texts]
        if missing := [(key, text) for key, text in zip(keys, texts, strict=True) if key not in self._known]:
            self._embedder = self._embedder or Embedder()
            vectors, _ = self._embedder.embed([text for _, text in missing], as_query=as_query)
            self._known |= {key: vector for (key, _), vector in zip(missing, vectors, strict=True)}
        return [self._known[key] for key in keys]

    def keep(self) -> None:
        """Write them into the file."""
        if self._file:
            self._file.write_text(json.dumps(self._known), encoding="utf-8")


def a_contact(connection: Connection, storage: StorageFixture) -> tuple[UUID, UUID]:
    """A contact and their conversation."""
    contact, conversation, tenant = uuid4(), uuid4(), storage.account.tenant_id
    connection.exec_driver_sql("insert into contacts (tenant_id, id) values (%s, %s)", (tenant, contact))
    connection.exec_driver_sql(
        "insert into conversations (tenant_id, id, account_id, contact_id, queue) values (%s, %s, %s, %s, %s)",
        (tenant, conversation, storage.account.id, contact, QUEUE),
    )
    return contact, conversation


def fill(storage: StorageFixture, file: Path, *, vectors: Vectors | None) -> list[Talk]:
    """Put all talks of a file into the database; vectors: None leaves them without any."""
    return fill_from(storage, json.loads(file.read_text("utf-8")), vectors=vectors)


def fill_from(storage: StorageFixture, talks: Sequence[Mapping[str, Any]], *, vectors: Vectors | None) -> list[Talk]:
    """The same for talks that are at hand."""
    return [_fill(storage, talk, vectors) for talk in talks]


def _fill(storage: StorageFixture, talk: Mapping[str, Any], vectors: Vectors | None) -> Talk:
    first, second = talk["speakers"]
    language = talk.get("language", "en")
    ids = dict[UUID, str]()
    with storage.crossing.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        contact, conversation = a_contact(connection, storage)
        for number, turn in enumerate(talk["turns"], 1):
            asked, answer = (turn["text"], "") if turn["speaker"] == first else ("", turn["text"])
            at = datetime.fromisoformat(turn["at"]) + timedelta(seconds=number)
            ids[a_turn(connection, storage, contact, conversation, number, at=at, asked=asked, answer=answer, language=language)] = turn[
                "id"
            ]
    settle(storage, vectors)
    today = datetime.fromisoformat(talk["turns"][-1]["at"]).date()
    names: dict[str, Side] = {first: "contact", second: "answers"}
    return Talk(
        name=talk["conversation"],
        contact=contact,
        conversation=conversation,
        turns=ids,
        questions=talk["questions"],
        names=names,
        today=today,
        language=language,
    )


def a_turn(
    connection: Connection,
    storage: StorageFixture,
    contact: UUID,
    conversation: UUID,
    number: int,
    *,
    at: datetime,
    asked: str,
    answer: str,
    language: str,
) -> UUID:
    """A finished turn that can be recalled."""
    turn = uuid4()
    connection.exec_driver_sql(
        "insert into turns (tenant_id, id, conversation_id, contact_id, number, state, opened_at, finished_at, asked, answer)"
        " values (%s, %s, %s, %s, %s, 'answered', %s, %s, %s, %s)",
        (storage.account.tenant_id, turn, conversation, contact, number, at, at, asked, answer),
    )
    new = to_json(msgspec.to_builtins(indexing.episode(asked, answer, language=language)))
    connection.exec_driver_sql("select remember_episode(%s, %s::jsonb)", (turn, new))
    return turn


def settle(storage: StorageFixture, vectors: Vectors | None) -> None:
    """Embed and move everything that is due, as the background does."""
    storage.do("update conversations set settle_at = now() where settle_at is not null")
    model = MODEL if vectors else None
    while (claimed := episodes.claim(storage.crossing, QUEUE.replace("reply", "batch"), model=model, most=_BATCH, lease_s=600)) is not None:
        made = vectors.of([indexing.passage(one.asked, one.answer) for one in claimed.turns]) if vectors else []
        assert episodes.settle(storage.worker, claimed, model=model, vectors=made)
