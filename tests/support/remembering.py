"""People who say things that are remembered, end or are forgotten: builders for tests of storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from bots.domain import End, Fact, Identity
from bots.kinds import kinds
from bots.storage.claims import Claim
from bots.storage.turns import Erasure, NewEnd, NewFact, Recalled, RecalledTurn
from tests.support.changes import ADA, NOW, a_call, says
from tests.support.storage_fixture import StorageFixture, a_message

#: No other word of these tests has it.
DOG = "Quibbleton"


def fact(kind: str, value: str, **more: Any) -> Fact:
    """A fact with the topic that its kind has, unless another is given."""
    return Fact(kind=kind, value=value, **({"topic": "" if kinds()[kind].single else None} | more))


def new_fact(said: Fact, source: UUID) -> NewFact:
    """What a turn remembers of it."""
    return NewFact(kind=said.kind, text=said.value, source=source, topic=said.topic, day=said.day, last_day=said.last_day, since=said.since)


def said(
    storage: StorageFixture,
    text: str,
    *,
    facts: Sequence[Fact] = (),
    ends: Sequence[End] = (),
    key: str | None = None,
    by: Identity = ADA,
    at: datetime | None = None,
    answer: str = "I see.",
    session_s: float = 1800.0,
    message_more: dict[str, Any] | None = None,
    **result: Any,
) -> Claim:
    """A message that states this, and the answer to it, as one turn."""
    message = says(text, key or uuid4().hex, by=by, occurred_at=at, **(message_more or {}))
    storage.let_in(message, body=f'{{"from":"a platform","text":"{text}"}}'.encode())
    claim = storage.claimed(session_s=session_s)
    source = claim.messages[-1].id
    values: dict[str, Any] = {"asked": text, "answer": answer, "parts": [answer], "calls": [a_call(text, answer)]} | result
    new_ends = [NewEnd.said(end, source) for end in ends]
    sending = storage.finish(claim, facts=[new_fact(one, source) for one in facts], ends=new_ends, **values)
    if sending is not None:
        storage.end(sending)
    return claim


def minutes(n: float) -> datetime:
    """So many minutes after an hour ago."""
    return NOW + timedelta(minutes=n - 60)


def living(storage: StorageFixture) -> set[tuple[str, str]]:
    """What is remembered now, of everybody."""
    return {(row.kind, row.text) for row in storage.rows("select kind, text from memories where valid_to is null")}


def memory(storage: StorageFixture, text: str) -> UUID:
    """The newest memory with this text."""
    return storage.value("select id from memories where text = %s order by created_at desc limit 1", text)


def forgets(storage: StorageFixture, *texts: str, say: str = "/forget it", **result: Any) -> Claim:
    """The contact asks to forget these memories."""
    wish = Erasure(memories=[memory(storage, text) for text in texts])
    return said(storage, say, **({"in_history": False, "answer": "Done.", "erase": wish} | result))


def next_claim(storage: StorageFixture, *, by: Identity = ADA, session_s: float = 1800.0) -> Claim:
    """What the next turn is given."""
    storage.let_in(a_message("and now?", by=(by,)))
    return storage.claimed(session_s=session_s)


def a_dog() -> Fact:
    """The fact that somebody has this dog."""
    return fact("pet", f"dog {DOG}")


def lived(storage: StorageFixture) -> None:
    """Somebody talks about their dog in every way in which a word can be stored."""
    first = said(storage, f"My dog is {DOG}", key="w1", facts=[a_dog(), fact("allergy", "nuts")], answer=f"Hello {DOG}!")
    said(storage, "and I like oat cakes", key="w2", facts=[fact("likes", "oat cakes")], answer="Noted.")
    said(
        storage,
        "is that right?",
        key="w3",
        message_more={"quoted": "w1", "refers": (("advertisement", f"Collars for {DOG}"),)},
        asked=f'(in reply to: "My dog is {DOG}")\nis that right?',
        answer="It is.",
        recalls=[Recalled(memory=memory(storage, f"dog {DOG}"), reason="said before")],
        recalled=[RecalledTurn(turn=first.turn, signals=["words"])],
    )
    said(storage, f"what does {DOG.upper()} eat?", key="w4", answer="Meat.", calls=[a_call(f'I know: "dog: {DOG}"', "what does it eat?")])
    said(storage, "and what do I eat?", key="w5", answer="Cakes, and no nuts.", calls=[a_call("and what do I eat?")])
    storage.do(f"update conversations set summary = 'They have a dog, {DOG}.', summary_until = 3")
