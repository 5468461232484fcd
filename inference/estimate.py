"""An estimate of a text's tokens, for any model, on the high side. No server is asked."""

from __future__ import annotations


def estimate(text: str) -> int:
    """Return a count that is rarely below the true one, for any model: a token for every 3 letters of a word, other text by its bytes."""
    tokens = 0
    for word in text.split():
        if word.isascii() and word.isalpha():
            # A longer run of letters is not a word: a key, an address, random typing.
            tokens += 1 + (len(word) - 1) // 3 if len(word) <= 15 else len(word)
        else:
            tokens += _by_bytes(word)
    # Line breaks and runs of spaces are tokens too; a single space is part of its word.
    return tokens + text.count("\n") + text.count("  ") + text.count("\t")


def _by_bytes(word: str) -> int:
    """One token for 2 ASCII letters, and one for each byte of anything else, which is what tokenizers fall back to."""
    letters = sum(character.isascii() and character.isalpha() for character in word)
    return (letters + 1) // 2 + len(word.encode("utf-8", "replace")) - letters
