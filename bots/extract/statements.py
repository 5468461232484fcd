"""What a message's sentences state, by the rules of one language: facts and ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from bots.domain import End, Fact, Statements
from bots.extract.beings import KINDS as _NAMED
from bots.extract.beings import others
from bots.extract.clauses import Clauses, clauses, is_joke
from bots.extract.gate import admit
from bots.extract.language import Language
from bots.extract.matching import POSSESSIVES, Match, Span, matches_at, tails_at
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
_COVERED = frozenset({*_NAMED, "contact_pref"})
#: The kinds of which it is kept since when they are so.
#: A rule behind another statement begins at most so many words behind it: a comma and an article.
_NEAR = 2
_BRACKETS = frozenset("()")
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
    #: The kind of the last being that was spoken of, and what it is: "my son", for "his name is Theo".
    before: tuple[str, str] = ("", "")

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
        ended = {kind: [end for end in self.ends.values() if end.kind == kind and end.value] for kind in _NAMED}
        return tuple(
            fact
            for fact in facts
            if fact.kind not in _COVERED or not _is_covered(f" {fold(fact.value)} ", names[fact.kind], ended.get(fact.kind, ()))
        )

    def end(self, end: End) -> None:
        """Add what ended."""
        self.ends.setdefault((end.kind, fold(end.value) if end.value else None), end)


def _is_covered(text: str, names: Sequence[str], ended: Sequence[End]) -> bool:
    # "No email" is said by "text not email", too.
    _, _, rest = text.strip().partition(" ")
    return any(_is_ended(text, end) for end in ended) or any(
        name != text and (text in name or (not ended and f" not {rest} " in name)) for name in names
    )


def _is_ended(text: str, end: End) -> bool:
    return f" {fold(end.value or '')} " in text and not any(f" {longer} " in text for longer in end.but)


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
        begins = at in starts or here.may_begin(at)
        matches = matches_at(sentence, at, starts=begins, subject=_left_out(sentence, at, subject, starts))
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

    def may_begin(self, at: int) -> bool:
        """Whether a statement may begin within a clause: behind another one, or with its subject where nothing is denied."""
        sentence = self.sentence
        if at == self.taken:
            return "bound" in sentence.language.lists and "clause_words" in sentence.signals[at]
        return at in sentence.subjects and not any(
            max(sentence.clause_of(at)[0], self.taken) <= denied < at for denied in sentence.negations
        )

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

    def _state(self, match: Match) -> bool:
        """Write down what a match states, if it states anything."""
        rule, sentence = match.rule, self.sentence
        if not self._may_hold(match):
            return False
        got, old = self._value(match, match.value), self._value(match, match.old)
        end = max(match.end, got.end if got else 0)
        if (match.value and not got) or (match.old and not old) or not self._holds(match, got, end):
            return False
        moments = self._moments(match.value.start if match.value else match.start, end)
        days = self._days(rule, moments or (sentence.moments if len(sentence.moments) == 1 else [])) if rule.day else None
        if (rule.day and days is None) or (rule.lasting and not any(moment.means == "vague" for moment in moments)):
            return False
        since = self._since(rule, moments)
        stated = self._add(match, got, days, since) if rule.kind else False
        if self._end(match, got, old, since) or stated:
            self._go_on(match, got, end)
            return True
        return False

    def _may_hold(self, match: Match) -> bool:
        """Whether what stands before and around a match lets it state anything."""
        rule, sentence, at = match.rule, self.sentence, match.start
        if (sentence.asked[at] and not rule.asked) or (sentence.doubted[at] and not (rule.asked and rule.beside)):
            return False
        if (rule.behind and self.last[0] not in rule.behind) or (rule.refers and self.found.before[0] != rule.kind):
            return False
        if rule.anywhere and (at in self.busy or at in self.read.get(rule.kind or "", ()) or sentence.is_negated(at)):
            return False
        # "My son says that ..." is about what somebody else says.
        is_told = rule.anywhere and rule.asked and not match.value and sentence.is_hearsay
        return not is_told and not any(sentence.silent[at : match.end])

    def _holds(self, match: Match, got: Found | None, end: int) -> bool:
        """Whether what stands behind a match, and between it and what it goes on from, lets it hold."""
        rule, sentence = match.rule, self.sentence
        if not match.value and _is_denied(sentence, match.end, is_presupposed=rule.anywhere and rule.asked):
            return False
        if rule.day and not rule.ends and got and self._is_called_off(got):
            return False
        if rule.behind and not self._is_near(min(match.start, got.start if got else match.start)):
            return False
        if not rule.kind and not got and end < len(sentence.words) and sentence.words[end].folded in POSSESSIVES:
            # "I lost my dog's lead".
            return False
        return not rule.alone or (_stands_alone(sentence, end) and not _is_maxim(sentence, match.start, end))

    def _go_on(self, match: Match, got: Found | None, end: int) -> None:
        """Remember what was understood, for the rest of the sentence."""
        rule = match.rule
        kind = rule.kind or rule.ends[0]
        if not (rule.anywhere or rule.beside):
            self.taken = max(self.taken, end)
        if got and match.value:
            self.busy.update(range(match.value.start, got.end))
        if end >= self.last[1]:
            self.last = (kind, end)
        if rule.kind in _NAMED and match.slots:
            self.found.before = (rule.kind, match.slots[0][1])
        if got or not rule.beside:
            self.read.setdefault(kind, set()).update(range(match.start + 1, match.end))

    def _is_near(self, at: int) -> bool:
        """Whether at most a comma and an article stand between the last statement and a word; an age does not count."""
        between = self.sentence.words[self.last[1] : at]
        return len([word for word in between if not word.text.isdigit() and word.text not in _BRACKETS]) <= _NEAR

    def _days(self, rule: Rule, moments: Sequence[Moment]) -> tuple[date, date | None] | None:
        """The days of a plan: the first that is to come, or the last where the plan was moved, which ends the old one; none behind "not" or "instead of"."""
        sentence = self.sentence
        own = [moment for moment in moments if not any(sentence.ends_at(name, moment.at) for name in ("negations", "instead"))]
        return next((days for moment in (reversed(own) if rule.ends else own) if (days := moment.coming(self.today))), None)

    def _since(self, rule: Rule, moments: Sequence[Moment]) -> date | None:
        """Since when a fact holds, or when something ended; of a plan that was called off, the one day that it was for."""
        if rule.day:
            return None
        if rule.ends == ("plan",):
            coming = [days for moment in moments if (days := moment.coming(self.today))]
            return coming[0][0] if len(coming) == 1 and coming[0][1] is None else None
        return next((day for moment in moments if (day := moment.past(self.today))), None)

    def _is_called_off(self, got: Found) -> bool:
        """Whether a plan's own words go on with its end or its new day: "lunch with Sam tomorrow is cancelled"."""
        sentence = self.sentence
        stop = sentence.clause_of(got.end - 1)[1]
        return any(
            match.rule.ends == ("plan",) and not match.rule.lasting for at in range(got.end, stop) for match in tails_at(sentence, at)
        )

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
                    value=_fill(match, rule.written_as, value).replace("<before>", self.found.before[1]),
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
            if rule.ends_as == ("*",):
                self.found.end(End(kind=kind, on=on))
                ended = True
                continue
            for text in (_fill(match, words, value).replace("{old}", value) for words in rule.ends_as or ("{}",) for value in values):
                admitted = admit(Fact(kind=kind, value=text))
                if admitted is not None:
                    is_being = kind in _NAMED and not got and not old
                    but = others(self.sentence.language.code, kind, admitted.value) if is_being else ()
                    self.found.end(End(kind=kind, value=admitted.value, on=on, but=but, every=rule.every))
                    ended = True
        return ended


