"""The vectors in the database: their lengths, and making them again with another model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

from bots.admin.acting import Operator
from bots.admin.deps import Deps
from bots.recall.indexing import passage
from bots.storage import episodes, vectors
from bots.storage.database import hot
from bots.storage.vectors import VectorColumn


def columns(deps: Deps, _operator: Operator) -> list[VectorColumn]:
    """The columns that hold vectors, with their lengths."""
    with hot(deps.web) as connection:
        return vectors.columns(connection)


#: Embeds texts, in their order; None: the embedder does not take that one.
Embed = Callable[[Sequence[str]], Sequence[Sequence[float] | None]]
_AT_ONCE = 32


def make_again(deps: Deps, _operator: Operator, embed: Embed, *, model: str) -> Iterator[int]:
    """Embed every turn that has no vector of this model; yields how many turns were done, each time some were.

    It can be stopped and begun again at any time, and people are answered meanwhile: recall takes the vectors of its own model, wherever they are.
    """
    after, done = UUID(int=0), 0
    while (found := episodes.stale(deps.crossing, after=after, model=model, most=_AT_ONCE)) is not None:
        if found.turns:
            episodes.embed_again(deps.crossing, found, model=model, vectors=embed([passage(one.asked, one.answer) for one in found.turns]))
            done += len(found.turns)
            yield done
        else:
            after = found.contact


def left(deps: Deps, _operator: Operator, *, model: str) -> int:
    """How many turns have no vector of this model."""
    with hot(deps.crossing) as connection:
        return vectors.count_without(connection, model)
