"""The scripted model's memory of prompts, for `cached_tokens`: whole messages without bound, or blocks as vLLM keeps them, finite."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from inference.scripted.asked import PromptMessage

#: vLLM's block on a GPU.
BLOCK = 16
_MOST_MESSAGES = 50_000


class Trail(NamedTuple):
    """The full blocks of a prompt, each by its hash, what the next hash begins with, and the tokens behind them."""

    blocks: Sequence[int]
    before: int
    rest: Sequence[str]


class WholeMessages:
    """Knows the first messages that an earlier prompt began with."""

    def __init__(self) -> None:
        self._seen: OrderedDict[int, None] = OrderedDict()

    def enter(self, messages: Sequence[PromptMessage], tokens: Sequence[str], ends: Sequence[int], salt: str) -> tuple[int, Trail]:  # noqa: ARG002 - as the other one
        """Take a prompt; return how many of its tokens were known, and what `keep` wants."""
        cached = 0
        path = hash(salt)
        for message, end in zip(messages, ends, strict=True):
            content = message.content
            path = hash((path, message.role, content if isinstance(content, str) else (message.text, *message.pictures)))
            if path in self._seen:
                cached = end
                self._seen.move_to_end(path)
            else:
                self._seen[path] = None
        while len(self._seen) > _MOST_MESSAGES:
            self._seen.popitem(last=False)
        return cached, Trail((), 0, ())

    def keep(self, trail: Trail, answer: Sequence[str]) -> None:
        """An answer is known once it comes back in a prompt."""


class Blocks:
    """Knows full blocks of tokens by everything before them, the least used ones forgotten first, the ends of prompts before their beginnings."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def enter(self, messages: Sequence[PromptMessage], tokens: Sequence[str], ends: Sequence[int], salt: str) -> tuple[int, Trail]:  # noqa: ARG002 - as the other one
        """Take a prompt; return how many of its tokens were known, and what `keep` wants. The last token is computed in any case."""
        # The salt enters the first block, and so all.
        trail = _walk(hash(salt), [], tokens)
        known = 0
        for block in trail.blocks[: (len(tokens) - 1) // BLOCK]:
            if block not in self._blocks:
                break
            known += 1
        self._store(trail.blocks)
        return known * BLOCK, trail

    def keep(self, trail: Trail, answer: Sequence[str]) -> None:
        """Take the answer to a prompt too, as the next prompt will tell both again."""
        self._store(_walk(trail.before, list(trail.blocks), [*trail.rest, "assistant", *answer]).blocks)

    def _store(self, hashes: Sequence[int]) -> None:
        blocks = self._blocks
        for block in reversed(hashes):
            blocks[block] = None
            blocks.move_to_end(block)
        while len(blocks) > self._most:
            blocks.popitem(last=False)


def _walk(before: int, blocks: list[int], tokens: Sequence[str]) -> Trail:
    """Add one hash a full block to the blocks."""
    full = len(tokens) // BLOCK * BLOCK
    for start in range(0, full, BLOCK):
        before = hash((before, *tokens[start : start + BLOCK]))
        blocks.append(before)
    return Trail(blocks, before, tokens[full:])
