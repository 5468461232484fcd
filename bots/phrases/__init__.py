"""What people say to the service itself in plain words, in ten languages: which phrase of bots/phrases/languages a whole message is.

Courtesy may stand before, between and after the words of a phrase, and nothing else. Takes time linear in the length of a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from bots.phrases.book import Book, Meaning, Named, Node, book, listed, tables
from bots.phrases.words import words_of

#: A wish may be said several times in one message, or in several ways.
_REPEATED = frozenset({"stop", "start"})
#: A longer message is not looked through for mistyped words.
_LONGEST_MENDED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A phrase that a whole message is."""

    name: str
    #: The languages in which it is one.
    languages: tuple[str, ...]
    #: Whether it may be asked.
    asks: bool = False
    named: Named | None = None
    #: The free words at its end, folded.
    rest: tuple[str, ...] = ()


def read(words: Sequence[str], *, only: frozenset[str] | None = None) -> Reading | None:
    """Return the phrase that these words are, rather one that says all of them itself. only: the names that count."""
    found = _read(words, only)
    if found is not None or len(words) > _LONGEST_MENDED:
        return found
    # A wish to stop is not guessed.
    meant = (_read(mended, only) for mended in book().spelling.mended(words))
    return next((one for one in meant if one is not None and one.name not in _REPEATED), None)


def _read(words: Sequence[str], only: frozenset[str] | None) -> Reading | None:
    # Nearly every message has a word that is in no phrase, or none but courtesy: then nothing more is to be done.
    if book().told.isdisjoint(words) or (not book().all_words.issuperset(words) and book().free.isdisjoint(words)):
        return None
    return min(_Reader(book(), words, only).readings(book().phrases, _State()), key=_freedom, default=None)


def _freedom(reading: Reading) -> tuple[int, bool, bool]:
    # What allows something may also ask for it: "puedes volver a recordar".
    return len(reading.rest), reading.named is not None, not reading.asks


def named(text: str) -> tuple[Named, ...]:
    """The kinds of facts that a text is the name of, bare or as it stands in a sentence, in each language that calls them so."""
    words = words_of(text)
    return tuple(dict.fromkeys(one for end, one in [*_bare(words, 0), *_mine(words, 0)] if end == len(words)))


def name_of(kind: str, language: str) -> str:
    """How a language calls a kind of facts; that is understood behind a command, too."""
    names = tables().get(language[:2].lower(), tables()["en"])["names"]
    return next(listed(names.get(kind, kind)))


def behind_slash(word: str) -> tuple[Meaning, ...]:
    """The commands that a word behind a slash, or behind such a command, is the name of."""
    return book().slash.get(" ".join(words_of(word)), ())


def language_called(name: str) -> str:
    """The language that a name of one means, in whichever language it is said; empty where it is none of ours."""
    words = words_of(name)
    return next((book().languages[word] for word in [" ".join(words), *words] if word in book().languages), "")


def is_courtesy(words: Sequence[str]) -> bool:
    """Whether there is nothing but courtesy."""
    at = 0
    while at < len(words):
        steps = _steps(book().courtesy, words, at)
        if not steps:
            return False
        at = max(steps)
    return True


@lru_cache(maxsize=4096)
def may_begin(word: str) -> bool:
    """Whether a phrase may begin with a word, or with one that it is mistyped for. A turn asks three times of each message."""
    firsts = book().firsts
    return word in firsts or (word not in book().all_words and any(meant in firsts for meant in book().spelling.meant_by(word)))


def is_unlike(words: Iterable[str]) -> bool:
    """Whether one of these words, as they are written in small letters, says something else than a wish: "olvidé mi dirección"."""
    return not book().unlike.isdisjoint(words)


def is_now(words: Sequence[str]) -> bool:
    """Whether a word that stops a bot says, with a word for now, that somebody comes down or goes out ("ya baja", "sair agora")."""
    return not (book().moves.isdisjoint(words) or book().now.isdisjoint(words) or "de" in words)


@dataclass(frozen=True, slots=True)
class _State:
    """What has been read on the way: the name of a kind, whether somebody was asked to do it, a wish that was complete before."""

    named: Named | None = None
    asked: bool = False
    before: str = ""
    #: Whether there were words that a wish to stop may not have.
    filled: bool = False


