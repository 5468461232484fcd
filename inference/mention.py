"""Tells whether a mark in an answer (`<think>`, `<tool_call>`) is spoken of, like any other word, or was emitted by the model for its server.

A mark is spoken of
  - in quotation marks, in brackets, or in code marks;
  - as a word in the middle of a sentence: a word and a space stand before it, and the sentence goes on behind it, or ends there;
  - where a word such as "tag" or "token" is in its sentence, or in the sentence that announces it ("The tags are:");
  - where a line, an item of a list or a row of a table begins with it and explains it, or holds nothing else.
Emitted marks stand at the border of a text, a line or a sentence, or touch the words that they divide.
"""

from __future__ import annotations

import re

_PAIRS = {
    '"': '"', "'": "'", "`": "`", "\u2018": "\u2019", "\u201c": "\u201d", "\u201e": "\u201c", "\u00ab": "\u00bb", "\u300c": "\u300d",
    "\u300e": "\u300f", "\u300a": "\u300b", "(": ")", "\uff08": "\uff09", "\u2039": "\u203a",
}  # fmt: skip
_SENTENCE_END = re.compile(r"[.!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964][\"'\u2019\u201d\u00bb)\]*_`]*(?=\s|$)|[\u3002\uff01\uff1f]")
#: What is called by one of these words is spoken of.
_WORD_FOR_MARK = re.compile(
    r"\b(?:tags?|tokens?|mark(?:s|ers?|up)?|delimiters?|xml|etiquetas?|marcas?|marcadores?|marken?|markierung(?:en)?|balises?|jetons?|delimitador(?:es)?"
    r"|tecken|taggar|znaczniki?|etiketler?i?)\b"
    r"|\u6807\u7b7e|\u6807\u8bb0|\u6a19\u7c64|\u6a19\u8a18|\u7b26\u53f7|\u4ee4\u724c|\u30bf\u30b0|\u30c8\u30fc\u30af\u30f3|\u8a18\u53f7"
    r"|\ud0dc\uadf8|\ud1a0\ud070|\u0442\u0435\u0433|\u0442\u043e\u043a\u0435\u043d|\u0648\u0633\u0648\u0645|\u0648\u0633\u0645|\u091f\u0948\u0917",
    re.IGNORECASE,
)
#: A line with one of these and a colon at its end announces a sample of something.
_ANNOUNCES = re.compile(
    r"\b(?:examples?|samples?|formats?|syntax|templates?|looks? like|like th(?:is|ese|at)|structure|schema|snippets?"
    r"|ejemplos?|formatos?|exemplos?|plantillas?|beispiele?|exemples?|esempi[eo]?|formati?|(?:sehen|sieht)\b[^\n]{0,80} aus|so aus)\b|\u4f8b|\u683c\u5f0f|\uc608\uc2dc",
    re.IGNORECASE,
)
_BULLETS = re.compile(r"[ \t]*(?:[|*+>\u2022-]|(?:\d{1,3}|[a-z])[.)])?[ \t]*[*_]{0,2}\Z")
_EXPLAINED = re.compile(
    r"[*_]{0,2}\s*(?:[:\uff1a=|\u2013\u2014\u2192]|(?<=\s)- |->|/ ?<)"
    r"|\s+(?:marks?|means?|begins?|starts|opens|ends|closes|stands|denotes|indicates|separates|surrounds?"
    r"|significa|marca|abre|cierra|indica|fecha|bedeutet|markiert|beginnt|signifie|marque|ouvre|ferme)\b"
)
_IS_A = re.compile(r"\s+(?:is|are|was|es|son|ist|sind|est|sont|\u00e9|s\u00e3o)\b|\u662f|\u8868\u793a|\u306f")
_STOPS = frozenset(",;:)/]}.!?\uff0c\u3001\uff1b\uff1a\u3002\uff01\uff1f\uff09\u061f\u060c\u0964\u2026\u00bb\u201d\u2019\u300d")
_LISTED = frozenset(",;)/\uff0c\u3001\uff1b\uff09\u060c")
#: How far the text behind a mark is looked at, in characters. A growing text that has less behind it may still turn out either way.
LOOK = 24
#: No more of a line is looked at, in characters.
_LINE = 300


