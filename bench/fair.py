"""A crowd beside a few: what the few wait, calm and beside the crowd, and how accounts share by weight. The real stack, and a model that takes 1 s.

    python -m bench.fair [--only NAME ...] [--slots 64]

accounts: 15 people of one account write, first alone, then beside 1,500 of another. tenants: the same of two tenants. noisy: twenty accounts of a tenant
with 75 people each beside one of another tenant. long: the crowd's answers take 5 s. slow: the crowd's platform takes 5 s to accept a message.
throttled: the crowd's platform refuses each message with 429 and asks for 3 s. pool: the crowd is in the queue of another profile, of 5 s, of the same
worker. chats: they write beside a batch of 10,000 items. batches: the few are a batch of 20 items beside one of 10,000 of another tenant. sends: 15
answers wait to be sent beside 1,500 of another account. weights: accounts of weight 0.5, 1 and 3, each with more than enough to do.

Seconds are those from the web's acceptance of a message to the platform's of its answer. Of 15 people the p95 is the slowest. `one by one`: over 10 s.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import report
from bench.fair_house import LONG, SHORT, House
from bench.in_flight import AS_SHIPPED
from bots.domain import Account
from tests.support.cluster import Cluster
from tests.support.processes import until
from tests.support.stack import Stack

_AIM = 1.2
_MODEL_S = 1.0
_LONG_S = 5.0
_FEW = 15


def _figures(name: str, calm: list[float], crowded: list[float]) -> dict[str, float]:
    row = {
        f"{name}{kind}, p{share * 100:.0f}": round(report.percentile(took, share), 3)
        for kind, took in (("calm", calm), ("crowded", crowded))
        for share in (0.5, 0.95)
    }
    return row | {f"{name}ratio": round(report.percentile(crowded, 0.95) / report.percentile(calm, 0.95), 2)}


def _beside(house: House, few: Account, crowd: Callable[[], None], *, busy: int) -> dict[str, Any]:
    """What 15 people wait together, and one by one, before the crowd came and beside it."""
    found: dict[str, list[list[float]]] = {"together, ": [], "one by one, ": []}
    for is_crowded in (False, True):
        if is_crowded:
            crowd()
            house.busy(busy)
            # A short answer later: the crowd's turns do not all begin together any more.
            time.sleep(_MODEL_S)
        for name, over_s in (("together, ", 0.0), ("one by one, ", 10.0)):
            since = house.now()
            house.write(few, _FEW, over_s=over_s)
            found[name].append(house.waits(few, _FEW, since))
    row: dict[str, Any] = {}
    for name, (calm, crowded) in found.items():
        row |= _figures(name, calm, crowded)
    left = house.stack.one(
        "select count(*) from inbox i where i.kind = 'message' and not exists (select from turns t where t.id = i.turn_id"
        " and t.state = 'answered')"
    )
    return row | {"crowd_left": left, "turns_asked_twice": house.asked_twice()}


def _two(house: House, slots: int, *, own_tenant: bool = False, people: int = 1500, words: str = SHORT, **options: Any) -> dict[str, Any]:
    few = house.account("few", house.tenant("few") if own_tenant else None)
    crowd = house.account("crowd", **options)
    house.warm(few, crowd)
    return _beside(house, few, lambda: house.write(crowd, people, words=words), busy=slots // 2)


def accounts(house: House, slots: int) -> dict[str, Any]:
    """15 people of one account beside 1,500 of another."""
    return _two(house, slots)


def tenants(house: House, slots: int) -> dict[str, Any]:
    """The same, of two tenants."""
    return _two(house, slots, own_tenant=True)


def noisy(house: House, slots: int) -> dict[str, Any]:
    """Twenty accounts of a tenant beside one of another."""
    few = house.account("few", house.tenant("few"))
    crowd = [house.account(f"noisy-{n}") for n in range(20)]
    house.warm(few, *crowd[:2])

    def write() -> None:
        for one in crowd:
            house.write(one, 75)

    return _beside(house, few, write, busy=slots // 2)


def long(house: House, slots: int) -> dict[str, Any]:
    """Answers of 1 s beside answers of 5 s."""
    house.stack.model.script(match=LONG, latency_s=_LONG_S, answer="It is a long river.")
    return _two(house, slots, people=600, words=LONG)


def slow(house: House, slots: int) -> dict[str, Any]:
    """A platform that takes 5 s to accept a message of the crowd."""
    few, crowd = house.account("few"), house.account("crowd", latency_ms=_LONG_S * 1000)
    house.warm(few, crowd)
    return _beside(house, few, lambda: house.write(crowd, 600), busy=slots // 8)


def throttled(house: House, slots: int) -> dict[str, Any]:
    """A platform that refuses every message of the crowd, for 3 s each time."""
    few, crowd = house.account("few"), house.account("crowd")
    house.warm(few, crowd)
    house.stack.platform.script(
        {"fault": "130429", "http_status": 429, "retry_after_s": 3, "always": True}, phone_number_id=crowd.external_id
    )
    return _beside(house, few, lambda: house.write(crowd, 1500), busy=slots // 2)


def pool(house: House, slots: int) -> dict[str, Any]:
    """A crowd in the queue of another profile, whose model takes 5 s, on the same worker."""
    house.stack.model.script(match=LONG, latency_s=_LONG_S, answer="It is a long river.")
    few, crowd = house.account("few"), house.account("crowd")
    house.warm(few, crowd)
    return _beside(house, few, lambda: house.write(crowd, 600, words=LONG, queue="reply.other"), busy=slots // 2)


def chats(house: House, slots: int) -> dict[str, Any]:
    """People beside a batch of 10,000 items."""
    few = house.account("few")
    house.warm(few)
    house.crowd.account("large", tenant="large")

    def start() -> None:
        house.batch("large", 10_000)
        until(lambda: house.stack.one("select count(*) from batch_items where state = 'done'") > slots, what="it runs", timeout_s=60)

    return _beside(house, few, start, busy=0)


def batches(house: House, _slots: int) -> dict[str, Any]:
    """A tenant's batch of 20 beside another's of 10,000."""
    for name in ("large", "small"):
        house.crowd.account(name, tenant=name)
    calm: list[float] = []
    for _ in range(2):
        since = house.now()
        calm = house.items(house.batch("small", 20), 20, since)
    large = house.batch("large", 10_000)
    house.items(large, 200, house.now())
    since = house.now()
    crowded = house.items(house.batch("small", 20), 20, since)
    return _figures("", calm, crowded)


def sends(house: House, _slots: int) -> dict[str, Any]:
    """15 answers that wait to be sent beside 1,500; the platform is the chat page, which takes no time."""
    for name in ("many", "few"):
        house.crowd.account(name, tenant=name)
    took: list[list[float]] = []
    for many in (0, 0, 1500):
        if many:
            house.answers("many", many, ago_s=60)
            house.sent("many", 50, house.now())
        since = house.now()
        house.answers("few", _FEW)
        took.append(house.sent("few", _FEW, since))
    return _figures("", took[1], took[2]) | {"crowd_left": house.stack.one("select count(*) from outbox where status = 'queued'")}


def weights(house: House, _slots: int) -> dict[str, Any]:
    """Accounts with weights, each with more than enough to do: how many of the answers each gets, for the one of weight 1."""
    made = {weight: house.account(f"w{n}", weight=weight) for n, weight in enumerate((0.5, 1.0, 3.0))}
    house.warm(*made.values())
    for weight, account in made.items():
        house.write(account, int(250 + 300 * weight))
    done = "select count(*) from turns t join conversations c on c.id = t.conversation_id where c.account_id = :account and t.state = 'answered'"
    time.sleep(4)
    before = {weight: house.stack.one(done, account=one.id) for weight, one in made.items()}
    time.sleep(10)
    counts = {weight: house.stack.one(done, account=one.id) - before[weight] for weight, one in made.items()}
    waits = "select count(*) from conversations where account_id = :account and ready_at is not null"
    left = min(house.stack.one(waits, account=one.id) for one in made.values())
    return {f"weight {weight:g}": round(count / counts[1.0], 2) for weight, count in counts.items()} | {
        "answers_per_s": sum(counts.values()) / 10,
        "least_left": left,
    }


_PARTS: dict[str, Callable[[House, int], dict[str, Any]]] = {
    part.__name__: part for part in (accounts, tenants, noisy, long, slow, throttled, pool, chats, batches, sends, weights)
}


def main() -> None:
    """Measure each part on a stack of its own and write the result."""
    parser = report.arguments(__doc__ or "")
    parser.add_argument("--only", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--slots", type=int, default=64)
    given = parser.parse_args()
    settings = AS_SHIPPED | {"CHINWAG_LOG_LEVEL": "warning", "CHINWAG_WORKER_SLOTS": str(given.slots)}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder, Cluster(Path(folder)) as cluster:
        for name in given.only:
            with Stack(cluster, Path(folder) / name, settings=settings) as stack:
                stack.model.script(latency_s=_MODEL_S, answer="Begin at the Ribeira.")
                stack.start_web()
                stack.start_dispatcher()
                stack.start_worker(queues="reply.default,reply.other,deliver,batch.default")
                rows.append({"part": name, **_PARTS[name](House(stack), given.slots)})
            print(rows[-1], flush=True)
    report.keep("fair", {"slots": given.slots, "model_s": _MODEL_S, "aim": _AIM, "rows": rows}, given.json)


if __name__ == "__main__":
    sys.exit(main())
