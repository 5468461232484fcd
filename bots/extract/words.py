"""A message as words, marks and sentences, in any script. Takes time linear in the length of the text, which is capped first."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

#: A longer message is a pasted document; nobody introduces themself after this many characters.
MAX_CHARACTERS = 2000

#: Vowel signs and accents that are written with a letter but are none to Python: Latin, Hebrew, Arabic, the scripts of India, Thai.
_SIGNS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a4d\u0a81-\u0acd\u0b01-\u0b4d\u0b82-\u0bcd\u0c00-\u0c4d\u0e31-\u0e3a\u0e47-\u0e4e"
_LETTER = rf"(?:[^\W_][{_SIGNS}]*)"
#: A time of day; letters and digits joined by hyphens and the like; a line end; any other mark. No alternative begins as another does, so
#: nothing backtracks far.
_TOKEN = re.compile(rf"\d{{1,2}}:\d\d(?!\d)|{_LETTER}+(?:[-.'’´ʼ&+/#@]{_LETTER}+)*[+#]*|\n|[^\s_*~]")
#: Each may be closed by any of these.
_QUOTES = {
    '"': '"', "“": "”", "”": "”", "„": "“”", "«": "»", "»": "«", "‹": "›", "›": "‹", "`": "`", "‘": "’", "‚": "‘’", "「": "」", "『": "』",
}  # fmt: skip
#: A name or a thing that its writer puts in marks, behind a word of their own: My dog is called "Rex". Longer quotations are somebody else's words.
_MARKED = re.compile(rf"\s*{_LETTER}+(?:[-'’]{_LETTER}+)*(?:\s+{_LETTER}+(?:[-'’]{_LETTER}+)*)?\s*")
_MARKS = frozenset({*_QUOTES, "'"})
_OPENING = re.compile(f"[{''.join(_QUOTES)}']")
_SENTENCE_ENDS = frozenset({".", "!", "?", "…", "\n", ";", "？", "！", "。", "؟", "؛", "।"})
_ASKS = frozenset({"?", "？", "؟"})
_COMMAS = frozenset({"،", "、", "，"})
_ABBREVIATIONS = frozenset(
    {"st", "sta", "sto", "mt", "ft", "dr", "dra", "mr", "mrs", "ms", "sr", "sra", "prof", "fr", "hr", "sig", "dott", "mme", "bpk", "ny"}
)
#: A line of a quotation, a table, or a chat that was copied: "[12:03] Ana: ...".
_COPIED = re.compile(r"\s*(?:[>|]|\[\d)")
#: A verb such as "is" has at most so many letters.
_SHORT = 3
#: "15.12." and "1." end no sentence.
_LONGEST_DATE = 5
#: Replaces quoted text; it is not a letter, so no rule can match it.
QUOTED = "\ufffc"

#: What people leave out or write in several ways: accents, Arabic vowel signs and forms of alef, the dots of Hindi, other digits.
_FOLDED: dict[int, str | None] = {
    **dict.fromkeys([*range(0x0300, 0x0370), *range(0x064B, 0x0660), 0x0670, 0x0640, 0x093C, 0x200C, 0x200D]),
    ord("’"): "'", ord("‘"): "'", ord("´"): "'", ord("ʼ"): "'", ord("ı"): "i", ord("ٱ"): "ا", ord("ى"): "ي", ord("ة"): "ه", 0x0901: "\u0902",
    **{0x0660 + digit: str(digit) for digit in range(10)}, **{0x06F0 + digit: str(digit) for digit in range(10)}, **{0x0966 + digit: str(digit) for digit in range(10)},
}  # fmt: skip


class Word(NamedTuple):
    """A word or a mark of a message: as written, and folded to lower case without accents."""

    text: str
    folded: str
    #: Whether it stands directly behind what precedes it.
    is_glued: bool = False

    @property
    def is_word(self) -> bool:
        """Whether it has letters or digits; a part of a cut word counts, too."""
        return not self.text or self.text[0].isalnum() or (len(self.text) > 1 and self.text[0] in "'’")

    @property
    def is_capitalised(self) -> bool:
        """Whether it is written as a name: with a capital letter but not all in capitals, or in a script without capitals."""
        first = self.text[:1]
        return (first.isupper() and (len(self.text) == 1 or not self.text.isupper())) or (
            first.isalpha() and first.lower() == first.upper()
        )


class Sentence(NamedTuple):
    """The words between two full stops or line ends."""

    words: list[Word]
    is_question: bool


def fold(text: str) -> str:
    """Lower case, without accents and the like, one kind of apostrophe."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFD", text.casefold()).translate(_FOLDED)


