"""Many people of several accounts and tenants who wait for their turns, put into the database by the thousand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, text

from tests.support.storage_fixture import QUEUE


@dataclass
class Crowd:
    """Puts rows in as the owner. Tenants and accounts are known by name."""

    owner: Engine
    queue: str = QUEUE
    tenants: dict[str, UUID] = field(default_factory=dict[str, UUID])
    accounts: dict[str, UUID] = field(default_factory=dict[str, UUID])
    _homes: dict[str, str] = field(default_factory=dict[str, str])

    def account(self, name: str, *, tenant: str = "one", weight: float = 1.0, tenant_weight: float = 1.0, state: str = "active") -> UUID:
        """Make an account, and its tenant and bot where they are new."""
        if tenant not in self.tenants:
            self.tenants[tenant] = uuid4()
            self._do(
                "insert into tenants (tenant_id, name, weight) values (:id, :name, :weight)",
                id=self.tenants[tenant],
                name=f"{tenant}-{uuid4().hex[:6]}",
                weight=tenant_weight,
            )
            self._do(
                "with b as (insert into bots (tenant_id, name, fallback_text) values (:tenant, 'b', 'Sorry.') returning tenant_id, id)"
                " insert into personas (tenant_id, bot_id, version, text) select tenant_id, id, 1, 'You answer briefly.' from b",
                tenant=self.tenants[tenant],
            )
        self.accounts[name], self._homes[name] = uuid4(), tenant
        self._do(
            "insert into accounts (tenant_id, id, bot_id, channel, name, external_id, state, weight)"
            " select b.tenant_id, :id, b.id, 'console', :name, :name, :state, :weight from bots b where b.tenant_id = :tenant",
            id=self.accounts[name],
            name=f"{name}-{uuid4().hex[:6]}",
            state=state,
            weight=weight,
            tenant=self.tenants[tenant],
        )
        return self.accounts[name]

    def write(self, name: str, people: int, *, ago_s: float = 0.0) -> None:
        """Let so many people write to an account, one after the other, the first of them that long ago; each is due at once."""
        self._do(
            """
            with person as (
                insert into contacts (tenant_id, id) select :tenant, gen_random_uuid() from generate_series(1, :people) returning id
            ), talk as (
                insert into conversations (tenant_id, account_id, contact_id, queue, ready_at, waiting_since, newest_at)
                select :tenant, :account, id, :queue, at, at, at
                from (select id, now() + make_interval(secs => -:ago + 0.00001 * row_number() over ()) as at from person) p
                returning tenant_id, id, account_id, contact_id
            )
            insert into inbox (tenant_id, account_id, event_key, kind, contact_id, conversation_id, text, content_type, supported)
            select tenant_id, account_id, id::text, 'message', contact_id, id, 'hi', 'text', true from talk
            """,
            tenant=self.tenants[self._homes[name]],
            account=self.accounts[name],
            queue=self.queue,
            people=people,
            ago=ago_s + 0.1,
        )

    def answers(self, name: str, messages: int, *, ago_s: float = 1.0) -> None:
        """Let so many answers of an account wait to be sent, each in a conversation of its own."""
        self._do(
            """
            with person as (
                insert into contacts (tenant_id, id) select :tenant, gen_random_uuid() from generate_series(1, :messages) returning id
            ), talk as (
                insert into conversations (tenant_id, account_id, contact_id, queue) select :tenant, :account, id, :queue from person
                returning tenant_id, id, account_id, contact_id
            ), turn as (
                insert into turns (tenant_id, conversation_id, contact_id, number, state, finished_at, answered_by)
                select tenant_id, id, contact_id, 1, 'answered', now(), 'ada' from talk returning id, conversation_id
            )
            insert into outbox (tenant_id, turn_id, part, account_id, contact_id, conversation_id, body, not_before)
            select k.tenant_id, t.id, 1, k.account_id, k.contact_id, k.id, 'hello', now() - make_interval(secs => :ago)
            from turn t join talk k on k.id = t.conversation_id
            """,
            tenant=self.tenants[self._homes[name]],
            account=self.accounts[name],
            queue=self.queue,
            messages=messages,
            ago=ago_s,
        )

    def batch(self, tenant: str, items: int, *, queue: str = "batch.default") -> UUID:
        """Make a running batch of a tenant."""
        batch = uuid4()
        self._do(
            "insert into batches (tenant_id, id, bot_id, name, queue, state, total, created_by)"
            " select tenant_id, :id, id, 'b', :queue, 'running', :items, 'ada' from bots where tenant_id = :tenant limit 1",
            id=batch,
            queue=queue,
            items=items,
            tenant=self.tenants[tenant],
        )
        self._do(
            "insert into batch_items (tenant_id, batch_id, n, custom_id, request, ready_at)"
            """ select :tenant, :batch, n, n::text, '{"text": "hi"}', now() from generate_series(1, :items) n""".replace(
                '"text":', '"text"\\:'
            ),
            tenant=self.tenants[tenant],
            batch=batch,
            items=items,
        )
        return batch

    def end(self, conversation: UUID) -> None:
        """End a turn as far as the queue is concerned."""
        self._do(
            "update turns set state = 'skipped', reason = 'stopped', finished_at = now() where conversation_id = :id and state = 'open'",
            id=conversation,
        )
        self._do("update conversations set leased_by = null, leased_until = null, ready_at = null where id = :id", id=conversation)

    def name_of(self, account: UUID) -> str:
        """The name under which an account was made."""
        return next(name for name, one in self.accounts.items() if one == account)

    def _do(self, statement: str, **values: Any) -> None:
        with self.owner.begin() as connection:
            connection.execute(text(statement), values)