@dataclass(slots=True)
class _Reader:
    """One walk along the words of a message: every place of the tree is visited once for each word."""

    book: Book
    words: Sequence[str]
    only: frozenset[str] | None
    at: int = 0
    seen: set[tuple[int, int, _State]] = field(default_factory=set[tuple[int, int, _State]])
    #: The names of kinds that begin at a word, the longest first: the same wherever in the tree one is.
    mine: dict[int, list[tuple[int, Named]]] = field(default_factory=dict[int, list[tuple[int, Named]]])

    def readings(self, node: Node, state: _State, at: int = 0) -> Iterator[Reading]:
        """What the words from here on may mean, at a place of the tree."""
        if (at, id(node), state) in self.seen:
            return
        self.seen.add((at, id(node), state))
        if node.means:
            yield from self._ended(node, state, at)
        for following, then, end in self._steps(node, state, at):
            yield from self.readings(following, then, end)
        if at < len(self.words):
            for following in node.words.get("{rest}", ()):
                yield from self._free(following, state, at)

    def _steps(self, node: Node, state: _State, at: int) -> Iterator[tuple[Node, _State, int]]:
        """Where one goes from a place: on by a word, by the name of a kind, by courtesy."""
        yield from ((following, state, at) for following in node.skips)
        if at == len(self.words):
            return
        yield from ((following, state, at + 1) for following in node.words.get(self.words[at], ()))
        for following in node.words.get("{my}", ()):
            for end, one in self._mine_from(at):
                yield following, replace(state, named=one), end
        if node is self.book.phrases:
            yield from ((node, replace(state, asked=True), end) for end in _steps(self.book.asking, self.words, at))
        yield from ((node, state, end) for end in _steps(self.book.courtesy, self.words, at))
        yield from ((node, replace(state, filled=True), end) for end in _steps(self.book.fillers, self.words, at))

    def _mine_from(self, at: int) -> list[tuple[int, Named]]:
        if at not in self.mine:
            self.mine[at] = sorted(_mine(self.words, at), key=_farthest)
        return self.mine[at]

    def _ended(self, node: Node, state: _State, at: int) -> Iterator[Reading]:
        """What a phrase that ends here means, where nothing follows; and the same wish once more."""
        if at == len(self.words):
            yield from self._meant(node, state, ())
            return
        for name in {meaning.name for meaning in node.means} & _REPEATED:
            if not state.asked and not state.filled and state.before in ("", name):
                yield from self.readings(self.book.phrases, _State(before=name), at)

    def _free(self, node: Node, state: _State, at: int) -> Iterator[Reading]:
        """A phrase whose end is free: without the courtesy behind it."""
        end = next((n for n in range(at + 1, len(self.words)) if is_courtesy(self.words[n:])), len(self.words))
        yield from self._meant(node, state, tuple(self.words[at:end]))

    def _meant(self, node: Node, state: _State, rest: tuple[str, ...]) -> Iterator[Reading]:
        fitting = [one for one in node.means if self._fits(one, state)]
        for name in dict.fromkeys(meaning.name for meaning in fitting):
            meanings = [one for one in fitting if one.name == name]
            languages = tuple(dict.fromkeys(one.language for one in meanings))
            yield Reading(
                name=name, languages=languages, asks=state.asked or any(one.asks for one in meanings), named=state.named, rest=rest
            )

    def _fits(self, meaning: Meaning, state: _State) -> bool:
        if (self.only is not None and meaning.name not in self.only) or (state.before and state.before != meaning.name):
            return False
        # A wish to stop is never obeyed where it is asked for.
        if (state.asked or state.filled) and meaning.name in _REPEATED:
            return False
        return state.named is None or state.named.language == meaning.language


def _steps(node: Node, words: Sequence[str], at: int) -> list[int]:
    """Where the phrases of a list end that begin at a word."""
    return [end for end, place in _places(node, words, at) if place.means and end > at]


def _bare(words: Sequence[str], at: int) -> Iterator[tuple[int, Named]]:
    """Where a bare name of a kind ends that begins at a word, and which it is."""
    for end, place in _places(book().names, words, at):
        yield from ((end, one) for one in place.names)


def _mine(words: Sequence[str], at: int) -> Iterator[tuple[int, Named]]:
    """The same for names as they stand in a sentence: "my address"."""
    for end, place in _places(book().mine, words, at):
        yield from ((end, one) for one in place.names)
        for following in place.words.get("{}", ()):
            for behind, one in _bare(words, end):
                for last, end_place in _places(following, words, behind):
                    if any(meaning.language == one.language for meaning in end_place.means):
                        yield last, one


def _places(node: Node, words: Sequence[str], at: int) -> Iterator[tuple[int, Node]]:
    """Every place that words lead to from a node, and where each begins to need others."""
    yield at, node
    for following in node.skips:
        yield from _places(following, words, at)
    if at < len(words):
        for following in node.words.get(words[at], ()):
            yield from _places(following, words, at + 1)


def _farthest(ended: tuple[int, Named]) -> int:
    return -ended[0]
