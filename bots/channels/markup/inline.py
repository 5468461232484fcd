"""The inside of a paragraph: emphasis, code, links, line breaks, written in a dialect."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from markdown_it.token import Token

from bots.channels.markup.dialects import Dialect
from bots.channels.markup.marks import without
from bots.channels.markup.tags import read_tags

#: Not addresses: a place in the same text, and a file inside the text.
_NO_ADDRESS = ("#", "data:")
_SCHEMES = ("mailto:", "tel:")


@dataclass(slots=True)
class _Span:
    """A piece of text that is being written, with the sign that will go around it."""

    sign: str = ""
    href: str | None = None
    pieces: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def write_inline(tokens: Sequence[Token], dialect: Dialect, *, within: str = "") -> str:
    """Write the children of an inline token; the sign `within` is left out, since it is around the whole already."""
    spans = [_Span(sign=within)]
    for token in read_tags(tokens):
        if token.nesting > 0:
            sign = _sign(token.tag, dialect)
            is_open = any(span.sign == sign for span in spans)
            spans.append(_Span(sign="" if is_open else sign, href=str(token.attrGet("href") or "") if token.type == "link_open" else None))
        elif token.nesting < 0 and len(spans) > 1:
            _close(spans, dialect)
        else:
            spans[-1].pieces.append((_leaf(token, dialect), ""))
    while len(spans) > 1:
        _close(spans, dialect)
    return _join(spans[0].pieces, dialect)


def _sign(tag: str, dialect: Dialect) -> str:
    return {"strong": dialect.bold, "em": dialect.italic, "s": dialect.strike}.get(tag, "")


def _close(spans: list[_Span], dialect: Dialect) -> None:
    span = spans.pop()
    text = _join(span.pieces, dialect)
    if span.href is not None:
        text = _link(text, span.href)
    spans[-1].pieces.append((text, span.sign))


def _leaf(token: Token, dialect: Dialect) -> str:
    if token.type in {"softbreak", "hardbreak"}:
        return "\n"
    if token.type == "code_inline":
        return dialect.inline_code(token.content)
    if token.type == "image":
        return _link(write_inline(token.children or (), dialect), str(token.attrGet("src") or ""))
    return token.content


def _link(text: str, href: str) -> str:
    text = text.strip()
    if not href or href.lower().startswith(_NO_ADDRESS):
        return text
    scheme = next((scheme for scheme in _SCHEMES if href.lower().startswith(scheme)), "")
    bare = href[len(scheme) :]
    return text if text and _alike(text, bare, scheme) else f"{text} ({bare})" if text else bare


def _alike(text: str, bare: str, scheme: str) -> bool:
    text = without(text)
    if scheme == "tel:":
        return [sign for sign in text if sign.isalnum()] == [sign for sign in bare if sign.isalnum()]
    return _folded(text) in {_folded(bare), _folded(scheme + bare)}


def _folded(address: str) -> str:
    return unquote(html.unescape(address)).removeprefix("https://").removeprefix("http://").rstrip("/").lower()


def _join(pieces: Sequence[tuple[str, str]], dialect: Dialect) -> str:
    """Join pieces, with their signs where the platform shows them as formats."""
    follows = [""] * len(pieces)
    for place in range(len(pieces) - 2, -1, -1):
        follows[place] = pieces[place + 1][0][:1] or follows[place + 1]
    written: list[str] = []
    before = ""
    for (text, sign), after in zip(pieces, follows, strict=True):
        # WhatsApp shows a sign beside a letter literally.
        if not sign or not (before.isalnum() or after.isalnum()):
            out = dialect.format(text, sign)
        elif sign == dialect.strike:
            # To strike out carries meaning: it is written nevertheless, so that it cannot be read as "about".
            out = dialect.format(text, "~~")
        else:
            out = without(without(text, dialect.bold), dialect.italic) if dialect.bold else text
        written.append(out)
        before = out[-1:] or before
    return "".join(written)
