"""What a contact asks of the service itself, by a command or in plain words, answered without the model."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from bots.commands import Command
from bots.domain import Bot, Memory
from bots.extract import commands as say
from bots.extract.texts import text
from bots.storage import memories
from bots.storage.claims import Claim
from bots.storage.database import unit
from bots.storage.turns import Erasure
from workers.deps import Deps

#: A list has no more memories than this, and not fewer where a channel's messages are small.
_MOST_LISTED, _LEAST_LISTED = 200, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What commands change when the turn is finished."""

    closes: bool = False
    stopped: bool | None = None
    #: The memories, the turns and the messages of which no word is to stay; or everything.
    forget: tuple[UUID, ...] = ()
    unsay: tuple[UUID, ...] = ()
    unsay_messages: tuple[UUID, ...] = ()
    everything: bool = False
    #: Whether nothing new is remembered from now on, or nothing about health; None: as before.
    memory_off: bool | None = None
    sensitive_off: bool | None = None
    #: The memories that were listed, in the order of their numbers.
    listed: tuple[UUID, ...] = ()

    @property
    def erasure(self) -> Erasure | None:
        """What is to be erased; None: nothing."""
        if not (self.forget or self.unsay or self.unsay_messages or self.everything):
            return None
        return Erasure(memories=list(self.forget), turns=list(self.unsay), messages=list(self.unsay_messages), everything=self.everything)

    def then(self, later: Effect) -> Effect:
        """Both effects, the later one winning."""
        return replace(
            self,
            closes=self.closes or later.closes,
            stopped=self.stopped if later.stopped is None else later.stopped,
            forget=self.forget + later.forget,
            unsay=self.unsay + later.unsay,
            unsay_messages=self.unsay_messages + later.unsay_messages,
            everything=self.everything or later.everything,
            memory_off=self.memory_off if later.memory_off is None else later.memory_off,
            sensitive_off=self.sensitive_off if later.sensitive_off is None else later.sensitive_off,
            listed=later.listed or self.listed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wished:
    """A command, in which turn it came, and what had been said before it in the same turn."""

    deps: Deps
    claim: Claim
    bot: Bot
    language: str
    #: The messages that the channel makes of a text.
    fit: Callable[[str], Sequence[str]]
    #: Whether the messages before it in this turn are what "that" means, and not the turn before.
    has_words: bool = False
    #: What the commands before it in this turn change.
    before: Effect = Effect()
    #: What was answered to it in an earlier try of the turn, which erased something.
    done: str | None = None


def obey(wish: Wished, command: Command) -> tuple[Effect, str] | None:  # noqa: PLR0911 - one return for each command
    """Return what a command changes, and the text that answers it; None where plain words are about nothing that is remembered."""
    language = wish.language
    match command.name:
        case "help" | "start" | "stop" | "reset":
            return _plainly(command.name, language)
        case "memory":
            return _list(wish, command)
        case "forget":
            return _forget(wish, command)
        case "forget_that":
            return _forget_that(wish)
        case "memory_off" | "memory_on":
            is_off = command.name == "memory_off"
            return Effect(memory_off=is_off), text(command.name if wish.bot.memory_on else "never", language)
        case "health_off":
            gone = [one.id for one in (*_known(wish), *_ended(wish)) if one.kind in say.sensitive_kinds()]
            effect = Effect(sensitive_off=True, forget=tuple(gone))
            done = say.kept_too(
                text("health_off", language, count=len(gone)), language, keeps_messages=bool(gone) and wish.bot.keeps_messages
            )
            return effect, (None if gone else wish.done) or done
        case "health_on":
            return Effect(sensitive_off=False), text("health_on" if wish.bot.memory_on and wish.bot.sensitive_on else "never", language)
        case "why":
            return Effect(), _why(wish)


def _plainly(name: str, language: str) -> tuple[Effect, str]:
    match name:
        case "reset":
            return Effect(closes=True), text("reset", language)
        case "stop":
            return Effect(stopped=True), text("stopped", language)
        case "start":
            return Effect(stopped=False), text("started", language)
        case _:
            return Effect(), text("help", language)


def _list(wish: Wished, command: Command) -> tuple[Effect, str]:
    """As many memories as one message of the channel has room for, and a few at least; those that matter most come first."""
    found = _known(wish)
    if command.kinds:
        found = [one for one in found if any(say.is_named(named, one) for named in command.kinds)]

    def told(count: int) -> str:
        return say.memory_text(found[:count], wish.language, is_off=_is_off(wish), left=found[count:], of_kind=bool(command.kinds))

    def is_too_long(count: int) -> bool:
        return len(wish.fit(told(count))) > 1

    most = min(len(found), _MOST_LISTED)
    if most > _LEAST_LISTED and (is_too_long(most) or most < len(found)):
        # The first number that is too many; the one before it is not.
        most = bisect_left(range(_LEAST_LISTED + 1, most + 1), True, key=is_too_long) + _LEAST_LISTED  # noqa: FBT003 - the value looked for
    return Effect(listed=tuple(one.id for one in found[:most])), told(most)


def _forget(wish: Wished, command: Command) -> tuple[Effect, str] | None:
    keeps, language = wish.bot.keeps_messages, wish.language
    known, ended = _known(wish), _ended(wish)
    if command.is_everything:
        effect = Effect(everything=True, forget=tuple(one.id for one in (*known, *ended)))
        return effect, say.forgotten_text(len(known), language, everything=True, keeps_messages=keeps)
    listed: tuple[UUID, ...] = ()
    if command.number is not None:
        numbers = _seen_numbers(wish)
        if not numbers:
            # Should the turn come again, or the next command, the numbers mean the same.
            listed = tuple(one.id for one in known[: max(_MOST_LISTED, command.number)])
            numbers = dict(enumerate(listed, start=1))
        gone = [one.id for one in known if one.id == numbers.get(command.number)]
    else:
        gone = [one.id for one in say.chosen(command, known, ended)]
    if not gone and wish.done:
        return Effect(listed=listed), wish.done
    if not gone and command.is_plain and command.argument is not None:
        return None
    if gone:
        with unit(wish.deps.worker, contact=wish.claim.contact) as connection:
            gone = [one for one in memories.with_history(connection, wish.claim.contact, gone) if one not in wish.before.forget]
    effect = Effect(forget=tuple(gone), listed=listed)
    return effect, say.forgotten_text(len(gone), language, keeps_messages=keeps)


def _seen_numbers(wish: Wished) -> dict[int, UUID]:
    """The numbers in the list that the contact saw last."""
    if wish.before.listed:
        return dict(enumerate(wish.before.listed, start=1))
    with unit(wish.deps.worker, contact=wish.claim.contact) as connection:
        return memories.listed_last(connection, wish.claim.conversation)


def _forget_that(wish: Wished) -> tuple[Effect, str]:
    if wish.has_words:
        said: UUID | None = wish.claim.turn
    else:
        with unit(wish.deps.worker, contact=wish.claim.contact) as connection:
            said = memories.said_last(connection, wish.claim.conversation, before=wish.claim.number)
    answer = say.forgotten_that_text(wish.language, found=said is not None, keeps_messages=wish.bot.keeps_messages)
    return Effect(unsay=(said,) if said else ()), answer


def _known(wish: Wished) -> list[Memory]:
    """What is remembered after the commands before, in the order of its list."""
    with unit(wish.deps.worker, contact=wish.claim.contact) as connection:
        return say.in_order(_left(wish, memories.living(connection)))


def _ended(wish: Wished) -> list[Memory]:
    """What is kept of what is true no longer."""
    with unit(wish.deps.worker, contact=wish.claim.contact) as connection:
        return _left(wish, memories.ended(connection))


def _left(wish: Wished, known: Sequence[Memory]) -> list[Memory]:
    gone = set(wish.before.forget)
    return [one for one in known if one.id not in gone]


def _is_off(wish: Wished) -> bool:
    return wish.claim.memory_off if wish.before.memory_off is None else wish.before.memory_off


def _why(wish: Wished) -> str:
    with unit(wish.deps.worker, contact=wish.claim.contact) as connection:
        shaped = memories.shaped_last(connection, wish.claim.conversation)
        repeated = memories.repeated_last(connection, wish.claim.conversation)
    causes = [say.Cause(memory=one.memory, source=one.source_text or "", said_at=one.said_at) for one in shaped]
    causes += [say.Cause(memory=None, source=one.asked, said_at=one.said_at) for one in repeated if one.asked]
    return say.why_text(causes, wish.language)
