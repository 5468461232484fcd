"""What a message's sentences state, by the rules of one language: facts and ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from bots.domain import End, Fact, Statements
from bots.extract.clauses import Clauses, clauses, is_joke
from bots.extract.gate import admit
from bots.extract.language import Language
from bots.extract.matching import Match, Span, matches_at, tails_at
from bots.extract.moments import Moment
from bots.extract.values import Found, values
from bots.extract.words import Sentence, fold

_MAX_FACTS = 20
_MAX_ENDS = 20
#: A message that gives two names or places corrects itself.
_LAST_COUNTS = frozenset({"name", "place"})
#: The kinds of which it is kept since when they are so.
#: A rule behind another statement begins at most so many words behind it: a comma and an article.
_NEAR = 2
_WITHOUT_SINCE = frozenset({"plan", "name", "likes", "dislikes"})


@dataclass(slots=True)
class _Said:
    """What was found so far."""

    facts: dict[tuple[str, str], Fact] = field(default_factory=dict[tuple[str, str], Fact])
    ends: dict[tuple[str, str | None], End] = field(default_factory=dict[tuple[str, "str | None"], End])

    #: The kinds of which something was said that later words of the message do not replace.
    firm: set[str] = field(default_factory=set[str])

    def add(self, fact: Fact, *, firm: bool) -> None:
        if fact.kind in _LAST_COUNTS:
            if fact.kind in self.firm and not firm:
                return
            self.facts = {key: kept for key, kept in self.facts.items() if kept.kind != fact.kind}
        if firm:
            self.firm.add(fact.kind)
        self.facts.setdefault((fact.kind, fold(fact.value)), fact)

    def told(self) -> tuple[Fact, ...]:
        """The facts, without a bare "son" beside "son Theo"."""
        facts = self.facts.values()
        named = [(fact.kind, fold(fact.value) + " ") for fact in facts]
        return tuple(
            fact
            for fact, (kind, text) in zip(facts, named, strict=True)
            if not any(kind == other and longer != text and longer.startswith(text) for other, longer in named)
        )

    def end(self, end: End) -> None:
        self.ends.setdefault((end.kind, fold(end.value) if end.value else None), end)


def said(language: Language, sentences: Sequence[Sentence], *, today: date) -> Statements:
    """Return what these sentences state about their writer."""
    read = [clauses(language, sentence) for sentence in sentences]
    found = _Said()
    if is_joke(language, read):
        return Statements()
    for sentence in read:
        _read(sentence, found, today)
    return Statements(facts=found.told()[:_MAX_FACTS], ends=tuple(found.ends.values())[:_MAX_ENDS])


def _read(sentence: Clauses, found: _Said, today: date) -> None:
    here = _Here(sentence, found, today)
    starts = set(sentence.starts)
    for at in range(len(sentence.words)):
        if sentence.silent[at]:
            continue
        matches = matches_at(sentence, at, starts=at in starts)
        if at:
            matches += tails_at(sentence, at)
        if matches:
            here.take(matches)


@dataclass(slots=True)
class _Here:
    """How far a sentence was understood."""

    sentence: Clauses
    found: _Said
    today: date
    #: Where the last statement ended; and the words that are values already.
    taken: int = 0
    busy: set[int] = field(default_factory=set[int])
    #: The kind of the last fact, and where it ended.
    last: tuple[str, int] = ("", -1)

    def take(self, matches: list[Match]) -> None:
        """Take the pattern with most words. One that finds no value keeps shorter ones from being tried; what is presupposed holds beside all."""
        matches.sort(key=lambda match: (-match.literals, match.rule.number, -match.end))
        most = -1
        beside: set[str | None] = set()
        for match in matches:
            if match.rule.beside:
                if match.rule.kind not in beside and self._state(match):
                    beside.add(match.rule.kind)
            elif match.start >= self.taken and match.literals >= most:
                # The first that states something decides.
                if self._state(match):
                    most = 1_000
                elif match.old is None and (match.value is None or match.value.end is None):
                    most = match.literals

    def _state(self, match: Match) -> bool:
        """Write down what a match states, if it states anything."""
        rule, sentence = match.rule, self.sentence
        if (sentence.asked[match.start] and not rule.asked) or (rule.behind and not self._is_behind(rule.behind, match)):
            return False
        if rule.anywhere and (match.start in self.busy or _is_negated(sentence, match.start)):
            return False
        if rule.alone and not _stands_alone(sentence, match.end):
            return False
        got, old = self._value(match, match.value), self._value(match, match.old)
        if (match.value and not got) or (match.old and not old) or (not match.value and _is_denied(sentence, match.end)):
            return False
        end = max(match.end, got.end if got else 0)
        if any(sentence.silent[match.start : match.end]):
            return False
        moments = self._moments(match.value.start if match.value else match.start, end)
        days = _coming(moments or (sentence.moments if len(sentence.moments) == 1 else []), self.today) if rule.day else None
        if rule.day and days is None:
            return False
        since = None if rule.day else next((day for moment in moments if (day := moment.past(self.today))), None)
        stated = self._add(match, got, days, since) if rule.kind else False
        if self._end(match, got, old, since) or stated:
            if not (rule.anywhere or rule.beside):
                self.taken = max(self.taken, end)
            if got and match.value:
                self.busy.update(range(match.value.start, got.end))
            self.last = (rule.kind or "", end)
            return True
        return False

    def _value(self, match: Match, span: Span | None) -> Found | None:
        shape = match.rule.shape
        return values(self.sentence, shape, span, self.taken) if span is not None and shape is not None else None

    def _moments(self, start: int, end: int) -> list[Moment]:
        """The phrases of time in the clauses of a match."""
        first, last = self.sentence.clause_of(min(start, end - 1))[0], self.sentence.clause_of(end - 1)[1]
        return [moment for moment in self.sentence.moments if first <= moment.at <= last]

    def _is_behind(self, kind: str, match: Match) -> bool:
        start = match.value.start if match.value and match.value.start == match.value.end else match.start
        return self.last[0] == kind and start - self.last[1] <= _NEAR

    def _add(self, match: Match, got: Found | None, days: tuple[date, date | None] | None, since: date | None) -> bool:
        rule, added = match.rule, False
        for value in got.values if got else ("",):
            fact = admit(
                Fact(
                    kind=rule.kind or "",
                    value=_fill(match, rule.written_as, value),
                    topic=None if rule.topic is None else _fill(match, rule.topic, value),
                    day=days[0] if days else None,
                    last_day=days[1] if days else None,
                    since=None if rule.kind in _WITHOUT_SINCE else since,
                )
            )
            if fact is not None:
                self.found.add(fact, firm=rule.firm)
                added = True
        return added

    def _end(self, match: Match, got: Found | None, old: Found | None, on: date | None) -> bool:
        rule, ended = match.rule, False
        values = old.values if old else got.values if got else ("",)
        for kind in rule.ends or ((rule.kind,) if old and rule.kind else ()):
            if rule.ends_as == "*":
                self.found.end(End(kind=kind, on=on))
                ended = True
                continue
            for value in values:
                text = _fill(match, rule.ends_as or "{}", value).replace("{old}", value)
                admitted = admit(Fact(kind=kind, value=text))
                if admitted is not None:
                    self.found.end(End(kind=kind, value=admitted.value, on=on))
                    ended = True
        return ended


def _coming(moments: Sequence[Moment], today: date) -> tuple[date, date | None] | None:
    return next((days for moment in moments if (days := moment.coming(today))), None)


def _fill(match: Match, template: str, value: str) -> str:
    text = template
    for name, word in match.slots:
        text = text.replace(f"<{name}>", word)
    return text.replace("{}", value)


def _is_negated(sentence: Clauses, at: int) -> bool:
    start, _ = sentence.clause_of(at)
    return any(sentence.has("negations", before) for before in range(start, at))


def _is_denied(sentence: Clauses, end: int) -> bool:
    """Whether a negation stands right behind a pattern without a value."""
    for at in range(end, min(end + 2, sentence.clause_of(end - 1)[1])):
        if sentence.has("negations", at):
            return True
        if sentence.has("cuts", at) or sentence.has("clause_words", at):
            return False
    return False


def _stands_alone(sentence: Clauses, end: int) -> bool:
    """Whether a thing ends here: "a sister in Porto" and "a dog at home", not "a dog phobia" and "a dog in this fight"."""
    if end >= len(sentence.words) or end in sentence.gaps or not sentence.words[end].is_word:
        return True
    if "inside" in sentence.signals[end]:
        behind = end + sentence.signals[end]["inside"]
        return behind < len(sentence.words) and sentence.words[behind].text[:1].isupper()
    return any(name in sentence.signals[end] for name in ("and", "joints", "cuts", "negations"))
