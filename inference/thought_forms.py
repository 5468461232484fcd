"""The forms in which models write their thoughts into an answer, as data: what opens the thoughts, and what closes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Before the name of a form: the template wrote the opening mark, so that the answer begins inside of the thoughts.
OPENED = "opened-"

_B = "[|\uff5c]"
_NEVER = "(?!)"
_OPEN, _CLOSE = f"(?:<{_B}?|\uff1c|\u25c1|&lt;)", f"(?:{_B}?>|\uff1e|\u25b7|&gt;)"


@dataclass(frozen=True)
class ThoughtForm:
    """One way to write thoughts."""

    name: str
    #: What opens and what closes the thoughts, as regular expressions.
    opening: str
    closing: str
    #: What opens them at the start of an answer only, since elsewhere these words mean nothing.
    at_start: str = ""
    #: Also at the start only, and thoughts only where they are closed.
    at_start_if_closed: str = ""
    #: Whether one closing mark ends all that is open.
    is_flat: bool = False
    #: Whether it is written in plain words, which mean nothing elsewhere.
    is_words: bool = False
    #: Whether its closing mark means something where no opening one stands before it.
    closes_alone: bool = True
    #: Whether the template wrote the opening mark.
    is_opened: bool = False


def _tag(names: str) -> tuple[str, str]:
    """The tags of an element: in any case, with spaces and attributes, in angle, fullwidth or triangular brackets."""
    return (
        rf"{_OPEN}\s{{0,3}}(?:{names})(?:\s[^<>\uff1c\uff1e\n]{{0,120}})?\s{{0,3}}/?{_CLOSE}",
        rf"{_OPEN}\s{{0,3}}/\s{{0,3}}{_B}?(?:{names})\s{{0,3}}{_CLOSE}",
    )


def _element(name: str, names: str) -> ThoughtForm:
    opening, closing = _tag(names)
    return ThoughtForm(name, opening, closing)


def _barred(name: str, opening: str, closing: str) -> ThoughtForm:
    return ThoughtForm(name, f"<{_B}{opening}{_B}>", f"<{_B}{closing}{_B}>")


#: Seed, LongCat and others put their name before; forms with "start" and "end" in their names are others.
_PREFIX = r"(?:(?!(?:start|begin|end)_)\w{1,16}[:_])?"
_THINK_OPENING, _THINK_CLOSING = _tag(rf"{_PREFIX}think|\u601d(?:\u8003|\u7ef4)(?:\u8fc7\u7a0b|\u904e\u7a0b|\u94fe)?")
#: DeepSeek's tokens have a block in place of the underscore.
_ = "[_\u2581]"
_THINKING = "(?:think(?:ing)?|thoughts?|reason(?:ing)?)"
#: The header of a message of gpt-oss, up to its channel.
_HEADER = rf"(?:<{_B}start{_B}>\s*)?(?:assistant\s*)?<{_B}channel{_B}>\s*"
_SPEAKS = r"(?:We|The|They|User|I|It|This|That|Need|Let|So|Okay|OK|Ok|He|She|You|Just|Simple|Question|Asked|Hmm|Well|Just|Now|Must|Should|There|In)\b"

_FORMS = (
    # DeepSeek, Qwen, GLM, MiniMax, Hunyuan, ERNIE and most others; Seed and LongCat with a prefix; Solar with bars, and a header behind.
    ThoughtForm("think", _THINK_OPENING, rf"{_THINK_CLOSING}|(?:<{_B}end{_B}>\s*)?<{_B}begin{_B}>\s*assistant\s*<{_B}content{_B}>"),
    # Claude and what was trained on it, Nova, Reflection.
    _element("thinking", rf"{_PREFIX}(?:ant_?)?thinking(?:[_-]?process)?|{_PREFIX}reflections?"),
    # Gemini's own compatible server, EXAONE, Marco.
    _element("thought", rf"{_PREFIX}thoughts?|thought[_-]?process|{_PREFIX}monologue|chain[_-]of[_-]thought"),
    _element("reasoning", rf"{_PREFIX}reasoning(?:[_-](?:content|process|steps))?"),
    _element("scratchpad", "scratch_?pad|analysis|cot|rationale"),
    # Magistral.
    ThoughtForm(
        "brackets",
        r"(?-i:\[(?:THINK(?:ING)?|THOUGHTS?|REASONING)\])",
        r"\[/(?:THINK(?:ING)?|THOUGHTS?|REASONING)\]",
        # In small letters it may be a stage direction.
        at_start_if_closed=r"(?!(?-i:\[THINK))\[think(?:ing)?\]",
    ),
    # Cohere's START_THINKING, begin_of_thought of Sky-T1 and OpenThinker.
    _barred(
        "barred",
        rf"(?:(?:start|begin){_}(?:of{_})?{_THINKING}|{_THINKING}{_}(?:start|begin))",
        rf"(?:end{_}(?:of{_})?{_THINKING}|{_THINKING}{_}end)",
    ),
    _barred("apertus", "inner_prefix", "inner_suffix"),
    ThoughtForm("gemma", rf"<{_B}channel>\s*thought\b|<unused94>\s*(?:thought\b)?", rf"<channel{_B}>|<unused95>"),
    # s1.
    ThoughtForm("s1", rf"<{_B}im_start{_B}>\s*think\b", rf"<{_B}im_start{_B}>\s*answer\b"),
    # Open WebUI.
    ThoughtForm("details", r"<details\b[^<>\n]{0,80}\btype=.?reasoning\b[^<>\n]{0,80}>", "</details>", closes_alone=False),
    # gpt-oss, with its marks, and without them where the server takes out the marks only.
    ThoughtForm(
        "harmony",
        rf"{_HEADER}(?:analysis|commentary)\b(?:[^<\n]{{0,80}}(?:<{_B}constrain{_B}>\s*\w+\s*)?<{_B}message{_B}>)?",
        rf"(?:{_HEADER}final\b[^<\n]{{0,40}}(?:<{_B}constrain{_B}>\s*\w+\s*)?<{_B}message{_B}>)|(?-i:assistantfinal)(?![.,;:!?])",
        at_start=rf"(?-i:(?:assistant)?(?:(?:analysis|commentary)(?={_SPEAKS})|commentary to=))",
        at_start_if_closed=r"(?-i:(?:assistant)?(?:analysis|commentary)(?![ \t:,.]))",
        is_flat=True,
    ),
    ThoughtForm(
        "granite",
        _NEVER,
        r"^[*_# ]*(?:Here is|Here['\u2019]s) my response:[*_]*",
        at_start_if_closed=r"[*_# ]*(?:Here is|Here['\u2019]s) my thought process:",
        is_flat=True,
        is_words=True,
    ),
    ThoughtForm(
        "apriel",
        _NEVER,
        r"\[BEGIN FINAL RESPONSE\]",
        at_start_if_closed="Here are my reasoning steps:",
        is_flat=True,
        is_words=True,
    ),
    # HuatuoGPT.
    ThoughtForm(
        "headings", _NEVER, r"^#{1,4} Final Response:?[ \t]*$", at_start_if_closed=r"#{1,4} Thinking:?[ \t]*$", is_flat=True, is_words=True
    ),
)

#: Every form by its name. With OPENED before it, the answer begins inside of the thoughts.
FORMS: Mapping[str, ThoughtForm] = {form.name: form for form in _FORMS} | {
    OPENED + form.name: ThoughtForm(OPENED + form.name, form.opening, form.closing, is_flat=form.is_flat, is_opened=True)
    for form in _FORMS
    if not form.is_words and form.closes_alone
}


#: What every mark begins with.
_LEAD = re.compile("[<\uff1c\u25c1\\[&]|assistantfinal")
_LEADS = ("<", "[", "&lt;", "\uff1c", "\u25c1", "assistantfinal")


class Marks:
    """The marks of some forms, compiled together; `others` are only known so that their closing marks are."""

    def __init__(self, forms: Sequence[ThoughtForm], others: Sequence[ThoughtForm] = ()) -> None:
        own, forms = forms, (*forms, *(form for form in others if not form.is_words))
        tokens = (f"(?P<o{n}>{form.opening})|(?P<c{n}>{form.closing})" for n, form in enumerate(forms) if not form.is_words)
        starts = (f"(?P<s{n}>{form.at_start or _NEVER})|(?P<i{n}>{form.at_start_if_closed or _NEVER})" for n, form in enumerate(own))
        self._forms = forms
        self._words = {
            form.name: re.compile(f"(?P<c{n}>{form.closing})", re.IGNORECASE | re.MULTILINE)
            for n, form in enumerate(forms)
            if form.is_words
        }
        self._token = re.compile("|".join(tokens) or _NEVER, re.IGNORECASE | re.MULTILINE)
        self._start = re.compile("|".join(starts), re.IGNORECASE | re.MULTILINE)

    def find(self, text: str, at: int, *, inside: ThoughtForm | None = None) -> re.Match[str] | None:
        """Find the next mark; inside of thoughts that were opened by words, the words that close them."""
        if inside is not None and inside.is_words:
            return self._words[inside.name].search(text, at)
        while (lead := _LEAD.search(text, at)) is not None:
            if (token := self._token.match(text, lead.start())) is not None:
                return token
            at = lead.end()
        return None

    def may_have(self, text: str) -> bool:
        """Whether a text may have thoughts: most have nothing that any mark begins with."""
        return any(lead in text for lead in _LEADS) or self._start.match(text.lstrip()) is not None

    def start(self, text: str, at: int) -> re.Match[str] | None:
        """Find words that open thoughts at the start of an answer only."""
        return self._start.match(text, at)

    def meaning(self, token: re.Match[str]) -> tuple[ThoughtForm, str]:
        """Return the form that a mark belongs to, and what it does: o opens, c closes, s and i open at the start."""
        group = token.lastgroup or ""
        return self._forms[int(group[1:])], group[:1]
