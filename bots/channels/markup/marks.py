"""Where a format begins and ends, while a text is being written and cut: private characters that become a dialect's signs at the very end.

So a sign that formats is never mistaken for the same sign as text, and a cut inside a format can close it and open it again.
"""

from __future__ import annotations

import re

#: Noncharacters of Unicode; `clean` takes them out of what comes in.
_OPENINGS = "\ufdd8\ufdd9\ufdda\ufddb"
_CLOSINGS = "\ufddc\ufddd\ufdde\ufddf"
_SIGNS = "*_~`"
#: Stands at the beginning of each line of a code block, its fences included.
CODE_LINE = "\ufde0"

_OPENING_OF = dict(zip(_SIGNS, _OPENINGS, strict=True))
_CLOSING_OF = dict(zip(_SIGNS, _CLOSINGS, strict=True))
#: Looking for the few marks is quicker than translating all characters.
_TO_SIGNS = dict(zip(_OPENINGS + _CLOSINGS, _SIGNS * 2, strict=True)) | {CODE_LINE: ""}
_PRIVATE = re.compile(f"[{_OPENINGS}{_CLOSINGS}{CODE_LINE}]")
_ANY = re.compile(f"[{_OPENINGS}{_CLOSINGS}]")
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufdd0-\ufdef]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_ASCII_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
#: For regular expressions: the end of a format, and code inside a line.
CLOSING = f"[{_CLOSINGS}]"
CODE_SPAN = f"{_OPENINGS[-1]}[^{_CLOSINGS[-1]}]*{_CLOSINGS[-1]}"


def clean(text: str) -> str:
    """Return a text without control characters, as every channel gets it."""
    return _cleaned(text, _CONTROLS)


def clean_markdown(text: str) -> str:
    """Return Markdown without control characters, and without the characters that are private to this package."""
    return _cleaned(text, _UNWANTED)


def _cleaned(text: str, unwanted: re.Pattern[str]) -> str:
    return (_ASCII_CONTROLS if text.isascii() else unwanted).sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def around(text: str, sign: str) -> str:
    """Put a format around a text."""
    return "".join(_OPENING_OF[one] for one in sign) + text + "".join(_CLOSING_OF[one] for one in reversed(sign))


def written(text: str) -> str:
    """Replace the marks by the dialect's signs."""
    return text if text.isascii() else _PRIVATE.sub(lambda mark: _TO_SIGNS[mark[0]], text)


def without(text: str, sign: str = "") -> str:
    """Return a text without the marks of one sign, or without any."""
    return text.replace(_OPENING_OF[sign], "").replace(_CLOSING_OF[sign], "") if sign else _PRIVATE.sub("", text)


def has_marks(text: str) -> bool:
    """Whether a text has a format."""
    return _ANY.search(text) is not None


def open_at_end(text: str) -> tuple[str, str]:
    """Return the marks that close what is open at the end of a text, and those that open it again. A format never leaves its line."""
    is_open: list[str] = []
    for found in _ANY.finditer(text, text.rfind("\n") + 1):
        if found[0] in _OPENINGS:
            is_open.append(found[0])
        elif is_open:
            is_open.pop()
    return "".join(_CLOSINGS[_OPENINGS.index(one)] for one in reversed(is_open)), "".join(is_open)


def beside_marks(text: str, cut: int) -> int:
    """Move a cut so that no format is opened right before it or closed right after it."""
    while cut > 1 and text[cut - 1] in _OPENINGS:
        cut -= 1
    while cut < len(text) and text[cut] in _CLOSINGS:
        cut += 1
    return cut
