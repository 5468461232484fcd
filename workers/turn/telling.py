"""What of all that is known of a contact is told in a turn, and where: at the beginning of the prompt, beside the new message, or not at all.

Guarantee: the beginning stays the same while a session lasts, unless something in it is no longer true. What was learned meanwhile is in the talk
itself; beside the message it is told where it must not be overlooked, where the message is about it, and where the talk does not have its words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bots.kinds import kinds
from bots.storage.claims import KnownFact, PastTurn
from workers.turn.aside import Fact
from workers.turn.relevance import fitting
from workers.turn.stated import Stated
from workers.turn.told import profile

#: So many likes and dislikes are told beside a message, the newest that it is about.
_MOST_LIKES = 8


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
        """The memories in the prompt."""
        return [*self.profile, *self.beside]


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
    """Choose what is told. memories: all that is known, the newest first; history: what the prompt repeats. is_new_session: nothing of the prompt's beginning has to stay."""
    true, known = stated.still_true(memories), kinds()
    first = profile([one for one in true if is_new_session or not one.is_new], count=count)
    begun = {one.id for one in first}
    always = [one for one in true if one.id not in begun and one.kind in known and known[one.kind].told == "always"]
    likes = fitting([one for one in true if one.kind in known and known[one.kind].told == "relevant"], said, language=language)
    about = {one.id for one in fitting(always, said, language=language)}
    talk = {word for turn in history for word in turn.asked.casefold().split()} if always else set[str]()
    beside = [one for one in always if one.id in about or known[one.kind].sensitive or not talk.issuperset(one.text.casefold().split())]
    told = {(one.kind, one.text.casefold()) for one in (*first, *beside)}
    return Telling(
        profile=first,
        beside=[*beside, *likes[:_MOST_LIKES]],
        stated=[fact for fact in stated.facts if (fact.kind, fact.text.casefold()) not in told],
    )
