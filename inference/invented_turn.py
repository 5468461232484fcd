"""Finds where an answer ends because the model goes on as somebody else: with the person's next message, its own reply to it, or a system text.

The words "User:", "System:", "Assistant:" at the start of a line are also labels of an answer. A label begins an invented turn when
  - speakers follow one another from there on: a user, then an assistant, or the other way round, each with words; or
  - an empty line (or nothing) stands before it, and what it says is what a person writes to somebody: a question, a greeting, "I", "you".
    Behind a user's label any other sentence will do.
It belongs to the answer when
  - the line before announces it ("Here is your login:", or a heading), also as a sample of a conversation, or leaves a sentence unfinished;
  - its neighbours are labels, too ("Password: ..."), or its value is an item of a list, a word or two, a number, an address, a description
    ("your e-mail"), or a definition;
  - it stands in a block of code.
A bare line "user" is how a template writes it: nothing announces that, but a list of such words is no conversation. Headings need a conversation.

A template token ends an answer, too, but an answer may speak of one: in quotation marks, in code, or as a word in the middle of a sentence, with spaces
around it and small letters behind; or where a line begins with one and explains it ("[INST]: begins a question"). A token that a model emits stands at the border of a line or a sentence, or touches what it divides.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

#: A template token, as part of a larger pattern: of ChatML, Llama 3 and 4, DeepSeek and Gemma, then of Llama 2 and Mistral.
MARK = (
    "<[|\uff5c][^<>\\s]{1,60}>|<[a-z_]{1,40}[|\uff5c]>|<(?:start_of_turn|end_of_turn|bos|eos|unused\\d+)>"
    "|\\[/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS)\\]|<</?SYS>>"
)
_TOKEN = re.compile(MARK)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_OPENING = {'"': '"', "'": "'", "\u2018": "\u2019", "\u201c": "\u201d", "\u201e": "\u201c", "\u00ab": "\u00bb", "\u300c": "\u300d"}
#: What follows a token that is spoken of: more of the sentence, or its end.
_GOES_ON = re.compile(
    r"[ ,;:)/\uff0c\u3001\uff1b\uff1a\uff09]+(?!(?:user|assistant|model|system)\b)[^\W\dA-Z]|[.!?)\u3002\uff01\uff1f\uff09]|[,;/\u3001\uff0c] ?[\[<]"
)
#: What follows a token at the beginning of a line, of a row or of an item that explains it.
_EXPLAINED = re.compile(
    r"\s*(?:[:\uff1a=|\u2013\u2014]|- )|\s+(?:marks?|means?|begins?|starts|opens|ends|closes|stands|denotes|indicates|separates|surrounds?|(?:is|are) (?:the|an?|used|written|put)"
    r"|significa|marca|abre|cierra|indica|fecha|bedeutet|markiert|beginnt|signifie|marque)\b|\u662f|\u8868\u793a"
)
_BULLETS = " \t|*+-\u2022"
#: In scripts without spaces a token that is spoken of touches its neighbours; so do those that divide turns, but not behind such a word.
_WORD_FOR_TOKEN = re.compile(
    r"\u6807\u8bb0|\u7b26\u53f7|\u6807\u7b7e|\u4ee4\u724c|\u30c8\u30fc\u30af\u30f3|\u8a18\u53f7|\u30bf\u30b0|\ud1a0\ud070|\ud0dc\uadf8",
    re.IGNORECASE,
)
#: In characters.
_LOOK = 20

_LABEL = re.compile(
    r"^(?P<dress>#{1,4} *|\*\*)?(?P<role>user|human|system|assistant|usuario|usuário|asistente|assistente) *(?:\*\*)?"
    r"(?:(?P<colon>[:\uff1a])\**[ \t]*(?P<value>.*)|[ \t]*)$",
    re.IGNORECASE,
)
_SPEAKERS: dict[str, Literal["person", "model", "system"]] = {
    "user": "person",
    "human": "person",
    "usuario": "person",
    "usuário": "person",
    "system": "system",
    "assistant": "model",
    "asistente": "model",
    "assistente": "model",
}
#: A label of a list of values: at most four words, then a colon.
_ENTRY = re.compile(r"[ \t>]*(?:[-*+\u2022] +|\d+[.)] +)?[*_]{0,2}[^\W\d_][^\s:*]*(?: [^\s:*]+){0,3}[*_]{0,2} *[:\uff1a]")
_ITEM = re.compile(r"[-*+\u2022|>]|\d+[.)]\s")
_ENDS_SENTENCE = re.compile(r"[.!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964][\"'\u2019\u201d\u00bb)\]*_`]*\Z")
#: A colon at the end, or a heading.
_ANNOUNCES = re.compile(r"[:\uff1a][*_` ]*\Z|\A#{1,6} |\A\*\*[^*]+\*\*\Z")
#: A title with one of these words announces a conversation that is a sample, and so does a short sentence with one of each.
_SAMPLE = re.compile(
    r"\b(?:examples?|samples?|templates?|roles|ejemplos?|plantillas?|exemplos?|modelos?|beispiele?|exemples?|esempio|esempi)\b|\u4f8b|\uc608\uc2dc",
    re.IGNORECASE,
)
_TALK = re.compile(
    r"\b(?:dialog(?:ue)?s?|conversations?|transcripts?|chats?|diálogos?|conversación|conversaciones|conversas?|gespräche?|dialogo|conversazione)\b"
    r"|\u5bf9\u8bdd|\u5c0d\u8a71|\u4f1a\u8a71|\ub300\ud654",
    re.IGNORECASE,
)
_TITLE_WORDS, _SENTENCE_WORDS = 4, 8
_WORDS = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
#: What somebody writes to somebody, in the languages of the texts that the service sends.
_SPOKEN = frozenset(
    """
    i i'm i'd i'll i've me my mine we us our you your yours u please hi hello hey thanks thank ok okay yes yeah sure great perfect cool bye continue
    yo mi mis tu tú te usted hola gracias vale sí genial perfecto claro adiós dime quiero
    eu meu minha você vc oi olá obrigado obrigada sim certo ótimo perfeito tchau diga quero
    danke bitte ja ich mein meine super merci oui je mon ma bonjour grazie sì ciao perfetto
    谢谢 多谢 好的 你好 ありがとう ありがとうございます はい こんにちは 감사합니다 네 안녕하세요 شكرا नमस्ते धन्यवाद
    """.split()  # noqa: SIM905 - easier to read
)
#: With these a question or a request begins.
_OPENS_SPEECH = frozenset(
    """
    what how when where why who which can could do does is are will would no tell show give
    qué cómo cuándo dónde quién por puedes puede bien como quando onde quem pode não
    """.split()  # noqa: SIM905 - easier to read
)
_ADDRESSES = frozenset(["you", "your", "yours", "tú", "tu", "tus", "eres", "usted", "debes", "você", "seu", "sua", "deve"])
_ARTICLES = frozenset(["a", "an", "the", "un", "una", "el", "la", "los", "las", "o", "os", "as", "um", "uma", "any", "each"])
#: With these a description of somebody's own value begins: "your e-mail", "the number that you gave us".
_OPENS_VALUE = _ARTICLES | {"your", "tu", "su", "tus", "sus", "seu", "sua", "teu", "tua"}
_OF_ADDRESSEE = frozenset(["you", "your", "yours", "we", "us", "our", "tu", "tú", "te", "usted", "você"])
_NO_WORDS = re.compile(r"\S+@\S+\.\w\S*|\b[a-z]+://\S+|\bwww\.\S+|\([^()]*\)", re.IGNORECASE)
#: A value of a list has no more words than this, one with a number not many more.
_VALUE_WORDS = 2
_NUMBERED_WORDS = 4
_SHORT_SENTENCE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Label:
    """A line that could begin the turn of a speaker."""

    start: int
    speaker: Literal["person", "model", "system"]
    #: What the speaker says: the rest of the line, else the next one with words.
    said: str
    #: A template's line: the role and nothing else.
    is_bare: bool
    is_heading: bool
    #: The lines with words before and after it.
    before: str
    after: str
    #: Whether an empty line or nothing stands before it.
    is_apart: bool


def invented_at(text: str) -> int | None:
    """Where an invented turn begins; None where there is none."""
    code = _code(text)
    turn = _turn_at(_labels(text, code))
    token = next((token.start() for token in _TOKEN.finditer(text) if _is_control(text, token, code)), None)
    return min((at for at in (turn, token) if at is not None), default=None)


def is_entry(line: str) -> bool:
    """Whether a line is an entry of a list of values, such as "Password: kettle-19", and names no speaker."""
    return _ENTRY.match(line) is not None and _LABEL.fullmatch(line.strip()) is None


def _turn_at(labels: Sequence[_Label]) -> int | None:
    """Where the first invented turn begins. What follows in a conversation that the answer announced is part of it."""
    in_sample = False
    for n, label in enumerate(labels):
        is_template = label.is_bare and not label.is_heading
        if in_sample and not is_template:
            continue
        if _begins_turn(label, labels[n + 1 :]):
            return label.start
        in_sample = in_sample or (not is_template and _is_announced(label) and _is_conversation(label, labels[n + 1 :]))
    return None


def _is_announced(label: _Label) -> bool:
    if _ANNOUNCES.search(label.before) is not None:
        return True
    length = len(label.before.split())
    is_sample, is_talk = _SAMPLE.search(label.before) is not None, _TALK.search(label.before) is not None
    if _ENDS_SENTENCE.search(label.before):
        return length <= _SENTENCE_WORDS and is_sample and is_talk
    return length <= _TITLE_WORDS and (is_sample or is_talk)


def _begins_turn(label: _Label, later: Sequence[_Label]) -> bool:
    announced = _is_announced(label)
    in_list = bool(_ITEM.match(label.said)) or is_entry(label.after) or (is_entry(label.before) and not _is_spoken(label.said))
    if _is_conversation(label, later):
        return (label.is_bare and not label.is_heading) or not (announced or in_list)
    if not label.is_apart or announced or in_list:
        return False
    if label.is_bare and not label.is_heading and not label.before:
        return True
    if label.is_heading or (label.before and not _ENDS_SENTENCE.search(label.before) and label.before[-1].isalnum()):
        return label.speaker == "person" and _is_spoken(label.said)
    return _is_message(label)


def _is_conversation(label: _Label, later: Sequence[_Label]) -> bool:
    """Whether another speaker answers."""
    other = {"person": "model", "model": "person", "system": "model"}[label.speaker]
    return bool(label.said) and any(answer.speaker == other and answer.said for answer in later)


def _is_message(label: _Label) -> bool:
    """Whether what stands behind a label is written to somebody, rather than the value of something."""
    words = _spoken_words(label.said)
    if label.speaker == "system":
        return not _ADDRESSES.isdisjoint(words)
    is_sentence = _ENDS_SENTENCE.search(label.said) is not None
    if label.speaker == "model":
        return is_sentence or len(words) >= _SHORT_SENTENCE or _is_spoken(label.said)
    if _is_spoken(label.said):
        return True
    most = _NUMBERED_WORDS if any(sign.isdigit() for sign in label.said) else _VALUE_WORDS
    # A name has capitals, and a definition begins with an article.
    capitals = sum(word[0].isupper() for word in _WORDS.findall(_NO_WORDS.sub(" ", label.said)))
    is_prose = 2 * capitals < len(words) and words[0] not in _OPENS_VALUE
    return is_prose and (is_sentence or len(words) > most)


def _is_spoken(said: str) -> bool:
    words = _spoken_words(said)
    asks = said.rstrip("*_` ").endswith(("?", "\uff1f", "\u061f"))
    if words[:1] and words[0] in _OPENS_VALUE and not _ENDS_SENTENCE.search(said):
        return not (_SPOKEN - _OF_ADDRESSEE).isdisjoint(words)
    return asks or not _SPOKEN.isdisjoint(words) or (words[:1] != [] and words[0] in _OPENS_SPEECH)


def _spoken_words(said: str) -> list[str]:
    """The words that somebody says; an address and what stands in brackets belong to a value."""
    return [word.lower() for word in _WORDS.findall(_NO_WORDS.sub(" ", said))]


def _labels(text: str, code: Sequence[int]) -> list[_Label]:
    """The labels of speakers in a text, outside of blocks of code."""
    found: list[_Label] = []
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines[:-1]), initial=0))
    worded = [n for n, line in enumerate(lines) if line.strip()]
    for at, n in enumerate(worded):
        label = _LABEL.fullmatch(lines[n])
        if label is None or _is_code(starts[n], code):
            continue
        following = worded[at + 1 : at + 3]
        said = (label["value"] or "").strip()
        if not said and following:
            said = lines[following.pop(0)].strip()
        found.append(
            _Label(
                start=starts[n],
                speaker=_SPEAKERS[label["role"].lower()],
                said="" if _LABEL.fullmatch(said) else said,
                is_bare=label["colon"] is None,
                is_heading=label["dress"] is not None and label["colon"] is None,
                before=lines[worded[at - 1]].strip() if at else "",
                after=lines[following[0]].strip() if following else "",
                is_apart=not at or not lines[n - 1].strip(),
            )
        )
    return found


def _code(text: str) -> list[int]:
    """Where blocks of code begin and end, in turns."""
    return [fence.start() for fence in _FENCE.finditer(text)]


def _is_code(at: int, code: Sequence[int]) -> bool:
    return bisect_left(code, at) % 2 == 1


def _is_control(text: str, token: re.Match[str], code: Sequence[int]) -> bool:
    """Whether a template token is one, and not a word that the answer speaks of."""
    line = text[text.rfind("\n", 0, token.start()) + 1 : token.start()]
    after = text[token.end() : token.end() + _LOOK]
    is_quoted = line[-1:] in _OPENING and after[:1] == _OPENING.get(line[-1:])
    if is_quoted or line.count("`") % 2 or _is_code(token.start(), code):
        return False
    if not line.strip(_BULLETS) and _EXPLAINED.match(after):
        rest = text[token.end() :].partition("\n")[0]
        return "?" in rest or "\uff1f" in rest or rest.rstrip().endswith(("]", ">"))
    if _WORD_FOR_TOKEN.search(line):
        return False
    if line.rstrip().endswith(("</s>", "<s>")):
        return True
    in_sentence = line.strip() != "" and line[-1] in " (/\uff08" and not _ENDS_SENTENCE.search(line.rstrip())
    return not in_sentence or _GOES_ON.match(after) is None
