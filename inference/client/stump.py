"""Whether an answer that says "length" is a stump: the context was full, so that the same question would be cut again, and a shorter one would not.

vLLM does not refuse a prompt whose answer does not fit: it writes what is left of the context, down to one token, and says "length" as if `max_tokens` were
reached. The rule:

* An answer is **far below** its limit if it has less than half of the tokens that were allowed. What counts is what the server wrote, thoughts too, since they used up
  the allowance; where the context is known, the text alone counts as well: thoughts that left no room for words are cured by a shorter prompt.
* **Context known**: it is a stump if prompt and answer fill the context, to 1 %. Anything else that is short is a limit of the server's own on answers.
* **Context unknown**: it is a stump unless the prompt is so short that no context is full of it, or the answer's size is a round number and the sum of both
  is not, which is how limits on answers look.
"""

from __future__ import annotations

from collections.abc import Sequence

from inference.errors import PromptTooLong
from inference.estimate import estimate
from inference.types import Answer, Traits

#: No model that is served has a smaller context.
_LEAST_PROMPT = 200


def stump_of(answer: Answer, texts: Sequence[str], max_tokens: int, traits: Traits) -> PromptTooLong | None:
    """Return the error that a stump is; None for every other answer."""
    if answer.finish_reason != "length":
        return None
    allowed = traits.tokens_for(max_tokens)
    # Where the server counts nothing, our estimate, which is rather too high.
    size = answer.usage.tokens_in or sum(map(estimate, texts))
    text = estimate(answer.text)
    written = answer.usage.tokens_out or (allowed if traits.reasoning else text)
    if traits.context:
        is_stump = size + written >= traits.context * 0.99 and (2 * written < allowed or 2 * min(text, written) < max_tokens)
    else:
        is_stump = 2 * written < allowed and size >= _LEAST_PROMPT and not (_is_round(written) and not _is_round(size + written))
    if not is_stump:
        return None
    error = PromptTooLong("the prompt leaves too little of the context for an answer")
    error.limit, error.size = traits.context or size + written, size
    return error


def _is_round(tokens: int) -> bool:
    """Whether a limit may have this size; some servers stop one token before."""
    return any(one >= 16 and (one % 64 == 0 or one % 50 == 0 or one in (16, 20, 32)) for one in (tokens, tokens + 1))
