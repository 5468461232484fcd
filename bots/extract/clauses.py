"""A sentence as clauses: where a statement may begin, which words are silenced and by what, and where phrases of time stood."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bots.extract.language import Language
from bots.extract.moments import Moment, take_out
from bots.extract.words import QUOTED, Sentence, Word

#: Marks that join what follows them to what precedes them.
_BINDING_MARKS = frozenset("/&'+#@%$€=^\\<>[]{}|" + QUOTED)
_LONGEST_ENDING = 8
_LONGEST_SIGNAL = 4
_LONGEST_SENDER = 5
_NO_SIGNALS: Mapping[str, int] = {}


@dataclass(slots=True)
class Clauses:
    """A sentence without its phrases of time, and what its words signal."""

    language: Language
    words: list[Word]
    moments: list[Moment]
    #: For each word, the signals that begin there, with their lengths.
    signals: list[Mapping[str, int]]
    #: For each word, the lists that it may be in.
    listed: list[frozenset[str]]
    #: All of both, of the whole sentence; words also as what they may be read as.
    all_words: set[str]
    all_listed: set[str]
    #: Where a statement may begin.
    starts: list[int] = field(default_factory=list[int])
    #: Where a clause begins; the end of the sentence is the last one.
    borders: list[int] = field(default_factory=list[int])
    #: Words that state nothing of their own, and those of questions, which still tell of whom they speak.
    silent: list[bool] = field(default_factory=list[bool])
    asked: list[bool] = field(default_factory=list[bool])
    #: Words of a clause that doubts, which still presupposes: "maybe my son Leo can come".
    doubted: list[bool] = field(default_factory=list[bool])
    #: Before which words a phrase of time stood.
    gaps: frozenset[int] = frozenset()
    #: Whether the rest of the message are the words of somebody else.
    quotes: bool = False
    #: Where a statement may begin although nothing marks it: "hi I'm Tom I live in York".
    subjects: frozenset[int] = frozenset()
    #: Where negations stand.
    negations: list[int] = field(default_factory=list[int])

    def has(self, name: str, at: int) -> bool:
        """Whether a word or phrase of this list begins here."""
        return name in self.signals[at]

    def ends_at(self, name: str, at: int) -> bool:
        """Whether a word or phrase of this list ends here."""
        return any(self.signals[start].get(name) == at - start for start in range(max(at - _LONGEST_SIGNAL, 0), at))

    def clause_of(self, at: int) -> tuple[int, int]:
        """The clause that a word stands in."""
        number = bisect_right(self.borders, at)
        return self.borders[number - 1] if number else 0, self.borders[number] if number < len(self.borders) else len(self.words)

    def is_negated(self, at: int) -> bool:
        """Whether a negation stands before a word in its clause."""
        number = bisect_left(self.negations, at)
        return number > 0 and self.negations[number - 1] >= self.clause_of(at)[0]

    @property
    def is_hearsay(self) -> bool:
        """Whether somebody else's words are in it."""
        return any("hearsay" in signals or "hearsay_whole" in signals for signals in self.signals)

    def joins(self, at: int) -> bool:
        """Whether a comma or an "and" stands here."""
        return self.words[at].text == "," or "and" in self.signals[at]


def is_joke(found: Sequence[Clauses]) -> bool:
    """Whether a message says that it does not mean what it says."""
    return any("jokes" in signals for clauses in found for signals in clauses.signals)


def clauses(language: Language, sentence: Sentence) -> Clauses:
    """Read a sentence."""
    words, moments = take_out(language, language.scissors.cut(sentence.words))
    folded = {word.folded for word in words}
    listed = [language.listed.get(word.folded, language.by_ending) for word in words]
    found = Clauses(
        language,
        words,
        moments,
        [_signals(language, words, at) for at in range(len(words))],
        listed,
        folded.union(language.aliases[word] for word in folded if word in language.aliases),
        set[str]().union(*listed),
    )
    found.negations = [at for at, signals in enumerate(found.signals) if "negations" in signals]
    found.gaps = frozenset(moment.at for moment in moments)
    _find_starts(found)
    if "bound" in language.lists:
        found.subjects = frozenset(
            at for at, signals in enumerate(found.signals) if at and "subjects" in signals and not found.ends_at("bound", at)
        )
    _silence(found, is_question=sentence.is_question)
    return found


