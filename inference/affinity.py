"""Which engine a conversation belongs to: rendezvous hashing with bounded loads. Pure.

Guarantee: when an engine leaves, only the conversations that it had move; when one comes, only those move that prefer it.

Rendezvous: Thaler and Ravishankar, 1998. Bounded loads: Mirrokni, Thorup and Zadimoghaddam, 2016 (arXiv 1608.01350).
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Iterable, Mapping
from hashlib import blake2b

#: How far above its share of the load an engine may be before conversations spill to the next: the paper's c. Lower spreads better and
#: costs prefixes, higher the other way round (bench/router.py).
SPREAD = 1.25
#: An engine with so few calls in hand is not hot, whatever the others have: leaving it would cost a prefix and win nothing.
AT_EASE = 4


def keyed(secret: bytes, value: bytes) -> bytes:
    """Hash what must not be guessed from what leaves the process: 16 bytes."""
    return hmac.digest(secret, value, "sha256")[:16]


def preference(key: bytes, names: Iterable[str]) -> list[str]:
    """Order the engines as this conversation prefers them. The key has at most 64 bytes."""
    return sorted(names, key=lambda name: blake2b(name.encode(), key=key, digest_size=8).digest(), reverse=True)


def bound(total: int, share: float, *, least: int = AT_EASE) -> int:
    """How many calls an engine with this share of the room may have in hand when there are so many in all, the next one included."""
    return max(least, math.ceil(SPREAD * total * share))


def choose(key: bytes, loads: Mapping[str, int], *, least: int = AT_EASE) -> list[str]:
    """Order equal engines, given what each has in hand: those below the bound as the conversation prefers them, then the hot ones."""
    if len(loads) < 2:
        return list(loads)
    most = bound(sum(loads.values()) + 1, 1 / len(loads), least=least)
    liked = preference(key, loads)
    return [name for name in liked if loads[name] < most] + [name for name in liked if loads[name] >= most]
