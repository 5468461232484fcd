"""What of all that is known of a contact is told in a turn, and where: at the beginning of the prompt, beside the new message, or not at all.

Guarantee: the beginning stays the same while a session lasts, unless something in it is no longer true. What the message is about is told again beside
it: a small model overlooks what stands far above. So is what was learned meanwhile and must not be overlooked, or does not stand in the talk word for word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bots.kinds import kinds
from bots.storage.claims import KnownFact, PastTurn
from workers.turn.relevance import fitting, words_of
from workers.turn.stated import Stated
from workers.turn.told import Fact, profile

#: So many facts that a message is about are told beside it, the newest.
_MOST_ABOUT = 6
#: Of what else was learned in the talk, in tokens.
_MOST_TOKENS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What is told in a turn."""

    #: At the beginning.
    profile: Sequence[KnownFact] = ()
    #: Beside the message: memories, and what the message itself states.
    beside: Sequence[KnownFact] = ()
    stated: Sequence[Fact] = ()

    @property
    def memories(self) -> Sequence[KnownFact]:
        """The memories in the prompt, once each."""
        return list({one.id: one for one in (*self.profile, *self.beside)}.values())


def choose(
    memories: Sequence[KnownFact],
    stated: Stated,
    *,
    history: Sequence[PastTurn],
    said: str,
    language: str,
    count: Callable[[str], int],
    is_new_session: bool,
) -> Telling:
    """Choose what is told.

    memories: all that is known, the newest first; history: what the prompt repeats. is_new_session: nothing of its beginning has to stay.
    """
    known = kinds()
    true = [one for one in stated.still_true(memories) if one.kind in known]
    first = profile([one for one in true if is_new_session or not one.is_new], count=count)
    begun = {one.id for one in first}
    about = fitting(true, said, language=language)[:_MOST_ABOUT]
    begun = {one.id for one in (*first, *about)}
    learned = [one for one in true if one.is_new and one.id not in begun]
    talk = {word for turn in history for word in words_of(turn.asked)} if learned else set[str]()
    needed = [one for one in learned if known[one.kind].sensitive or not talk.issuperset(words_of(one.text))]
    beside = [*about, *profile(needed, count=count, most=_MOST_TOKENS)]
    told = {(one.kind, one.text.casefold()) for one in beside}
    return Telling(profile=first, beside=beside, stated=[fact for fact in stated.facts if (fact.kind, fact.text.casefold()) not in told])
