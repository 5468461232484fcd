"""What people say to the service itself in plain words, in ten languages: which phrase of bots/phrases/languages a whole message is.

Courtesy may stand before, between and after the words of a phrase, and nothing else. Takes time linear in the length of a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from bots.phrases.book import Book, Meaning, Named, Node, book
from bots.phrases.words import words_of

#: A wish may be said several times in one message, or in several ways.
_REPEATED = frozenset({"stop", "start"})


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
    """Return the phrase that these words are, in the order of the words of the phrase before free ones. only: the names that count."""
    found = next((one for one in _Reader(book(), words, only).readings(book().phrases, _State())), None)
    return found


def named(text: str) -> tuple[Named, ...]:
    """The kinds of facts that a text is the name of, in each language that calls them so."""
    node: Node | None = book().names
    for word in words_of(text):
        node = node.words.get(word) if node else None
    return tuple(node.names) if node else ()


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
        steps = list(_steps(book().courtesy, words, at))
        if not steps:
            return False
        at = steps[-1]
    return True


def is_now(words: Sequence[str]) -> bool:
    """Whether a word that stops a bot says, with a word for now, that somebody comes down or goes out ("ya baja", "sair agora")."""
    return not (book().moves.isdisjoint(words) or book().now.isdisjoint(words) or "de" in words)


@dataclass(frozen=True, slots=True)
class _State:
    """What has been read on the way: the name of a kind, whether somebody was asked to do it, a wish that was complete before."""

    named: tuple[Named, ...] = ()
    asked: bool = False
    before: str = ""


@dataclass(slots=True)
class _Reader:
    """One walk along the words of a message: every place of the tree is visited once for each word."""

    book: Book
    words: Sequence[str]
    only: frozenset[str] | None
    at: int = 0
    seen: set[tuple[int, int, _State]] = field(default_factory=set[tuple[int, int, _State]])

    def readings(self, node: Node, state: _State, at: int = 0) -> Iterator[Reading]:
        if (at, id(node), state) in self.seen:
            return
        self.seen.add((at, id(node), state))
        if node.means:
            yield from self._ended(node, state, at)
        if at == len(self.words):
            return
        following = node.words.get(self.words[at])
        if following is not None:
            yield from self.readings(following, state, at + 1)
        if node.my is not None:
            for end, names in _ends(self.book.mine, self.words, at):
                yield from self.readings(node.my, replace(state, named=names), end)
        if node.rest is not None:
            yield from self._free(node.rest, state, at)
        if node is self.book.phrases and not state.asked:
            for end in _steps(self.book.asking, self.words, at):
                yield from self.readings(node, replace(state, asked=True), end)
        for end in _steps(self.book.courtesy, self.words, at):
            yield from self.readings(node, state, end)

    def _ended(self, node: Node, state: _State, at: int) -> Iterator[Reading]:
        """What a phrase that ends here means, where nothing follows; and the same wish once more."""
        if at == len(self.words):
            yield from self._meant(node, state, ())
            return
        for name in {meaning.name for meaning in node.means} & _REPEATED:
            if not state.asked and state.before in ("", name):
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
            named = next((one for one in state.named if one.language in languages), None)
            yield Reading(name=name, languages=languages, asks=state.asked or any(one.asks for one in meanings), named=named, rest=rest)

    def _fits(self, meaning: Meaning, state: _State) -> bool:
        if (self.only is not None and meaning.name not in self.only) or (state.before and state.before != meaning.name):
            return False
        # A wish to stop is never obeyed where it is asked for.
        if state.asked and meaning.name in _REPEATED:
            return False
        return not state.named or any(one.language == meaning.language for one in state.named)


def _steps(node: Node, words: Sequence[str], at: int) -> Iterator[int]:
    """Where a phrase of a list ends that begins at a word, the shortest first."""
    following = node.words.get(words[at])
    while following is not None:
        at += 1
        if following.means:
            yield at
        following = following.words.get(words[at]) if at < len(words) else None


def _ends(node: Node, words: Sequence[str], at: int) -> Iterator[tuple[int, tuple[Named, ...]]]:
    """Where the name of a kind ends that begins at a word, and which it is, the longest first."""
    found: list[tuple[int, tuple[Named, ...]]] = []
    following = node.words.get(words[at])
    while following is not None:
        at += 1
        if following.names:
            found.append((at, tuple(following.names)))
        following = following.words.get(words[at]) if at < len(words) else None
    return reversed(found)
