"""What commands about one's memory mean and answer: which memories a /forget is about, and the sentences about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from bots import phrases
from bots.commands import Command
from bots.domain import Memory
from bots.extract.texts import USUAL, fact_text, of, row_text, text
from bots.kinds import kinds
from bots.phrases.book import Named, book
from bots.phrases.words import holds, words_of
from bots.text_language import language_in

_MAX_SOURCE_CHARACTERS = 200
#: So many of the newest earlier messages show the language of a talk.
_RECENT = 6


class Told(Protocol):
    """Anything with a kind of fact and the fact."""

    @property
    def kind(self) -> str:
        """The kind of fact."""
        ...

    @property
    def text(self) -> str:
        """The fact."""
        ...

    @property
    def day(self) -> date | None:
        """The day of a plan."""
        ...

    @property
    def last_day(self) -> date | None:
        """Its last day, where it has several."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A memory, or an earlier turn, that was in the prompt of an answer, and where it comes from."""

    #: None: an earlier turn.
    memory: Memory | None
    #: The words of the contact that it comes from; empty: an operator added it, or the words are gone.
    source: str
    said_at: datetime


def in_order(memories: Sequence[Memory]) -> list[Memory]:
    """Memories in the order in which /memory lists them: by kind, in that of bots/kinds.toml, and as they come."""
    place = {name: n for n, name in enumerate(kinds())}
    return sorted(memories, key=lambda one: place.get(one.kind, len(place)))


def chosen(command: Command, memories: Sequence[Memory], ended: Sequence[Memory] = ()) -> tuple[Memory, ...]:
    """The memories that a wish to forget means, out of those that /memory lists in this order, and of those that are true no longer; all of them
    without an argument. Of a kind the ended ones go, too; of a value where no living one has it: storage adds its history.
    """
    both = (*memories, *ended)
    if command.is_everything:
        return both
    if command.number is not None:
        return tuple(memories[command.number - 1 : command.number]) if command.number else ()
    wanted = words_of(command.argument or "")
    if command.is_plain:
        return _meant_in_words(command, wanted, both)
    named = tuple(memory for memory in both if any(is_named(one, memory) for one in command.kinds))
    return _exactly(wanted, memories) or named or _with_words(wanted, memories) or _exactly(wanted, ended) or _with_words(wanted, ended)


def _exactly(wanted: tuple[str, ...], memories: Sequence[Memory]) -> tuple[Memory, ...]:
    said = [(memory, words_of(memory.text)) for memory in memories]
    return tuple(memory for memory, words in said if words == wanted or _without_relation(memory, words) == wanted)


def _with_words(wanted: tuple[str, ...], memories: Sequence[Memory]) -> tuple[Memory, ...]:
    return tuple(memory for memory in memories if holds(words_of(memory.text), wanted))


def _meant_in_words(command: Command, wanted: tuple[str, ...], memories: Sequence[Memory]) -> tuple[Memory, ...]:
    """The memories of a phrase: of its kind, and with the words at its end."""
    if not command.kinds:
        # "Forget that I live in Lyon" has the value among other words.
        return tuple(memory for memory in memories if holds(wanted, words_of(memory.text)))
    found = tuple(memory for memory in memories if any(is_named(one, memory) for one in command.kinds))
    # "My dog Biscuit", "my allergy to peanuts": both end alike. "My address, not now" does not.
    return tuple(memory for memory in found if _end_alike(wanted, words_of(memory.text))) if wanted else found


def is_named(named: Named, memory: Told) -> bool:
    """Whether a memory is of the kind that a person named."""
    if named.kind == "health":
        return memory.kind in sensitive_kinds()
    if named.kind != memory.kind:
        return False
    words = words_of(memory.text)
    return not named.word or any(holds(words, said) for said in book().words[named.word])


def sensitive_kinds() -> frozenset[str]:
    """The kinds of facts about health."""
    return frozenset(name for name, kind in kinds().items() if kind.sensitive)


def language_of(memories: Sequence[Told], *, said: Sequence[str] = (), default: str = USUAL) -> str:
    """The language for these texts: of what was said last, the newest message first, else what the contact says that they speak, else the default."""
    for message in said[:_RECENT]:
        found = language_in(message)
        if found:
            return found
    for memory in memories:
        if memory.kind == "language":
            return phrases.language_called(memory.text) or USUAL
    return default


def memory_text(
    memories: Sequence[Memory], language: str = USUAL, *, is_off: bool = False, left: Sequence[Memory] = (), of_kind: bool = False
) -> str:
    """What is remembered, numbered for /forget, in the order given. is_off: nothing new is. left: what there is no room for; of_kind: only some kinds
    were asked for.
    """
    off = [text("memory_is_off", language)] if is_off else []
    if not memories:
        return "\n".join([text("memory_none_of_kind" if of_kind else "memory_none", language), *off])
    rows = [
        f"{number}. {fact_text(one.kind, one.text, language, day=one.day, last_day=one.last_day)}"
        for number, one in enumerate(memories, start=1)
    ]
    return "\n".join([text("memory", language), *rows, *_more(left, language, of_kind=of_kind), text("memory_end", language), *off])


