"""Tells whether an answer recites the persona: its instructions to the model, whole or half, in whatever case, emphasis, punctuation and spacing.

A persona also has facts for people (hours, prices, terms), and an answer may repeat those word for word, however long. So two kinds of words are told
apart: sentences that instruct the model ("You are Bo, the assistant of ...", "Answer briefly", "Never promise ...") and all others. Words of a
sentence count as recited where at least four in a row stand in the answer, and of an instruction only when its first words are among them: "I am Bo, the
assistant of ..." is an introduction, and a sentence that the persona wants said may be said. Orders under a heading such as "Facts" or "Prices" are for people. An answer recites
  - with eight words of instructions, among them one that only the model can be meant by: who it is, how it speaks; or
  - with twelve words and half of all instructions, where all of them could be meant for a customer, too ("Never wash it at 60 degrees"); or
  - with half of the whole text, and in it who the model is or how it speaks; where no instruction is recognised, with its beginning.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

#: How many words in a row are no coincidence.
_RUN = 4
_LEAST_OF_ROLE = 8
_LEAST_OF_ALL = 12
#: Of scripts without spaces each character is a word here, which says less.
_PER_CHARACTER = 1.5

_WORD = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
_SENTENCE = re.compile(r"(?<=[.!?])[\"'\u201d\u00bb)*_]*\s+|(?<=[\u3002\uff01\uff1f\u0964])|\n+")

#: Who the model is: only the model is told so. Not "you are welcome to ...".
_ROLE = re.compile(
    r"\W*(?:(?i:the (?:assistant|bot|chatbot) (?:is (?:called|named|an?)|answers|must|should|never|always)\b)"
    r"|(?i:i want you to (?:act as|be|play)|quiero que (?:actúes como|seas)|quero que (?:atues como|sejas?)) "
    r"|(?i:you(?:'|\u2019)?(?: a)?re|you will be|you act as|act as|your (?:name|job|role|task|goal) is|eres|sos|tú eres|usted es|actúa como|tu (?:nombre|tarea|papel) es"
    r"|você é|tu és|és|aja como|seu (?:nome|papel) é|du bist|sie sind|tu es|vous êtes|sei|j[ei] bent|jij bent|u bent|du är|du er)"
    r" (?:(?i:an?|the|our|my|el|la|una?|nuestr[oa]|o|uma?|noss[oa]|ein|eine|der|die|das|une?|le|il|lo|l'|de|het|een|en|ett|et)\b|[^\W\d_a-z\u00df-\u00ff])"
    r"|jesteś |ты |\u0623\u0646\u062a |\u0623\u0646\u062a\u0650 |\u4f60\u662f|\u60a8\u662f|\u3042\u306a\u305f\u306f|\ub2f9\uc2e0\uc740|\ub108\ub294)"
)
_SPEECH = (
    "answer|reply|respond|speak|say|tell|mention|reveal|discuss|greet|introduce|apologi[sz]e|refuse|decline|stick|translate"
    "|respondes?|responda|contestas?|conteste|hablas?|hable|saludas?|salude|diga|dile|dime|menciones?|reveles?|respondas|contestes|digas|hables"
    "|falas?|fale|responde|respondas|cumprimente|mencione|revele|antworten?|antwortest|sprich|sprichst|sag|réponds|répondez|parlez|rispondi|parla"
)
#: How it speaks: an order to speak, or "you" with such a verb, perhaps with a "never" before it; or a name with it, as in "Bo answers briefly".
_MANNER = re.compile(
    rf"\W*(?:(?:please|you|tú|usted|você|du|always|never|only|do not|don['\u2019]t|must|should|siempre|nunca|jamás|no|solo|sólo|sempre|não|só|immer|nie)\W+){{0,3}}"
    rf"(?:{_SPEECH})\b|\W*(?:[\w'\u2019]+ ){{1,3}}(?:answers|replies|responds|speaks)\b",
    re.IGNORECASE,
)
#: Orders that a customer can be given, too.
_ORDER = re.compile(
    r"\W*(?:if (?:somebody|someone|asked|the (?:user|person|customer))|when (?:asked|somebody|someone)|always|never|do not|don['\u2019]t|be |keep |use |avoid|make sure|ask |offer |give |stay|help "
    r"|you (?:must|should|always|never|do not|don['\u2019]t|help|work|keep|ask|offer)|under no|only "
    r"|siempre|nunca|jamás|no (?!tenemos|hay|se )|sé |usa |evita|ofrece|pregunta|debes|mantén|ayuda|sólo |solo "
    r"|sempre|não (?!temos|há)|seja |use |evite|ofereça|pergunte|deves?|mantenha|ajude|só )",
    re.IGNORECASE,
)
#: Under such a heading stands what people may be told, also in the form of an order: "Bring a towel".
_HEADING = re.compile(r"\W*#|\s*\*\*[^*]+\*\*:?\s*\Z|\s*[^\W\d_][^.!?:]{1,40}:\s*\Z")
_OF_FACTS = re.compile(
    r"\b(?:facts?|info(?:rmation)?|about|data|knowledge|faq|questions|prices|hours|terms|conditions|services|products|menu|policies|datos|hechos|información|precios|horarios?"
    r"|preguntas|condiciones|servicios|productos|dados|fatos|factos|informações|preços|horários|perguntas|condições|serviços|produtos|fakten|informationen|preise|faits|informations)\b",
    re.IGNORECASE,
)
#: So many words of an instruction show that it is one; without them, what is left of it may be said to people.
_HEAD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A sentence of the persona, by the places of its words."""

    begin: int
    end: int
    is_role: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Persona:
    words: tuple[str, ...]
    #: The sentences that instruct.
    parts: tuple[_Part, ...]


