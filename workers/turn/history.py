"""How much of a conversation a prompt repeats, and what replaces the rest. Pure.

Guarantee: turns are repeated whole or not at all, and the history's start changes rarely and in large steps: each change costs the prefix cache.
A turn that is not repeated is in the notes: in those that a model made, or, until there are any, in what rules take over from it.

Older turns are summarised ahead, while there is still room for them, so that the notes are ready to replace them once there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bots.storage.claims import PastTurn
from workers.notes import added, in_own_words, last_day

#: When the turns take the first share of the budget the older ones are summarised, so that only the second share is left to be repeated word for
#: word. Together they make a cut drop half of the budget.
_AHEAD, _LEFT = 0.75, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Notes:
    """A summary of the turns up to one of them, in a few sentences."""

    text: str | None = None
    until: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a prompt repeats of the conversation so far."""

    turns: Sequence[PastTurn]
    #: The notes on the turns that are no longer repeated.
    notes: str | None = None
    #: Set when turns were dropped: the number of the first one that is repeated.
    history_from: int | None = None
    #: Set when the turns up to this one are to be summarised.
    summarise_to: int | None = None


def choose(turns: Sequence[PastTurn], notes: Notes, *, budget: int, count: Callable[[str], int], begins: int = 1) -> Told:
    """Choose what fits a budget of tokens. The last turn is repeated whatever its size: without it an answer to "and then?" makes no sense.

    begins: the number of the first turn that is repeated so far. Turns before it are left out already, and are not in the notes yet.
    """
    history = [past for past in turns if past.number >= begins]
    left_out = turns[: len(turns) - len(history)]
    notes_so_far, notes = notes, _with_own_words(notes, left_out)
    # A token is at least one byte: most histories need no counting.
    if sum(len(text.encode()) for past in history for text in (past.asked, past.answer)) <= budget * _AHEAD:
        return Told(turns=history, notes=_notes_beside(history, notes))
    sizes = [count(past.asked) + count(past.answer) for past in history]
    if sum(sizes) <= budget:
        fresh = sum(size for past, size in zip(history, sizes, strict=True) if past.number > notes.until)
        start = _start(sizes, int(budget * _LEFT)) if fresh > budget * _AHEAD else 0
        return Told(turns=history, notes=_notes_beside(history, notes), summarise_to=history[start - 1].number if start else None)
    start = next((n for n, past in enumerate(history) if past.number > notes.until), len(history))
    if not (notes.text and 0 < start < len(history) and sum(sizes[start:]) <= budget):
        start = _start(sizes, budget // 2)
    left = history[start:]
    late = start > 0 and history[start - 1].number > notes.until
    return Told(
        turns=left,
        notes=_notes_beside(left, _with_own_words(notes_so_far, [*left_out, *history[:start]])),
        history_from=left[0].number,
        summarise_to=history[start - 1].number if late else None,
    )


def shortened(told: Told, notes: Notes, *, room: int, count: Callable[[str], int]) -> Told:
    """Return what fits one call that has less room than others. The start of the history stays: the next call may repeat all of it again."""
    turns = told.turns[_start([count(past.asked) + count(past.answer) for past in told.turns], room) :]
    return replace(told, turns=turns, notes=told.notes or _notes_beside(turns, notes))


def _start(sizes: Sequence[int], room: int) -> int:
    """Where to begin so that what follows fits, or is the last turn."""
    start, left = 0, sum(sizes)
    while start < len(sizes) - 1 and left > room:
        left -= sizes[start]
        start += 1
    return start


def _with_own_words(notes: Notes, left_out: Sequence[PastTurn]) -> Notes:
    """The notes, and what rules take over from turns that are left out and are not in them yet."""
    late = [past for past in left_out if past.number > notes.until]
    if not late:
        return notes
    return replace(notes, text=added(notes.text, in_own_words(late), day=last_day(late)) or None)


def _notes_beside(turns: Sequence[PastTurn], notes: Notes) -> str | None:
    """The notes, unless the turns that they are about are still repeated."""
    return notes.text if not turns or turns[0].number > notes.until else None
