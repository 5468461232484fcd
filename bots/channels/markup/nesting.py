"""Lists inside lists, as models indent them: two spaces are meant, even where CommonMark asks for the width of the outer item's number."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ITEM = re.compile(r"( *)((?:[-*+]|\d{1,9}[.)]) {1,4})(?=[^ \n])")
_INNER_ITEM = re.compile(rf"^ {{2}}{_ITEM.pattern}", re.MULTILINE)
_FENCE = re.compile(r" *(?:`{3,}|~{3,})")
#: Further to the right than the outer item by this much is inside it.
_INSIDE = 2
#: Further to the right than the outer item's text by this much would be code.
_CODE = 4


@dataclass(frozen=True, slots=True)
class _Item:
    """An item that lines may be inside of: its indentation as written, by how much it moves, and where its text begins then."""

    written: int
    moved: int
    text: int


def nested(markdown: str) -> str:
    """Indent each item that is inside another one as far as CommonMark asks for."""
    if not _INNER_ITEM.search(markdown):
        return markdown
    lines = markdown.split("\n")
    outer: list[_Item] = []
    in_code = False
    for place, line in enumerate(lines):
        item = None if in_code else _ITEM.match(line)
        if item is not None:
            lines[place] = _moved(line, item, outer)
        elif line[:1] == " " and outer:
            lines[place] = " " * outer[-1].moved + line
        elif line and not in_code:
            outer.clear()
        in_code ^= _FENCE.match(line) is not None
    return "\n".join(lines)


def _moved(line: str, item: re.Match[str], outer: list[_Item]) -> str:
    written, width = len(item[1]), len(item[2])
    while outer and written < outer[-1].written + _INSIDE:
        outer.pop()
    indent = written
    if outer:
        indent += outer[-1].moved
        indent = indent if outer[-1].text <= indent < outer[-1].text + _CODE else outer[-1].text
    elif written >= _CODE:
        return line
    outer.append(_Item(written, indent - written, indent + width))
    return " " * (indent - written) + line if indent >= written else line[written - indent :]
