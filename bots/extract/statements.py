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
from bots.extract.rules import Rule
from bots.extract.values import Found, values
from bots.extract.words import Sentence, fold

_MAX_FACTS = 20
_MAX_ENDS = 20
#: A message that gives two names or places corrects itself.
_LAST_COUNTS = frozenset({"name", "place"})
#: Behind these a clause may leave out its subject.
_GOES_ON = frozenset({"and", "joints"})
_NAMED = frozenset({"family", "pet"})
_COVERED = frozenset({*_NAMED, "contact_pref"})
#: The kinds of which it is kept since when they are so.
#: A rule behind another statement begins at most so many words behind it: a comma and an article.
_NEAR = 2
_WITHOUT_SINCE = frozenset({"plan", "name", "likes", "dislikes", "family", "pet", "contact_pref", "addressing"})


@dataclass(slots=True)
class Said:
    """What was found in a message."""

    facts: dict[tuple[str, str], Fact] = field(default_factory=dict[tuple[str, str], Fact])
    ends: dict[tuple[str, str | None], End] = field(default_factory=dict[tuple[str, "str | None"], End])

    #: Whether a pattern was found at all, though it may state nothing.
    matched: bool = False
    #: The kinds of which something was said that later words of the message do not replace.
    firm: set[str] = field(default_factory=set[str])
    #: The kinds of which only something weak was said.
    weak: set[str] = field(default_factory=set[str])

    def add(self, fact: Fact, rule: Rule) -> None:
        """Add a fact. A name or a place takes the place of an earlier one; what is weak gives way to others."""
        firm = rule.firm
        if rule.weak and any(kept.kind == fact.kind for kept in self.facts.values()):
            return
        if fact.kind in self.weak:
            self.facts = {key: kept for key, kept in self.facts.items() if kept.kind != fact.kind}
            self.weak.discard(fact.kind)
        if rule.weak:
            self.weak.add(fact.kind)
        if fact.kind in _LAST_COUNTS:
            if fact.kind in self.firm and not firm:
                return
            self.facts = {key: kept for key, kept in self.facts.items() if kept.kind != fact.kind}
        if firm:
            self.firm.add(fact.kind)
        self.facts.setdefault((fact.kind, fold(fact.value)), fact)

    @property
    def statements(self) -> Statements:
        """What it states."""
        return Statements(facts=self._told(), ends=tuple(self.ends.values())[:_MAX_ENDS])

    def _told(self) -> tuple[Fact, ...]:
        """The facts, without a bare "son" beside "son Theo", and without a relation or an animal that the same message ends."""
        facts = list(self.facts.values())[:_MAX_FACTS]
        names = {kind: [f" {fold(fact.value)} " for fact in facts if fact.kind == kind] for kind in _COVERED}
        ended = {kind: [f" {value} " for other, value in self.ends if other == kind and value] for kind in _NAMED}
        return tuple(
            fact
            for fact in facts
            if fact.kind not in _COVERED or not _is_covered(f" {fold(fact.value)} ", names[fact.kind], ended.get(fact.kind, ()))
        )

    def end(self, end: End) -> None:
        """Add what ended."""
        self.ends.setdefault((end.kind, fold(end.value) if end.value else None), end)


def _is_covered(text: str, names: Sequence[str], ended: Sequence[str]) -> bool:
    # "No email" is said by "text not email", too.
    _, _, rest = text.strip().partition(" ")
    return any(end in text for end in ended) or any(
        name != text and (text in name or (not ended and f" not {rest} " in name)) for name in names
    )


def said(language: Language, sentences: Sequence[Sentence], *, today: date) -> Said:
    """Return what these sentences state about their writer."""
    read = [clauses(language, sentence) for sentence in sentences]
    found = Said()
    if is_joke(read):
        return found
    for sentence in read:
        _read(sentence, found, today)
        if sentence.quotes:
            # The rest is somebody else's.
            break
    return found


def _read(sentence: Clauses, found: Said, today: date) -> None:
    here = _Here(sentence, found, today)
    starts = set(sentence.starts)
    subject: str | None = None
    for at in range(len(sentence.words)):
        if sentence.silent[at]:
            found.matched = True
            continue
        matches = matches_at(sentence, at, starts=at in starts, subject=_left_out(sentence, at, subject, starts))
        if at in starts and "subjects" in sentence.signals[at]:
            subject = sentence.words[at].folded
        if at:
            matches += tails_at(sentence, at)
        if matches:
            here.take(matches)


