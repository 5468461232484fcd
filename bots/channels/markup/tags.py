"""HTML tags in Markdown: tags that format go, and tags that an answer speaks of stay text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it.token import Token

_TAG = re.compile(r"<(/?)([a-z][a-z0-9]*)([^>]*?)/?>\Z", re.IGNORECASE | re.DOTALL)
_ATTRIBUTE = re.compile(r"""\b(href|src|alt)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
#: Tags that carry meaning; the others only change the look, and go.
_AS = {"s": "s", "strike": "s", "del": "s", "a": "a"}
_FORMATS = frozenset(
    (
        "abbr",
        "b",
        "big",
        "cite",
        "code",
        "em",
        "font",
        "i",
        "ins",
        "kbd",
        "mark",
        "q",
        "samp",
        "small",
        "span",
        "strong",
        "sub",
        "sup",
        "tt",
        "u",
    )
)
_KNOWN = _FORMATS | _AS.keys()
_SMALL = {
    "sup": str.maketrans("0123456789+-=()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿ"),
    "sub": str.maketrans("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎"),
}
#: A tag that is escaped, in code or behind a word for writing, or a word for tags or for what they do; `Tag` is a day in German.
_ABOUT_TAGS = re.compile(
    r"\b(?:html|css|xml|(?-i:tags?)|etiquetas?|balises?|markup|(?<!>)(?:bold|italics?|negritas?|cursivas?|negritos?|itálicos?|fettschrift|kursiv|en gras|italique|grassetto|corsivo))\b"
    r"|标签|標籤|粗体|粗體|斜体|斜體|タグ|太字|태그|굵게"
    r"|\b(?:write|type|typing|writing|escrib[ae]|escribir|tecle[ae]|escreva|escrever|digit[ea]|schreib|schreiben|tippe|écrivez|écris|tapez|scrivi|scrivere)[^\w\n<]{1,3}</?[a-z]"
    r"|(?:&lt;|\\<|`</?)[a-z/]",
    re.IGNORECASE,
)


def is_about_tags(markdown: str) -> bool:
    """Whether an answer speaks of tags, so that none of them is there to format."""
    return "<" in markdown and _ABOUT_TAGS.search(markdown) is not None


def read_tags(tokens: Sequence[Token]) -> Sequence[Token]:
    """Replace each tag by what it means: a line break, a link, struck-out text, nothing, or its own text.

    Tags format when each has its partner and stands at its words. Otherwise the text speaks of them, and all are kept.
    """
    if all(token.type != "html_inline" for token in tokens):
        return tokens
    read = _Reading(tokens)
    return list(read.replaced()) if read.is_format() else [_as_text(token) for token in tokens]


@dataclass(frozen=True, slots=True)
class _Tag:
    name: str
    closes: bool
    attributes: str

    def attribute(self, name: str) -> str:
        found = (one for one in _ATTRIBUTE.finditer(self.attributes) if one[1].lower() == name)
        return next((html.unescape(one[2] or one[3] or one[4] or "") for one in found), "")


class _Reading:
    """The tokens of one paragraph, with their tags in pairs."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        #: By their places among the tokens.
        self._tags = {place: _tag(token) for place, token in enumerate(tokens) if token.type == "html_inline"}
        self._partners: dict[int, int] = {}

    def is_format(self) -> bool:
        """Whether the tags format; finds the pairs."""
        # Tags that wait for their partner, for each format that is open around them.
        waiting: list[list[int]] = [[]]
        for place, token in enumerate(self._tokens):
            if token.nesting > 0:
                waiting.append([])
            elif token.nesting < 0:
                if waiting.pop():
                    return False
            elif place in self._tags and not self._fits(place, waiting[-1]):
                return False
        return not waiting[-1]

    def replaced(self) -> Iterator[Token]:
        """The tokens, with each tag replaced."""
        for place, token in enumerate(self._tokens):
            tag = self._tags.get(place)
            if tag is None:
                yield self._small(place, token)
            elif tag.name == "br":
                if "\n" not in (self._side(place, 1), self._side(place, -1)):
                    yield Token("hardbreak", "br", 0)
            elif tag.name == "img":
                yield from _link(tag.attribute("src"), tag.attribute("alt"))
            elif place not in self._partners:
                yield _as_text(token)
            elif tag.closes:
                yield Token("tag_close", _AS.get(tag.name, ""), -1)
            else:
                kind, href = _AS.get(tag.name, ""), tag.attribute("href")
                yield Token("link_open", "a", 1, attrs={"href": href}) if kind == "a" else Token("tag_open", kind, 1)

    def _fits(self, place: int, waiting: list[int]) -> bool:
        tag = self._tags[place]
        if tag.name == "br":
            return not {self._side(place, -1), self._side(place, 1)} <= {" ", "\t"}
        if tag.name == "img":
            return tag.attribute("src").startswith("http")
        if tag.name in _KNOWN and tag.closes:
            if not waiting or self._tags[waiting[-1]].name != tag.name:
                return False
            opening = waiting.pop()
            self._partners |= {opening: place, place: opening}
            return self._is_filled(opening, place) and self._side(opening, 1) not in " \t" and self._side(place, -1) not in " \t"
        if tag.name in _KNOWN:
            waiting.append(place)
        return True

    def _is_filled(self, opening: int, closing: int) -> bool:
        """Whether there are words in a pair, so that it is no `<b></b>` or `<p>…</p>`."""
        inside = self._tokens[opening + 1 : closing]
        return len(inside) > 1 or any(sign.isalnum() for token in inside for sign in token.content)

    def _small(self, place: int, token: Token) -> Token:
        """Raise or lower the digits of a power or an index: `x2` would mean something else than `x²`."""
        before = self._tags.get(place - 1)
        letters = _SMALL.get(before.name) if before is not None and self._partners.get(place - 1) == place + 1 else None
        if letters is None or any(ord(sign) not in letters for sign in token.content):
            return token
        return Token("text", "", 0, content=token.content.translate(letters))

    def _side(self, place: int, step: int) -> str:
        """Return the character beside a tag; a line break at the ends of the text and of a line."""
        place += step
        if not 0 <= place < len(self._tokens) or self._tokens[place].type in {"softbreak", "hardbreak"}:
            return "\n"
        content = self._tokens[place].content
        return (content[:1] if step > 0 else content[-1:]) or "x"


def _tag(token: Token) -> _Tag:
    found = _TAG.match(token.content)
    return _Tag("", False, "") if found is None else _Tag(found[2].lower(), bool(found[1]), found[3])  # noqa: FBT003 - a plain record


def _link(href: str, text: str) -> Iterator[Token]:
    yield Token("link_open", "a", 1, attrs={"href": href})
    yield Token("text", "", 0, content=text)
    yield Token("link_close", "a", -1)


def _as_text(token: Token) -> Token:
    return Token("text", "", 0, content=token.content) if token.type == "html_inline" else token
