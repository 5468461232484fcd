"""The scripted model's prefix cache, for `cached_tokens`: of whole messages without a limit, or of a limited number of blocks as in vLLM."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from inference.scripted.asked import PromptMessage

#: Tokens of a block of vLLM on a GPU.
BLOCK = 16
_MOST_MESSAGES = 50_000


class Trail(NamedTuple):
    """The full blocks of a prompt by their hashes, the state for the next hash, and the tokens after the last full block."""

    blocks: Sequence[int]
    before: int
    rest: Sequence[str]


class WholeMessages:
    """Caches the messages with which earlier prompts began."""

    def __init__(self) -> None:
        self._seen: OrderedDict[int, None] = OrderedDict()

    def enter(self, messages: Sequence[PromptMessage], tokens: Sequence[str], ends: Sequence[int], salt: str) -> tuple[int, Trail]:  # noqa: ARG002 - the signature of the other cache
        """Take a prompt; return how many of its tokens were cached, and what `keep` needs."""
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
        """Do nothing: an answer is cached once it comes back in a prompt."""


class Blocks:
    """Caches full blocks of tokens by everything before them. The least recently used go first, ends of prompts before their beginnings."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def enter(self, messages: Sequence[PromptMessage], tokens: Sequence[str], ends: Sequence[int], salt: str) -> tuple[int, Trail]:  # noqa: ARG002 - the signature of the other cache
        """Take a prompt; return how many of its tokens were cached, and what `keep` needs. The last token is computed in any case."""
        # The salt is part of the first hash, and so of all.
        trail = _walk(hash(salt), [], tokens)
        known = 0
        for block in trail.blocks[: (len(tokens) - 1) // BLOCK]:
            if block not in self._blocks:
                break
            known += 1
        self._store(trail.blocks)
        return known * BLOCK, trail

    def keep(self, trail: Trail, answer: Sequence[str]) -> None:
        """Cache the answer to a prompt too, since the next prompt will repeat both."""
        self._store(_walk(trail.before, list(trail.blocks), [*trail.rest, "assistant", *answer]).blocks)

    def _store(self, hashes: Sequence[int]) -> None:
        blocks = self._blocks
        for block in reversed(hashes):
            blocks[block] = None
            blocks.move_to_end(block)
        while len(blocks) > self._most:
            blocks.popitem(last=False)


def _walk(before: int, blocks: list[int], tokens: Sequence[str]) -> Trail:
    """Add one hash for each full block."""
    full = len(tokens) // BLOCK * BLOCK
    for start in range(0, full, BLOCK):
        before = hash((before, *tokens[start : start + BLOCK]))
        blocks.append(before)
    return Trail(blocks, before, tokens[full:])
