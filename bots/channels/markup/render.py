"""Markdown to a messenger's dialect: markdown-it-py parses, this writes.

Total: any text gives a text, in bounded time; what the dialect cannot express stays readable. Markdown never becomes HTML.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bots.channels.markup.dialects import PLAIN, WHATSAPP, Dialect
from bots.channels.markup.inline import write_inline
from bots.channels.markup.tables import Table, write_table

#: Far longer than any answer; a longer text is passed on unchanged, since parsing a hostile one does not take linear time.
MARKDOWN_LIMIT = 20_000
#: One line without any mark of Markdown, as most answers are: the parser would return it unchanged.
_PLAIN_LINE = re.compile(r"[^\W\d_][^\n*_~`#>\[\]|\\<&!]*")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def to_whatsapp(markdown: str) -> str:
    """Write Markdown as WhatsApp shows it."""
    return _write(markdown, WHATSAPP)


def to_plain(markdown: str) -> str:
    """Write Markdown as plain text."""
    return _write(markdown, PLAIN)


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "maxNesting": 20}).enable(["table", "strikethrough"])


def _write(markdown: str, dialect: Dialect) -> str:
    text = _CONTROLS.sub("", markdown.replace("\r\n", "\n").replace("\r", "\n"))
    if len(text) > MARKDOWN_LIMIT:
        return text.strip()
    if _PLAIN_LINE.fullmatch(text):
        return text.strip()
    tokens = _parser().parse(text)
    return _Writer(tokens, dialect).blocks("\n\n").strip("\n")


class _Writer:
    """Reads the tokens of a document once."""

    def __init__(self, tokens: list[Token], dialect: Dialect) -> None:
        self._tokens, self._dialect, self._at = tokens, dialect, 0

    def blocks(self, between: str, *, level: int = 0) -> str:
        """Write blocks until the current one is closed, with `between` between them."""
        written: list[str] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            self._at += 1
            if token.nesting < 0:
                break
            block = self._block(token, between, level)
            if block.strip():
                written.append(block)
        return between.join(written)

    def _block(self, token: Token, between: str, level: int) -> str:
        if token.type == "inline":
            return self._inline(token)
        if token.type in {"fence", "code_block"}:
            return self._dialect.block_code(token.content)
        if token.nesting == 0:
            return ""
        writers: dict[str, Callable[[], str]] = {
            "heading_open": self._heading,
            "blockquote_open": lambda: self._quote(level),
            "bullet_list_open": lambda: self._list(token, level),
            "ordered_list_open": lambda: self._list(token, level),
            "table_open": self._table,
        }
        return writers.get(token.type, lambda: self.blocks(between, level=level))()

    def _inline(self, token: Token, without: frozenset[str] = frozenset()) -> str:
        return write_inline(token.children or [], token.content, self._dialect, without=without).strip()

    def _heading(self) -> str:
        sign = self._dialect.bold
        lines: list[str] = []
        while self._tokens[self._at].nesting >= 0:
            text = self._inline(self._tokens[self._at], frozenset((sign,)) if sign else frozenset())
            lines += [f"{sign}{line.strip()}{sign}" for line in text.split("\n") if line.strip()]
            self._at += 1
        self._at += 1
        return "\n".join(lines)

    def _quote(self, level: int) -> str:
        inner = self.blocks("\n", level=level)
        sign, marks = self._dialect.quote, self._dialect.marks
        if marks:
            return f"{marks}{inner}{marks}" if inner.strip() else ""
        return "\n".join(line if line.startswith(sign) else sign + line for line in inner.split("\n"))

    def _list(self, opening: Token, level: int) -> str:
        is_ordered = opening.type == "ordered_list_open"
        number = int(opening.attrGet("start") or 1) if is_ordered else 0
        lines: list[str] = []
        while self._at < len(self._tokens) and self._tokens[self._at].nesting >= 0:
            self._at += 1
            sign = f"{number}." if is_ordered else (self._dialect.bullet if level == 0 else "◦")
            inner = self.blocks("\n", level=level + 1)
            lines.append(f"{sign} {inner}" if not inner.startswith("```") else f"{sign}\n{inner}")
            number += 1
        self._at += 1
        return "\n".join(line.rstrip() for line in lines)

    def _table(self) -> str:
        rows: Table = []
        while (token := self._tokens[self._at]).type != "table_close":
            self._at += 1
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append((self._inline(token).replace("\n", " "), token.content.strip()))
        self._at += 1
        return write_table(rows, self._dialect)
