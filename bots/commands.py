"""Which messages are commands: the whole message asks the service itself for something. Everything else is left to the model.

A command is written with a slash, in English or in the words of any language of bots/phrases; or in plain words: a wish to stop, of a person who has stopped
to start again, and what is said about one's own memory. Marks around it, signs that nobody sees, another case and words of courtesy change nothing. Behind
`/stop` a few more words may stand; a wish to stop that is asked as a question is never obeyed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import Literal, cast, get_args

from bots import phrases
from bots.phrases.book import Named
from bots.phrases.words import first_word, fold, words_of

CommandName = Literal[
    "help", "reset", "stop", "start", "memory", "forget", "why", "forget_that", "memory_off", "memory_on", "health_off", "health_on"
]
_NAMES = frozenset(get_args(CommandName))
#: What a phrase may mean as a whole message. "everything" is to forget all, "wrong" only begins a message.
_PHRASES = _NAMES | {"everything"}

_LONGEST_COMMAND = 300
#: Longer messages in plain words are no bare command; a wish to stop has fewer of them than a polite one about one's memory.
_LONGEST_WISH, _LONGEST_STOP = 200, 120
#: "/stop sending me messages, please" is a wish to stop, a paragraph is not.
_MOST_WORDS_AFTER_STOP = 6
#: Of a message that corrects something: so long is what stands before the correction.
_LONGEST_OBJECTION = 60

#: Letters, digits and marks of the alphabet; all else around a command is decoration: punctuation, quotes, emoji, signs of markup.
_INSIDE = frozenset("LNM")
#: Unseen, though not of a category of their own: variation selectors and fillers.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u180b-\u180e\ufe00-\ufe0f\u20e3]")
#: ASCII in the width of Chinese characters.
_WIDE = {sign + 0xFEE0: sign for sign in range(0x21, 0x7F)}
_IS_ODD = re.compile("[\uff01-\uff5e\u034f\u115f\u1160\u180b-\u180e\ufe00-\ufe0f\u20e3]")
#: What may stand between a command and the words after it: "/stop, please", not "/stop-motion" and "/help/me".
_BETWEEN = re.compile(r"[^\w\s/'’-]*(?:\s|[,.;:!\u2026\u060c](?=\w))", re.DOTALL)
#: The marks that may end or surround the argument of `/forget`.
_AROUND_ARGUMENT = " \t.,;!\u2026\u3002\uff01\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\u0964\u060c"
_QUESTION_MARKS = "?\u00bf\u061f"
#: What parts an objection from the correction behind it, and a sentence from the next.
_PARTS = re.compile(r"[,.:;!\u2026\u3002\u0964\u060c\n]+|\s[-\u2013\u2014]+\s|[\u2013\u2014]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A whole message that asks the service itself for something."""

    name: CommandName
    #: What stands behind /forget, or the free words at the end of a phrase.
    argument: str | None = None
    #: To be listed or forgotten: the kinds of facts that are meant, by a name that a person has for them.
    kinds: tuple[Named, ...] = ()
    #: The languages in which it was said; none for a command in English, which everybody uses.
    languages: tuple[str, ...] = field(default=(), compare=False)
    #: Whether it was said in plain words, which could be about something else.
    is_plain: bool = False

    @property
    def is_everything(self) -> bool:
        """`/forget`, `/forget all` in any of the languages, "delete everything about me"."""
        return self.name == "forget" and (
            (self.argument is None and not self.kinds)
            or (not self.is_plain and any(one.name == "all" for one in phrases.behind_slash(self.argument or "")))
        )

    @property
    def number(self) -> int | None:
        """The number in the list of `/memory` that `/forget 2` means."""
        plain = not self.is_plain and self.argument is not None and self.argument.isdecimal() and len(self.argument) <= 4
        return int(self.argument) if plain and self.argument is not None else None


def parse_command(text: str | None, *, stopped: bool = False) -> Command | None:
    """Return the command if the whole message is one, else None. stopped: the person who writes has stopped the answers."""
    if not text or not _may_be(text):
        return None
    seen = _seen(text)
    if "/" in seen and (slashed := _slashed(seen.lstrip(_decoration(seen)))) is not None:
        return slashed[0]
    if len(seen) > _LONGEST_WISH:
        return None
    words = words_of(seen)
    reading = phrases.read(words, only=_PHRASES if stopped else _PHRASES - {"start"})
    if (
        reading is None
        or phrases.is_unlike(seen.casefold().split())
        or (_asks(seen) and not reading.asks)
        or (reading.name == "stop" and phrases.is_now(words))
    ):
        return None
    if reading.name in ("stop", "start"):
        return None if len(seen) > _LONGEST_STOP else Command(name=cast("CommandName", reading.name), languages=reading.languages)
    name = "forget" if reading.name == "everything" else cast("CommandName", reading.name)
    kinds = (reading.named,) if reading.named else ()
    return Command(name=name, argument=" ".join(reading.rest) or None, kinds=kinds, languages=reading.languages, is_plain=True)


