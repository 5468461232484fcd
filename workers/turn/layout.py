"""Lays out the prompt of a turn: which memories, notes and earlier turns it contains, and what is asked instead when it is not taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from bots.storage.claims import KnownFact
from inference.types import Message
from workers.turn import prompt
from workers.turn.claimed import ClaimedTurn
from workers.turn.commands import known_memories
from workers.turn.history import Notes
from workers.turn.pictures import Pictures

#: As many memories as a claim returns.
_MOST_MEMORIES = 20
#: When even the new messages alone are too long, only so much of them is in the prompt.
_SHORT_CHARS = 2000


class Layout:
    """The prompt of a turn, and the memories in it."""

    def __init__(self, turn: ClaimedTurn, *, texts: Sequence[str], pictures: Pictures) -> None:
        """Lay out the prompt. Raises StorageUnavailable."""
        self._history, self._pictures = turn.history, pictures
        self._has_notes = bool(turn.claim.summary) and not turn.begins_anew
        deps, claim, bot, profile = turn.deps, turn.claim, turn.account.bot, turn.profile
        may_leave, answer = bot.data_may_leave, deps.settings.answer_tokens
        self._build = partial(
            prompt.build,
            persona=bot.persona,
            history=self._history,
            notes=Notes() if turn.begins_anew else Notes(text=claim.summary, until=claim.summary_until),
            texts=texts,
            language=turn.language,
            images=pictures.new,
            past_images=pictures.past,
            budget=deps.settings.history_tokens,
            count=deps.routes.counter(profile, may_leave=may_leave),
            room=lambda images: deps.routes.room(profile, may_leave=may_leave, answer=answer, images=images),
        )
        forgotten = set(turn.effect.forget)
        self.memories: Sequence[KnownFact] = [one for one in claim.memories if one.id not in forgotten and not one.is_new] if bot.memory_on else []
        self.prompt = self._build(memories=self.memories)
        if bot.memory_on and (turn.effect.closes or self.prompt.history_from is not None):
            # What was remembered from the turns that are left out now would otherwise be in the prompt only from the next turn on.
            known = [KnownFact(id=one.id, kind=one.kind, text=one.text, said_at=one.said_at) for one in known_memories(deps, claim)]
            self.memories = [one for one in known if one.id not in forgotten][:_MOST_MEMORIES]
            self.prompt = self._build(memories=self.memories)

    def shorter(self) -> Iterator[Sequence[Message]]:
        """Lay out ever shorter prompts: for the context that the server has named meanwhile, without earlier pictures, with half of the history,
        with nothing before the new messages.

        For one call only: perhaps just a small endpoint is left, and later turns repeat everything again when the others are back.
        """
        fitted = self._build(memories=self.memories).messages
        if fitted != self.prompt.messages:
            yield fitted
        if any(message.images for message in self.prompt.messages[:-1]):
            yield self._build(memories=self.memories, past_images={}).messages
        if self.prompt.turns > 1:
            latest = self._history[len(self._history) - self.prompt.turns // 2 :]
            yield self._build(memories=self.memories, past_images={}, history=latest).messages
        yield self._build(memories=(), history=(), notes=Notes(), images=self._pictures.new[-1:], longest=_SHORT_CHARS).messages

    @property
    def has_past(self) -> bool:
        """Whether the prompt tells anything of the conversation so far, word for word or in notes."""
        return self.prompt.turns > 0 or self._has_notes

    def apart(self) -> Iterator[Sequence[Message]]:
        """Lay out prompts with less of what came before, for when a server will not answer the words: without history and notes, without memories,
        without all of them. The new messages are in each, whole.
        """
        if self.has_past and self.memories:
            yield self._build(memories=self.memories, history=(), notes=Notes()).messages
            yield self._build(memories=()).messages
        if self.has_past or self.memories:
            yield self._build(memories=(), history=(), notes=Notes()).messages

    def told(self, apart: int) -> Sequence[KnownFact]:
        """Return the memories in the prompt of this number of those; 0: in the whole one."""
        return self.memories if apart == 0 or (apart == 1 and self.has_past) else ()

    def is_past_refused(self, apart: int) -> bool:
        """Whether the words that a server would not answer are in the history or the notes, where it answered the prompt of this number."""
        return self.has_past and apart in (1, 3)
