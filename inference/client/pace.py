"""How many tokens one piece of a streamed answer may have where nobody watches it grow, by how fast its server wrote the last one. No sockets.

Each piece costs the engine's HTTP server some JSON, and this process a wake-up. But a piece is also the sign that the engine lives: a server must
become many times slower than it was before its pieces are further apart than the silence that counts as its end.
"""

from __future__ import annotations

from inference.types import Answer

#: The time between two pieces, as a share of the longest silence.
_OF_SILENCE = 0.05
#: With more tokens a piece there is nothing left to win.
_MOST = 32
#: A shorter answer says little about the pace.
_LEAST_TOKENS = 8


class Pace:
    """The pace of one endpoint; safe between threads, which at worst go by the answer before the last."""

    def __init__(self, *, silence_s: float) -> None:
        """silence_s: the longest time between two pieces of an answer."""
        self._every_s = silence_s * _OF_SILENCE
        self._tokens_per_s = 0.0

    @property
    def piece(self) -> int:
        """The tokens of a piece; 1 until an answer has shown the pace."""
        return max(1, min(_MOST, int(self._tokens_per_s * self._every_s)))

    def took(self, answer: Answer) -> None:
        """Learn from a whole answer."""
        seconds = (answer.total_ms - answer.first_token_ms) / 1000
        if answer.usage.tokens_out >= _LEAST_TOKENS and not answer.usage.estimated and seconds > 0:
            self._tokens_per_s = (answer.usage.tokens_out - 1) / seconds