def _more(left: Sequence[Memory], language: str, *, of_kind: bool) -> list[str]:
    """How many more there are, of which kinds, and how to see those of one."""
    if not left:
        return []
    if of_kind:
        return [text("memory_more_of_kind", language, count=len(left))]
    counted = Counter(one.kind for one in left)
    names = {kind: phrases.name_of(kind, language) for kind in counted}
    told = ", ".join(f"{names[kind]} ({count})" for kind, count in counted.items())
    return [text("memory_more", language, count=len(left), values=told, what=names[max(counted, key=lambda kind: counted[kind])])]


def forgotten_text(count: int, language: str = USUAL, *, everything: bool = False, keeps_messages: bool = False) -> str:
    """How many memories were forgotten, and what became of the words they came from. everything: all that was said, too."""
    if everything:
        words = "words_kept" if keeps_messages else "all_gone"
        return " ".join([text("forgotten_all", language), text(words, language), *_stays(language, keeps_messages)])
    if count == 0:
        return text("forgotten_none", language)
    done = text("forgotten_one", language) if count == 1 else text("forgotten_many", language, count=count)
    return " ".join([done, text("words_kept" if keeps_messages else "words_gone", language), *_stays(language, keeps_messages)])


def forgotten_that_text(language: str = USUAL, *, found: bool = True, keeps_messages: bool = False) -> str:
    """What was said last is forgotten."""
    if not found:
        return text("forgotten_that_none", language)
    words = [text("words_kept", language)] if keeps_messages else [text("stays", language)]
    return " ".join([text("forgotten_that", language), *words])


def kept_too(answer: str, language: str = USUAL, *, keeps_messages: bool) -> str:
    """An answer that something is not remembered, and that the messages themselves are kept where they are."""
    return f"{answer} {text('words_kept', language)}" if keeps_messages else answer


def _stays(language: str, keeps_messages: bool) -> list[str]:  # noqa: FBT001 - of this module
    return [] if keeps_messages else [text("stays", language)]


def why_text(causes: Sequence[Cause], language: str = USUAL) -> str:
    """Which memories and earlier turns were in the prompt of the last answer, each with the contact's own words that it came from."""
    if not causes:
        return text("why_none", language)
    return "\n".join([text("why", language), *(f"{number}. {_cause(cause, language)}" for number, cause in enumerate(causes, start=1))])


def _cause(cause: Cause, language: str) -> str:
    source, memory = _short(cause.source), cause.memory
    if memory is None:
        return row_text("why_turn", language, when=cause.said_at, source=source)
    fact = fact_text(memory.kind, memory.text, language, day=memory.day, last_day=memory.last_day)
    if memory.source_inbox_id is None:
        return row_text("why_added", language, when=cause.said_at, fact=fact)
    return row_text("why_row" if source else "why_row_gone", language, when=cause.said_at, fact=fact, source=source)


def noted_text(facts: Sequence[Told], gone: Sequence[str], language: str = USUAL) -> str:
    """What a correction changed: what is remembered now, and what no longer is."""
    said = ["; ".join(fact_text(one.kind, one.text, language, day=one.day, last_day=one.last_day) for one in facts)] if facts else []
    sentences = [str(of(language)["noted"]).replace("{facts}", one) for one in said]
    if gone:
        sentences.append(str(of(language)["noted_instead"]).replace("{values}", ", ".join(gone)))
    return " ".join(sentences)


def content_text(name: str, content_type: str, language: str = USUAL) -> str:
    """One polite sentence about a kind of content: `unsupported` cannot be read yet, the words beside an `unopened` one are answered."""
    contents = of(language)["contents"]
    return text(name, language, what=contents.get(content_type, contents["other"]))


def _without_relation(memory: Memory, words: tuple[str, ...]) -> tuple[str, ...]:
    """The name in "sister Anna" and "dog Biscuit", without what they are."""
    if memory.kind not in ("family", "pet"):
        return ()
    relations = (said for forms in book().words.values() for said in forms if words[: len(said)] == said)
    longest = max(relations, key=len, default=())
    return words[len(longest) :]


def _end_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return shorter > 0 and one[-shorter:] == other[-shorter:]


def _short(source: str) -> str:
    line = " ".join(source.split())
    return line if len(line) <= _MAX_SOURCE_CHARACTERS else line[: _MAX_SOURCE_CHARACTERS - 1] + "…"
