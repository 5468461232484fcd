"""The names of queues.

`reply.P` is the queue of the profile P, `batch.P` that of its batches and summaries, `reply.P.@E` that of its engine E. No profile has an @ in
its name, so they are never mixed up.
"""

from __future__ import annotations

_REPLY, _BATCH = "reply.", "batch."
_ENGINE = ".@"


def reply_queue(profile: str) -> str:
    """Return the queue of a profile's conversations that have no engine of their own."""
    return _REPLY + profile


def batch_queue(profile: str) -> str:
    """Return the queue of a profile's batches and summaries."""
    return _BATCH + profile


def is_batch(queue: str) -> bool:
    """Whether this is a queue of work that can wait."""
    return queue.startswith(_BATCH)


def engine_queue(profile: str, engine: str) -> str:
    """Return the queue of one engine of a profile. Raises ValueError for a name that no queue can have."""
    if not engine or not all(letter.isalnum() or letter in "-_" for letter in engine) or not engine.isascii():
        raise ValueError("an engine's name consists of letters, digits, - and _")
    return f"{reply_queue(profile)}{_ENGINE}{engine}"


def profile_queue(queue: str) -> str:
    """Return the profile's own queue for the queue of one of its engines, and any other queue unchanged."""
    return queue.partition(_ENGINE)[0]


def profile_of(queue: str) -> str:
    """Return the profile that a queue of replies or of a batch belongs to."""
    return profile_queue(queue).partition(".")[2]


def is_engines(queue: str) -> bool:
    """Whether this is one engine's queue."""
    return queue.startswith(_REPLY) and _ENGINE in queue
