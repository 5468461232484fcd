"""What a message looks for in earlier turns, as bots.recall.question reads it and storage asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

#: Whose words: the contact's, or those of the answers.
Side = Literal["contact", "answers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What a message looks for in earlier turns."""

    #: The words to index, and the text search configurations to read them by.
    words: str
    configs: tuple[str, ...]
    #: What to embed.
    text: str
    #: Whose words are asked for, where the message says so.
    side: Side | None = None
    #: Whether it asks for a time.
    when: bool = False
    #: Dates that it names: months, and of them the year and the day if they are named.
    months: tuple[int, ...] = ()
    year: int | None = None
    day: int | None = None
    #: Days that it names from today's: "yesterday", "last week". The last one is the day after, since things are told when they are over.
    since: date | None = None
    until: date | None = None
    #: The time zone of these days and months, by its name.
    zone: str = "UTC"
    #: Whether the days and months that it names may as well be ahead ("are you open on Monday?", "in May"): then they alone say nothing about
    #: earlier turns.
    may_be_ahead: bool = False
