"""Finds a contact's plain statements about themself by rules that ship as data; no model is used.

Only the contact's own, unquoted, affirmed words count, and bots.extract.gate decides about each value in the end. Time is bounded on any text.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from bots.domain import Statements
from bots.extract.files import likely, tables, tasks
from bots.extract.language import Language, language
from bots.extract.statements import said
from bots.extract.words import Sentence, is_in_marks, sentences

_CALLED = frozenset({"name", "addressing"})


def extract(text: str, *, today: date) -> Statements:
    """Return what a message plainly states about its writer, in its order. today: the day on which it was written, where the writer is."""
    found = sentences(text)
    for code in likely(word.folded for sentence in found for word in sentence.words):
        spoken = language(code)
        if any(is_task(spoken, sentence) for sentence in found):
            break
        read = said(spoken, found, today=today)
        # Another language is tried only where nothing of this one was recognised.
        if read.matched or read.facts or read.ends:
            return _without_mentions(text, read.statements)
    return Statements()


def _without_mentions(text: str, found: Statements) -> Statements:
    """Statements without a name of the writer's own in quotation marks, which is more often spoken of than borne: My name is "Marta"."""
    facts = tuple(fact for fact in found.facts if fact.kind not in _CALLED or not is_in_marks(text, fact.value))
    return found if len(facts) == len(found.facts) else replace(found, facts=facts)


def load() -> None:
    """Read every language now, so that no message waits for it."""
    for code in tables():
        language(code)


def is_task(language: Language, sentence: Sentence) -> bool:
    """Whether a sentence asks to work on a text, which then is nothing that its sender says."""
    words = sentence.words
    fillers, questions = language.lists.get("fillers"), language.lists.get("questions")
    at = 0
    while at < len(words):
        if tasks().length(words, at):
            return True
        step = fillers.length(words, at) if fillers else 0
        step = step or (questions.length(words, at) if questions else 0) or int(words[at].text == ",")
        if not step:
            return False
        at += step
    return False
