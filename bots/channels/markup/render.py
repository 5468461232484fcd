"""Markdown to a messenger's dialect: markdown-it-py parses, this writes.

Total: any text gives a text, in bounded time; what the dialect cannot express stays readable. Markdown never becomes HTML.
Where this leaves CommonMark on purpose is in docs/decisions/0022.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bots.channels.markup.dialects import KEEP_APART, PLAIN, WHATSAPP, Dialect
from bots.channels.markup.emphasis import part_pairs, tokenize
from bots.channels.markup.inline import write_inline
from bots.channels.markup.literals import keep_literal
from bots.channels.markup.marks import CODE_LINE, clean, clean_markdown, written
from bots.channels.markup.nesting import nested
from bots.channels.markup.tables import Table, write_table
from bots.channels.markup.tags import is_about_tags
from bots.channels.markup.verbatim import hide, show
from bots.channels.markup.wrapped import unwrapped

#: Far longer than any answer; a longer text is passed on unchanged, since parsing a hostile one does not take linear time.
MARKDOWN_LIMIT = 20_000
#: The parser drops what is nested deeper; a text that comes near is passed on unchanged.
_DEEPEST = 20
#: Lines without any sign of Markdown, as most answers are.
_PLAIN_LINE = r"(?! {0,3}(?:[-+=#>\t]|\d{1,9}[.)](?:[ \t]|$))| {4})[^\n*_~`\[\]|\\<&]*+"
_PLAIN = re.compile(rf"(?:{_PLAIN_LINE}\n)*+{_PLAIN_LINE}\Z", re.MULTILINE)


def to_whatsapp(markdown: str) -> str:
    """Write Markdown as WhatsApp shows it."""
    return written(_write(markdown, WHATSAPP))


def to_plain(markdown: str) -> str:
    """Write Markdown as plain text."""
    return written(_write(markdown, PLAIN))


def render(markdown: str, dialect: Dialect, cut: Callable[[str], tuple[str, ...]]) -> tuple[str, ...]:
    """Write Markdown in a dialect, in parts as `cut` makes them; a text of which nothing would be visible is passed on unchanged."""
    return tuple(written(part) for part in cut(_write(markdown, dialect))) or cut(clean(markdown))


class _Parser(MarkdownIt):
    """Addresses stay as they were written, of whatever kind they are: nothing here becomes HTML."""

    def normalizeLink(self, url: str) -> str:  # noqa: N802 - overrides markdown-it
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802 - overrides markdown-it
        return link

    def validateLink(self, url: str) -> bool:  # noqa: N802 - overrides markdown-it
        del url
        return True


@cache
def _parser(*, reads_tags: bool) -> MarkdownIt:
    parser = _Parser("commonmark", {"html": reads_tags, "maxNesting": _DEEPEST}).enable(["table", "strikethrough"])
    # Tags are read one by one, if at all (tags.py), and one rule reads all signs of emphasis.
    parser.disable(["html_block"])
    parser.inline.ruler.disable(["strikethrough"])
    parser.inline.ruler.at("emphasis", tokenize)
    parser.inline.ruler2.after("balance_pairs", "part_pairs", part_pairs)
    return parser


def _write(markdown: str, dialect: Dialect) -> str:
    text = clean_markdown(markdown)
    if len(text) > MARKDOWN_LIMIT or (_PLAIN.match(text) and "  \n" not in text):
        return text.strip()
    text = hide(nested(unwrapped(text)))
    tokens = _parser(reads_tags=not is_about_tags(text)).parse(text)
    if any(token.level >= _DEEPEST - 1 for token in tokens):
        return show(text).strip()
    whole = text.strip() if _is_bare(tokens) else _Writer(tokens, dialect).blocks("\n\n").strip("\n")
    return show(keep_literal(whole, dialect))


def _is_bare(tokens: Sequence[Token]) -> bool:
    """Whether a text turned out to have no markup, so that it is passed on with its empty lines and spaces."""
    for token in tokens:
        if token.type == "inline":
            children = token.children or []
            if any(child.type not in {"text", "softbreak"} for child in children):
                return False
            if "".join(child.content or "\n" for child in children) != "\n".join(line.strip(" \t") for line in token.content.split("\n")):
                return False
        elif token.tag != "p":
            return False
    return True


class _Writer:
    """Reads the tokens of a document once."""

    def __init__(self, tokens: list[Token], dialect: Dialect) -> None:
        self._tokens, self._dialect, self._at = tokens, dialect, 0

    def blocks(self, between: str, *, level: int = 0, width: int = 0) -> str:
        """Write blocks until the current one is closed, with `between` between them. A list inside an item is indented by `width`."""
        blocks: list[str] = []
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            self._at += 1
            if token.nesting < 0:
                break
            block = self._block(token, between, level)
            if width and token.tag in {"ul", "ol"}:
                block = _indented(block, width, from_line=0 if blocks else 1)
            if block.strip():
                blocks.append(block)
        return between.join(blocks)

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
            "bullet_list_open": lambda: self._list(level),
            "ordered_list_open": lambda: self._list(level),
            "table_open": self._table,
        }
        return writers.get(token.type, lambda: self.blocks(between, level=level))()

    def _inline(self, token: Token, within: str = "") -> str:
        return "\n".join(line.strip() for line in write_inline(token.children or [], self._dialect, within=within).strip().split("\n"))

    def _heading(self) -> str:
        sign = self._dialect.bold
        lines: list[str] = []
        while self._tokens[self._at].nesting >= 0:
            lines.append(self._dialect.format(self._inline(self._tokens[self._at], sign), sign))
            self._at += 1
        self._at += 1
        return "\n".join(lines)

    def _quote(self, level: int) -> str:
        inner = self.blocks("\n", level=level)
        sign, marks = self._dialect.quote, self._dialect.marks
        if inner[:1].isdigit():
            # "> 18 years" says that they are more.
            return "\n".join(f">{KEEP_APART if sign else ''} {line}" for line in inner.split("\n"))
        if marks or not inner:
            return f"{marks}{inner}{marks}" if inner else ""
        code = CODE_LINE + sign
        lines = inner.split("\n")
        for place, line in enumerate(lines):
            if not line.startswith((sign, code)):
                lines[place] = (code if line.startswith(CODE_LINE) else sign) + line
        return "\n".join(lines)

    def _list(self, level: int) -> str:
        """Write a list with the numbers that it has; a list inside another one has other bullets, and is indented."""
        lines: list[str] = []
        while self._at < len(self._tokens) and (item := self._tokens[self._at]).nesting >= 0:
            self._at += 1
            sign = item.info + item.markup if item.info or item.markup == "+" else self._dialect.bullets[min(level, 2)]
            inner = self.blocks("\n", level=level + 1, width=len(sign) + 1)
            is_code = self._dialect.fence and inner.startswith(CODE_LINE)
            lines.append(f"{sign}\n{inner}" if is_code else f"{sign} {inner}".rstrip())
        self._at += 1
        return "\n".join(lines)

    def _table(self) -> str:
        rows: Table = []
        while (token := self._tokens[self._at]).type != "table_close":
            self._at += 1
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                # A cell with nothing but a tag speaks of it.
                source = token.content.strip()
                rows[-1].append((self._inline(token).replace("\n", " ") or source, source))
        self._at += 1
        return write_table(rows, self._dialect)


def _indented(text: str, width: int, *, from_line: int) -> str:
    """Indent the lines of a list; code stays where it is, since its indentation may mean something."""
    lines = text.split("\n")
    for place in range(from_line, len(lines)):
        if not lines[place].startswith(CODE_LINE):
            lines[place] = " " * width + lines[place]
    return "\n".join(lines)
