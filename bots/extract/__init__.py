"""Finds a contact's plain statements about themself by rules that ship as data; no model is used.

Only the contact's own, unquoted, affirmed words count, and bots.extract.gate decides about each value in the end. Time is bounded on any text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from bots.domain import Fact, Statements
from bots.extract import rules as rulebook
from bots.extract.gate import admit
from bots.extract.rules import Rule, Rules
from bots.extract.values import values
from bots.extract.words import QUOTED, Sentence, Word, sentences

_MAX_FACTS = 20
#: Marks that join what follows them to what precedes them.
_BINDING_MARKS = frozenset(":/&'+#@%$€=^\\<>[]{}|" + QUOTED)


def extract(text: str, *, today: date) -> Statements:
    """Return what a message plainly states about its writer, in its order. today: the day on which it was written, where the writer is."""
    rules = rulebook.load()
    found: dict[tuple[str, str], Fact] = {}
    all_sentences = sentences(text)
    if any(_is_task(rules, sentence.words) for sentence in all_sentences):
        return Statements()
    for sentence in all_sentences:
        for proposed in _facts(rules, sentence):
            fact = admit(proposed)
            if fact is None:
                continue
            if fact.topic == "":
                found = {key: kept for key, kept in found.items() if kept.kind != fact.kind}
            found.setdefault((fact.kind, fact.value.casefold()), fact)
    return Statements(facts=tuple(found.values())[:_MAX_FACTS])


def _facts(rules: Rules, sentence: Sentence) -> list[Fact]:
    words = _before_question(rules, sentence)
    if not words or any(rules.any_length_at("hypotheticals", words, at) for at in range(len(words))):
        return []
    starts = _clause_starts(rules, words)
    if any(_is_hypothetical(rules, words, at) for at in starts):
        return []
    matches = {at: rules.leads_at(words, at) for at in starts}
    stated = [at for at in starts if matches[at]]
    facts: list[Fact] = []
    taken = 0
    framed = next((at for at, word in enumerate(words) if rules.any_holds("framings", [word])), len(words))
    for position, at in enumerate(stated):
        if at < taken or at > framed:
            continue
        following = stated[position + 1] if position + 1 < len(stated) else len(words)
        found, length = _best(matches[at], words, at, following)
        facts.extend(found)
        taken = at + length
    return facts


def _best(matches: Sequence[tuple[Rule, int, dict[str, str]]], words: Sequence[Word], at: int, following: int) -> tuple[list[Fact], int]:
    """The longest lead decides; among several of the same length, the one that finds most."""
    longest = matches[0][1]
    best: list[Fact] = []
    for rule, length, slots in matches:
        # A shorter lead must not replace a longer one that found nothing: "I have a dog called" is not about a dog without a name.
        if length != longest and best:
            break
        after = words[at + length :]
        ends = max(following - at - length, 0) if following > at + length else len(after)
        facts = [Fact(kind=rule.kind, value=_fill(rule, slots, value)) for value in values(rule, after, ends)]
        if len(facts) > len(best):
            best = facts
    return best, longest


def _fill(rule: Rule, slots: dict[str, str], value: str) -> str:
    text = rule.value
    for slot, word in slots.items():
        text = text.replace(slot, word)
    return text.replace("{}", value)


def _before_question(rules: Rules, sentence: Sentence) -> tuple[Word, ...]:
    """The part of a sentence that states something: all of it, nothing, or what comes before its question."""
    words = sentence.words
    inverted = next((at for at, word in enumerate(words) if word.text == "¿"), None)
    if inverted is not None:
        return words[:inverted]
    if not sentence.is_question:
        return words
    for at in _clause_starts(rules, words):
        if at and rules.any_length_at("question_starts", words, at):
            return words[:at]
    return ()


def _clause_starts(rules: Rules, words: Sequence[Word]) -> list[int]:
    """Where a statement may begin: at the start or after a comma or conjunction, and after greetings and other fillers there."""
    starts: list[int] = []
    behind_fillers: set[int] = set()
    for at in range(len(words)):
        before = words[at - 1] if at else None
        opens = before is None or not (before.is_word or before.text in _BINDING_MARKS) or rules.any_holds("conjunctions", [before])
        if opens or at in behind_fillers:
            starts.append(at)
            # The length is 0 without a filler, which adds this position again.
            behind_fillers.add(at + rules.any_length_at("fillers", words, at))
    return starts


def _behind_fillers(rules: Rules, words: Sequence[Word], at: int) -> list[int]:
    starts = [at]
    while at < len(words):
        length = rules.any_length_at("fillers", words, at)
        if not length:
            break
        at += length
        if at < len(words):
            starts.append(at)
    return starts


def _is_hypothetical(rules: Rules, words: Sequence[Word], at: int) -> bool:
    """Whether a clause begins with "si", "se" or "when", without a comma right after (with one, it is a "sí" without its accent)."""
    length = rules.any_length_at("hypothetical_starts", words, at)
    affirms = words[at].text.lower() == "sí" or (at + 1 < len(words) and words[at + 1].text == ",")
    return length > 0 and not affirms


def _is_task(rules: Rules, words: Sequence[Word]) -> bool:
    starts = _behind_fillers(rules, words, 0)
    at = starts[-1] if starts[-1] < len(words) else 0
    asked = rules.any_length_at("question_starts", words, at)
    behind = at + asked if asked and at + asked < len(words) else at
    return any(rules.any_length_at("tasks", words, start) > 0 for start in {*starts, behind})