def _left_out(sentence: Clauses, at: int, subject: str | None, starts: set[int]) -> str | None:
    """The first word that a clause may have left out: "Moved to Lyon", "I live in Porto and work as a nurse"; not so an order, "enjoy the trip"."""
    if at not in starts or sentence.asked[at]:
        return None
    if at and not sentence.signals[at - 1].keys().isdisjoint(_GOES_ON):
        return subject
    if "needs_subject" in sentence.signals[at] or "needs_subject" not in sentence.language.lists:
        return None
    # Once it was said, only an "and" can leave it out.
    return sentence.language.first_subject if subject is None else None


@dataclass(slots=True)
class _Here:
    """How far a sentence was understood."""

    sentence: Clauses
    found: Said
    today: date
    #: Where the last statement ended; and the words that are values already.
    taken: int = 0
    busy: set[int] = field(default_factory=set[int])
    #: By kind, the words of patterns behind their first: no other statement of the kind begins in them.
    read: dict[str, set[int]] = field(default_factory=dict[str, set[int]])
    #: The kind of the last fact, and where it ended.
    last: tuple[str, int] = ("", -1)

    def take(self, matches: list[Match]) -> None:
        """Take the pattern with most words. One without its value keeps shorter ones of its kind from being tried; some hold beside all others."""
        self.found.matched = self.found.matched or any(match.literals for match in matches)
        matches.sort(key=lambda match: (-match.literals, match.rule.number, -match.end))
        is_taken = False
        beside: set[str] = set()
        failed: dict[str, int] = {}
        for match in matches:
            kind = match.rule.kind or match.rule.ends[0]
            if match.rule.beside:
                if kind not in beside and self._state(match):
                    beside.add(kind)
            elif not is_taken and match.start >= self.taken and match.literals >= failed.get(kind, 0):
                # The first that states something decides.
                is_taken = self._state(match)
                if not is_taken and match.old is None and (match.value is None or match.value.end is None):
                    failed[kind] = match.literals

    def _state(self, match: Match) -> bool:  # noqa: C901, PLR0911 - one return for each reason to stay silent
        """Write down what a match states, if it states anything."""
        rule, sentence = match.rule, self.sentence
        if (sentence.asked[match.start] and not rule.asked) or (rule.behind and self.last[0] not in rule.behind):
            return False
        if rule.anywhere and (
            match.start in self.busy or match.start in self.read.get(rule.kind or "", ()) or sentence.is_negated(match.start)
        ):
            return False
        if rule.alone and not _stands_alone(sentence, match.end):
            return False
        got, old = self._value(match, match.value), self._value(match, match.old)
        if (match.value and not got) or (match.old and not old) or (not match.value and _is_denied(sentence, match.end)):
            return False
        if rule.behind and min(match.start, got.start if got else match.start) - self.last[1] > _NEAR:
            return False
        end = max(match.end, got.end if got else 0)
        if any(sentence.silent[match.start : match.end]):
            return False
        moments = self._moments(match.value.start if match.value else match.start, end)
        days = _coming(moments or (sentence.moments if len(sentence.moments) == 1 else []), self.today) if rule.day else None
        if (rule.day and days is None) or (rule.lasting and not any(moment.means == "vague" for moment in moments)):
            return False
        # "My son says that ..." is about what somebody else says.
        if rule.anywhere and rule.asked and not match.value and sentence.is_hearsay:
            return False
        since = None if rule.day else next((day for moment in moments if (day := moment.past(self.today))), None)
        stated = self._add(match, got, days, since) if rule.kind else False
        if self._end(match, got, old, since) or stated:
            if not (rule.anywhere or rule.beside):
                self.taken = max(self.taken, end)
            if got and match.value:
                self.busy.update(range(match.value.start, got.end))
            if end >= self.last[1]:
                self.last = (rule.kind or rule.ends[0], end)
            self.read.setdefault(rule.kind or rule.ends[0], set()).update(range(match.start + 1, match.end))
            return True
        return False

    def _value(self, match: Match, span: Span | None) -> Found | None:
        return values(self.sentence, match.rule, span, self.taken) if span is not None else None

    def _moments(self, start: int, end: int) -> list[Moment]:
        """The phrases of time in the clauses of a match."""
        first, last = self.sentence.clause_of(min(start, end - 1))[0], self.sentence.clause_of(end - 1)[1]
        return [moment for moment in self.sentence.moments if first <= moment.at <= last]

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
                self.found.add(fact, rule)
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
            for text in (way for value in values for way in _fill(match, rule.ends_as or "{}", value).replace("{old}", value).split("|")):
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