def split_words(text: str) -> list[Word]:
    """Cut a text into words and marks."""
    words: list[Word] = []
    end = 0
    if text.isascii():
        # Its letters are folded at once.
        folded = text.lower()
        for found in _TOKEN.finditer(text):
            start = found.start()
            is_glued, end = start == end and end > 0, found.end()
            words.append(Word(text[start:end], folded[start:end], is_glued))
        return words
    for found in _TOKEN.finditer(text):
        text_of = "," if found[0] in _COMMAS else found[0]
        words.append(Word(text_of, fold(text_of) or text_of, found.start() == end and end > 0))
        end = found.end()
    return words


def sentences(text: str) -> list[Sentence]:
    """Return the sentences of a message's own words: quoted lines, quoted spans and code are left out."""
    own = _without_quotes(unicodedata.normalize("NFC", text[:MAX_CHARACTERS]))
    found: list[Sentence] = []
    current: list[Word] = []
    words = split_words(own.replace("\r", "\n"))
    for at, word in enumerate(words):
        if word.text not in _SENTENCE_ENDS:
            current.append(word)
            continue
        if word.text == "." and current:
            if current[-1].folded in _ABBREVIATIONS:
                current[-1] = current[-1]._replace(text=current[-1].text + ".")
                continue
            if _is_initial(current, words, at):
                current[-1] = current[-1]._replace(text=current[-1].text + ".")
                continue
            if _is_ordinal(words, at):
                # "1. Klasse", "6. Juni": a mark within the sentence.
                current.append(word)
                continue
        asks = word.text in _ASKS
        if current:
            found.append(Sentence(current, asks))
        elif asks and found:
            found[-1] = Sentence(found[-1].words, is_question=True)
        current = []
    if current:
        found.append(Sentence(current, is_question=False))
    return found


def join(words: list[Word]) -> str:
    """Write words as they were written."""
    text = ""
    for word in words:
        text += word.text if word.is_glued or not text or word.text == "," or not word.text else " " + word.text
    return text


def _is_initial(before: list[Word], words: list[Word], at: int) -> bool:
    """Whether a full stop belongs to an initial: "the name is J. Moreau", not "I take plan B. My name is ..."."""
    letter = before[-1].text
    if len(letter) != 1 or not letter.isupper() or at + 1 >= len(words) or not words[at + 1].text[0].isupper():
        return False
    return len(before) == 1 or before[-2].text[0].isupper() or len(before[-2].text) <= _SHORT


def _is_ordinal(words: list[Word], at: int) -> bool:
    number = words[at - 1].text
    return (
        len(number) <= _LONGEST_DATE
        and number.replace(".", "").isdecimal()
        and words[at].is_glued
        and at + 1 < len(words)
        and words[at + 1].text[0].isalnum()
    )


def _without_quotes(text: str) -> str:
    if ">" in text or "|" in text or "[" in text:
        text = "\n".join(line for line in text.splitlines() if not _COPIED.match(line))
    kept: list[str] = []
    at = 0
    for mark in _OPENING.finditer(text):
        start = mark.start()
        closing = _QUOTES.get(mark[0]) or _single_quote(text, start)
        if start < at or closing is None:
            continue
        # A quotation that never closes covers the rest: missing a fact is better than storing somebody else's words.
        end = min((found for sign in closing if (found := text.find(sign, start + 1)) >= 0), default=len(text))
        inside = text[start + 1 : end]
        is_marked = end < len(text) and text[:start].rstrip()[-1:].isalnum() and _MARKED.fullmatch(inside) is not None
        kept += text[at:start], f" {inside.strip()} " if is_marked else f" {QUOTED} "
        at = end + 1
    return "".join([*kept, text[at:]]) if kept else text


def is_in_marks(text: str, value: str) -> bool:
    """Whether a value stands behind an opening quotation mark."""
    at = text.find(value)
    while at >= 0:
        if text[:at].rstrip()[-1:] in _MARKS:
            return True
        at = text.find(value, at + len(value))
    return False


def _single_quote(text: str, at: int) -> str | None:
    """Whether a straight single quote opens a quotation: it does before a word, and not inside one."""
    opens = text[at] == "'" and (at == 0 or not text[at - 1].isalnum()) and at + 1 < len(text) and text[at + 1].isalnum()
    return "'" if opens and "'" in text[at + 1 :] else None
