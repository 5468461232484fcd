"""The people, accounts, answers and batches of bench.fair, on a real stack, and what each of them waited."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from bots.crypto import Keyring
from bots.domain import Account, ChannelKind, EventKind, Identity, IdentityKind, InboundEvent
from bots.settings import Settings
from bots.storage import accounts, inbox, personas, work_notices
from tests.support import build
from tests.support.crowd import Crowd
from tests.support.processes import until
from tests.support.stack import Stack

SHORT = "What can you tell me about the river there, and what should I see first?"
#: The model takes long for this.
LONG = "Please tell me everything about the river there, from its spring to the sea."
_TOOK = """
    select extract(epoch from min(s.finished_at) - min(i.received_at))::float from inbox i join outbox o on o.turn_id = i.turn_id
        join send_attempts s on s.message_id = o.id
    where i.account_id = :account and i.received_at > :since and s.outcome = 'accepted' group by i.id"""
_SENT = """
    select extract(epoch from s.finished_at - :since)::float from send_attempts s join outbox o on o.id = s.message_id
    where o.account_id = :account and s.started_at >= :since and s.outcome = 'accepted'"""
_ENDED = "select extract(epoch from finished_at - :since)::float from batch_items where batch_id = :batch and finished_at is not null"
_LEASED = "select count(*) from conversations where leased_until > now()"


class House:
    """A stack with people."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        #: For what waits to be sent, and for batches.
        self.crowd = Crowd(stack.owner)
        self._crossing = stack.engine("crossing")
        self._settings = Settings.from_env(stack.env)

    def tenant(self, name: str, weight: float = 1.0) -> UUID:
        """One more tenant."""
        with self.stack.owner.begin() as connection:
            values = {"name": name, "weight": weight}
            return connection.execute(
                text("insert into tenants (name, weight) values (:name, :weight) returning tenant_id"), values
            ).scalar_one()

    def account(self, name: str, tenant: UUID | None = None, *, weight: float = 1.0, **options: Any) -> Account:
        """One more WhatsApp number, of the first tenant's bot or of a tenant's own; options as the practice platform has them."""
        stack = self.stack
        keyring = Keyring.from_settings(Settings.from_env(stack.cluster.addresses(stack.database)))
        number = f"9{zlib.crc32(name.encode()):012d}"
        with stack.engine("web").begin() as connection:
            tenant = tenant or stack.account.tenant_id
            bot = personas.get(connection, tenant=tenant, name="tester") or personas.put(
                connection, tenant=tenant, name="tester", persona="Be brief."
            )
            made = accounts.add(
                connection,
                keyring,
                tenant=tenant,
                bot=bot.id,
                channel=ChannelKind.WHATSAPP,
                name=name,
                external_id=number,
                app_secret=build.APP_SECRET,
                verify_token=build.VERIFY_TOKEN,
                access_token=build.ACCESS_TOKEN,
            )
            connection.exec_driver_sql("update accounts set weight = %s where id = %s", (weight, made.id))
        hook = f"{stack.web_url}/webhooks/whatsapp/{name}"
        stack.platform.serve(
            phone_number_id=number, url=hook, app_secret=build.APP_SECRET, access_token=build.ACCESS_TOKEN, batch_ms=500.0, **options
        )
        return made

    def write(self, account: Account, people: int, *, over_s: float = 0.0, words: str = SHORT, queue: str = "reply.default") -> None:
        """Let so many people write one message each, together or one by one over that time, as their webhooks bring it in."""
        chance = random.Random(people)
        step = 1 if over_s else 100
        with self._crossing.connect() as connection:
            for start in range(0, people, step):
                events = [
                    InboundEvent(
                        kind=EventKind.MESSAGE,
                        event_key=build.a_wamid(),
                        occurred_at=datetime.now(UTC),
                        identities=(Identity(kind=IdentityKind.PHONE, value=person.number),),
                        contact_name=person.name,
                        text=words,
                        # As the web reads a message that says it all: it is due at once.
                        reply_at_once=True,
                    )
                    for person in (build.a_person() for _ in range(min(step, people - start)))
                ]
                inbox.accept(
                    connection,
                    account,
                    events,
                    queue=queue,
                    body=None,
                    debounce_s=self._settings.debounce_s,
                    debounce_cap_s=self._settings.debounce_cap_s,
                )
                connection.commit()
                work_notices.tell(self._crossing)
                if over_s:
                    time.sleep(chance.uniform(0.5, 1.5) * over_s / people)

    def warm(self, *named: Account, people: int = 5) -> None:
        """Let somebody write to each of these, and wait until they are answered."""
        since = self.now()
        for account in named:
            self.write(account, people)
        for account in named:
            self.waits(account, people, since)

    def busy(self, slots: int) -> None:
        """Wait until so many turns are in work."""
        until(lambda: self.stack.one(_LEASED) >= slots, what="the crowd is there", timeout_s=60)

    def now(self) -> Any:
        """The database's clock."""
        return self.stack.one("select clock_timestamp()")

    def waits(self, account: Account, people: int, since: Any) -> list[float]:
        """The seconds that each of so many people waited, once all are answered: from acceptance by the web to that by the platform."""
        return self._all(people, _TOOK, account=account.id, since=since)

    def sent(self, account: str, messages: int, since: Any) -> list[float]:
        """After how many seconds each of so many answers of an account of the chat page was sent, once all are."""
        return self._all(messages, _SENT, account=self.crowd.accounts[account], since=since)

    def answers(self, account: str, messages: int, *, ago_s: float = 1.0) -> None:
        """Let so many answers of an account of the chat page wait to be sent."""
        self.crowd.answers(account, messages, ago_s=ago_s)
        work_notices.tell(self._crossing)

    def batch(self, tenant: str, items: int) -> UUID:
        """Start a batch."""
        made = self.crowd.batch(tenant, items)
        work_notices.tell(self._crossing)
        return made

    def items(self, batch: UUID, items: int, since: Any) -> list[float]:
        """After how many seconds each item of a batch was done, once all are."""
        return self._all(items, _ENDED, batch=batch, since=since)

    def asked_twice(self) -> int:
        """How many turns a model was asked for more than once."""
        return self.stack.one("select count(*) from (select turn_id from model_calls group by turn_id having count(*) > 1) x")

    def _all(self, count: int, statement: str, **values: Any) -> list[float]:
        def found() -> Sequence[float]:
            with self.stack.owner.connect() as connection:
                took = list(connection.execute(text(statement), values).scalars())
            return took if len(took) >= count else []

        return list(until(found, timeout_s=240, what=f"all of {count} were served", every_s=0.2))