def _signals(language: Language, words: Sequence[Word], at: int) -> Mapping[str, int]:
    """The signals that begin at a word. What is said of it alone is in a table: nearly all words need no more."""
    folded = words[at].folded
    alone, longer, endings = language.alone.get(folded, _NO_SIGNALS), language.longer.get(folded), language.signal_endings
    if longer is None and not endings:
        return alone
    found: dict[str, int] = {}
    for length in language.ending_lengths:
        if 2 <= length <= min(len(folded) - 2, _LONGEST_ENDING) and (name := endings.get(folded[-length:])) is not None:
            found[name] = 1
    if longer is not None:
        behind = words[at + 1].folded if at + 1 < len(words) else ""
        for phrase, exact, name in (*(longer.get(behind, ()) if behind else ()), *longer.get("", ())):
            if name not in found and _stands(phrase, words, at, exact=exact):
                found[name] = len(phrase)
    return {**alone, **found} if found else alone


def _stands(phrase: Sequence[str], words: Sequence[Word], at: int, *, exact: bool) -> bool:
    """Whether a phrase whose first word is here as folded stands here."""
    if exact:
        return at + len(phrase) <= len(words) and all(words[at + step].text.lower() == word for step, word in enumerate(phrase))
    length = len(phrase)
    return (
        at + length <= len(words)
        and words[at + 1].folded == phrase[1]
        and all(words[at + step].folded == phrase[step] for step in range(2, length))
    )


def _find_starts(found: Clauses) -> None:
    behind_fillers: set[int] = set()
    for at, word in enumerate(found.words):
        opens = at == 0 or _is_border(found, at - 1)
        if opens:
            found.borders.append(at)
        if opens or at in behind_fillers:
            found.starts.append(at)
            filler = found.signals[at].get("fillers")
            if filler:
                behind_fillers.add(at + filler)
        elif at in found.gaps:
            found.starts.append(at)
        if word.text == "¿":
            found.starts.append(at)


def _is_border(found: Clauses, at: int) -> bool:
    word, signals = found.words[at], found.signals
    if not word.is_word:
        return word.text == "&" or (word.text not in _BINDING_MARKS and word.text != "-")
    if "joints" in signals[at] or "and" in signals[at]:
        return True
    # The last word of a joint of several.
    return (at > 0 and signals[at - 1].get("joints") == 2) or (at > 1 and signals[at - 2].get("joints") == 3)


def _silence(found: Clauses, *, is_question: bool) -> None:  # noqa: C901 - one branch for each signal
    count = len(found.words)
    silent, asked = [False] * count, [False] * count
    found.silent, found.asked, found.doubted = silent, asked, [False] * count
    if not any(found.signals) and not is_question and not any(word.text == "¿" for word in found.words):
        return
    if _has_speaker(found):
        silent[:] = [True] * count
        return
    announced = _announces(found)
    if announced is not None:
        silent[announced:] = [True] * (count - announced)
        found.quotes = True
    filler_until = 0
    for at, signals in enumerate(found.signals):
        if "fillers" in signals:
            filler_until = max(filler_until, at + signals["fillers"])
        # "As I said" is about the words, not somebody else's.
        if not signals or (at < filler_until and "laughs" not in signals):
            continue
        if "orders" in signals or "hearsay_whole" in signals or "hypotheses_whole" in signals:
            silent[:] = [True] * count
            return
        if "hypotheses" in signals or "hearsay" in signals or "quoting" in signals:
            silent[at:] = [True] * (count - at)
            found.quotes = found.quotes or "quoting" in signals or ("hearsay" in signals and found.words[-1].text == ":")
        if "laughs" in signals and at == 0:
            silent[:] = [True] * count
            return
        for name, marked in (("doubts", found.doubted), ("laughs", silent)):
            if name in signals:
                start, end = found.clause_of(at)
                marked[start:end] = [True] * (end - start)
    _silence_questions(found, asked, is_question=is_question)


