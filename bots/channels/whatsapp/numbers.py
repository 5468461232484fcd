"""Spellings of one phone number: WhatsApp writes mobile numbers of Brazil, Mexico and Argentina in more than one way.

The same rules as `one_number` in bots/storage/sql/contacts.sql, which finds contacts. Numbers are sent to as they were received.
"""

from __future__ import annotations

import re

#: A pattern of all digits, and what the one form of such a number is.
_FORMS = (
    # Brazil: 55, area code, and a mobile number of the time before the ninth digit: they began with 6 to 9, landlines begin with 2 to 5.
    (re.compile(r"55([1-9][1-9])([6-9]\d{7})", re.ASCII), r"55\g<1>9\2"),
    # Mexico: 52, and formerly a 1 before mobile numbers.
    (re.compile(r"521([2-9]\d{9})", re.ASCII), r"52\1"),
    # Argentina: 54, and a 9 before mobile numbers; people write a 15 behind the area code instead.
    (re.compile(r"54([1-3]\d{9})", re.ASCII), r"549\1"),
    (re.compile(r"549?(11)15(\d{8})", re.ASCII), r"549\1\2"),
    (re.compile(r"549?([23]\d\d)15(\d{7})", re.ASCII), r"549\1\2"),
    (re.compile(r"549?([23]\d{3})15(\d{6})", re.ASCII), r"549\1\2"),
)


def one_number(digits: str) -> str:
    """Return the one form of a number for all its spellings; numbers of other countries and landlines stay as they are."""
    if digits[:2] in {"52", "54", "55"}:
        for pattern, form in _FORMS:
            if pattern.fullmatch(digits):
                return pattern.sub(form, digits)
    return digits
