"""Lays out the prompt of a turn: which memories, notes and earlier turns it contains, and shorter prompts for when the first one is too long."""

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
        self.memories: Sequence[KnownFact] = [one for one in claim.memories if one.id not in forgotten] if bot.memory_on else []
        self.prompt = self._build(memories=self.memories)
        if bot.memory_on and (turn.effect.closes or self.prompt.history_from is not None):
            # What was remembered from the turns that are left out now would otherwise be in the prompt only from the next turn on.
            known = [KnownFact(id=one.id, kind=one.kind, text=one.text) for one in known_memories(deps, claim)]
            self.memories = [one for one in known if one.id not in forgotten][:_MOST_MEMORIES]
            self.prompt = self._build(memories=self.memories)

    def shorter(self) -> Iterator[Sequence[Message]]:
        """Lay out ever shorter prompts: without earlier pictures, with half of the history, with nothing before the new messages.

        For one call only: perhaps just a small endpoint is left, and later turns repeat everything again when the others are back.
        """
        if any(message.images for message in self.prompt.messages[:-1]):
            yield self._build(memories=self.memories, past_images={}).messages
        if self.prompt.turns > 1:
            latest = self._history[len(self._history) - self.prompt.turns // 2 :]
            yield self._build(memories=self.memories, past_images={}, history=latest).messages
        yield self._build(memories=(), history=(), notes=Notes(), images=self._pictures.new[-1:], longest=_SHORT_CHARS).messages