def _silence_questions(found: Clauses, asked: list[bool], *, is_question: bool) -> None:
    count = len(found.words)
    inverted = next((at for at, word in enumerate(found.words) if word.text == "¿"), None)
    if inverted is not None:
        asked[inverted:] = [True] * (count - inverted)
        return
    # "Can't do Wednesdays" asks nothing.
    questions = [
        at
        for at in found.starts
        if "questions" in found.signals[at]
        and (is_question or ((at + 1 == count or not found.has("negations", at + 1)) and not _goes_on(found, at)))
    ]
    questions.extend(found.clause_of(at)[0] for at in range(count) if "questions_anywhere" in found.signals[at])
    questions.sort()
    if is_question and not questions:
        # Written without a mark between: "I'm vegan do you have soup?" A single word such as "is" may be a part of a statement.
        questions = [at for at in range(count) if found.signals[at].get("questions", 0) > 1][:1]
    if is_question:
        first = next((at for at in questions if at), 0) if questions and questions[0] else 0 if questions else _last_clause(found)
        asked[first:] = [True] * (count - first)
        return
    for at in questions:
        _, end = found.clause_of(at)
        asked[at:end] = [True] * (end - at)


def _goes_on(found: Clauses, at: int) -> bool:
    """Whether a phrase of time stood in the middle of a clause, so that a word behind it asks nothing: "lunch tomorrow is cancelled"."""
    return at in found.gaps and found.clause_of(at)[0] < at and found.signals[at]["questions"] == 1


def _last_clause(found: Clauses) -> int:
    """Where the last clause begins, when a comma stands before it and it has more than a word: "I use a wheelchair, any lift?", not ", right?"."""
    comma = next((at for at in reversed(range(len(found.words))) if found.words[at].text == ","), None)
    return comma + 1 if comma is not None and comma + 2 < len(found.words) else 0


def _has_speaker(found: Clauses) -> bool:
    """Whether a line of a talk was copied: "Ana: I live in Porto". No word of the language is a name."""
    words = found.words
    colon = next((at for at in (1, 2) if at < len(words) and words[at].text == ":"), None)
    return colon is not None and ((colon == 1 and _is_letter(words[0])) or _are_names(found, words[:colon]))


def _are_names(found: Clauses, words: Sequence[Word]) -> bool:
    return all(word.text[:1].isupper() and word.folded not in found.language.scissors.known for word in words)


def _is_letter(word: Word) -> bool:
    """Whether a speaker is named by one letter: "A: I have diabetes"."""
    return len(word.text) == 1 and word.text.isupper()


def _announces(found: Clauses) -> int | None:
    """The colon behind which somebody else's words come, as in "This came in by mail: my name is Jo"."""
    colon = next((at for at, word in enumerate(found.words) if word.text == ":"), None)
    if colon is None:
        return None
    return colon if any("strangers" in signals for signals in found.signals[:colon]) or _is_sender(found, colon) else None


def _is_sender(found: Clauses, colon: int) -> bool:
    """Whether a heading says who wrote what follows: "From Bob:", "this is from my flatmate:". Not so "from me:"."""
    sender = _sender(found, colon)
    if any(word.text[0].isdigit() or word.folded in found.language.weekdays for word in sender):
        # "Von Montag bis Freitag:" says when.
        return False
    return 0 < len(sender) <= _LONGEST_SENDER and (len(sender) > 1 or sender[0].folded not in found.language.scissors.known)


def _sender(found: Clauses, colon: int) -> Sequence[Word]:
    """The words of a heading between its "from" and the colon; where "from" comes last, those before it."""
    start = next((at for at in found.starts if at < colon and "sent_by" in found.signals[at]), None)
    if start is not None:
        return found.words[start + found.signals[start]["sent_by"] : colon]
    ending = next((at for at in range(max(colon - _LONGEST_SIGNAL, 0), colon) if found.signals[at].get("sent_by") == colon - at), 0)
    return found.words[:ending]
