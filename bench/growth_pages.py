"""What operators open, for bench/growth.py: each list and page through the function that the product calls, and what the dispatcher looks for in vain."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from bench.growth_steps import Operation, Place, crossing, web
from bots.storage import (
    attention,
    audit,
    batch_items,
    batches,
    claims,
    dispatching,
    episodes,
    exports,
    memories,
    operators,
    outbox,
    people,
    remembering,
    setups,
    summaries,
    usage,
)
from bots.storage.attention import TroubleKind
from bots.storage.database import hot, unit

_FIRST = datetime.now(UTC).date().replace(day=1)


def _troubles(kind: TroubleKind | None, pages: int = 1) -> Any:
    def read(connection: Any, place: Place, _n: int) -> None:
        before = None
        for _ in range(pages):
            found = attention.troubles(connection, tenant=place.tenant, kind=kind, before=before)
            before = (found[-1].at, found[-1].id)

    return crossing(read)


def _second_page_of_audit(connection: Any, place: Place, _n: int) -> None:
    first = audit.newest(connection, tenant=place.tenant)
    audit.newest(connection, tenant=place.tenant, before=first[-1].id)


def _contact(place: Place, n: int) -> None:
    contact = place.person(n)[0]
    with hot(place.storage.crossing) as connection:
        people.get(connection, tenant=place.tenant, contact=contact)
    with unit(place.storage.web, contact=contact) as connection:
        memories.all_of(connection, contact)
        memories.count(connection, contact)
        people.find(connection, tenant=place.tenant, contact=contact, search="order", limit=20)


def _export_of_contact(place: Place, n: int) -> None:
    contact = place.person(n)[0]
    with unit(place.storage.web, contact=contact) as connection:
        memories.export(connection, contact)


def _remove_part(place: Place, _n: int) -> None:
    """A hundred conversations of the large account, and they stay."""
    with place.storage.crossing.connect() as connection:
        inner = connection.execution_options(isolation_level="READ COMMITTED")
        setups.erase_part(inner, tenant=place.tenant, account=place.storage.account.id)
        inner.rollback()


def _results(after: int) -> Any:
    """A page of a batch that has as many items as there are contacts: every second one has ended, in order."""
    return web(
        lambda c, place, _n: batches.ended_after(c, place.batch, tenant=place.tenant, after=after if after >= 0 else place.contacts - 10)
    )


def _sign_in(connection: Any, place: Place, _n: int) -> None:
    operators.password_hash(connection, tenant=place.tenant, name="ada")
    ada = operators.by_name(connection, tenant=place.tenant, name="ada")
    assert ada is not None
    token = operators.open_session(connection, tenant=place.tenant, operator=ada.id)
    assert operators.by_session(connection, token) is not None
    operators.close_session(connection, token)


def _operators(connection: Any, place: Place, _n: int) -> None:
    operators.list_all(connection, tenant=place.tenant)
    operators.list_tokens(connection, tenant=place.tenant)


def _usage(connection: Any, place: Place, _n: int) -> None:
    usage.month(connection, tenant=place.tenant, first=_FIRST)
    usage.months(connection, tenant=place.tenant)
    usage.lines(connection, tenant=place.tenant, first=_FIRST)


def _budgets(place: Place, n: int) -> None:
    bot = place.storage.account.bot_id
    usage.contact_day(place.storage.worker, place.person(n)[0], bot=bot)
    usage.bot_month(place.storage.crossing, tenant=place.tenant, bot=bot)
    usage.hold_spent(place.storage.crossing)


def _add_up(place: Place, _n: int) -> None:
    """As the dispatcher does, fifteen seconds later."""
    while usage.roll(place.storage.crossing, margin_s=0):
        """There is more."""


def _polls(place: Place, _n: int) -> None:
    """What has nothing to do: notes, memories, vectors, queues of engines."""
    engine = place.storage.crossing
    summaries.claim(engine, "batch.default", lease_s=60)
    remembering.claim(engine, "batch.default", most=4, lease_s=60)
    episodes.claim_unindexed(engine, most=4, lease_s=60)
    claims.end_leases(engine)
    outbox.fail_oldest(engine, younger_s=3600)
    batch_items.keep_house(engine)


def _find_batch(connection: Any, place: Place, _n: int) -> UUID:
    return batches.find(connection, str(place.batch)[:12], tenant=place.tenant)


PAGES = (
    *(
        Operation(name=f"attention: {kind}", call=_troubles(kind), most=5)
        for kind in (TroubleKind.ENVELOPE, TroubleKind.SEND, TroubleKind.TURN, TroubleKind.IDENTITY)
    ),
    Operation(name="attention: fifth page", call=_troubles(None, 5), most=5),
    Operation(name="attention: small tenant", call=crossing(lambda c, place, _n: attention.troubles(c, tenant=place.other)), most=5),
    Operation(name="attention: count, new tenant", call=crossing(lambda c, _place, _n: attention.count(c, tenant=uuid4())), most=5),
    Operation(name="audit: two pages", call=crossing(_second_page_of_audit), most=5),
    Operation(name="audit: somebody else", call=crossing(lambda c, place, _n: audit.newest(c, tenant=place.tenant, actor="bob")), most=5),
    Operation(
        name="audit: another action", call=crossing(lambda c, place, _n: audit.newest(c, tenant=place.tenant, action="bot.")), most=5
    ),
    Operation(name="contact with memories and search", call=_contact),
    Operation(name="export of a contact", call=_export_of_contact),
    Operation(
        name="export of 100 talks",
        call=crossing(lambda c, place, _n: list(exports.talks(c, tenant=place.tenant, days=30, limit=100))),
        most=5,
    ),
    Operation(name="sign in", call=web(_sign_in)),
    Operation(name="operators", call=web(_operators), most=5),
    Operation(
        name="account", call=crossing(lambda c, place, _n: setups.of(c, tenant=place.tenant, account=place.storage.account.id)), most=5
    ),
    Operation(name="usage of a month", call=crossing(_usage), most=5),
    Operation(name="budgets", before=_add_up, call=_budgets, most=5),
    Operation(name="batch by its id's beginning", call=web(_find_batch), most=5),
    Operation(name="batch results: first page", call=_results(0), most=5),
    Operation(name="batch results: last page", call=_results(-1), most=5),
    Operation(name="batch failures", call=web(lambda c, place, _n: batches.failed_items(c, place.batch, tenant=place.tenant)), most=5),
    Operation(name="part of a large account", call=_remove_part, most=3),
    Operation(name="polls", call=_polls, most=5),
    Operation(name="dispatcher's plan", call=crossing(lambda c, _place, _n: dispatching.tick(c, reserve=2)), most=5),
)
