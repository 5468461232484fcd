"""An account's health: what the platform says about it, asked again and stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bots.admin.accounts import checks, status, subscription, webhook
from bots.admin.accounts.checks import Checked
from bots.admin.accounts.offer import stored_offer
from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.domain import Account
from bots.storage import setups
from bots.storage.database import unit

_WORST_FIRST = ("bad", "warn", "ok")


def check(deps: Deps, operator: Operator, account: UUID, *, base: str = "") -> dict[str, Any]:
    """Ask the platform about a connected account and store the answer. Raises NotFound, Conflict."""
    found = status.get(deps, operator, account, base=base)
    offer, _ = stored_offer(deps.keyring, found.account)
    return store(deps, found.account, checks.run(offer, deps.settings), expected_url=found.address.url)


def store(deps: Deps, account: Account, checked: Checked, *, expected_url: str | None = None) -> dict[str, Any]:
    """Store the results of checks; with the address that webhooks should go to, check that too. Not in the audit trail: nothing was changed."""
    results, facts = list(checked.checks), dict(checked.facts)
    numbers = facts.pop("hooks", {})
    if expected_url is not None and checked.checks and checked.checks[0].state != "bad":
        seen, actual, lacks = webhook.compare(checked.offer, expected_url, deps.settings, number_hooks=numbers)
        results.append(seen)
        if lacks is not None:
            results.append(subscription.compared(lacks))
        facts |= {"expected_url": expected_url, "actual_url": actual, "missing_fields": list(lacks or ())}
    worst = next((state for state in _WORST_FIRST if any(one.state == state for one in results)), "ok")
    listed = [{"key": one.key, "title": one.title, "state": one.state, "message": one.message, "fix": one.fix} for one in results]
    health = {"state": worst, "checks": listed, "facts": facts}
    with unit(deps.web) as connection:
        setups.keep_health(connection, account, health)
    return health


def days_left(health: dict[str, Any] | None, now: datetime | None = None) -> int | None:
    """How many days an account's token is still valid, by the last check; None: it does not expire, or that is not known."""
    ends = (health or {}).get("facts", {}).get("token_expires_at")
    return int((ends - (now or datetime.now(UTC)).timestamp()) // 86400) if isinstance(ends, int) and ends > 0 else None
