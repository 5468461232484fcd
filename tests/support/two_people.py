"""Two contacts with everything that a talk leaves behind, made through the storage functions alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from bots.crypto import Keyring
from bots.domain import Account, ChannelKind, EventKind, Identity, IdentityKind, InboundEvent, Outcome
from bots.settings import Settings
from bots.storage import accounts, claims, inbox, outbox, personas, tenants, turns
from bots.storage.claims import Claim
from bots.storage.turns import ModelCall, NewFact, TurnResult
from tests.support import build
from tests.support.cluster import Database

QUEUE = "reply.default"


@dataclass(frozen=True)
class Talked:
    """A contact who has said one thing and got one answer."""

    contact: UUID
    conversation: UUID
    turn: UUID
    message: UUID
    attempt: UUID


def an_account(database: Database) -> Account:
    """A WhatsApp account on a bot."""
    keyring = Keyring.from_settings(Settings.from_env(database.env))
    with database.engine("web").begin() as connection:
        tenant = tenants.default(connection)
        bot = personas.put(connection, tenant=tenant, name="tester", persona="You answer briefly.")
        return accounts.add(
            connection,
            keyring,
            tenant=tenant,
            bot=bot.id,
            channel=ChannelKind.WHATSAPP,
            name="test",
            external_id=build.PHONE_NUMBER_ID,
            app_secret=build.APP_SECRET,
            access_token=build.ACCESS_TOKEN,
        )


def an_event(person: build.Person, text: str, *, key: str | None = None) -> InboundEvent:
    """A text message as the channel understood it."""
    return InboundEvent(
        kind=EventKind.MESSAGE,
        event_key=key or build.a_wamid(),
        account_external_id=build.PHONE_NUMBER_ID,
        identities=(Identity(kind=IdentityKind.PHONE, value=person.number),),
        contact_name=person.name,
        text=text,
        occurred_at=datetime.now(UTC),
        reply_at_once=True,
    )


def a_talk(database: Database, account: Account, person: build.Person) -> Talked:
    """Let a person say who they are, answer, and send the answer."""
    return a_turn(database, account, person, f"My name is {person.name}", lambda claim: {"facts": [the_name(claim, person)]})


def the_name(claim: Claim, person: build.Person) -> NewFact:
    """A person's name, as their first message of the turn says it."""
    return NewFact(kind="name", text=person.name, topic="", source=claim.messages[0].id)


def a_turn(database: Database, account: Account, person: build.Person, words: str, decide: Callable[[Claim], Mapping[str, Any]]) -> Talked:
    """Let a person say something, and end the turn with an answer, which is sent, and with what `decide` adds to the result."""
    crossing, worker, boot = database.hot("crossing"), database.hot("worker"), uuid4()
    with crossing.begin() as connection:
        text = build.marked(person, words)
        inbox.accept(connection, account, [an_event(person, text)], queue=QUEUE, body=b"{}", debounce_s=0, debounce_cap_s=0)
    (claim,) = claims.claim_turns(crossing, QUEUE, boot=boot, lease_s=60, session_s=1800, most=1)
    result = TurnResult(
        state="answered",
        asked=text,
        answer="Hello!",
        parts=["Hello!"],
        calls=[ModelCall(attempt=1, endpoint="e", model="m", prompt=[{"role": "user", "content": text}], outcome="ok")],
        **decide(claim),
    )
    sending = turns.finish(worker, contact=claim.contact, turn=claim.turn, token=claim.token, boot=boot, stale_s=20, result=result)
    assert sending is not None
    outbox.end_attempt(
        worker,
        contact=claim.contact,
        attempt=sending.attempt,
        outcome=Outcome.ACCEPTED,
        external_id=f"wamid.OUT{uuid4().hex}",
        reconcile_s=90,
        next_part_s=3,
    )
    return Talked(claim.contact, claim.conversation, claim.turn, sending.message, sending.attempt)
