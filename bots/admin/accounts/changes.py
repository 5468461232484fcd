"""Changing a connected account: pause and resume, the bot that answers, missing ids, removal."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import structlog

from bots.admin import audit
from bots.admin.accounts.offer import AccountRejected, audit_subject, id_errors
from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.channels import graph_setup
from bots.domain import Account, ChannelKind
from bots.errors import Conflict
from bots.storage import accounts, setups
from bots.storage.database import unit

log = structlog.get_logger()


def pause(deps: Deps, operator: Operator, account: UUID) -> Account:
    """Stop answering; messages are still stored. Raises NotFound."""
    return _set_state(deps, operator, account, "paused", "pause")


def resume(deps: Deps, operator: Operator, account: UUID) -> Account:
    """Answer again. Raises NotFound."""
    return _set_state(deps, operator, account, "active", "resume")


def assign_bot(deps: Deps, operator: Operator, account: UUID, bot: UUID) -> Account:
    """Let another bot answer. Raises NotFound."""
    with unit(deps.web) as connection:
        found = setups.mine(connection, tenant=operator.tenant_id, account=account)
        setups.point(connection, found, bot=bot)
        audit.record(connection, operator, "account.bot", audit_subject(found))
    return found


def set_answers_groups(deps: Deps, operator: Operator, account: UUID, *, answers: bool) -> Account:
    """Let the bot answer in groups where it is spoken to, or not. Raises NotFound."""
    with unit(deps.web) as connection:
        found = setups.mine(connection, tenant=operator.tenant_id, account=account)
        accounts.set_answers_groups(connection, found, answers=answers)
        audit.record(connection, operator, "account.groups", audit_subject(found), {"answers": answers})
    return found


def set_ids(deps: Deps, operator: Operator, account: UUID, *, app_id: str, parent_id: str) -> None:
    """Add the ids that checks and registration need to an account connected without them. Raises NotFound, AccountRejected."""
    wrong = id_errors(app_id=app_id, parent_id=parent_id)
    if wrong:
        raise AccountRejected(wrong)
    with unit(deps.web) as connection:
        found = setups.mine(connection, tenant=operator.tenant_id, account=account)
        setups.describe(connection, found, app_id=app_id or found.app_id or "", parent_id=parent_id or found.parent_id or "")
        audit.record(connection, operator, "account.describe", audit_subject(found))


def remove(deps: Deps, operator: Operator, account: UUID) -> dict[str, int]:
    """Erase an account with everything that was received and sent through it; returns how much of each. Raises NotFound, Conflict.

    Works in small transactions, so that nobody else waits; the bot answers nobody over it meanwhile. After an interruption it can be called again.
    """
    with unit(deps.crossing) as connection:
        found = setups.mine(connection, tenant=operator.tenant_id, account=account)
        if found.channel is ChannelKind.CONSOLE:
            raise Conflict("The chat page's account cannot be removed.")
        accounts.set_state(connection, found, "paused")
    counts = Counter[str]()
    while True:
        with unit(deps.crossing) as connection:
            part = setups.erase_part(connection, tenant=operator.tenant_id, account=account)
        counts.update(part)
        if not any(part.values()):
            break
    with unit(deps.crossing) as connection:
        counts.update(setups.erase(connection, tenant=operator.tenant_id, account=account))
        audit.record(connection, operator, "account.remove", audit_subject(found), dict(counts))
    log.info("account_removed", account=found.name, **counts)
    return dict(counts)


def send_practice_message(deps: Deps, operator: Operator, account: UUID) -> bool:
    """Let an invented person write to an account on the practice platform; returns whether the platform accepted it. Raises NotFound."""
    with unit(deps.web) as connection:
        found = setups.mine(connection, tenant=operator.tenant_id, account=account)
    return graph_setup.practice_message(deps.settings.graph_url, found.external_id)


def _set_state(deps: Deps, operator: Operator, account: UUID, state: str, action: str) -> Account:
    with unit(deps.web) as connection:
        found = setups.mine(connection, tenant=operator.tenant_id, account=account)
        accounts.set_state(connection, found, state)
        audit.record(connection, operator, f"account.{action}", audit_subject(found))
    return found
