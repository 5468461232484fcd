"""Words of phrases as people mistype them: a letter too few or too many, two in the wrong order, or in a long word a wrong one.

A word that names what is forgotten is not guessed from a longer one: a card must not become a cat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product

#: Shorter words are other words more often than mistyped ones.
_SHORTEST, _LONG = 5, 8
#: A message with more words that nobody knows is not about the service.
_MOST = 2
#: So many guesses are read.
_MOST_MEANT = 8


@dataclass(frozen=True, slots=True)
class Spelling:
    """The words of phrases by what is left of each without one of its letters."""

    words: frozenset[str]
    #: Those that name a kind of fact, somebody of the family or an animal.
    names: frozenset[str]
    without_one: dict[str, tuple[str, ...]]

    def mended(self, words: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """The words with those that are mistyped as they may have been meant; nothing where none is, or one is a word of its own."""
        unknown = list(dict.fromkeys(word for word in words if word not in self.words))
        if not 0 < len(unknown) <= _MOST:
            return
        for meant in islice(product(*(dict.fromkeys(self.meant_by(word)) for word in unknown)), _MOST_MEANT):
            instead = dict(zip(unknown, meant, strict=True))
            yield tuple(instead.get(word, word) for word in words)

    def meant_by(self, word: str) -> Iterator[str]:
        """The words that somebody may have meant who wrote this one."""
        if len(word) < _SHORTEST - 1:
            return
        for short in (word, *_without_one(word)):
            for meant in self.without_one.get(short, ()):
                if _is_typo(word, meant, is_name=meant in self.names):
                    yield meant
        yield from (short for short in _without_one(word) if short in self.words and _is_typo(word, short, is_name=short in self.names))


def spelling(words: Iterable[str], names: Iterable[str]) -> Spelling:
    """Index the words of all phrases."""
    known, found = frozenset(words), dict[str, list[str]]()
    for word in sorted(known):
        if len(word) >= _SHORTEST - 1:
            for short in _without_one(word):
                found.setdefault(short, []).append(word)
    return Spelling(known, frozenset(names), {short: tuple(meant) for short, meant in found.items()})


def _without_one(word: str) -> Iterable[str]:
    return dict.fromkeys(word[:at] + word[at + 1 :] for at in range(len(word)))


def _is_typo(word: str, meant: str, *, is_name: bool) -> bool:
    """Whether the difference, which is one letter in each at most, is one of those that are forgiven. Another ending is another form of a verb."""
    differ = [at for at, (one, other) in enumerate(zip(word, meant, strict=False)) if one != other]
    if len(word) == len(meant) and len(differ) == 2:
        first, second = differ
        return 0 < first == second - 1 and word[first] == meant[second] and word[second] == meant[first]
    if word[0] != meant[0] or word[-1] != meant[-1]:
        return False
    if len(word) == len(meant):
        return len(differ) == 1 and len(word) >= _LONG and not is_name
    if len(word) > len(meant) and is_name:
        # A letter that is written twice.
        return any(word[:at] + word[at + 1 :] == meant and word[at] == word[at - 1] for at in range(1, len(word)))
    return max(len(word), len(meant)) >= _SHORTEST
