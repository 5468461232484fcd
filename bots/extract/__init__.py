"""Finds a contact's plain statements about themself by rules that ship as data; no model is used.

Only the contact's own, unquoted, affirmed words count, and bots.extract.gate decides about each value in the end. Time is bounded on any text.
"""

from __future__ import annotations

from datetime import date

from bots.domain import Statements
from bots.extract.language import Language, likely, tasks
from bots.extract.statements import said
from bots.extract.words import Sentence, sentences


def extract(text: str, *, today: date) -> Statements:
    """Return what a message plainly states about its writer, in its order. today: the day on which it was written, where the writer is."""
    found = sentences(text)
    for language in likely(word.folded for sentence in found for word in sentence.words):
        if any(is_task(language, sentence) for sentence in found):
            break
        statements = said(language, found, today=today)
        if statements.facts or statements.ends:
            return statements
    return Statements()


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
