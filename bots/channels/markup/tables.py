"""Tables for platforms that have none: a monospace block when narrow, else lines of `name: value`."""

from __future__ import annotations

import unicodedata

from bots.channels.markup.dialects import Dialect

#: Rows of cells; a cell is its text in the dialect, and its Markdown source.
Table = list[list[tuple[str, str]]]

#: What a phone shows of a monospace line without breaking it.
_NARROW = 30


def write_table(rows: Table, dialect: Dialect) -> str:
    """Write a table whose first row is its header."""
    if not rows:
        return ""
    if len(rows) == 1:
        return " | ".join(text for text, _ in rows[0] if text)
    widths = [max(_width(row[place][1]) if place < len(row) else 0 for row in rows) for place in range(len(rows[0]))]
    is_plain = all(text == source for row in rows for text, source in row)
    if dialect.fence and is_plain and sum(widths) + 2 * (len(widths) - 1) <= _NARROW:
        return dialect.block_code("\n".join(_line(row, widths) for row in rows))
    return _pairs(rows)


def _pairs(rows: Table) -> str:
    head = [text for text, _ in rows[0]]
    if len(head) == 2:
        return "\n".join(_named(row[0][0], row[1][0]) for row in rows if any(text for text, _ in row))
    written = ["\n".join(_named(name, text) for name, (text, _) in zip(head, row, strict=False) if text) for row in rows[1:]]
    return "\n\n".join(lines for lines in written if lines)


def _named(name: str, text: str) -> str:
    return f"{name}: {text}" if name and text else name or text


def _line(row: list[tuple[str, str]], widths: list[int]) -> str:
    cells = [source + " " * (width - _width(source)) for (_, source), width in zip(row, widths, strict=False)]
    return "  ".join(cells).rstrip()


def _width(text: str) -> int:
    """Return how many columns a text takes in a monospace block."""
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return len(text) + wide - sum(unicodedata.combining(sign) > 0 for sign in text)
