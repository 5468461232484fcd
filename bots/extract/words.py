"""A message as words, marks and sentences. Takes time linear in the length of the text, which is capped first."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

#: A longer message is a pasted document; nobody introduces themself after this many characters.
MAX_CHARACTERS = 2000

#: Letters and digits, joined by hyphens and the like. Each alternative starts with another class of characters, so nothing backtracks.
_TOKEN = re.compile(r"[^\W_]+(?:[-.'’´ʼ&+/#@][^\W_]+)*[+#]*|\n|[^\s_*~]")
_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "‹": "›", "`": "`", "‘": "’", "「": "」", "『": "』"}
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "´": "'", "ʼ": "'"})
_SENTENCE_ENDS = frozenset({".", "!", "?", "…", "\n", ";", "？", "！", "。"})
_ABBREVIATIONS = frozenset({"st", "sta", "sto", "mt", "ft", "dr", "dra", "mr", "mrs", "ms", "sr", "sra", "prof"})
#: Replaces quoted text; it is not a letter, so no rule can match it.
QUOTED = "\ufffc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word or a mark of a message: as written, and folded to lower case without accents."""

    text: str
    folded: str

    @property
    def is_word(self) -> bool:
        """Whether it has letters or digits."""
        return self.text[0].isalnum() or self.folded == "'s"

    @property
    def is_capitalised(self) -> bool:
        """Whether it starts with a capital letter and is not all in capitals."""
        return self.text[0].isupper() and (len(self.text) == 1 or not self.text.isupper())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """The words between two full stops or line ends."""

    words: tuple[Word, ...]
    is_question: bool


def fold(text: str) -> str:
    """Lower case, without accents, one kind of apostrophe."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFD", text.translate(_APOSTROPHES).casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def split_words(text: str) -> tuple[Word, ...]:
    """Cut a text into words and marks; a possessive 's becomes a word of its own."""
    words: list[Word] = []
    for found in _TOKEN.findall(text):
        folded = fold(found)
        if folded.endswith("'s") and len(found) > 2:
            words.append(Word(text=found[:-2], folded=folded[:-2]))
            words.append(Word(text="'s", folded="'s"))
        else:
            words.append(Word(text=found, folded=folded or found))
    return tuple(words)


def sentences(text: str) -> tuple[Sentence, ...]:
    """Return the sentences of a message's own words: quoted lines, quoted spans and code are left out."""
    own = _without_quotes(unicodedata.normalize("NFC", text[:MAX_CHARACTERS]))
    found: list[Sentence] = []
    current: list[Word] = []
    for word in split_words(own.replace("\r", "\n")):
        if word.text not in _SENTENCE_ENDS:
            current.append(word)
            continue
        if word.text == "." and current and current[-1].folded in _ABBREVIATIONS:
            current[-1] = Word(text=current[-1].text + ".", folded=current[-1].folded)
            continue
        asks = word.text in {"?", "？"}
        if current:
            found.append(Sentence(words=tuple(current), is_question=asks))
        elif asks and found:
            found[-1] = Sentence(words=found[-1].words, is_question=True)
        current = []
    if current:
        found.append(Sentence(words=tuple(current), is_question=False))
    return tuple(found)


def join(words: tuple[Word, ...]) -> str:
    """Write words as a person would: no space before a comma or a possessive."""
    text = ""
    for word in words:
        glued = not text or word.text in {",", "'s"}
        text += word.text if glued else " " + word.text
    return text


def _without_quotes(text: str) -> str:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith((">", "|"))]
    text = "\n".join(lines)
    if "'" not in text and not any(quote in text for quote in _QUOTES):
        return text
    kept: list[str] = []
    at = 0
    while at < len(text):
        closing = _QUOTES.get(text[at]) or _single_quote(text, at)
        if closing is None:
            kept.append(text[at])
            at += 1
            continue
        kept.append(f" {QUOTED} ")
        end = text.find(closing, at + 1)
        # A quotation that never closes covers the rest: missing a fact is better than storing somebody else's words.
        at = len(text) if end < 0 else end + 1
    return "".join(kept)


def _single_quote(text: str, at: int) -> str | None:
    """Whether a straight single quote opens a quotation: it does before a word, and not inside one."""
    opens = text[at] == "'" and (at == 0 or not text[at - 1].isalnum()) and at + 1 < len(text) and text[at + 1].isalnum()
    return "'" if opens and "'" in text[at + 1 :] else None
