"""Lays out the prompt of a turn: which memories, notes and earlier turns it contains, and what is asked instead when it is not taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from functools import partial
from typing import Any

from bots.storage.claims import KnownFact
from inference.types import Message
from workers.turn import prompt, telling
from workers.turn.aside import Aside, Earlier, fitting
from workers.turn.claimed import ClaimedTurn
from workers.turn.history import Notes
from workers.turn.pictures import Pictures
from workers.turn.recalling import recalled
from workers.turn.telling import Telling

#: When even the new messages alone are too long, only so much of them is in the prompt.
_SHORT_CHARS = 2000


class Layout:
    """The prompt of a turn, and the memories in it."""

    def __init__(self, turn: ClaimedTurn, *, texts: Sequence[str], pictures: Pictures) -> None:
        """Lay out the prompt. Raises StorageUnavailable."""
        self._turn, self._texts, self._pictures = turn, texts, pictures
        self._history = turn.history
        self._has_notes = bool(turn.claim.summary) and not turn.begins_anew
        deps, claim, bot, profile = turn.deps, turn.claim, turn.account.bot, turn.profile
        may_leave, answer = bot.data_may_leave, deps.settings.answer_tokens
        self._count = deps.routes.counter(profile, may_leave=may_leave)
        self._laid_out = partial(
            prompt.build,
            persona=bot.persona,
            history=self._history,
            notes=Notes() if turn.begins_anew else Notes(text=claim.summary, until=claim.summary_until),
            begins=claim.history_from,
            texts=texts,
            language=turn.language,
            now=turn.now,
            images=pictures.new,
            past_images=pictures.past,
            budget=deps.settings.history_tokens,
            count=self._count,
            room=lambda images: deps.routes.room(profile, may_leave=may_leave, answer=answer, images=images),
        )
        self._language = prompt.language_of(self._history, texts, default=turn.language)
        found = recalled(turn, texts)
        self._recalled = fitting(found, language=self._language, zone=turn.now.tzinfo or UTC, count=self._count)
        self._telling = self._choose(is_new_session=turn.begins_anew)
        self.prompt = self._build()
        if self.prompt.history_from is not None:
            # A new session begins: what was remembered from the turns that are left out now is told at the beginning.
            self._telling = self._choose(is_new_session=True)
            self.prompt = self._build()

    def _choose(self, *, is_new_session: bool) -> Telling:
        turn = self._turn
        if not turn.account.bot.memory_on:
            return Telling()
        forgotten = set(turn.effect.forget)
        return telling.choose(
            [one for one in turn.claim.memories if one.id not in forgotten],
            turn.stated,
            history=[past for past in self._history if past.number >= turn.claim.history_from],
            said="\n".join(self._texts),
            language=self._language,
            count=self._count,
            is_new_session=is_new_session,
        )

    def _build(self, *, remembers: bool = True, recalls: bool = True, **changes: Any) -> prompt.Prompt:
        """Lay out a prompt with memories or without, with what was recalled or without, and with other changes."""
        chosen = self._telling if remembers else Telling()
        beside = Aside(facts=[*chosen.beside, *chosen.stated], recalled=self._recalled if recalls else ())
        return self._laid_out(memories=chosen.profile, aside=beside, **changes)

    def shorter(self) -> Iterator[Sequence[Message]]:
        """Lay out ever shorter prompts: for the context that the server has named meanwhile, without earlier pictures, with half of the history,
        with nothing before the new messages.

        For one call only: perhaps just a small endpoint is left, and later turns repeat everything again when the others are back.
        """
        fitted = self._build().messages
        if fitted != self.prompt.messages:
            yield fitted
        if any(message.images for message in self.prompt.messages[:-1]):
            yield self._build(past_images={}).messages
        if self.prompt.turns > 1:
            latest = self._history[len(self._history) - self.prompt.turns // 2 :]
            yield self._build(past_images={}, history=latest).messages
        yield self._nothing_before(images=self._pictures.new[-1:], longest=_SHORT_CHARS)

    def _nothing_before(self, **changes: Any) -> Sequence[Message]:
        return self._build(remembers=False, recalls=False, history=(), notes=Notes(), **changes).messages

    @property
    def has_past(self) -> bool:
        """Whether the prompt tells anything of earlier turns, word for word or in notes."""
        return self.prompt.turns > 0 or self._has_notes or bool(self._recalled)

    def apart(self) -> Iterator[Sequence[Message]]:
        """Lay out prompts with less of what came before, for when a server will not answer the words: without history and notes, without memories,
        without all of them. The new messages are in each, whole.
        """
        if self.has_past and self._telling.memories:
            yield self._build(recalls=False, history=(), notes=Notes()).messages
            yield self._build(remembers=False).messages
        if self.has_past or self._telling.memories:
            yield self._nothing_before()

    def told(self, apart: int) -> Sequence[KnownFact]:
        """Return the memories in the prompt of this number of those; 0: in the whole one."""
        return self._telling.memories if apart == 0 or (apart == 1 and self.has_past) else ()

    def recalled(self, apart: int) -> Sequence[Earlier]:
        """Return the earlier turns in the prompt of this number of those."""
        return self._recalled if apart == 0 or (apart == 2 and self._telling.memories) else ()

    def is_past_refused(self, apart: int) -> bool:
        """Whether the words that a server would not answer are in the history or the notes, where it answered the prompt of this number."""
        return self.has_past and apart in (1, 3)
