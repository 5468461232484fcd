"""The turn being worked on: what was claimed, on which account, its answer so far, and the result that ends it or leaves it open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar
from uuid import UUID

import msgspec
import structlog
from msgspec import UNSET, UnsetType

from bots.channels.markup import unwrapped
from bots.commands import Command
from bots.domain import EventKind, Identity, IdentityKind, InboundEvent
from bots.errors import SendError
from bots.extract import commands as say
from bots.extract.commands import language_of, sensitive_kinds
from bots.extract.texts import text
from bots.recall import indexing
from bots.storage import remembering
from bots.storage.claims import Claim, ClaimedMessage, KnownFact, PastTurn
from bots.storage.memories import LISTED
from bots.storage.queues import profile_of
from bots.storage.turns import ModelCall, NewEnd, NewEpisode, NewFact, Recalled, RecalledTurn, TurnResult
from bots.text_language import language_in
from bots.time_zones import zone_of
from workers.deps import Deps, OpenAccount
from workers.model_routes import profile_key
from workers.trial import may_propose
from workers.turn import stated
from workers.turn.aside import Earlier
from workers.turn.commands import Effect, Wished, obey
from workers.turn.stated import Stated

log = structlog.get_logger()

_T = TypeVar("_T")
#: What is younger came before everything that was said after it, but for the turn before this one.
_LATE_S = 30.0
#: A turn that was opened longer ago before it was claimed is answered, whatever is written meanwhile.
_TAKES_MORE_S = 15.0


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
    #: The earlier turns that were recalled into it.
    recalled: Sequence[Earlier] = ()
    #: The words of its messages that may state facts, where these are not all of them: none of a command, the right ones of a correction.
    words: dict[UUID, str] = field(default_factory=dict[UUID, str])
    #: Those of its messages that are not the model's business.
    untold: Sequence[UUID] = ()
    #: Those of its messages of which no word is to stay once it is answered, as they say themselves.
    unsaid: list[UUID] = field(default_factory=list[UUID])
    #: What was answered to those of its messages that erased something, now or in an earlier try.
    erased: dict[str, str] = field(default_factory=dict[str, str])
    #: Why it ends as it does, where nothing weightier is the reason: later turns look for it.
    reason: str | None = None
    _stated: Stated | None = None
    _language: str | None = None
    _now: datetime | None = None

    def __post_init__(self) -> None:
        """Take over what an earlier try did."""
        if self.claim.done:
            self.erased = msgspec.json.decode(self.claim.done, type=dict[str, str])

    @property
    def now(self) -> datetime:
        """When the turn was opened, in the contact's time zone."""
        if self._now is None:
            zone = zone_of(self.claim.identities, self.account.bot.time_zone, self.deps.settings.time_zone)
            self._now = (self.claim.at or datetime.now(UTC)).astimezone(zone)
        return self._now

    @property
    def is_group(self) -> bool:
        """Whether a group wrote, of which any member may ask for something, and of which nothing is remembered."""
        return any(handle.kind == IdentityKind.GROUP for handle in self.claim.identities)

    @property
    def remembers(self) -> bool:
        """Whether anything new may be remembered of the contact."""
        off = self.claim.memory_off if self.effect.memory_off is None else self.effect.memory_off
        return self.account.bot.memory_on and not off and not self.claim.stopped and not self.is_group

    def keeps(self, kind: str) -> bool:
        """Whether facts of a kind are remembered: the storage asks the same of its bot and its contact."""
        off = self.claim.sensitive_off if self.effect.sensitive_off is None else self.effect.sensitive_off
        bot = self.account.bot
        return self.remembers and kind not in bot.kinds_off and (kind not in sensitive_kinds() or (bot.sensitive_on and not off))

    @property
    def stated(self) -> Stated:
        """What its messages state about their writer, of what is remembered of them. Its commands come first."""
        if self._stated is None:
            said = [(message, self.words.get(message.id, message.text or "")) for message in self.claim.messages if message.supported]
            found = self.read(*said) if self.remembers else Stated()
            facts = [fact for fact in found.facts if self.keeps(fact.kind)]
            self._stated = Stated(facts=facts, ends=[*found.ends, *self._ended_since(facts)])
        return self._stated

    def _ended_since(self, facts: Sequence[NewFact]) -> Sequence[NewEnd]:
        """What messages that were said later, but came earlier, say of these facts: "Rex died" may be read before "My dog is called Rex"."""
        oldest_s = max(message.age_s for message in self.claim.messages)
        said_at = datetime.now(UTC) - timedelta(seconds=oldest_s)
        before = self.claim.history[-1].at if self.claim.history else None
        is_late = oldest_s > _LATE_S or (before is not None and said_at < before)
        if not facts or not is_late or self.effect.everything:
            return ()
        since = remembering.later(self.deps.worker, contact=self.claim.contact, since=said_at)
        return stated.ends_of_later(since, facts, zone=self.now.tzinfo)

    def read(self, *said: tuple[ClaimedMessage, str]) -> Stated:
        """Extract what words of its messages state."""
        return stated.read(((message, words) for message, words in said if words), now=datetime.now(self.now.tzinfo))

    @property
    def profile(self) -> str:
        """The model profile that answers, as the router knows it."""
        return profile_key(self.claim.tenant, profile_of(self.claim.queue))

    @property
    def language(self) -> str:
        """The language of the service's own sentences: of these messages, else of those before, else what the contact speaks, else the bot's."""
        if self._language is None:
            new = [message.text or "" for message in reversed(self.claim.messages)]
            before = [past.asked for past in reversed(self.claim.history)]
            said = [words for words in (*new, *before) if not words.lstrip().startswith("/")]
            self._language = language_of(self.claim.memories, said=said, default=self.account.bot.language or "en")
        return self._language

    @property
    def known_language(self) -> str:
        """The language in which the contact writes, or else the bot's; empty where neither is known."""
        said = [
            words
            for words in (*(message.text or "" for message in self.claim.messages), *(past.asked for past in self.claim.history))
            if words
        ]
        return language_of(self.claim.memories, said=said, default=self.account.bot.language or "")[:2]

    def read_anew(self, messages: Sequence[ClaimedMessage]) -> None:
        """Go on with these messages, of which more is known than when they were claimed."""
        self.claim = msgspec.structs.replace(self.claim, messages=list(messages))
        self._language = self._stated = None

    def language_among(self, languages: Sequence[str]) -> str:
        """The language of the turn if something was said in it, else the first of those in which it was; of the turn where it was said in none."""
        return self.language if not languages or self.language[:2] in languages else languages[0]

    @property
    def stopped(self) -> bool:
        """Whether the contact wants no answers, after the commands so far."""
        return self.claim.stopped if self.effect.stopped is None else self.effect.stopped

    @property
    def begins_anew(self) -> bool:
        """Whether one of its commands has cut off everything before, or has taken words out of it."""
        return self.effect.closes or self.effect.erasure is not None

    @property
    def history(self) -> Sequence[PastTurn]:
        """The earlier turns that a prompt may repeat."""
        return () if self.begins_anew else self.claim.history

    def obey(self, command: Command, message: UUID, *, has_words: bool) -> bool:
        """Do what a command asks, and answer it; False where it is none after all. has_words: messages before it wait for the model."""
        language = self.language_among(command.languages)
        wish = Wished(
            deps=self.deps,
            claim=self.claim,
            bot=self.account.bot,
            language=language,
            fit=self.account.channel.fit,
            has_words=has_words,
            before=self.effect,
            done=self.erased.get(str(message)),
        )
        done = obey(wish, command)
        if done is None:
            return False
        if done[0].erasure is not None:
            self.erased[str(message)] = done[1]
        self.effect = self.effect.then(done[0])
        self.tell(done[1])
        return True

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
            # /forget and /stop do not wait for a model. Should the turn come again, there is nothing left to forget.
            erase=_or_unset(self.effect.erasure),
            answer=msgspec.json.encode(self.erased).decode() if self.erased else None,
            # Should the turn come again, its numbers mean the same.
            recalls=self._listed(),
            memory_off=_or_unset(self.effect.memory_off),
            sensitive_off=_or_unset(self.effect.sensitive_off),
            stopped=_or_unset(self.effect.stopped),
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
        first_contact = self.account.bot.first_contact
        effect = self.effect.then(Effect(unsay_messages=tuple(self.unsaid)))
        facts = list(self.stated.facts) if remembers else []
        tells_sensitive = state == "answered" and self._is_first_sensitive(facts)
        if tells_sensitive:
            self.tell(text("sensitive", self.language))
        if self.unsaid and state == "answered":
            self.tell(say.kept_too(text("not_kept", self.language), self.language, keeps_messages=self.account.bot.keeps_messages))
        if (effect.closes and goes_on) or anew:
            # More was said after /reset: the conversation goes on, and its prompts repeat nothing from before. So it is where a server would not
            # answer what came before.
            history_from, summarise_to = self.claim.number, None
        # Comes before the first answer that a contact ever gets.
        opening = self.account.channel.fit(first_contact) if state == "answered" and first_contact and self.claim.first else ()
        return TurnResult(
            state=state,
            reason=reason or self.reason,
            asked=asked,
            answer=answer,
            in_history=in_history,
            untold=list(self.untold),
            parts=[*opening, *self.parts],
            calls=self.calls,
            episode=self._episode(asked, answer) if state == "answered" and in_history and remembers else UNSET,
            recalls=[Recalled(memory=memory.id, reason="said before this conversation") for memory in self.told] or self._listed(),
            recalled=[RecalledTurn(turn=one.turn, signals=list(one.signals)) for one in self.recalled],
            facts=facts,
            ends=list(self.stated.ends) if remembers else [],
            erase=_or_unset(effect.erasure),
            memory_off=_or_unset(effect.memory_off),
            sensitive_off=_or_unset(effect.sensitive_off),
            sensitive_told=True if tells_sensitive else UNSET,
            history_from=history_from,
            summarise_to=UNSET if summarise_to is None else summarise_to,
            read_after_s=self.deps.settings.remember_after_s
            if state == "answered" and in_history and remembers and self._is_read()
            else UNSET,
            # A summary must not contain what ended with /reset; what is forgotten is taken out of it where words are erased.
            drop_summary=effect.closes or anew,
            close=effect.closes and not goes_on,
            stopped=_or_unset(effect.stopped),
            new_session=UNSET if history_from is None else True,
            takes_more=True if state == "answered" and goes_on and self._takes_more else UNSET,
        )

    @property
    def _takes_more(self) -> bool:
        """Whether an answer is put off where its writer goes on. Nobody waits for ever, and what a command did is never undone."""
        return self.claim.open_s < _TAKES_MORE_S and self.effect == Effect() and not self.unsaid

    def _listed(self) -> list[Recalled]:
        """The list that its numbers are from, to be found again by a later command."""
        return [Recalled(memory=memory, reason=LISTED) for memory in self.effect.listed]

    def _is_first_sensitive(self, facts: Sequence[NewFact]) -> bool:
        """Whether something about health is remembered, now or in the background, and the contact was never told that it is."""
        kinds = {fact.kind for fact in facts} | {fact.kind for fact in self.told}
        return not self.claim.sensitive_told and any(kind in sensitive_kinds() and self.keeps(kind) for kind in kinds)

    def _is_read(self) -> bool:
        """Whether a model may look for facts in these words once the talk is quiet."""
        return bool(
            self.deps.settings.remember_after_s
            and self.remembers
            and may_propose(self.deps, self.claim.tenant, self.profile, may_leave=self.account.bot.data_may_leave)
        )

    def _episode(self, asked: str | None, answer: str | None) -> NewEpisode | UnsetType:
        """What can be recalled of this turn later; unset where nothing is to be remembered of it."""
        return indexing.episode(asked, answer or "", language=language_in(asked) or self.language) if asked and self.remembers else UNSET


def _or_unset(value: _T | None) -> _T | UnsetType:
    return UNSET if value is None else value