def _fill(match: Match, template: str, value: str) -> str:
    text = template
    for name, word in match.slots:
        text = text.replace(f"<{name}>", word)
    return text.replace("{}", value)


def _is_denied(sentence: Clauses, end: int, *, is_presupposed: bool) -> bool:
    """Whether a negation stands right behind a pattern without a value. "My son cannot come" denies no son."""
    stop = sentence.clause_of(end - 1)[1]
    for at in range(end, min(end + 2, stop)):
        length = sentence.signals[at].get("negations", 0)
        if length:
            # Of two words, the first is a verb: "cannot". Where verbs come last, a negation behind a being denies that there is one.
            is_verb_last = "hearsay_whole" in sentence.language.lists
            is_act = (length > 1 and sentence.has("clause_words", at)) or at + length + 1 < stop
            return not is_presupposed or is_verb_last or not is_act
        if sentence.has("cuts", at) or sentence.has("clause_words", at):
            return False
    return False


def _is_maxim(sentence: Clauses, start: int, end: int) -> bool:
    """Whether an order goes on with another one: "don't text and drive" asks for nothing."""
    if end + 1 >= len(sentence.words) or "and" not in sentence.signals[end] or "needs_subject" not in sentence.signals[end + 1]:
        return False
    if any(sentence.has("negations", at) for at in range(end + 1, min(end + 3, len(sentence.words)))):
        # "Don't text and don't ring" asks for two things.
        return False
    return any(start <= denied < end for denied in sentence.negations)


def _stands_alone(sentence: Clauses, end: int) -> bool:
    """Whether a thing ends here: "a sister in Porto" and "a dog at home", not "a dog phobia" and "a dog in this fight"."""
    if end >= len(sentence.words) or end in sentence.gaps or not sentence.words[end].is_word:
        return True
    if "inside" in sentence.signals[end]:
        behind = end + sentence.signals[end]["inside"]
        return behind < len(sentence.words) and sentence.words[behind].text[:1].isupper()
    return any(name in sentence.signals[end] for name in ("and", "joints", "cuts", "negations"))
