"""The inside of a paragraph: emphasis, code, links, line breaks, written in a dialect."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from markdown_it.token import Token

from bots.channels.markup.dialects import Dialect

_TAGS = (
    "a|abbr|article|audio|b|big|blockquote|button|center|cite|code|del|details|div|em|figcaption|figure|font|footer|form|h[1-6]|header|hr|i"
    "|iframe|img|input|ins|kbd|label|li|mark|nav|ol|p|pre|q|s|samp|script|section|small|source|span|strike|strong|style|sub|summary|sup"
    "|table|tbody|td|th|thead|tr|tt|u|ul|video"
)
_TAG = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]{{0,500}})?/?>", re.IGNORECASE)
_BREAK = re.compile(r"\s?<br\s*/?>\s?", re.IGNORECASE)
_FOLLOWED = ("http://", "https://", "mailto:", "tel:")


@dataclass(slots=True)
class _Span:
    """A piece of text that is being written, with the sign that will go around it."""

    sign: str = ""
    href: str | None = None
    pieces: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def write_inline(tokens: Sequence[Token], around: str, dialect: Dialect, *, without: frozenset[str] = frozenset()) -> str:
    """Write the children of an inline token; signs in `without` are left out, since they are around the whole already."""
    spans = [_Span()]
    for token in tokens:
        if token.nesting > 0:
            sign = _sign(token.tag, dialect)
            is_open = sign in without or any(span.sign == sign for span in spans)
            spans.append(_Span(sign="" if is_open else sign, href=str(token.attrGet("href") or "") if token.type == "link_open" else None))
        elif token.nesting < 0 and len(spans) > 1:
            _close(spans)
        else:
            spans[-1].pieces.append((_leaf(token, around, dialect), ""))
    while len(spans) > 1:
        _close(spans)
    return _join(spans[0].pieces)


def _sign(tag: str, dialect: Dialect) -> str:
    return {"strong": dialect.bold, "em": dialect.italic, "s": dialect.strike}.get(tag, "")


def _close(spans: list[_Span]) -> None:
    span = spans.pop()
    text = _join(span.pieces)
    if span.href is not None:
        text = _link(text, span.href)
    spans[-1].pieces.append((text, span.sign))


def _leaf(token: Token, around: str, dialect: Dialect) -> str:
    if token.type in {"softbreak", "hardbreak"}:
        return "\n"
    if token.type == "code_inline":
        return dialect.inline_code(token.content)
    if token.type == "image":
        return _link(token.content, str(token.attrGet("src") or ""))
    return dialect.literal(without_html(token.content), around)


def without_html(text: str) -> str:
    """Return a text without the HTML tags that models write; a <br> becomes a line break, and what is not an HTML tag stays."""
    return _TAG.sub("", _BREAK.sub("\n", text)) if "<" in text else text


def _link(text: str, href: str) -> str:
    text = text.strip()
    if not href.lower().startswith(_FOLLOWED):
        return text
    bare = href.removeprefix("mailto:").removeprefix("tel:")
    if not text:
        return bare
    return text if _alike(text) == _alike(bare) else f"{text} ({bare})"


def _alike(address: str) -> str:
    return unquote(html.unescape(address)).removeprefix("https://").removeprefix("http://").rstrip("/").lower()


def _join(pieces: Sequence[tuple[str, str]]) -> str:
    """Join pieces; signs are written only at word borders, since WhatsApp shows them literally elsewhere."""
    follows = [""] * len(pieces)
    for place in range(len(pieces) - 2, -1, -1):
        follows[place] = pieces[place + 1][0][:1] or follows[place + 1]
    written: list[str] = []
    before = ""
    for (text, sign), after in zip(pieces, follows, strict=True):
        is_inside_word = (_is_word(before) and _is_word(text[:1])) or (_is_word(after) and _is_word(text[-1:]))
        out = _wrap(text, sign) if sign and not is_inside_word else text
        written.append(out)
        before = out[-1:] or before
    return "".join(written)


def _is_word(sign: str) -> bool:
    return sign.isalnum()


def _wrap(text: str, sign: str) -> str:
    """Put the sign around each line's text: it works within one line only, and not next to a space."""
    return "\n".join(_wrap_line(line, sign) for line in text.split("\n"))


def _wrap_line(line: str, sign: str) -> str:
    inner = line.strip()
    if not inner:
        return line
    start = line.index(inner[0])
    return f"{line[:start]}{sign}{inner}{sign}{line[start + len(inner) :]}"
