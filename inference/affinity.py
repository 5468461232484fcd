"""Which engine a conversation is sent to: rendezvous hashing with bounded loads. Pure.

Guarantee: when an engine leaves, only its own conversations move; when one is added, only those that prefer it move.

Rendezvous: Thaler and Ravishankar, 1998. Bounded loads: Mirrokni, Thorup and Zadimoghaddam, 2016 (arXiv 1608.01350).
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Iterable, Mapping
from hashlib import blake2b

#: How far above its share of the load an engine may be before conversations go to the next one: the paper's c. A lower value spreads load
#: better, a higher one keeps more prefixes cached (bench/router.py).
SPREAD = 1.25
#: An engine with fewer calls than this is never overloaded, whatever the others have: to leave it would cost a cached prefix for nothing.
MIN_BOUND = 4


def keyed(secret: bytes, value: bytes) -> bytes:
    """Hash a value so that nobody outside can guess it from the hash: 16 bytes."""
    return hmac.digest(secret, value, "sha256")[:16]


def preference(key: bytes, names: Iterable[str]) -> list[str]:
    """Order the engines by this conversation's preference. The key has at most 64 bytes."""
    return sorted(names, key=lambda name: blake2b(name.encode(), key=key, digest_size=8).digest(), reverse=True)


def bound(total: int, share: float, *, least: int = MIN_BOUND) -> int:
    """How many calls an engine with this share of all slots may run when there are `total` calls, the next one included."""
    return max(least, math.ceil(SPREAD * total * share))


def choose(key: bytes, loads: Mapping[str, int], *, least: int = MIN_BOUND) -> list[str]:
    """Order equal engines by their running calls: those below the bound in the conversation's order of preference, then the overloaded ones."""
    if len(loads) < 2:
        return list(loads)
    most = bound(sum(loads.values()) + 1, 1 / len(loads), least=least)
    preferred = preference(key, loads)
    return [name for name in preferred if loads[name] < most] + [name for name in preferred if loads[name] >= most]
