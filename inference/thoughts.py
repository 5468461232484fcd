"""Keeps the thoughts of a model out of its answer, whole or while it grows.

A model whose server does not part them writes its thoughts into the answer, between the marks of its form (inference.thought_forms). What stands between
an opening mark and its closing one is thoughts; so is everything before a closing mark alone, since the template wrote the opening one, and everything behind
an opening mark that is never closed. Marks nest. A mark that the answer speaks of (inference.mention) is none, nor is one in a block of code, unless
  - the code is of a programming language in which a line cannot begin with such a mark, or
  - the form is known to be the model's, it has shown no thoughts before, and the block is around the whole answer.
Where the form is not known, the marks of all forms count. Where it is known, only its own do, and the marks of others are text; an answer then begins with
its opening mark whatever stands behind that. What is left of an answer in an element of its own (`<answer>`, `<final>`) is taken out of that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from inference.mention import LOOK, goes_on, is_announced, is_mentioned, is_pair_mentioned, line_before
from inference.thought_forms import FORMS, OPENED, Marks, ThoughtForm
from inference.tool_calls import GrowingCalls

__all__ = ["FORMS", "hiding", "learned", "without_thoughts"]

#: What may stand before the thoughts at the start of an answer: the header of a message, and the beginning of a block of code around all.
_HEADER = re.compile(
    r"\A(?:\s|<s>|<bos>|<[|\uff5c](?!(?:tools?|python|function|plugin|action|start_(?:action|tool)|dsml)(?![a-z]))[^<>\s]{1,40}[|\uff5c]>(?<!channel\|>)|(?:assistant|model)\n)*",
    re.IGNORECASE,
)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[ \t]*(\w*)", re.MULTILINE)
_OUTER_FENCE = re.compile(r"\A\s*(?:```|~~~)[ \t]*\w*\s*\Z")
#: Languages in which a mark is part of the code.
_MARKUP = frozenset(
    [
        "",
        "xml",
        "html",
        "text",
        "txt",
        "markdown",
        "md",
        "jinja",
        "jinja2",
        "svg",
        "xhtml",
        "plaintext",
        "output",
        "console",
        "vue",
        "jsx",
        "tsx",
    ]
)
_ELEMENT = re.compile(r"<(/?)([a-z][\w.-]{0,40})(?:\s[^<>]{0,200})?(?<!/)>", re.IGNORECASE)
#: Elements around an answer, and those of pages, say nothing about what is inside.
_PLAIN_NAMES = """answer response final final_answer final_response output solution conclusion result message assistant s bos
    html body p div span b i u em strong a br hr li ul ol table tr td th thead tbody h1 h2 h3 h4 img input meta link code pre summary details blockquote"""
_PLAIN_ELEMENTS = frozenset(_PLAIN_NAMES.split())
#: A mark that has begun and may go on: the last of them, and the header of a message.
_BEGUN = re.compile(
    r"[<\uff1c\u25c1]\s{0,3}[|\uff5c]?\s{0,3}/?\s{0,3}[\w:|\uff5c\u2581-]{0,40}\s{0,3}/?|<(?:\w{1,12}[:_])?(?:think|though|reason|reflect|scratch|analysis|details)\w{0,10}\s[^<>\n]{0,120}"
    r"|&(?:l(?:t(?:;[/\w ]{0,24})?)?)?|&gt?|\[/?[\w ]{0,24}",
    re.IGNORECASE,
)
_BEGUN_HEADER = re.compile(
    r"<[|\uff5c](?:start|channel|message|constrain|begin|end|call|im_start)[|\uff5c]?>[^<>\n]{0,60}(?:<[|\uff5c]\w{0,20}[|\uff5c]>[^<>\n]{0,60}){0,3}(?:<[|\uff5c\w]{0,20})?\Z"
)
_BEGUN_WORDS = (
    "assistantanalysis", "assistantcommentary to=", "assistantfinal", "analysis", "commentary to=",
    "here is my thought process:", "here's my thought process:", "here\u2019s my thought process:", "here are my reasoning steps:", "# thinking\n",
)  # fmt: skip
#: Between two marks that are spoken of at the beginning of a line stands no longer word ("\uc640", "\u3068"), in characters.
_WORD = 2
#: No mark is longer, in characters; nor one without brackets.
_LONGEST, _LONGEST_WORD = 200, 14

_NAMES = "answer|response|final|final_answer|final_response|output|solution|conclusion"
_WRAPPER = re.compile(
    rf"\s*(?:<\s?(?P<name>{_NAMES})\s?>|<[|\uff5c](?:START_RESPONSE|START_TEXT|begin_of_solution)[|\uff5c]>|\[BEGIN FINAL RESPONSE\])\s*",
    re.IGNORECASE,
)
_WRAPPED = re.compile(
    rf"\s*(?:</\s?(?:{_NAMES})\s?>|<[|\uff5c](?:END_RESPONSE|END_TEXT|end_of_solution)[|\uff5c]>|\[END FINAL RESPONSE\])\s*", re.IGNORECASE
)
#: What such an element at the end of an answer says is all of it: the words before it are thoughts.
_FINAL = re.compile(r"^[ \t]*<(final(?:_answer|_response)?)>\s*(.*?)\s*</\1>\Z", re.IGNORECASE | re.MULTILINE | re.DOTALL)
#: Marks of GLM around the result itself.
_BOX = re.compile(r"<\|(?:begin|end)_of_box\|>")


def without_thoughts(text: str, form: str = "", *, whole: bool = True) -> str:
    """Return the answer without its thoughts, empty where it is nothing else.

    `form` is a name of FORMS; empty or unknown: that of the model is not known. `whole`: the model ended the answer itself. Then one of a model that begins
    inside of its thoughts is an answer also without the closing mark: its server parts them now.
    """
    scan = Scan(form)
    if not scan.may_have(text):
        return text
    shown = scan.take(text, last=True)
    if scan.unclosed and whole:
        return text
    return _unwrapped(shown, after_thoughts=bool(scan.found))


def learned(text: str) -> str:
    """Return the name of the form in which an answer shows thoughts; empty where it shows none."""
    scan = Scan("")
    scan.take(text, last=True)
    return scan.found


def hiding(on_text: Callable[[str], None], form: str = "") -> Callable[[str], None]:
    """Return a callback for the growing text of an answer that hands on what is certain to belong to it: no thoughts, and no call of a tool."""
    scan, calls, seen, shown = Scan(form), GrowingCalls(), 0, ""

    def take(text: str) -> None:
        nonlocal scan, calls, seen, shown
        if len(text) < seen:
            # Another call of the model.
            scan, calls = Scan(form), GrowingCalls()
        seen = len(text)
        visible = scan.take(text, last=False)
        if scan.found:
            visible = _unwrapped(visible, after_thoughts=True)
        begin = calls.begin(visible)
        visible = visible if begin == len(visible) else visible[:begin].rstrip()
        if visible != shown:
            shown = visible
            on_text(visible)

    return take


@cache
def _marks(name: str) -> Marks:
    plain = [form for form in FORMS.values() if not form.is_opened]
    if name not in FORMS:
        return Marks(plain)
    return Marks([FORMS[name]], [form for form in plain if form.name != name.removeprefix(OPENED)])


class Scan:
    """Reads an answer from left to right, once, however often it grows; what it has decided it never looks at again."""

    def __init__(self, form: str) -> None:
        self._marks = _marks(form if form in FORMS else "")
        self._known = FORMS.get(form)
        #: The text that is certain to be shown, and where what is not decided begins.
        self._kept, self._at = "", 0
        self._searched = 0
        #: The form of the thoughts that are open, how deep they nest, where they were last closed, and whether they count only if they are.
        self._open = self._known if self._known and self._known.is_opened else None
        self._depth, self._closed_at, self._other_closed_at, self._if_closed = 1, 0, 0, False
        #: Opening marks that the answer speaks of, whose closing marks are still to come.
        self._mentions = 0
        #: The language of the block of code that the text is in; None: in none. Where fences were last looked for.
        self._code: str | None = None
        self._code_from = self._fences_at = 0
        self._begun, self._header = False, 0
        #: The form of the first thoughts.
        self.found = ""
        #: Whether the answer of a model that begins inside of its thoughts has no mark at all.
        self.unclosed = False

    def may_have(self, text: str) -> bool:
        """Whether a whole answer may have thoughts; it takes no time to say no."""
        return self._open is not None or self._marks.may_have(text)

    def take(self, text: str, *, last: bool) -> str:
        """Return what may be shown of the text so far. `last`: it will not grow any more."""
        if not self._begun and not self._begin(text, last=last):
            return ""
        limit = len(text)
        while (token := self._marks.find(text, self._searched, inside=self._open)) is not None:
            if not self._token(text, token, last=last):
                limit = token.start()
                break
            self._searched = max(self._searched, token.end())
        else:
            limit = len(text) if last else _certain(text, self._at)
            self._searched = max(self._searched, limit - (_LONGEST if self._open and self._open.is_words else _LONGEST_WORD))
        if last:
            return self._end(text)
        return self._kept if self._open else self._shown(text, limit)[0 if self._at else self._header :]

    def _begin(self, text: str, *, last: bool) -> bool:
        """Look at the start of the answer; whether it is long enough to tell."""
        header = _HEADER.match(text)
        at = self._header = header.end() if header else 0
        if not last and _could_start(text[at : at + _LONGEST]):
            return False
        self._begun = True
        found = None if self._open else self._marks.start(text, at)
        if found is not None:
            form, kind = self._marks.meaning(found)
            self._enter(form, text, found, at=at)
            self._if_closed = kind == "i" and self._known is None
        return True

    def _enter(self, form: ThoughtForm, text: str, token: re.Match[str], *, at: int) -> None:
        self._kept = self._shown(text, at)
        if not _HEADER.sub("", self._kept):
            self._kept = ""
        self._at = self._searched = token.end()
        self._open, self._depth, self._closed_at, self._other_closed_at, self._if_closed = form, 1, 0, 0, False
        self.found = self.found or form.name

    def _token(self, text: str, token: re.Match[str], *, last: bool) -> bool:
        """Take a mark; return whether that could be done."""
        form, kind = self._marks.meaning(token)
        if self._open is not None:
            return self._inside(form, kind, text, token, last=last)
        if self._known not in (None, form):
            return True
        self._find_fences(text, token.start())
        if self._is_code(text, token.start()):
            return True
        spoken = self._is_spoken(text, token, kind, last=last)
        if spoken is None:
            return False
        if spoken or (kind == "c" and not form.closes_alone):
            return True
        if kind == "o":
            self._enter(form, text, token, at=token.start())
            if token.group().rstrip(">\uff1e").endswith("/"):
                self._open = None
        else:
            self.found = self.found or (form.name if form.is_opened else OPENED + form.name)
            self._kept, self._at = "", token.end()
        return True

    def _is_spoken(self, text: str, token: re.Match[str], kind: str, *, last: bool) -> bool | None:
        """Whether the answer speaks of a mark; None: not yet known."""
        start, end = token.span()
        if kind == "o" and self._known is not None and not self.found and not _HEADER.sub("", text[:start]):
            return False
        may_announce = kind == "o" and (self._known is None or bool(self.found))
        spoken = is_mentioned(text, start, end, since=self._at, whole=last, announced=may_announce)
        if kind == "c" and spoken is not None and self._mentions:
            self._mentions -= 1
            return True
        if kind == "c" or spoken is None:
            return spoken
        paired = self._is_pair(text, token, last=last)
        if paired is None:
            return None
        if paired or self._is_element(text, start) or (spoken and is_announced(text, start, since=self._at)):
            self._mentions += 1
            return True
        return spoken or _is_type(text, start, end)

    def _inside(self, form: ThoughtForm, kind: str, text: str, token: re.Match[str], *, last: bool) -> bool:
        if form is not self._open:
            if kind == "c" and not self._other_closed_at:
                self._other_closed_at = token.end()
            return True
        if kind != "c":
            is_own = form.is_opened and not self.found and not _HEADER.sub("", text[: token.start()])
            self._depth += not is_own
            self.found = self.found or form.name
            return True
        spoken = is_mentioned(text, *token.span(), since=self._at, whole=last, announced=False)
        if spoken is None:
            return False
        self._closed_at = token.end()
        self.found = self.found or form.name
        self._depth -= not spoken
        if not spoken and (self._depth <= 0 or form.is_flat):
            self._leave()
        return True

    def _leave(self) -> None:
        # A fence inside of the thoughts begins no block of code of the answer.
        self._at = self._fences_at = self._searched = self._closed_at
        self._open = None

    def _end(self, text: str) -> str:
        if self._open is not None:
            # Some models close them with the mark of another form.
            self._closed_at = self._closed_at or self._other_closed_at
            if self._closed_at:
                self._leave()
            elif self._if_closed:
                self.found = ""
                return text
            else:
                self.unclosed = self._open.is_opened and not self.found
                return self._kept
        return self._shown(text, len(text))

    def _shown(self, text: str, to: int) -> str:
        return _joined(self._kept, text[self._at : to]) if self._at else text[:to]

    def _find_fences(self, text: str, to: int) -> None:
        for fence in _FENCE.finditer(text, self._fences_at, to):
            self._code = fence[1].lower() if self._code is None else None
            self._code_from = fence.end()
        self._fences_at = to

    def _is_code(self, text: str, start: int) -> bool:
        """Whether a mark is part of a block of code."""
        if self._code is None:
            return False
        if text.rfind("\n", 0, start) + 1 != start:
            return True
        code = text[self._code_from : start]
        in_string = (code.count('"""') + code.count("'''")) % 2 == 1 or code.count("`") % 2 == 1
        is_around_all = not _OUTER_FENCE.sub("", text[self._header : self._code_from])
        is_foreign = self._code not in _MARKUP or (self._known is not None and not self.found and is_around_all)
        return in_string or not is_foreign

    def _is_pair(self, text: str, token: re.Match[str], *, last: bool) -> bool | None:
        """Whether an opening mark is spoken of together with its closing one, on the same line; None: not yet known."""
        start, end = token.span()
        stop = text.find("\n", end)
        first = text[end : end + LOOK].partition("<")[0]
        if not line_before(text, start, since=self._at).strip() and sum(map(str.isalnum, first)) > _WORD:
            return False
        closing = self._marks.find(text, end)
        if closing is not None and (stop < 0 or closing.start() < stop):
            form, kind = self._marks.meaning(closing)
            if form is not self._marks.meaning(token)[0] or kind != "c":
                return False
            return is_pair_mentioned(text, token.span(), closing.span(), since=self._at)
        return None if not last and stop < 0 and len(text) - end < _LONGEST else False

    def _is_element(self, text: str, start: int) -> bool:
        """Whether an opening mark is an element inside of another one, as in XML that somebody asked for."""
        open_ones = list[str]()
        for found in _ELEMENT.finditer(text, max(self._at, start - 4000), start):
            name = found[2].lower()
            if not found[1]:
                open_ones.append(name)
            elif name in open_ones:
                del open_ones[open_ones.index(name) :]
        return any(name not in _PLAIN_ELEMENTS for name in open_ones)


def _is_type(text: str, start: int, end: int) -> bool:
    """Whether angle brackets behind a name are those of a type in code: `List<Thought> thoughts`."""
    return start > 0 and text[start - 1].isascii() and text[start - 1].isalnum() and goes_on(text[end : end + _LONGEST].partition("\n")[0])


def _could_start(rest: str) -> bool:
    """Whether a text that has just begun may become a header, or words that open thoughts."""
    words = rest.lstrip("*_").lower()
    words = "#" + words.lstrip("#") if words.startswith("#") else words
    return not words or any(phrase.startswith(words) for phrase in _BEGUN_WORDS) or _BEGUN.fullmatch(rest) is not None


def _certain(text: str, at: int) -> int:
    """Where a mark begins that is not all there yet, at the end of a growing text."""
    first = max(at, len(text) - _LONGEST)
    begins = max(text.rfind(sign, first) for sign in "<[&\uff1c\u25c1")
    if begins >= 0:
        header = _BEGUN_HEADER.search(text, first) if text.find("<|", first) >= 0 or text.find("<\uff5c", first) >= 0 else None
        if header is not None:
            return header.start()
        if _BEGUN.fullmatch(text, begins):
            # The sign before may be the first half of the same mark.
            before = max(text.rfind(sign, first, begins) for sign in "<&")
            return before if before >= 0 and text.startswith("&lt;", before) and text[begins] == "&" and begins - before < 40 else begins
    for length in range(_LONGEST_WORD, 3, -1):
        if text.endswith("assistantfinal"[:length], at):
            return len(text) - length
    return len(text)


def _joined(before: str, behind: str) -> str:
    """Put together what stands before and behind something that was taken out."""
    if not before.strip():
        return behind.lstrip()
    if before[-1] in " \t" and behind[:1] in (" ", "\t"):
        return before + behind.lstrip(" \t")
    if before.endswith("\n"):
        stripped = behind.lstrip("\n")
        return before.rstrip("\n") + "\n" * min(2, len(before) - len(before.rstrip("\n")) + len(behind) - len(stripped)) + stripped
    return before + behind


def _unwrapped(text: str, *, after_thoughts: bool) -> str:
    if "_of_box|>" in text:
        text = _BOX.sub("", text)
    opening = _WRAPPER.match(text)
    if opening is None and text.endswith(">") and (final := _FINAL.search(text)) is not None:
        return final[2]
    if opening is None:
        closing = _WRAPPED.search(text, max(0, len(text) - _LONGEST)) if after_thoughts and "<answer" not in text else None
        return text if closing is None else f"{text[: closing.start()]}\n{text[closing.end() :]}".rstrip()
    closing = _WRAPPED.search(text, opening.end())
    inner, behind = (text[opening.end() : closing.start()], text[closing.end() :]) if closing else (text[opening.end() :], "")
    is_markup = any(found[2].lower() not in _PLAIN_ELEMENTS for found in _ELEMENT.finditer(inner))
    if is_markup or (not after_thoughts and ((closing is None and opening["name"]) or behind.strip())):
        return text
    return f"{inner}\n{behind}" if behind else inner
