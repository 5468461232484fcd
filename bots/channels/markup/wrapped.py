"""Answers that a model put into a code block as a whole: what is inside is the answer."""

from __future__ import annotations

import re

_OPENING = re.compile(r"\A\s*(`{3,}|~{3,})[ \t]*([\w-]*)[ \t]*\n")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^\n`]*)$", re.MULTILINE)
_PROSE = frozenset(("markdown", "md", "text", "txt", "plain", "plaintext"))
#: In a block without a name: bold words, a heading, a link.
_MARKDOWN = re.compile(r"(?<!\w)\*\*[^\s*](?:[^*\n]*[^\s*])?\*\*(?!\w)|^#{2,6} \S|\]\((?:https?:|www\.)", re.MULTILINE)
#: Code, then: a backslash, an indented line, a line that ends like a statement, an assignment, a call, a prompt, a comment.
_CODE = re.compile(
    r"\\|^(?: {2,}|\t)[^\s\-*+\d•]|[;{}]\s*$|\S \S?= |\w\([^()\n]*\)\s*$|^\s*(?:[$>#]|//|<)[^\n]*$|^\s*(?:def|class|import|from|if|for|return) ",
    re.MULTILINE,
)


def unwrapped(markdown: str) -> str:
    """Return the inside of an answer that is one block of Markdown or of text, closed or not; any other answer as it is.

    A block with the name of a programming language stays code, and so does one without any name that looks like code.
    """
    opening = _OPENING.match(markdown)
    if opening is None or (opening[2] and opening[2].lower() not in _PROSE):
        return markdown
    inside = _inside(markdown[opening.end() :], opening[1])
    if inside is None or not inside.strip() or (not opening[2] and _is_code(inside)):
        return markdown
    return inside


def _is_code(inside: str) -> bool:
    return _FENCE.search(inside) is not None or (_MARKDOWN.search(inside) is None and _CODE.search(inside) is not None)


def _inside(rest: str, fence: str) -> str | None:
    """Return what a fence contains, or None if something comes after it. Fences of code inside have the name of a language."""
    is_nested = False
    for found in _FENCE.finditer(rest):
        if found[1][0] != fence[0]:
            continue
        if found[2].strip():
            is_nested = True
        elif is_nested:
            is_nested = False
        elif len(found[1]) >= len(fence):
            return rest[: found.start()] if not rest[found.end() :].strip() else None
    return rest