def is_mentioned(text: str, start: int, end: int, *, since: int = 0, whole: bool = True, announced: bool = True) -> bool | None:
    """Whether the mark at start:end is spoken of; None where a growing text does not tell yet.

    What stands before `since` is no part of its line. `announced`: whether the line before may announce it.
    """
    line, rest = line_before(text, start, since=since), text[end : end + _LINE].partition("\n")[0]
    if not whole and len(rest) < LOOK and end + len(rest) == len(text):
        return None
    if _in_marks(line, rest):
        return True
    if _BULLETS.match(line):
        return _begins_line(line, rest) or (announced and is_announced(text, start - len(line), since=since))
    sentence = _sentence(line)
    if not sentence.strip():
        return False
    if _WORD_FOR_MARK.match(rest.lstrip(" \t-")):
        return True
    is_apart, is_part = sentence[-1] in " \t/", goes_on(rest)
    is_named = (is_apart or not sentence[-1].isascii()) and _WORD_FOR_MARK.search(sentence) is not None
    return (is_apart and is_part) or (is_named and (is_part or not rest.strip()))


def is_pair_mentioned(text: str, opening: tuple[int, int], closing: tuple[int, int], *, since: int = 0) -> bool:
    """Whether two marks on one line are spoken of together: what stands between them is no sentence, and they are part of one."""
    line = line_before(text, opening[0], since=since)
    inner, rest = text[opening[1] : closing[0]].strip(), text[closing[1] : closing[1] + LOOK].partition("\n")[0]
    if _in_marks(line, rest):
        return True
    is_short = len(inner.split()) <= 6 and (inner.isascii() or len(inner) <= 4 or " " in inner)
    is_dots = bool(inner) and not any(character.isalnum() for character in inner)
    sentence = _sentence(line)
    if not sentence.strip():
        is_word = len(inner) <= 2 and _is_caseless(inner[:1])
        return (is_dots or is_word) and goes_on(rest)
    if "\n" in inner or not is_short or (_SENTENCE_END.search(inner) and not is_dots):
        return False
    return (
        is_dots
        or goes_on(rest)
        or (not rest.strip() and not inner[:1].isupper())
        or (_is_caseless(sentence[-1:]) and _is_caseless(rest[:1]))
    )


def is_announced(text: str, start: int, *, since: int = 0, by: re.Pattern[str] | None = None) -> bool:
    """Whether the line before announces a sample, or a mark, in words and with a colon. `by`: other words that announce it."""
    before = text[max(since, start - _LINE) : start].rstrip()
    last = before[before.rfind("\n") + 1 :].rstrip("*_ ")
    return last[-1:] in (":", "\uff1a") and any(words.search(last) for words in (_ANNOUNCES, _WORD_FOR_MARK, by) if words)


def line_before(text: str, start: int, *, since: int = 0) -> str:
    """Return what stands before a place on its line."""
    first = max(since, start - _LINE)
    return text[max(first, text.rfind("\n", first, start) + 1) : start]


def goes_on(rest: str) -> bool:
    """Whether what stands behind something goes on with its sentence, or ends that."""
    rest = rest.lstrip("*_")
    if rest[:1] in _STOPS and rest[:1] != "":
        return True
    if rest[:1] == "-" and rest[1:2].isalpha():
        return True
    following = rest.lstrip(" \t")
    if following == rest or not following:
        return False
    return (
        following[0] in "(=\u2013\u2014\u2192-&+/,;"
        or following.startswith(("<", "[", "\u25c1"))
        or (following[0].isalpha() and not following[0].isupper())
    )


def _in_marks(line: str, rest: str) -> bool:
    before, after = line.rstrip("*_"), rest.lstrip("*_")
    if before[-1:] in _PAIRS and after[:1] == _PAIRS.get(before[-1:]):
        return True
    return line.count("`") % 2 == 1 and "`" in rest


def _begins_line(line: str, rest: str) -> bool:
    if line.strip(" \t*_") and not rest.strip(" \t|*_"):
        # The only thing in an item of a list.
        return True
    if rest[:1] in _LISTED and rest:
        # No thoughts, and no arguments, begin with these.
        return True
    return _EXPLAINED.match(rest) is not None or (_IS_A.match(rest) is not None and _WORD_FOR_MARK.search(rest) is not None)


def _sentence(line: str) -> str:
    """What a line has of the sentence that is not finished at its end."""
    return line[max((found.end() for found in _SENTENCE_END.finditer(line)), default=0) :]


def _is_caseless(character: str) -> bool:
    return character.isalpha() and not character.isupper() and not character.islower()