def recites(text: str, persona: str) -> bool:
    """Whether a text recites a persona."""
    known = _read(persona)
    said = _words(text)
    if len(said) < _RUN or len(known.words) < _LEAST_OF_ROLE:
        return False
    runs = {said[at : at + _RUN] for at in range(len(said) - _RUN + 1)}
    covered = [False] * len(known.words)
    for at in range(len(known.words) - _RUN + 1):
        if known.words[at : at + _RUN] in runs:
            covered[at : at + _RUN] = [True] * _RUN
    if not any(covered):
        return False
    told = [part for part in known.parts if all(covered[part.begin : min(part.end, part.begin + _HEAD)])]
    if any(part.is_role for part in told) and _weight(known.words, covered, told) >= _LEAST_OF_ROLE:
        return True
    begins = any(part.is_role for part in told) if known.parts else all(covered[:_RUN])
    whole = [_all(known)]
    if begins and _weight(known.words, covered, whole) >= max(_LEAST_OF_ALL, _weight(known.words, None, whole) / 2):
        return True
    if not known.parts:
        return False
    return _weight(known.words, covered, told) >= max(_LEAST_OF_ALL, _weight(known.words, None, known.parts) / 2)


def _all(persona: _Persona) -> _Part:
    return _Part(begin=0, end=len(persona.words), is_role=False)


def _weight(words: Sequence[str], covered: Sequence[bool] | None, parts: Sequence[_Part]) -> float:
    """How many words of these sentences are covered, or how many there are."""
    places = [at for part in parts for at in range(part.begin, part.end) if covered is None or covered[at]]
    return sum(1 / _PER_CHARACTER if len(words[at]) == 1 and ord(words[at]) > 0xE00 else 1 for at in places)


@lru_cache(maxsize=64)
def _read(persona: str) -> _Persona:
    """The words and instructions of a persona."""
    words: list[str] = []
    parts: list[_Part] = []
    of_facts = False
    for sentence in _SENTENCE.split(persona):
        own = _words(sentence)
        if _HEADING.match(sentence):
            of_facts = _OF_FACTS.search(sentence) is not None
        is_role = _ROLE.match(sentence) is not None or (not of_facts and _MANNER.match(sentence) is not None)
        if own and (is_role or (not of_facts and _ORDER.match(sentence))):
            parts.append(_Part(begin=len(words), end=len(words) + len(own), is_role=is_role))
        words.extend(own)
    return _Persona(words=tuple(words), parts=tuple(parts))


def _words(text: str) -> tuple[str, ...]:
    if not text.isascii():
        text = _UNSEEN.sub("", unicodedata.normalize("NFKC", text))
    return tuple(_WORD.findall(text.casefold()))
