"""Messages that their writers change or take back, and what the storage then says of them: builders for tests of storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from bots.domain import EventKind, Fact, Identity, InboundEvent
from bots.storage.turns import ModelCall, NewFact
from tests.support.storage_fixture import StorageFixture, a_message, a_phone

ADA, BOB = a_phone("34600111222"), a_phone("34600333444")
NOW = datetime.now(UTC)


def an_edit(target: str, text: str | None, *, by: Identity = ADA, n: int = 1, facts: Sequence[Fact] = (), **more: Any) -> InboundEvent:
    """New words for a message, the n-th time."""
    return InboundEvent(
        kind=EventKind.EDIT,
        event_key=f"edit:{target}:{n}",
        identities=(by,),
        text=text,
        target=target,
        supported=False,
        facts=tuple(facts),
        **({"occurred_at": NOW + timedelta(seconds=n)} | more),
    )


def an_unsend(target: str, *, by: Identity = ADA, key: str = "") -> InboundEvent:
    """A message is taken back."""
    return InboundEvent(kind=EventKind.REVOKE, event_key=f"revoke:{key}{target}", identities=(by,), target=target, supported=False)


def says(text: str, key: str, *, by: Identity = ADA, **more: Any) -> InboundEvent:
    """A message with this id on the platform."""
    return a_message(text, key=key, by=(by,), **more)


def a_call(*said: str) -> ModelCall:
    """A model call with this prompt."""
    return ModelCall(
        attempt=1, endpoint="e", model="m", outcome="ok", tokens_in=5, prompt=[{"role": "user", "content": one} for one in said]
    )


def name(text: str, source: UUID) -> NewFact:
    """The fact that somebody has this name."""
    return NewFact(kind="name", text=text, topic="", source=source)


def talked(storage: StorageFixture, *messages: InboundEvent, facts: Sequence[str] = (), **result: Any) -> None:
    """Let these messages in as one turn, and answer them."""
    storage.let_in(*messages)
    claim = storage.claimed()
    asked = "\n".join(message.text or "" for message in claim.messages)
    known = [name(one, claim.messages[0].id) for one in facts]
    storage.finish(claim, **({"asked": asked, "facts": known, "calls": [a_call(asked)]} | result))


def history(storage: StorageFixture) -> list[tuple[str, str]]:
    """What the next prompt repeats."""
    storage.let_in(a_message("and now?", by=(ADA,)))
    return [(past.asked, past.answer) for past in storage.claimed().history]


def memories(storage: StorageFixture) -> list[Any]:
    """What is remembered, and whether it is still valid."""
    return storage.rows("select text, valid_to is null from memories order by created_at, text")
