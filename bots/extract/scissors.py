"""How a language cuts what is written as one: contractions, elisions, words written together, and the endings of a value's last word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bots.extract.words import Word, fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Scissors:
    """How a language cuts tokens into words: "i'm" into i am, "l'aspirine" into l' aspirine, "İzmir'e" into İzmir 'e."""

    contractions: Mapping[str, tuple[str, ...]]
    elisions: frozenset[str]
    clitics: frozenset[str]
    #: Words that are written together with the next one, which is cut off when it is a known one: Arabic "and".
    glued: tuple[str, ...] = ()
    known: set[str] = field(default_factory=set[str])

    def cut(self, words: Iterable[Word], *, glued: bool = True) -> list[Word]:
        """Cut contractions, elisions, clitics and words that are written together with others."""
        found: list[Word] = []
        for word in words:
            expanded = self.contractions.get(word.folded)
            if expanded is not None:
                found.append(Word(word.text, expanded[0], word.is_glued))
                found.extend(Word("", part, is_glued=True) for part in expanded[1:])
            elif "'" in word.folded and len(word.folded) > 1 and len(word.folded) == len(word.text):
                found.extend(self._at_apostrophe(word))
            else:
                found.extend(self._unglued(word) if glued and self.glued and word.folded.startswith(self.glued) else (word,))
        return found

    def _unglued(self, word: Word) -> tuple[Word, ...]:
        head = next(part for part in self.glued if word.folded.startswith(part))
        rest = word.folded[len(head) :]
        if word.folded in self.known or len(rest) < 2 or not (rest in self.known or rest.startswith("ال")):
            return (word,)
        return Word(word.text[: len(head)], head, word.is_glued), Word(word.text[len(head) :], rest, is_glued=True)

    def folded(self, words: Iterable[str]) -> list[str]:
        """Cut the words of a pattern in the same way."""
        return [part.folded for word in words for part in self.cut([Word(word, word)], glued=False)]

    def _at_apostrophe(self, word: Word) -> list[Word]:
        first = word.folded.index("'") + 1
        if word.folded[:first] in self.elisions and first < len(word.text):
            head = Word(word.text[:first], word.folded[:first], word.is_glued)
            return [head, Word(word.text[first:], word.folded[first:], is_glued=True)]
        last = word.folded.rindex("'")
        if word.folded[last:] in self.clitics and last:
            return [Word(word.text[:last], word.folded[:last], word.is_glued), Word(word.text[last:], word.folded[last:], is_glued=True)]
        return [word]


@dataclass(frozen=True, slots=True)
class Ending:
    """What an ending of a word becomes."""

    text: str
    becomes: str
    is_prefix: bool

    def cut(self, word: Word) -> Word | None:
        """The word without it; None when the word has another."""
        folded, text = word.folded, word.text
        if len(folded) != len(text) or len(folded) + len(self.becomes) < len(self.text) + 2:
            return None
        if self.is_prefix:
            return (
                Word(self.becomes + text[len(self.text) :], fold(self.becomes + text[len(self.text) :]), word.is_glued)
                if folded.startswith(self.text)
                else None
            )
        if not folded.endswith(self.text):
            return None
        kept = text[: len(text) - len(self.text)] + self.becomes
        return Word(kept, fold(kept), word.is_glued)


def ending(entry: str) -> Ending:
    """Read an ending as a file writes it: "-x" at the end of a word, "x-" at its beginning, ">" what takes its place."""
    text, _, becomes = entry.partition(">")
    if text.endswith("-"):
        return Ending(fold(text[:-1]), becomes.rstrip("-"), is_prefix=True)
    return Ending(fold(text.lstrip("-")), becomes.lstrip("-"), is_prefix=False)
