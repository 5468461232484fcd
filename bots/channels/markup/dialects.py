"""How each dialect writes Markdown's formats: with WhatsApp's signs, or almost none at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bots.channels.markup.marks import CODE_LINE, around, without
from bots.channels.markup.verbatim import kept_whole

#: Invisible; keeps a sign that is text from formatting, since WhatsApp has no escape character.
KEEP_APART = "\u2060"
_TICKS = re.compile(r"`{3,}")
_BESIDE = " \t.,;:!?()[]{}<>\"'“”„«»–—-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The formatting signs of one platform; an empty one means that the platform has none."""

    bold: str
    italic: str
    strike: str
    code: str
    fence: str
    #: Before each line of a quote, and before an item of a list, by depth.
    quote: str
    bullets: str
    #: Around a quote as a whole.
    marks: str = ""

    def format(self, text: str, sign: str) -> str:
        """Put a sign around each line's text: it works within one line only, and not next to a space."""
        return "\n".join(self._format_line(line, sign) for line in text.split("\n")) if sign else text

    def inline_code(self, text: str) -> str:
        """Write code inside a line."""
        flat = text.replace("\n", " ")
        return flat if not self.code or self.code in flat else around(flat, self.code)

    def block_code(self, text: str) -> str:
        """Write a block of code; no dialect has a place for the name of the language."""
        body = text.rstrip("\n")
        if not body.strip():
            return ""
        if self.fence:
            body = f"{self.fence}\n{_TICKS.sub(lambda found: KEEP_APART.join(found[0]), body)}\n{self.fence}"
        return "\n".join(CODE_LINE + line for line in body.split("\n"))

    def _format_line(self, line: str, sign: str) -> str:
        whole = kept_whole(line)
        if not whole:
            return _formatted(line, sign, " \t")
        if sign.startswith("~"):
            # What is struck out must be seen to be so: the signs stand apart, where they do not become part of an address.
            return around(f" {line.strip()} ", sign)
        pieces: list[str] = []
        at = 0
        for start, end in whole:
            pieces += [_formatted(line[at:start], sign, _BESIDE), line[start:end]]
            at = end
        return "".join((*pieces, _formatted(line[at:], sign, _BESIDE)))


def _formatted(text: str, sign: str, beside: str) -> str:
    inner = text.strip(beside)
    if not without(inner).strip():
        return text
    start = text.index(inner)
    return text[:start] + around(inner, sign) + text[start + len(inner) :]


WHATSAPP = Dialect(bold="*", italic="_", strike="~", code="`", fence="```", quote="> ", bullets="-◦▪")
PLAIN = Dialect(bold="", italic="", strike="~~", code="", fence="", quote="", bullets="•◦▪", marks='"')
