"""The operations that bench/growth.py measures, each through the function that the product calls, each call about another contact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import UUID, uuid4

from bots.domain import DeliveryStatus
from bots.sought import Sought
from bots.storage import (
    attention,
    batches,
    claims,
    conversations,
    dialogue,
    episodes,
    figures,
    gauges,
    memories,
    outbox,
    overview,
    people,
    setups,
    usage,
)
from bots.storage.claims import Claim
from bots.storage.database import hot, unit
from bots.storage.figures import Span
from bots.storage.outbox import Sending
from bots.storage.turns import ModelCall
from tests.support.storage_fixture import StorageFixture, a_message, a_phone, a_status

_CALL: dict[str, Any] = {
    "endpoint": "local",
    "model": "m",
    "prompt": [{"role": "user", "content": "x" * 800}],
    "first_token_ms": 80.0,
    "total_ms": 900.0,
}
#: As many as are looked up before the measurement: three to warm up, and those of each operation that changes something.
_PEOPLE = 900


@dataclass(slots=True, kw_only=True)
class Place:
    """A database, and people of it drawn by chance."""

    storage: StorageFixture
    contacts: int
    #: Contact, conversation, phone, name.
    people: list[tuple[UUID, UUID, str, str]]
    #: Those who can be recalled.
    talkers: list[tuple[UUID, UUID]]
    small: UUID
    other: UUID
    batch: UUID
    next: int = 0
    claim: Claim | None = None
    sending: Sending | None = None
    seen: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def find(cls, storage: StorageFixture, contacts: int) -> Place:
        """Draw people of the large account."""
        drawn = storage.rows(
            "select c.contact_id, c.id, i.value, n.name from conversations c join contact_identities i on i.tenant_id = c.tenant_id and"
            " i.contact_id = c.contact_id join contacts n on n.tenant_id = c.tenant_id and n.id = c.contact_id where c.account_id = %s"
            " order by md5(i.value) limit %s",
            storage.account.id,
            _PEOPLE,
        )
        talkers = storage.rows("select distinct contact_id, conversation_id, md5(contact_id::text) from fresh_episodes order by 3 limit 60")
        return cls(
            storage=storage,
            contacts=contacts,
            people=[tuple(row) for row in drawn],
            talkers=[(row[0], row[1]) for row in talkers],
            small=storage.value("select id from accounts where name = 'small'"),
            other=storage.value("select tenant_id from tenants where name = 'another'"),
            batch=storage.value("select id from batches where name = 'grown'"),
        )

    @property
    def tenant(self) -> UUID:
        """The large tenant."""
        return self.storage.account.tenant_id

    def person(self, n: int) -> tuple[UUID, UUID, str, str]:
        """Somebody: another one for each n."""
        return self.people[(n + 3) % len(self.people)]

    def somebody_new(self) -> tuple[UUID, UUID, str, str]:
        """Somebody whom nothing has changed yet."""
        self.next += 1
        return self.people[-self.next]


def _nothing(_place: Place, _n: int) -> None:
    """Nothing is to be prepared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What is measured, and what is done around each call."""

    name: str
    call: Callable[[Place, int], object]
    before: Callable[[Place, int], object] = _nothing
    after: Callable[[Place, int], object] = _nothing
    most: int = 1000
    #: Among how many contacts it costs what it should cost.
    base: int = 10_000


def accept(place: Place, _n: int) -> None:
    place.storage.let_in(a_message("hello again", by=(a_phone(place.somebody_new()[2]),)))


def _accept_new(place: Place, _n: int) -> None:
    place.storage.let_in(a_message("hello", by=(a_phone(str(49_000_000_000 + Random().randrange(10**9))),), contact_name="Somebody New"))


def claim(place: Place, _n: int) -> None:
    place.claim = place.storage.claimed()


def finish(place: Place, _n: int) -> None:
    assert place.claim is not None
    call = ModelCall(attempt=1, tokens_in=100, tokens_cached=60, tokens_out=7, outcome="ok", **_CALL)
    place.sending = place.storage.finish(place.claim, calls=[call], ends=[])


def end(place: Place, _n: int) -> None:
    # Who has a limit of their own gets the answer later.
    if place.sending is not None:
        place.storage.end(place.sending)


def _status(place: Place, _n: int) -> None:
    if place.sending is None:
        return
    place.storage.let_in(a_status(f"wamid.OUT{place.sending.message.hex}", DeliveryStatus.DELIVERED, correlation=place.sending.message))


def _fifty(place: Place, n: int) -> None:
    """Turns of fifty people, one after the other: what they write for the first time after a checkpoint, and no longer."""
    for _ in range(50 if n >= 0 else 1):
        for step in (accept, claim, finish, end, _status):
            step(place, n)


def turn_until(*steps: Callable[[Place, int], object]) -> Callable[[Place, int], None]:
    def run(place: Place, n: int) -> None:
        for step in steps:
            step(place, n)

    return run


def _recall(place: Place, n: int) -> None:
    contact, conversation = place.talkers[n % len(place.talkers)]
    asked = Sought(words="word7 word12 order", configs=("english",), text="")
    values: dict[str, Any] = {"bot": place.storage.account.bot_id, "model": None, "vector": None, "history_from": 100, "limit": 6}
    episodes.recall(place.storage.worker, contact=contact, conversation=conversation, question=asked, **values)


def beat(place: Place, _n: int) -> None:
    queues = ["reply.default", "deliver", "batch.default"]
    claims.heartbeat(place.storage.crossing, "bench", boot=place.storage.boot, queues=queues, slots=64, busy=0)


def _tick(place: Place, _n: int) -> None:
    claims.waiting(place.storage.crossing, reserve=2)


def crossing(read: Callable[[Any, Place, int], object]) -> Callable[[Place, int], None]:
    def run(place: Place, n: int) -> None:
        with hot(place.storage.crossing) as connection:
            read(connection, place, n)

    return run


def web(read: Callable[[Any, Place, int], object]) -> Callable[[Place, int], None]:
    def run(place: Place, n: int) -> None:
        with hot(place.storage.web) as connection:
            read(connection, place, n)

    return run


def _further(connection: Any, place: Place, _n: int) -> None:
    """The third page."""
    before = None
    for _ in range(3):
        heads = conversations.newest(connection, tenant=place.tenant, before=before)
        assert heads[-1].newest_at is not None
        before = (heads[-1].newest_at, heads[-1].id)


def _dialogue(place: Place, n: int) -> None:
    contact, conversation, _, _ = place.person(n)
    with unit(place.storage.web, contact=contact) as connection:
        dialogue.read(connection, contact=contact, conversation=conversation)


def _forget(place: Place, _n: int) -> None:
    with unit(place.storage.crossing) as connection:
        memories.erase(connection, contact=place.somebody_new()[0], everything=True)


def _find(search: Callable[[Place, int], str]) -> Callable[[Place, int], None]:
    return crossing(lambda c, place, n: conversations.newest(c, tenant=place.tenant, search=search(place, n)))


def _remove(place: Place, _n: int) -> None:
    with unit(place.storage.crossing) as connection:
        connection.exec_driver_sql("select remove_account(%s, %s)", (place.tenant, place.seen["account"]))


def _an_account(place: Place, _n: int) -> None:
    """One over which nobody has written yet."""
    place.storage.another_account("new" + uuid4().hex[:8])


def _account_of_few(place: Place, _n: int) -> None:
    """An account over which a few people have written."""
    place.seen["account"] = account = place.storage.another_account("few" + uuid4().hex[:8])
    few = "few" + uuid4().hex[:6]
    place.storage.do(
        "with c as (insert into contacts (tenant_id) select %s from generate_series(1, 5) returning id), i as (insert into contact_identities"
        " (tenant_id, scope, kind, value, norm, contact_id) select %s, %s, 'other', id::text, id::text, id from c) insert into conversations"
        " (tenant_id, account_id, contact_id, queue) select %s, %s, id, %s from c",
        place.tenant, place.tenant, str(account), place.tenant, account, few,
    )  # fmt: skip


OPERATIONS = (
    Operation(name="accept a message", call=accept, after=turn_until(claim, finish, end)),
    Operation(name="accept somebody new", call=_accept_new, after=turn_until(claim, finish, end)),
    Operation(name="claim", before=accept, call=claim, after=turn_until(finish, end)),
    Operation(name="finish", before=turn_until(accept, claim), call=finish, after=end),
    Operation(name="end of a send", before=turn_until(accept, claim, finish), call=end),
    Operation(name="a status", before=turn_until(accept, claim, finish, end), call=_status),
    Operation(name="fifty turns", call=_fifty, most=2),
    Operation(name="recall", call=_recall),
    Operation(name="tick", before=turn_until(beat, accept), call=_tick, after=turn_until(claim, finish, end)),
    Operation(
        name="next send",
        call=lambda place, _n: outbox.claim_send(place.storage.crossing, boot=uuid4(), stale_s=60, reconcile_s=90, younger_s=3600),
    ),
    Operation(name="roll usage", call=lambda place, _n: usage.roll(place.storage.crossing)),
    Operation(name="home: day", call=crossing(lambda c, place, _n: figures.read(c, tenant=place.tenant, span=Span.DAY))),
    Operation(name="home: week", call=crossing(lambda c, place, _n: figures.read(c, tenant=place.tenant, span=Span.WEEK))),
    Operation(name="home: week, small tenant", call=crossing(lambda c, place, _n: figures.read(c, tenant=place.other, span=Span.WEEK))),
    Operation(name="home: troubles", call=crossing(lambda c, place, _n: attention.count(c, tenant=place.tenant))),
    Operation(name="home: troubles listed", call=crossing(lambda c, place, _n: attention.troubles(c, tenant=place.tenant))),
    Operation(name="home: overview", call=crossing(lambda c, place, _n: overview.read(c, tenant=place.tenant))),
    Operation(name="home: overview, new tenant", call=crossing(lambda c, _place, _n: overview.read(c, tenant=uuid4()))),
    Operation(name="gauges", call=crossing(lambda c, _place, _n: gauges.read(c))),
    Operation(name="list", call=crossing(lambda c, place, _n: conversations.newest(c, tenant=place.tenant))),
    Operation(name="list: three pages", call=crossing(_further)),
    Operation(
        name="list: small account",
        call=crossing(lambda c, place, _n: conversations.newest(c, tenant=place.tenant, account=place.small)),
        most=5,
    ),
    Operation(name="list: small tenant", call=crossing(lambda c, place, _n: conversations.newest(c, tenant=place.other)), most=5),
    *(
        Operation(
            name=f"list: {only}",
            call=crossing(lambda c, place, _n, only=only: conversations.newest(c, tenant=place.tenant, only=only)),
            most=5,
        )
        for only in (conversations.State.TAKEN, conversations.State.WAITING, conversations.State.UNANSWERED)
    ),
    Operation(name="search: number", call=_find(lambda place, n: "+" + place.person(n)[2]), most=5),
    Operation(name="search: last digits", call=_find(lambda place, n: place.person(n)[2][-8:]), most=5),
    Operation(name="search: name", call=_find(lambda place, n: place.person(n)[3]), most=5),
    Operation(name="search: surname", call=_find(lambda place, n: place.person(n)[3].split()[1]), most=5),
    Operation(name="search: nobody", call=_find(lambda _place, _n: "zzyzxq"), most=5),
    Operation(
        name="search: small tenant",
        call=crossing(lambda c, place, n: conversations.newest(c, tenant=place.other, search=place.person(n)[3])),
        most=5,
    ),
    Operation(
        name="search: people",
        call=crossing(lambda c, place, n: people.named(c, tenant=place.tenant, search=place.person(n)[3], limit=20)),
        most=5,
    ),
    Operation(name="conversation", call=_dialogue),
    Operation(name="accounts", before=_an_account, call=crossing(lambda c, place, _n: setups.overview(c, tenant=place.tenant)), most=5),
    Operation(name="batch list", call=web(lambda c, place, _n: batches.newest(c, tenant=place.tenant)), most=5),
    Operation(
        name="batch page",
        call=web(
            lambda c, place, _n: (batches.get(c, place.batch, tenant=place.tenant), batches.spent(c, place.batch, tenant=place.tenant))
        ),
        most=5,
    ),
    Operation(name="forget a contact", call=_forget, most=5),
    Operation(name="remove a small account", before=_account_of_few, call=_remove, most=5),
    Operation(name="keep house", call=lambda place, _n: claims.keep_house(place.storage.crossing, envelope_days=30), most=5),
)