def is_command(text: str | None) -> bool:
    """Whether a whole message is a command, which is answered without waiting for more messages."""
    return parse_command(text) is not None


def objection(text: str | None) -> tuple[str, tuple[str, ...]] | None:
    """What a message says right that begins like "That's wrong, ..." and the languages it objects in; None where it does not begin so."""
    if not text or not _begins_like_one(text):
        return None
    for mark in _PARTS.finditer(text, 0, _LONGEST_OBJECTION):
        reading = phrases.read(words_of(text[: mark.start()]), only=frozenset({"wrong"}))
        rest = text[mark.end() :].strip()
        if reading is not None and rest:
            return rest, reading.languages
    return None


def keeps_out(text: str | None) -> bool:
    """Whether a message, which says other things as well, ends with the wish that it is not remembered, or begins with it and a colon."""
    if not text:
        return False
    text = text.strip().rstrip(".!\u2026\u3002\u0964")
    marks = list(_PARTS.finditer(text))
    # "Forget that, I would like the soup" is about something else.
    sides = [text[marks[-1].end() :], *([text[: marks[0].start()]] if ":" in marks[0][0] else [])] if marks else []
    return any(len(side) <= _LONGEST_WISH and _is_kept_out(side) for side in sides)


def _is_kept_out(text: str) -> bool:
    command = parse_command(text)
    return command is not None and command.is_plain and command.name == "forget_that"


def _slashed(text: str) -> tuple[Command | None] | None:
    """Read what begins with a slash: the command, or none in a pair where it is no command though its name is one; None: not the name of one."""
    if not text.startswith("/"):
        return None
    word = first_word(text, 1)
    if word is None or word.start() != 1:
        return None
    meanings = [one for one in phrases.behind_slash(word[0]) if one.name in _NAMES]
    if not meanings:
        return None
    name = cast("CommandName", meanings[0].name)
    # A name that is English, too, says nothing about the language of the talk.
    said = tuple(one.language for one in meanings)
    return (_behind(Command(name=name, languages=() if "en" in said else said), text[word.end() :]),)


def _behind(command: Command, rest: str) -> Command | None:
    """Read what stands behind the name of a command."""
    if not any(_is_inside(sign) for sign in rest):
        return command if "/" not in rest else None
    if _BETWEEN.match(rest) is None:
        return None
    if command.name == "forget":
        argument = rest.strip(_AROUND_ARGUMENT + "\n\r:")
        return replace(command, argument=argument, kinds=phrases.named(argument)) if "\n" not in argument else None
    words = words_of(rest)
    if phrases.is_courtesy(words):
        return command
    if command.name == "memory":
        return _of_memory(command, rest)
    is_wish = command.name == "stop" and len(words) <= _MOST_WORDS_AFTER_STOP and "/" not in rest and not _asks(rest)
    return command if is_wish else None


def _of_memory(command: Command, rest: str) -> Command | None:
    """Read what stands behind /memory: on or off, or the name of a kind."""
    switch = {one.name for one in phrases.behind_slash(rest)}
    if switch & {"on", "off"}:
        return replace(command, name="memory_off" if "off" in switch else "memory_on")
    kinds = phrases.named(rest)
    return replace(command, kinds=kinds) if kinds else None


def _may_be(text: str) -> bool:
    """Whether a text is worth a closer look. Every message that comes in is asked this, and all but a few are not."""
    if len(text) > _LONGEST_WISH and (("/" not in text and "\uff0f" not in text) or len(text) > _LONGEST_COMMAND):
        return False
    if not text.isprintable() and not text.isascii():
        # Signs that nobody sees may stand inside a word.
        return True
    first = first_word(text)
    if first is None:
        return False
    begin = text[: first.start()]
    return (
        phrases.may_begin(fold(first[0])) or "/" in begin or "\uff0f" in begin or (not text.isascii() and _IS_ODD.search(text) is not None)
    )


def _begins_like_one(text: str) -> bool:
    first = first_word(text)
    return first is not None and phrases.may_begin(fold(first[0]))


def _seen(text: str) -> str:
    """Return what a reader sees of a text: signs in their usual width and form, without unseen ones."""
    if text.isascii():
        return text
    if _IS_ODD.search(text) is not None:
        text = _UNSEEN.sub("", text.translate(_WIDE))
    text = unicodedata.normalize("NFC", text)
    if text.isprintable():
        return text
    return "".join(" " if sign.isspace() and sign != "\n" else sign for sign in text if sign.isspace() or sign.isprintable())


def _decoration(text: str) -> str:
    """The signs of a text that may stand before a slash."""
    return "".join({sign for sign in text if sign != "/" and not _is_inside(sign)})


def _is_inside(sign: str) -> bool:
    return unicodedata.category(sign)[0] in _INSIDE


def _asks(text: str) -> bool:
    return any(mark in text for mark in _QUESTION_MARKS)
