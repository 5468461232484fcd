"""What may be asked instead of a prompt that a server did not take: a shorter one, or one with less of what came before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from inference.errors import PromptTooLong
from inference.tokens import estimate
from inference.types import Message

#: Below this many tokens, by the estimate, a refusal in unknown words is not taken for one of the prompt's length.
_LONG_TOKENS = 1500
#: For each message: the template's own tokens.
_BESIDE_TOKENS = 8


def size(messages: Sequence[Message]) -> int:
    """Return the tokens of a prompt, estimated on the high side."""
    return sum(estimate(message.content) + _BESIDE_TOKENS + sum(image.tokens for image in message.images) for message in messages)


class OtherPrompts:
    """The prompts that are left for one request. Both lists are laid out only as far as they are needed, and each prompt is asked once."""

    def __init__(self, shorter: Iterable[Sequence[Message]], apart: Iterable[Sequence[Message]]) -> None:
        self._shorter, self._apart = iter(shorter), iter(apart)
        #: How many prompts with less of what came before were asked.
        self.apart = 0
        #: Whether the shortest prompt was looked for, and whether it was asked.
        self._is_shortest = self._was_short = False

    def after_too_long(self, messages: Sequence[Message], error: PromptTooLong, *, answer: int) -> Sequence[Message] | None:
        """Return the next shorter prompt: the first that fits, where the server named its context and the tokens that it counted."""
        if self.apart:
            return self.shortest(messages)
        asked = size(messages)
        # Ours is an estimate: the server's own count of this prompt tells how far it is off.
        scale = error.size / max(asked, 1) if error.size else 0.0
        found: Sequence[Message] | None = None
        for found in self._shorter:
            if found != messages and (not error.limit or size(found) * scale + answer <= error.limit):
                return found
        # None fits by that count, but counts are estimates: the shortest is asked all the same.
        return None if found is None or found == messages else found

    def after_filter(self) -> Sequence[Message] | None:
        """Return the next prompt with less of what came before, in which the words may not be that the server will not answer."""
        found = next(self._apart, None)
        self.apart += found is not None
        return found

    def after_unclear(self, messages: Sequence[Message]) -> Sequence[Message] | None:
        """Return what is asked after a refusal in unknown words: the shortest prompt once if this one is long, else what is asked after a filter.

        After the shortest one, of these only those that have less in them still, or the last.
        """
        short = self.after_long(messages)
        if short is not None or not self._was_short:
            return short or self.after_filter()
        found: Sequence[Message] | None = None
        while (more := self.after_filter()) is not None:
            found = more
            if size(found) < size(messages):
                break
        return None if found == messages else found

    def after_long(self, messages: Sequence[Message]) -> Sequence[Message] | None:
        """Return the shortest prompt, once, if this one is so long that its length may be why it was refused."""
        return self.shortest(messages) if size(messages) > _LONG_TOKENS and not self._is_shortest else None

    def shortest(self, messages: Sequence[Message]) -> Sequence[Message] | None:
        """Return the shortest prompt, if it is shorter than this one."""
        self._is_shortest = True
        found = _last(self._shorter)
        if found is None or size(found) >= size(messages):
            return None
        self._was_short = True
        return found


def _last(prompts: Iterator[Sequence[Message]]) -> Sequence[Message] | None:
    return next(iter(deque(prompts, maxlen=1)), None)
