"""The last check of a model's answer. What it returns may reach a person; anything else raises GarbageAnswer.

It removes what is certain not to belong (control characters, the model's thoughts, calls of tools, a role label at the start, text after the end of the
answer) and rejects the rest.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Sequence

from inference.errors import GarbageAnswer
from inference.invented_turn import MARK, invented_at, is_entry
from inference.recital import recites
from inference.thoughts import without_thoughts
from inference.tool_calls import without_calls
from inference.types import Answer, Message

#: Longer than any answer that a token limit allows.
_LONGEST_CHARS = 32_000
#: With more replacement characters than this share, it is not text.
_BROKEN_SHARE = 0.1

#: Control characters except line break and tab, lone surrogates, marks that change the reading direction, the byte order mark.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff]")
#: The header of the answer itself, which some models write too.
_OWN_HEADER = re.compile(
    rf"\A(?:\s|<s>|<bos>|<\|begin_of_text\|>)*(?:(?:(?:{MARK})\s*)?(?:assistant|model)\s*?(?:\n|{MARK})|(?P<label>(?:assistant|ai|bot)\s*:))?\s*",
    re.IGNORECASE,
)
_END = re.compile(r"(?:\s|</?s>)+\Z")

#: Shorter repetition is normal speech: "ha ha ha", "no, no, no".
_LOOP_CHARS = 120
#: Prose compresses to a half at best, a loop to a twentieth. Only text that compresses better than this is checked closely.
_LOOP_RATIO = 0.3
_LOOP = re.compile(r"(.{1,240}?)\1{4,}", re.DOTALL)


def check(answer: Answer, prompt: Sequence[Message], *, thoughts: str = "") -> str:
    """Return the text that may reach a person. `thoughts` is the form in which the model writes them (`Traits.thoughts`).

    Raises GarbageAnswer when there is none in the answer.
    """
    text = answer.text
    if len(text) > _LONGEST_CHARS:
        raise GarbageAnswer("the answer is far too long")
    if text.count("\ufffd") > max(4, len(text) * _BROKEN_SHARE):
        raise GarbageAnswer("the answer is made of broken characters")
    text = _UNSEEN.sub("", text.replace("\r\n", "\n"))
    asked = next((message.content for message in reversed(prompt) if message.role == "user"), "")
    text = without_calls(without_thoughts(text, thoughts, whole=answer.finish_reason == "stop"), json_wanted="json" in asked.lower())
    text = _only_the_answer(text)
    if not _says_something(text):
        raise GarbageAnswer("the answer is empty")
    if _loops(text, cut=answer.finish_reason != "stop"):
        raise GarbageAnswer("the answer repeats itself")
    if any(message.role == "system" and recites(text, message.content) for message in prompt):
        raise GarbageAnswer("the answer is the persona's text")
    return text


def _only_the_answer(text: str) -> str:
    """Remove the template's tokens and the text of other roles."""
    header = _OWN_HEADER.match(text)
    if header is not None and not (header["label"] and is_entry(text[header.end() :].partition("\n")[2].lstrip())):
        text = text[header.end() :]
    return _END.sub("", text[: invented_at(text)]).strip()


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
