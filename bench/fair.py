"""A crowd beside a few: what the few wait, calm and crowded, and how tenants share by weight. The real stack, and a model that takes a set time.

    python -m bench.fair [--only turns weights sends batches]

turns: 15 people of one account write, first alone, then while 1,500 of another account wait. weights: three tenants of weights 1, 2 and 3 with more
than there are slots for: their shares of the answers. sends: 15 answers of one account wait to be sent beside 1,500 of another. batches: a batch of
10 beside one of 10,000 of another tenant. The seconds are those from the web's acceptance to the platform's; for sends and batches until the last.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text

from bench import report
from bench.in_flight import AS_SHIPPED
from bots.crypto import Keyring
from bots.domain import Account, ChannelKind, EventKind, Identity, IdentityKind, InboundEvent
from bots.settings import Settings
from bots.storage import accounts, inbox, personas
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.crowd import Crowd
from tests.support.processes import until
from tests.support.stack import Stack

_AIM = 1.2
_SLOTS = 64
_MODEL_S = 1.0
_TOOK = """
    select extract(epoch from min(s.finished_at) - min(i.received_at))::float from inbox i join outbox o on o.turn_id = i.turn_id
        join send_attempts s on s.message_id = o.id
    where i.account_id = :account and i.received_at > :since and s.outcome = 'accepted' group by i.id"""


def _account(stack: Stack, name: str, tenant: UUID | None = None) -> Account:
    """One more WhatsApp number, of the first tenant's bot or of a tenant's own."""
    keyring = Keyring.from_settings(Settings.from_env(stack.cluster.addresses(stack.database)))
    number = f"9{abs(hash(name)) % 10**12:012d}"
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
    hook = f"{stack.web_url}/webhooks/whatsapp/{name}"
    stack.platform.serve(phone_number_id=number, url=hook, app_secret=build.APP_SECRET, access_token=build.ACCESS_TOKEN)
    return made


def _tenant(stack: Stack, name: str, weight: float = 1.0) -> UUID:
    with stack.owner.begin() as connection:
        values = {"name": name, "weight": weight}
        try:
            with connection.begin_nested():
                return connection.execute(
                    text("insert into tenants (name, weight) values (:name, :weight) returning tenant_id"), values
                ).scalar_one()
        except Exception:  # noqa: BLE001 - a revision without weights is measured, too
            return connection.execute(text("insert into tenants (name) values (:name) returning tenant_id"), values).scalar_one()


def _write(stack: Stack, account: Account, people: int, *, over_s: float = 0.0) -> None:
    """Let so many people write one message each, together or one by one over that time, as their webhooks bring it in."""
    chance = random.Random(people)
    step = 100 if not over_s else 1
    with stack.engine("crossing").connect() as connection:
        for start in range(0, people, step):
            events = [
                InboundEvent(
                    kind=EventKind.MESSAGE,
                    event_key=build.a_wamid(),
                    occurred_at=datetime.now(UTC),
                    identities=(Identity(kind=IdentityKind.PHONE, value=person.number),),
                    contact_name=person.name,
                    text="What can you tell me about the river there, and what should I see first?",
                )
                for person in (build.a_person() for _ in range(min(step, people - start)))
            ]
            settings = Settings.from_env(stack.env)
            inbox.accept(
                connection,
                account,
                events,
                queue="reply.default",
                body=None,
                debounce_s=settings.debounce_s,
                debounce_cap_s=settings.debounce_cap_s,
            )
            connection.commit()
            if over_s:
                time.sleep(chance.uniform(0.5, 1.5) * over_s / people)


def _waits(stack: Stack, account: Account, people: int, since: Any) -> list[float]:
    """The seconds of each of so many people, once all are answered."""

    def all_there() -> list[float]:
        with stack.owner.connect() as connection:
            found = list(connection.execute(text(_TOOK), {"account": account.id, "since": since}).scalars())
        return found if len(found) >= people else []

    return until(all_there, timeout_s=300, what="everybody was answered", every_s=0.2)


def turns(stack: Stack) -> dict[str, Any]:
    """15 people beside 1,500."""
    few = _account(stack, "few")
    _write(stack, few, 5)
    stack.wait_settled(60)
    row: dict[str, Any] = {}
    for name, over_s in (("together", 0.0), ("one by one", 10.0)):
        found: dict[str, list[float]] = {"calm": [], "crowded": []}
        for crowd in (0, 1500):
            _write(stack, stack.account, crowd)
            if crowd:
                until(
                    lambda: stack.one("select count(*) from conversations where leased_until > now()") >= _SLOTS // 2,
                    what="the crowd is there",
                    timeout_s=60,
                )
            since = stack.one("select clock_timestamp()")
            _write(stack, few, 15, over_s=over_s)
            found["crowded" if crowd else "calm"] = _waits(stack, few, 15, since)
        stack.wait_settled(300)
        for kind, took in found.items():
            row |= {
                f"{name}, {kind}, p50": round(report.percentile(took, 0.5), 2),
                f"{name}, {kind}, p95": round(report.percentile(took, 0.95), 2),
            }
        row[f"{name}, ratio"] = round(report.percentile(found["crowded"], 0.95) / report.percentile(found["calm"], 0.95), 2)
    return row | {"turns_asked_twice": _asked_twice(stack)}


def _asked_twice(stack: Stack) -> int:
    return stack.one("select count(*) from (select turn_id from model_calls group by turn_id having count(*) > 1) x")


def weights(stack: Stack) -> dict[str, Any]:
    """Three tenants with weights, each with more than enough to do."""
    made = {weight: _account(stack, f"w{weight}", _tenant(stack, f"w{weight}", weight)) for weight in (1, 2, 3)}
    for account in made.values():
        _write(stack, account, 600)
    done = "select count(*) from turns t join conversations c on c.id = t.conversation_id where c.account_id = :account and t.state = 'answered'"
    until(lambda: sum(stack.one(done, account=one.id) for one in made.values()) > 100, what="they are being answered", timeout_s=60)
    before = {weight: stack.one(done, account=one.id) for weight, one in made.items()}
    time.sleep(8)
    counts = {weight: stack.one(done, account=one.id) - before[weight] for weight, one in made.items()}
    left = min(
        stack.one("select count(*) from conversations where account_id = :account and ready_at is not null", account=one.id)
        for one in made.values()
    )
    stack.wait_settled(300)
    return {f"weight {weight}": round(6 * count / sum(counts.values()), 2) for weight, count in counts.items()} | {"least_left": left}


def sends(stack: Stack) -> dict[str, Any]:
    """15 answers that wait to be sent beside 1,500; the platform is the chat page, which takes no time."""
    crowd = Crowd(stack.owner)
    crowd.account("many", tenant="many")
    crowd.account("few", tenant="few")
    done = "select extract(epoch from max(s.finished_at) - :began)::float from send_attempts s join outbox o on o.id = s.message_id where o.account_id = :account"
    found: dict[str, float] = {}
    for name, many in (("calm", 0), ("crowded", 1500)):
        if many:
            crowd.answers("many", many, ago_s=60)
        began = stack.one("select clock_timestamp()")
        crowd.answers("few", 15)
        until(
            lambda: (
                not stack.one(
                    "select count(*) from outbox where account_id = :account and status in ('queued', 'sending')",
                    account=crowd.accounts["few"],
                )
            ),
            what="all are sent",
            timeout_s=120,
        )
        found[f"{name}_s"] = round(stack.one(done, began=began, account=crowd.accounts["few"]), 2)
        found[f"{name}_others_left"] = stack.one("select count(*) from outbox where status = 'queued'")
    stack.wait_settled(120)
    return found


def _is_done(stack: Stack, batch: UUID) -> bool:
    return not stack.one("select count(*) from batch_items where batch_id = :batch and state <> 'done'", batch=batch)


def batches(stack: Stack) -> dict[str, Any]:
    """A tenant's batch of 10 beside another's of 10,000."""
    crowd = Crowd(stack.owner)
    crowd.account("large", tenant="large")
    crowd.account("small", tenant="small")
    found: dict[str, float] = {}
    for name, large in (("calm", 0), ("crowded", 10_000)):
        if large:
            crowd.batch("large", large)
            until(
                lambda: stack.one("select count(*) from batch_items where state = 'done'") > 100, what="the large batch runs", timeout_s=60
            )
        began = time.monotonic()
        batch = crowd.batch("small", 10)
        until(
            partial(_is_done, stack, batch),
            what="it is done",
            timeout_s=400,
        )
        found[f"{name}_s"] = round(time.monotonic() - began, 2)
    with stack.owner.begin() as connection:
        connection.exec_driver_sql("update batches set state = 'cancelled'")
    return found


_PARTS: dict[str, Callable[[Stack], dict[str, Any]]] = {"turns": turns, "weights": weights, "sends": sends, "batches": batches}


def main() -> None:
    """Measure each part on a stack of its own and write the result."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=list(_PARTS))
    given = parser.parse_args()
    settings = AS_SHIPPED | {"CHINWAG_LOG_LEVEL": "warning", "CHINWAG_WORKER_SLOTS": str(_SLOTS)}
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        for name in given.only:
            with Stack(cluster, Path(folder) / name, settings=settings) as stack:
                stack.model.script(latency_s=_MODEL_S, answer="Begin at the Ribeira.")
                stack.start_web()
                stack.start_dispatcher()
                stack.start_worker()
                result[name] = _PARTS[name](stack)
            print(name, result[name], flush=True)
    report.keep("fair", {"slots": _SLOTS, "model_s": _MODEL_S, "aim": _AIM, **result}, given.json)


if __name__ == "__main__":
    sys.exit(main())
