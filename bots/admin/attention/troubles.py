"""What needs an operator's attention, and what they can do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from uuid import UUID

from sqlalchemy import Connection

from bots.admin import audit
from bots.admin.acting import Operator
from bots.admin.attention.reasons import Reason, explain
from bots.admin.attention.replay import replay_webhook
from bots.admin.deps import Deps
from bots.errors import Conflict
from bots.storage import attention, cases
from bots.storage.attention import Trouble, TroubleKind
from bots.storage.database import hot, unit


class Action(StrEnum):
    """What can be done about something that needs attention."""

    REPLAY = "replay"
    RESEND = "resend"
    SETTLE = "settle"
    DISMISS = "dismiss"
    RESUME = "resume"
    SAME_PERSON = "same_person"
    TWO_PEOPLE = "two_people"


#: The actions that each kind allows.
ALLOWED: dict[TroubleKind, tuple[Action, ...]] = {
    TroubleKind.ENVELOPE: (Action.REPLAY, Action.DISMISS),
    TroubleKind.TURN: (Action.REPLAY, Action.DISMISS),
    TroubleKind.SEND: (Action.RESEND, Action.SETTLE, Action.DISMISS),
    TroubleKind.ACCOUNT: (Action.RESUME,),
    TroubleKind.BUDGET: (Action.DISMISS,),
    TroubleKind.NOTICE: (Action.DISMISS,),
    TroubleKind.IDENTITY: (Action.TWO_PEOPLE, Action.SAME_PERSON),
    TroubleKind.MODEL: (Action.DISMISS,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A trouble with its reason and its buttons, the one that helps first."""

    trouble: Trouble
    reason: Reason
    what: str
    actions: tuple[Action, ...]


def list_troubles(
    deps: Deps,
    operator: Operator,
    *,
    kind: TroubleKind | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> list[Trouble]:
    """List what needs attention, the newest first."""
    with hot(deps.crossing) as connection:
        return attention.troubles(connection, tenant=operator.tenant_id, kind=kind, before=before, limit=limit)


def count(deps: Deps, operator: Operator) -> dict[TroubleKind, int]:
    """Count what needs attention, by kind."""
    with hot(deps.crossing) as connection:
        return attention.count(connection, tenant=operator.tenant_id)


def act(deps: Deps, operator: Operator, kind: TroubleKind, id_: UUID, action: Action) -> None:
    """Carry out an action. Raises NotFound, Conflict."""
    if action not in ALLOWED[kind]:
        raise Conflict(f"The action {action.value} does not exist for the kind {kind.value}.")
    if kind is TroubleKind.ENVELOPE and action is Action.REPLAY:
        replay_webhook(deps, operator, id_)
        return
    with unit(deps.crossing) as connection:
        _handler(connection, operator.tenant_id, kind, id_, action)()
        audit.record(connection, operator, f"attention.{action.value}", f"{kind.value}:{id_}")


def _handler(connection: Connection, tenant: UUID, kind: TroubleKind, id_: UUID, action: Action) -> Callable[[], None]:
    if action is Action.DISMISS:
        return partial(attention.dismiss, connection, tenant=tenant, kind=kind, id_=id_)
    if action is Action.RESEND:
        return partial(attention.resend, connection, tenant=tenant, message=id_)
    if action is Action.SETTLE:
        return partial(attention.settle, connection, tenant=tenant, message=id_)
    if action in {Action.SAME_PERSON, Action.TWO_PEOPLE}:
        return partial(cases.settle, connection, tenant=tenant, case=id_, same=action is Action.SAME_PERSON)
    if action is Action.RESUME:
        return partial(attention.resume, connection, tenant=tenant, account=id_)
    return partial(attention.replay_turn, connection, tenant=tenant, turn=id_)


def as_row(trouble: Trouble) -> Row:
    """Explain a trouble and choose its buttons."""
    reason = explain(trouble.kind.value, trouble.reason, state=trouble.state, channel=trouble.channel)
    fits = Action(reason.fits)
    # What an operator said of two contacts is not offered again; the other answer is.
    allowed = tuple(action for action in ALLOWED[trouble.kind] if action.value != trouble.state)
    if fits not in allowed or (fits is Action.SETTLE and trouble.state != "unknown"):
        fits = allowed[0]
    rest = tuple(action for action in allowed if action is not fits and not (action is Action.SETTLE and trouble.state != "unknown"))
    return Row(trouble=trouble, reason=reason, what=_what(trouble), actions=(fits, *rest))


def _what(trouble: Trouble) -> str:  # noqa: PLR0911 - one for each kind
    if trouble.kind is TroubleKind.ENVELOPE:
        return f"webhook of {trouble.count:,} bytes" if trouble.count else "webhook whose body is no longer stored"
    if trouble.kind is TroubleKind.SEND:
        tries = f"{trouble.count} {'send' if trouble.count == 1 else 'sends'}"
        again = f"; the next automatic try is at {trouble.due_at:%Y-%m-%d %H:%M:%S} UTC" if trouble.due_at else ""
        return f"message, {trouble.state} after {tries}{again}"
    if trouble.kind is TroubleKind.TURN:
        return f"turn, dead after {trouble.count} tries"
    if trouble.kind is TroubleKind.BUDGET:
        count = f"{trouble.count}{' or more' if trouble.count >= attention.COUNTED else ''}"
        return f"budget; {count} {'message was' if trouble.count == 1 else 'messages were'} not answered by the model today"
    if trouble.kind is TroubleKind.MODEL:
        return f"model server, {trouble.count:,} {'call' if trouble.count == 1 else 'calls'} refused"
    if trouble.kind is TroubleKind.IDENTITY:
        return "two contacts and one number"
    if trouble.kind is TroubleKind.NOTICE:
        return "notice of the platform" if trouble.count == 1 else f"notice of the platform, {trouble.count} times"
    return f"account, slowed down until {trouble.due_at:%Y-%m-%d %H:%M} UTC" if trouble.due_at else "account"
