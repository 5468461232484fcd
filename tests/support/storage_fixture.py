"""A database with one account, and short ways to let messages in and work them: for tests of storage alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine

from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.crypto import Keyring
from bots.domain import (
    Account,
    ChannelKind,
    DeliveryStatus,
    EventKind,
    Identity,
    IdentityKind,
    InboundEvent,
    Outcome,
    Retry,
    Role,
    StatusUpdate,
)
from bots.settings import Settings
from bots.storage import accounts, claims, inbox, outbox, personas, tenants, turns
from bots.storage.claims import Claim
from bots.storage.database import hot, open_engine, unit
from bots.storage.outbox import HealthRead, Sending
from bots.storage.turns import TurnResult
from tests.support.cluster import Cluster

QUEUE = "reply.default"


def a_phone(number: str = "34600111222") -> Identity:
    """A phone as an identity."""
    return Identity(kind=IdentityKind.PHONE, value=number)


def a_bsuid(value: str = "ES.81230091") -> Identity:
    """A business-scoped id as an identity."""
    return Identity(kind=IdentityKind.BSUID, value=value)


def a_message(text: str = "hi", *, key: str | None = None, by: tuple[Identity, ...] | None = None, **more: Any) -> InboundEvent:
    """A text message that came in."""
    return InboundEvent(kind=EventKind.MESSAGE, event_key=key or f"wamid.{uuid4().hex}", identities=by or (a_phone(),), text=text, **more)


def a_status(external_id: str, status: DeliveryStatus, *, correlation: UUID | None = None) -> InboundEvent:
    """A status of one of our messages."""
    return InboundEvent(
        kind=EventKind.STATUS,
        event_key=f"{external_id}:{status}",
        status=StatusUpdate(external_id=external_id, status=status, correlation=str(correlation) if correlation else None),
    )


@dataclass
class StorageFixture:
    """The engines of the roles, one bot and one account."""

    web: Engine
    worker: Engine
    crossing: Engine
    keyring: Keyring
    account: Account
    boot: UUID = field(default_factory=uuid4)

    @property
    def deps(self) -> Deps:
        """What use cases work with."""
        return Deps(web=self.web, crossing=self.crossing, keyring=self.keyring, settings=Settings())

    def operator(self, name: str = "ana", *, tenant: UUID | None = None) -> Operator:
        """An operator of this tenant, or of another."""
        return Operator(id=uuid4(), tenant_id=tenant or self.account.tenant_id, name=name, role=Role.OPERATOR)

    def another_account(self, name: str) -> UUID:
        """One more account of the same bot."""
        with unit(self.web) as connection:
            return accounts.add(
                connection,
                self.keyring,
                tenant=self.account.tenant_id,
                bot=self.account.bot_id,
                channel=ChannelKind.WHATSAPP,
                name=name,
                external_id=f"700800-{name}",
                app_secret="first",
                access_token="token",
            ).id

    def let_in(
        self, *events: InboundEvent, debounce_s: float = 0.0, cap_s: float = 0.0, body: bytes = b"{}", **more: Any
    ) -> tuple[UUID, ...]:
        """Accept events as the web does."""
        with hot(self.crossing) as connection:
            return inbox.accept(
                connection, self.account, events, queue=QUEUE, body=body, debounce_s=debounce_s, debounce_cap_s=cap_s, **more
            )

    def claim(self, *, boot: UUID | None = None, lease_s: float = 60.0, session_s: float = 1800.0) -> Claim | None:
        """Claim as a worker does."""
        found = claims.claim_turns(self.crossing, QUEUE, boot=boot or self.boot, lease_s=lease_s, session_s=session_s, most=1)
        return found[0] if found else None

    def claimed(self, **more: Any) -> Claim:
        """Claim, and be sure that there was something."""
        claim = self.claim(**more)
        assert claim is not None
        return claim

    def finish(self, claim: Claim, *, boot: UUID | None = None, **result: Any) -> Sending | None:
        """Finish a turn as a worker does."""
        values = {"state": "answered", "answer": "hello", "parts": ["hello"]} | result
        return turns.finish(
            self.worker,
            contact=claim.contact,
            turn=claim.turn,
            token=claim.token,
            boot=boot or self.boot,
            stale_s=60,
            result=TurnResult(**values),
        )

    def answered(self, **result: Any) -> Sending:
        """Claim and finish, and be sure that something is to be sent."""
        sending = self.finish(self.claimed(), **result)
        assert sending is not None
        return sending

    def end(
        self,
        sending: Sending,
        outcome: Outcome = Outcome.ACCEPTED,
        *,
        external_id: str | None = None,
        retry: Retry | None = None,
        **more: Any,
    ) -> str | None:
        """Record what came of a send."""
        if outcome is Outcome.ACCEPTED:
            external_id = external_id or f"wamid.OUT{sending.message.hex}"
        return self.end_with(sending, outcome, external_id=external_id, retry=retry, **more)

    def end_with(
        self,
        sending: Sending,
        outcome: Outcome = Outcome.ACCEPTED,
        *,
        external_id: str | None = None,
        retry: Retry | None = None,
        **more: Any,
    ) -> str | None:
        """Record what came of a send, the id exactly as given."""
        values = {"reconcile_s": 90.0, "next_part_s": 3.0} | more
        return outbox.end_attempt(
            self.worker, contact=sending.contact, attempt=sending.attempt, outcome=outcome, external_id=external_id, retry=retry, **values
        )

    def next_send(self, *, stale_s: float = 60.0, reconcile_s: float = 90.0) -> Sending | None:
        """Claim the next due send."""
        found = self.next_try(stale_s=stale_s, reconcile_s=reconcile_s)
        assert not isinstance(found, HealthRead)
        return found

    def next_try(self, *, stale_s: float = 60.0, reconcile_s: float = 90.0, younger_s: float = 21_600.0) -> Sending | HealthRead | None:
        """Claim the next due send, or a read of an account's health."""
        return outbox.claim_send(self.crossing, boot=self.boot, stale_s=stale_s, reconcile_s=reconcile_s, younger_s=younger_s)

    def rows(self, query: str, *values: object) -> list[Any]:
        """Look at rows of all contacts."""
        with unit(self.crossing) as connection:
            return list(connection.exec_driver_sql(query, values or None).all())

    def value(self, query: str, *values: object) -> Any:
        """Look at one value."""
        return self.rows(query, *values)[0][0]

    def do(self, statement: str, *values: object) -> None:
        """Change rows, as time or an operator would."""
        with unit(self.crossing) as connection:
            connection.exec_driver_sql(statement, values or None)


def open_storage(cluster: Cluster, database: str) -> StorageFixture:
    """Make a fresh database with one bot and one account, and connect to it as each role."""
    settings = Settings.from_env(cluster.addresses(database))
    web = open_engine(settings.web_database_url, pool=4, name="web")
    keyring = Keyring.from_settings(settings)
    with unit(web) as connection:
        tenant = tenants.default(connection)
        bot = personas.put(connection, tenant=tenant, name="demo", persona="You are the assistant of a clinic.")
        account = accounts.add(
            connection,
            keyring,
            tenant=tenant,
            bot=bot.id,
            channel=ChannelKind.WHATSAPP,
            name="demo",
            external_id="700800900100200",
            app_secret="first",
            access_token="token",
        )
    return StorageFixture(
        web=web,
        worker=open_engine(settings.worker_database_url, pool=4, name="worker"),
        crossing=open_engine(settings.crossing_database_url, pool=4, name="crossing"),
        keyring=keyring,
        account=account,
    )
