"""The turn being worked on: what was claimed, on which account, its answer so far, and the result that ends it or leaves it open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import structlog
from msgspec import UNSET

from bots.channels.markup import unwrapped
from bots.commands import Command, parse_command
from bots.domain import EventKind, Identity, IdentityKind, InboundEvent
from bots.errors import SendError
from bots.extract.commands import language_of
from bots.extract.edits import stated
from bots.storage.claims import Claim, ClaimedMessage, KnownFact, PastTurn
from bots.storage.queues import profile_of
from bots.storage.turns import ModelCall, NewEnd, NewFact, Recalled, TurnResult
from workers.deps import Deps, OpenAccount
from workers.model_routes import profile_key
from workers.turn.commands import Effect, obey

log = structlog.get_logger()


@dataclass(slots=True)
class ClaimedTurn:
    """A turn from its claim to its result."""

    deps: Deps
    claim: Claim
    account: OpenAccount
    #: The messages to send so far, rendered for the channel.
    parts: list[str] = field(default_factory=list[str])
    calls: list[ModelCall] = field(default_factory=list[ModelCall])
    #: What its commands change.
    effect: Effect = field(default_factory=Effect)
    #: The memories that went into the prompt.
    told: Sequence[KnownFact] = ()

    @property
    def profile(self) -> str:
        """The model profile that answers, as the router knows it."""
        return profile_key(self.claim.tenant, profile_of(self.claim.queue))

    @property
    def language(self) -> str:
        """The language of the service's own sentences: the contact's, else the bot's."""
        return language_of(self.claim.memories, default=self.account.bot.language or "en")

    @property
    def stopped(self) -> bool:
        """Whether the contact wants no answers, after the commands so far."""
        return self.claim.stopped if self.effect.stopped is None else self.effect.stopped

    @property
    def begins_anew(self) -> bool:
        """Whether one of its commands has cut off everything before."""
        return self.effect.closes or self.effect.history_from is not None

    @property
    def history(self) -> Sequence[PastTurn]:
        """The earlier turns that a prompt may repeat."""
        return () if self.begins_anew else self.claim.history

    def obey(self, command: Command) -> None:
        """Do what a command asks, and answer it."""
        effect, text = obey(self.deps, self.claim, command, language=self.language)
        self.effect = self.effect.then(effect)
        self.tell(text)

    def say(self, text: str, *, before: str = "") -> None:
        """Add a text to the answer, which is Markdown. before: what stands in front of it; it may be one block of Markdown all the same."""
        self.parts.extend(self.account.channel.render(before + unwrapped(text) if before else text))

    def tell(self, text: str) -> None:
        """Add a text to the answer as it was typed."""
        self.parts.extend(self.account.channel.fit(text))

    def typing_indicator(self) -> Callable[[], None]:
        """Return the function that shows the contact that an answer is being written."""
        people = tuple(Identity(kind=IdentityKind(handle.kind), value=handle.value) for handle in self.claim.identities)
        event = InboundEvent(kind=EventKind.MESSAGE, event_key=self.claim.messages[-1].event_key, identities=people)
        opened = self.account

        def show() -> None:
            try:
                opened.channel.show_typing(opened.account.external_id, event, opened.credentials)
            except SendError as error:
                log.debug("typing_not_shown", code=error.code)

        return show

    def wait(self, retry_s: float, *, reason: str = "model_unavailable") -> TurnResult:
        """Return the result that leaves the turn open for another try; with the bot's apology, once, when the contact has waited long."""
        apology = self.account.bot.apology_text
        due_s = self.deps.settings.apology_after_s - self.claim.open_s
        is_due = apology and not self.claim.apologised and due_s <= 0
        if apology and not self.claim.apologised and 0 < due_s < retry_s:
            # The model need not be asked before its time, but the apology must not come late.
            retry_s = due_s
        return TurnResult(
            state="wait",
            reason=reason,
            parts=list(self.account.channel.fit(apology))[:1] if apology and is_due else [],
            calls=self.calls,
            # /forget and /stop do not wait for a model.
            forget=list(self.effect.forget),
            stopped=UNSET if self.effect.stopped is None else self.effect.stopped,
            retry_s=retry_s,
        )

    def result(
        self,
        state: Literal["answered", "skipped"],
        *,
        reason: str | None = None,
        asked: str | None = None,
        answer: str | None = None,
        in_history: bool = True,
        goes_on: bool = False,
        remembers: bool = True,
        anew: bool = False,
        history_from: int | None = None,
        summarise_to: int | None = None,
    ) -> TurnResult:
        """Return the result that ends the turn. goes_on: it answers more than commands, so /reset in it does not close the conversation.

        remembers: whether facts in its messages are remembered. anew: later prompts repeat nothing from before it, and its notes are dropped.
        """
        effect, first_contact = self.effect, self.account.bot.first_contact
        if (effect.closes and goes_on) or anew:
            # More was said after /reset: the conversation goes on, and its prompts repeat nothing from before. So it is where a server would not
            # answer what came before.
            history_from, summarise_to = self.claim.number, None
        facts, ends = self._said() if remembers else ([], [])
        # Comes before the first answer that a contact ever gets.
        opening = self.account.channel.fit(first_contact) if state == "answered" and first_contact and self.claim.first else ()
        return TurnResult(
            state=state,
            reason=reason,
            asked=asked,
            answer=answer,
            in_history=in_history,
            parts=[*opening, *self.parts],
            calls=self.calls,
            recalls=[Recalled(memory=memory.id, reason="said before this conversation") for memory in self.told],
            facts=facts,
            ends=ends,
            forget=list(effect.forget),
            history_from=effect.history_from if effect.history_from is not None else history_from,
            summarise_to=UNSET if summarise_to is None else summarise_to,
            # A summary must not contain what was forgotten, or what ended with /reset.
            drop_summary=self.begins_anew or anew,
            close=effect.closes and not goes_on,
            stopped=UNSET if effect.stopped is None else effect.stopped,
            new_session=UNSET if history_from is None else True,
        )

    def _said(self) -> tuple[list[NewFact], list[NewEnd]]:
        """What its messages state, as far as it may be remembered."""
        facts: list[NewFact] = []
        ends: list[NewEnd] = []
        if not self.account.bot.memory_on or self.claim.stopped:
            return facts, ends
        for message in self.claim.messages:
            command = parse_command(message.text)
            if command is None:
                if message.supported:
                    _read(message, facts, ends)
            elif command.name == "forget":
                # What was said just before is meant, too.
                facts.clear()
                ends.clear()
        return facts, ends


def _read(message: ClaimedMessage, facts: list[NewFact], ends: list[NewEnd]) -> None:
    said = stated(message.text or "", str(message.id), at=None)
    facts.extend(
        NewFact(
            kind=fact.kind, text=fact.value, source=message.id, topic=fact.topic, day=fact.day, last_day=fact.last_day, since=fact.since
        )
        for fact in said.facts
    )
    ends.extend(NewEnd(kind=end.kind, text=end.value, source=message.id, on=end.on) for end in said.ends)
