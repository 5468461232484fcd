"""What an operator does about things that want attention: one function for pages, API and commands. Synchronous."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from uuid import UUID

from sqlalchemy import Connection, Engine

from bots.admin.attention.reasons import Reason, explain
from bots.admin.attention.replay import replay_envelope
from bots.crypto import Keyring
from bots.errors import Conflict
from bots.settings import Settings
from bots.storage import attention, audit
from bots.storage.attention import Trouble, TroubleKind
from bots.storage.database import hot, unit


class Action(StrEnum):
    """What can be done about a trouble."""

    REPLAY = "replay"
    RESEND = "resend"
    SETTLE = "settle"
    DISMISS = "dismiss"
    RESUME = "resume"


#: What each kind allows.
ALLOWED: dict[TroubleKind, tuple[Action, ...]] = {
    TroubleKind.ENVELOPE: (Action.REPLAY, Action.DISMISS),
    TroubleKind.TURN: (Action.REPLAY, Action.DISMISS),
    TroubleKind.SEND: (Action.RESEND, Action.SETTLE, Action.DISMISS),
    TroubleKind.ACCOUNT: (Action.RESUME,),
    TroubleKind.BUDGET: (Action.DISMISS,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A trouble with its reason and its buttons, the one that fits first."""

    trouble: Trouble
    reason: Reason
    what: str
    actions: tuple[Action, ...]


class Attention:
    """Lists and settles troubles of one tenant at a time."""

    def __init__(self, *, crossing: Engine, keyring: Keyring, settings: Settings) -> None:
        self._crossing, self._keyring, self._settings = crossing, keyring, settings

    def troubles(
        self, tenant: UUID, *, kind: TroubleKind | None = None, before: tuple[datetime, UUID] | None = None, limit: int = 50
    ) -> list[Trouble]:
        """List what wants attention, the newest first."""
        with hot(self._crossing) as connection:
            return attention.troubles(connection, tenant=tenant, kind=kind, before=before, limit=limit)

    def count(self, tenant: UUID) -> dict[TroubleKind, int]:
        """Count what wants attention, by kind."""
        with hot(self._crossing) as connection:
            return attention.count(connection, tenant=tenant)

    def act(self, tenant: UUID, kind: TroubleKind, id_: UUID, action: Action, *, actor: str) -> None:
        """Do what a button says. Raises NotFound, Conflict."""
        if action not in ALLOWED[kind]:
            raise Conflict(f"A {kind.value} is not something to {action.value}.")
        if kind is TroubleKind.ENVELOPE and action is Action.REPLAY:
            replay_envelope(self._crossing, self._keyring, self._settings, tenant=tenant, envelope=id_, actor=actor)
            return
        with unit(self._crossing) as connection:
            _doing(connection, tenant, kind, id_, action)()
            audit.record(connection, tenant=tenant, actor=actor, action=f"attention.{action.value}", subject=f"{kind.value}:{id_}")


def _doing(connection: Connection, tenant: UUID, kind: TroubleKind, id_: UUID, action: Action) -> Callable[[], None]:
    if action is Action.DISMISS:
        return partial(attention.dismiss, connection, tenant=tenant, kind=kind, id_=id_)
    if action is Action.RESEND:
        return partial(attention.resend, connection, tenant=tenant, message=id_)
    if action is Action.SETTLE:
        return partial(attention.settle, connection, tenant=tenant, message=id_)
    if action is Action.RESUME:
        return partial(attention.resume, connection, tenant=tenant, account=id_)
    return partial(attention.replay_turn, connection, tenant=tenant, turn=id_)


def as_row(trouble: Trouble) -> Row:
    """Put words to a trouble."""
    reason = explain(trouble.kind.value, trouble.reason, state=trouble.state)
    fits = Action(reason.fits)
    allowed = ALLOWED[trouble.kind]
    if fits not in allowed or (fits is Action.SETTLE and trouble.state != "unknown"):
        fits = allowed[0]
    rest = tuple(action for action in allowed if action is not fits and not (action is Action.SETTLE and trouble.state != "unknown"))
    return Row(trouble=trouble, reason=reason, what=_what(trouble), actions=(fits, *rest))


def _what(trouble: Trouble) -> str:
    if trouble.kind is TroubleKind.ENVELOPE:
        return f"webhook of {trouble.count:,} bytes" if trouble.count else "webhook whose body is gone"
    if trouble.kind is TroubleKind.SEND:
        tries = f"{trouble.count} {'send' if trouble.count == 1 else 'sends'}"
        return f"message, {trouble.state} after {tries}" + (
            f"; tried again by itself at {trouble.due_at:%H:%M:%S} UTC" if trouble.due_at else ""
        )
    if trouble.kind is TroubleKind.TURN:
        return f"turn, dead after {trouble.count} tries"
    if trouble.kind is TroubleKind.BUDGET:
        return f"budget; {trouble.count} {'message was' if trouble.count == 1 else 'messages were'} not answered by the model today"
    return "account"
