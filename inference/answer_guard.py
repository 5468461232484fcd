"""The last check of a model's answer. What it returns may reach a person; anything else raises GarbageAnswer.

It removes what is certain not to belong (control characters, a role label at the start, text after the end of the answer) and rejects the rest.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence

from inference.errors import GarbageAnswer
from inference.types import Answer, Message

#: Longer than any answer that a token limit allows.
_LONGEST_CHARS = 32_000
#: With more replacement characters than this share, it is not text.
_BROKEN_SHARE = 0.1

#: Control characters except line break and tab, lone surrogates, marks that change the reading direction, the byte order mark.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]")
_MARK = (
    "<[|\uff5c][^<>\\s]{1,60}>|<[a-z_]{1,40}[|\uff5c]>|<(?:start_of_turn|end_of_turn|bos|eos|unused\\d+)>"
    "|\\[/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS)\\]|<</?SYS>>"
)
#: The answer ends where a template token begins.
_TEMPLATE = re.compile(_MARK)
#: The header of the answer itself, which some models write too.
_OWN_HEADER = re.compile(
    rf"\A(?:\s|<s>|<bos>|<\|begin_of_text\|>)*(?:(?:(?:{_MARK})\s*)?(?:assistant|model)\s*?(?:\n|{_MARK})|(?:assistant|ai|bot)\s*:)?\s*",
    re.IGNORECASE,
)
_END = re.compile(r"(?:\s|</?s>)+\Z")
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>\s*", re.DOTALL)
#: A line where another role begins: a label as models write it, or the bare role line of a template.
_OTHER_ROLE = re.compile(
    r"^(?:#{1,4} *|\*\*)?(?:(?:user|human|system|assistant|usuario|usu\u00e1rio) *(?:\*\*)?:|(?:user|system|assistant)[ \t]*$(?=\n.))",
    re.IGNORECASE | re.MULTILINE,
)
#: Where the model continues as itself after an invented message of the user.
_OWN_AGAIN = re.compile(r"^(?:#{1,4} *|\*\*)?assistant *(?:\*\*)?(?::|$)", re.IGNORECASE | re.MULTILINE)

#: Shorter repetition is normal speech: "ha ha ha", "no, no, no".
_LOOP_CHARS = 120
#: Prose compresses to a half at best, a loop to a twentieth. Only text that compresses better than this is checked closely.
_LOOP_RATIO = 0.3
_LOOP = re.compile(r"(.{1,240}?)\1{4,}", re.DOTALL)
#: An answer that quotes this much of the persona word for word is no answer.
_PERSONA_CHARS = 80


def check(answer: Answer, prompt: Sequence[Message]) -> str:
    """Return the text that may reach a person. Raises GarbageAnswer when there is none in the answer."""
    text = answer.text
    if len(text) > _LONGEST_CHARS:
        raise GarbageAnswer("the answer is far too long")
    if text.count("\ufffd") > max(4, len(text) * _BROKEN_SHARE):
        raise GarbageAnswer("the answer is made of broken characters")
    text = _UNSEEN.sub("", text.replace("\r\n", "\n"))
    text = _only_the_answer(text)
    if not _says_something(text):
        raise GarbageAnswer("the answer is empty")
    if _loops(text, cut=answer.finish_reason == "length"):
        raise GarbageAnswer("the answer repeats itself")
    if _tells_persona(text, prompt):
        raise GarbageAnswer("the answer is the persona's text")
    return text


def _only_the_answer(text: str) -> str:
    """Remove the template's tokens and the text of other roles."""
    text = _OWN_HEADER.sub("", _THOUGHT.sub("", text), count=1)
    if text.startswith("<think>"):
        return ""
    template = _TEMPLATE.search(text)
    if template is not None:
        text = text[: template.start()]
    for label in _OTHER_ROLE.finditer(text):
        # "User: admin" inside a list belongs to the answer. After an empty line, or with a reply to it, the label begins an invented exchange.
        if not text[: label.start()].strip() or text[: label.start()].endswith("\n\n") or _OWN_AGAIN.search(text, label.end()):
            text = text[: label.start()]
            break
    return _END.sub("", text).strip()


def _says_something(text: str) -> bool:
    """Whether a person would see a letter, a digit or a symbol (an emoji is one)."""
    return any(unicodedata.category(character)[0] in "LNS" for character in text)


def _loops(text: str, *, cut: bool) -> bool:
    """Whether most of the text repeats one thing, or its end does and the token limit cut it."""
    if len(text) < _LOOP_CHARS:
        return False
    raw = text.encode("utf-8")
    if len(zlib.compress(raw, 1)) > len(raw) * _LOOP_RATIO + 20:
        return False
    for found in _LOOP.finditer(text):
        length = found.end() - found.start()
        if length >= _LOOP_CHARS and (length * 2 >= len(text) or (cut and len(text) - found.end() <= len(found[1]))):
            return True
    return False


def _tells_persona(text: str, prompt: Sequence[Message]) -> bool:
    """Whether the answer recites the system text."""
    folded = " ".join(text.split())
    for message in prompt:
        if message.role != "system":
            continue
        persona = " ".join(message.content.split())
        if len(persona) >= _PERSONA_CHARS and persona[:_PERSONA_CHARS] in folded:
            return True
    return False
