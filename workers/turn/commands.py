"""Commands that a contact types, answered without the model: help, reset, stop, start, memory, forget, why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from bots.commands import Command
from bots.domain import Memory
from bots.extract import commands as say
from bots.storage import memories
from bots.storage.claims import Claim
from bots.storage.database import unit
from workers.deps import Deps


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What commands change when the turn is finished."""

    closes: bool = False
    stopped: bool | None = None
    forget: tuple[UUID, ...] = ()
    #: Later prompts repeat nothing from before this turn.
    history_from: int | None = None

    def then(self, later: Effect) -> Effect:
        """Both effects, the later one winning."""
        return replace(
            self,
            closes=self.closes or later.closes,
            stopped=later.stopped if later.stopped is not None else self.stopped,
            forget=self.forget + later.forget,
            history_from=later.history_from if later.history_from is not None else self.history_from,
        )


def obey(deps: Deps, claim: Claim, command: Command, *, language: str) -> tuple[Effect, str]:  # noqa: PLR0911 - one return for each command
    """Return what a command changes, and the text that answers it."""
    match command.name:
        case "help":
            return Effect(), say.help_text(language)
        case "reset":
            return Effect(closes=True), say.reset_text(language)
        case "stop":
            return Effect(stopped=True), say.stopped_text(language)
        case "start":
            return Effect(stopped=False), say.started_text(language)
        case "memory":
            return Effect(), say.memory_text(known_memories(deps, claim), language)
        case "forget":
            gone = say.chosen(command, known_memories(deps, claim))
            # What was forgotten must not come back from the conversation's history.
            everything = command.argument is None or command.is_everything
            cut = claim.number + 1 if gone or everything else None
            effect = Effect(forget=tuple(memory.id for memory in gone), history_from=cut)
            return effect, say.forgotten_text(len(gone), language)
        case "why":
            return Effect(), _why(deps, claim, language)


def _why(deps: Deps, claim: Claim, language: str) -> str:
    with unit(deps.worker, contact=claim.contact) as connection:
        rows = memories.shaped_last(connection, claim.conversation)
    return say.why_text([(row.memory.text, row.memory.kind, row.source_text or "", row.said_at) for row in rows], language)


def known_memories(deps: Deps, claim: Claim) -> list[Memory]:
    """All that is remembered of the contact, newest first."""
    with unit(deps.worker, contact=claim.contact) as connection:
        return memories.living(connection)
