"""How each dialect writes Markdown's formats: with WhatsApp's signs, or none at all."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Invisible; keeps a literal sign from opening a format, since WhatsApp has no escape character.
_KEEP_APART = "\u2060"
_URL = re.compile(r"(https?://\S+)")
_OPENER = re.compile(r"(?<!\w)([*_~`])(?=[^\s*_~`])")
_TICKS = re.compile(r"`{3,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The formatting signs of one platform; an empty one means that the platform has none."""

    bold: str
    italic: str
    strike: str
    code: str
    fence: str
    #: Before each line of a quote, and before an item of a list.
    quote: str
    bullet: str
    #: Around a quote as a whole.
    marks: str = ""

    @property
    def signs(self) -> tuple[str, ...]:
        """The signs that a literal text must not form by accident."""
        return tuple(sign for sign in (self.bold, self.italic, self.strike, self.code) if sign)

    def literal(self, text: str, around: str) -> str:
        """Write a text so that none of its own signs formats; `around` is the block that contains it."""
        signs = {sign for sign in self.signs if sign in text and around.count(sign) > 1}
        if not signs:
            return text
        pieces = _URL.split(text)
        for place in range(0, len(pieces), 2):
            pieces[place] = _OPENER.sub(lambda found: found[1] + _KEEP_APART if found[1] in signs else found[1], pieces[place])
        return "".join(pieces)

    def inline_code(self, text: str) -> str:
        """Write code inside a line."""
        flat = text.replace("\n", " ")
        return flat if self.code and self.code in flat else f"{self.code}{flat}{self.code}"

    def block_code(self, text: str) -> str:
        """Write a block of code; no dialect has a place for the name of the language."""
        body = text.rstrip("\n")
        if not self.fence:
            return body
        body = _TICKS.sub(lambda found: _KEEP_APART.join(found[0]), body)
        return f"{self.fence}\n{body}\n{self.fence}"


WHATSAPP = Dialect(bold="*", italic="_", strike="~", code="`", fence="```", quote="> ", bullet="-")
PLAIN = Dialect(bold="", italic="", strike="", code="", fence="", quote="", bullet="•", marks='"')
